"""`make pictures`: draw the dashboards that changed, before and after, for `make diff`.

Run as `python -m scripts.lab.preview.changed [--base REVISION]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts import tools
from scripts.core.findings import RepositoryError, execute, report
from scripts.model import dashboards, revisions


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, and print where; return 1 where something cannot be drawn, 2 for bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.lab.preview.changed", description=__doc__
    )
    parser.add_argument("--base", help="default: where this left the main branch")
    parser.add_argument("root", nargs="?", type=Path, default=tools.ROOT, help="of the tree")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    try:
        after = revisions.working_tree(root)
        before = revisions.base(root, options.base, after)
        paths = sorted(set(revisions.differing(root, before, after, (dashboards.FOLDER,))))
    except RepositoryError as error:
        report(error.findings)
        return 2
    nothing = f"No dashboard differs: {before.title} → {after.title}."
    paths = [path for path in paths if path.endswith(".json")]
    if not paths:
        print(nothing)
        return 0
    # To import all that draws takes longer than to say that nothing does.
    from scripts.lab.preview import drawing

    changed, findings = drawing.changes(root, before, after, paths)
    findings += drawing.draw(changed)
    count = report(findings)
    for change in changed:
        print(change.name)
        for name, picture in zip(("before", "after"), change.pictures, strict=True):
            print(f"  {name:6}  {picture or 'none'}")
    if changed:
        print("Side by side: make diff DIFF=--output=build/diff, then build/diff/report.html")
    elif not count:
        print(nothing)
    return 1 if count else 0


if __name__ == "__main__":
    execute(main)
