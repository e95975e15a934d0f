"""The measured rounds as a table, and whether they are within the target."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from scripts.core.columns import aligned
from scripts.core.findings import counted
from scripts.live.verify.measurement import Round

# Seconds from deployment to an open dashboard, for images that are on the node.
TARGET = 30.0
_CLOCKS: tuple[Callable[[Round], float | None], ...] = (
    lambda one: one.pod,
    lambda one: one.dashboard,
    lambda one: one.public,
)


def table(rounds: Sequence[Round]) -> str:
    """Return a line for each round, then median and maximum of the warm and of the cold ones."""
    lines: list[tuple[str, ...]] = [("round", "images", "pod", "dashboard", "public")]
    for number, one in enumerate(rounds, 1):
        lines.append((str(number), _images(one.warm), *_row([one], max)))
    for warm in (True, False):
        if alike := [one for one in rounds if one.warm is warm]:
            lines.append(("median", _images(warm), *_row(alike, statistics.median)))
            lines.append(("maximum", _images(warm), *_row(alike, max)))
    return "\n".join(aligned(lines, left=(0, 1)))


def verdict(rounds: Iterable[Round]) -> tuple[bool, str]:
    """Return whether the dashboard of every warm round was there in time, and say so."""
    warm = [one.dashboard for one in rounds if one.warm]
    if not warm:
        return False, "no warm round: each pulled an image; run it again on the same nodes"
    slowest = max(warm)
    kept = slowest <= TARGET
    relation = "within" if kept else "over"
    text = f"dashboard after {slowest:.1f} s at most in {counted(len(warm), 'warm round')}"
    return kept, f"{text}: {relation} the target of {TARGET:.0f} s"


def _row(rounds: Sequence[Round], of: Callable[[list[float]], float]) -> list[str]:
    cells = []
    for clock in _CLOCKS:
        seconds = [value for one in rounds if (value := clock(one)) is not None]
        cells.append(f"{of(seconds):.1f} s" if seconds else "left out")
    return cells


def _images(warm: bool) -> str:
    return "warm" if warm else "cold"
