"""Previews of the dashboards that changed, where `make preview` has drawn some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.checks.dashboards import FOLDER
from scripts.diff import dashboards
from scripts.diff.model import Picture
from scripts.diff.objects import Pair

PREVIEWS = Path("build/preview")


def pictures(pairs: Iterable[Pair], root: Path) -> Iterator[Picture]:
    """Yield the picture of each dashboard that differs.

    Args:
        pairs: The clusters.
        root: The working tree; a picture older than the dashboard's file shows what was before.
    """
    changed = set()
    for pair in pairs:
        before, after = dashboards.of(pair.before), dashboards.of(pair.after)
        changed |= {
            str(model["uid"])
            for file in {*before, *after}
            if before.get(file) != after.get(file)
            for model in (before.get(file), after.get(file))
            if model
        }
    for uid in sorted(changed):
        drawn = sorted((root / PREVIEWS).glob(f"*/{uid}.png"))
        if not drawn:
            continue
        picture, source = drawn[0], root / FOLDER / f"{uid}.json"
        old = source.exists() and picture.stat().st_mtime < source.stat().st_mtime
        shown = str(picture)
        yield Picture(uid, shown if old else None, None if old else shown)
