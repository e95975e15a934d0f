"""`make bench`: how long things take, what dashboards and rules cost, who finds bad changes.

Run as `python -m scripts.bench [PART …] [--tree=FOLDER] [--changes=FILE] [--bad-changes=FOLDER]`.
Wall-clock seconds, medians. Compare ratios within one run: machines and their load differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from scripts import tools
from scripts.bench import bad_changes, dashboards, diff, plan, rules, targets
from scripts.core.findings import execute


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, each as soon as it is measured; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("part", nargs="*", help="such as targets or diff; default: all")
    parser.add_argument("--tree", type=Path, default=tools.ROOT, help="what to edit copies of")
    parser.add_argument("--changes", type=Path, help="YAML list of changes that `diff` compares")
    parser.add_argument("--bad-changes", type=Path, help="folder of lists of changes to refuse")
    options = parser.parse_args(arguments)
    tree = options.tree.resolve()
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "targets": targets.targets,
        "validate": targets.validate,
        "copies": targets.copies,
        "bad-changes": partial(bad_changes.tables, tree, options.bad_changes),
        "diff": partial(diff.tables, tree, options.changes),
        "e2e": targets.e2e,
        "dashboards": dashboards.tables,
        "rules": rules.tables,
        "plan": plan.tables,
    }
    if unknown := set(options.part) - parts.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}: use {', '.join(parts)}")
    for part in options.part or parts:
        for text in parts[part]():
            print(text, flush=True)
    return 0


if __name__ == "__main__":
    execute(main)
