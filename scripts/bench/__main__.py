"""`make bench`: how long targets, syncs and recoveries take, what dashboards and rules cost.

Run as `python -m scripts.bench [PART …] [--tree=FOLDER] [--changes=FILE] [--bad-changes=FOLDER]`.
Wall-clock seconds, medians. Compare ratios within one run: machines and their load differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from scripts import tools
from scripts.bench import dashboards, diff, rules, targets
from scripts.bench.trees import Subject
from scripts.core.findings import execute

PARTS: Mapping[str, Callable[[Subject], Iterator[str]]] = {
    "targets": targets.targets,
    "validate": targets.validate,
    "copies": targets.copies,
    "bad-changes": targets.bad_changes,
    "diff": diff.tables,
    "e2e": targets.e2e,
    "dashboards": dashboards.tables,
    "rules": rules.tables,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, each as soon as it is measured; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    # argparse takes no list of choices for what may be left out.
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument(
        "--tree", type=Path, default=tools.ROOT, help="repository to edit copies of"
    )
    parser.add_argument("--changes", type=Path, help="YAML list of changes that `diff` compares")
    parser.add_argument("--bad-changes", type=Path, help="folder of lists of changes to refuse")
    options = parser.parse_args(arguments)
    if unknown := set(options.part) - PARTS.keys():
        parser.error(f"no part {', '.join(sorted(unknown))}: use {', '.join(PARTS)}")
    subject = Subject(options.tree.resolve(), options.changes, options.bad_changes)
    for part in options.part or PARTS:
        for text in PARTS[part](subject):
            print(text, flush=True)
    return 0


if __name__ == "__main__":
    execute(main)
