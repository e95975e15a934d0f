"""Places panels on Grafana's grid, and gives each an id that stays the same.

The grid has 24 columns; one unit of height is 30 px and 8 px of gap. A laptop of 1366x768 shows
about 14 units, so the first screen of a dashboard is one strip of numbers and one line of graphs.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence

import attrs
from grafanalib import core

from dashboards_py import grafana
from scripts.core.yamlfile import Json

COLUMNS = 24
# A table's cells have links of their own, a line of a log its details.
_LINKED_BY_CELL = (grafana.Table, grafana.Logs)


class LayoutError(ValueError):
    """A row that cannot be placed; the message names the row or the panel."""


@attrs.frozen
class DashboardRow:
    """Panels beside each other, broken into lines where they are wider than the grid.

    Attributes:
        panels: A panel without a width shares the rest of its line equally with others like it.
        height: Of each panel, in grid units.
        title: A heading above the row; without one there is none.
        collapsed: Whether the row is collapsed when the dashboard opens. Grafana sends its queries
            only when somebody expands it.
    """

    panels: tuple[grafana.Panel, ...]
    height: int
    title: str
    collapsed: bool


def height_of_table(rows: int) -> int:
    """Return the grid units that a table needs for so many rows, beside its title and heading.

    A row is 36 px high (`@grafana/ui` 13.2, `TableNG/constants`), the title 40, and borders and
    padding are 8. The last of the units' gaps is below the panel.
    """
    return math.ceil((40 + 8 + 36 * (rows + 1) + 8) / 38)


def row(
    *panels: grafana.Panel,
    height: int = 8,
    title: str = "",
    collapsed: bool = False,
    links: Sequence[Json] = (),
) -> DashboardRow:
    """Put panels beside each other; see `DashboardRow` for the arguments.

    `links` are those of each graph and number that has none of its own.
    """
    if not panels:
        raise LayoutError(f"row {title!r} has no panel")
    if collapsed and not title:
        raise LayoutError("a collapsed row needs a title, or it cannot be expanded")
    linked = (
        p if p.dataLinks or isinstance(p, _LINKED_BY_CELL) else attrs.evolve(p, dataLinks=links)
        for p in panels
    )
    return DashboardRow(tuple(linked), height, title, collapsed)


def place(rows: Iterable[DashboardRow]) -> list[core.Panel]:
    """Return the panels of a dashboard with `gridPos` and `id`.

    An id is made of the title, so that links to a panel survive when others come, go or move.

    Raises:
        LayoutError: For a panel wider than the grid, or two panels of one title.
    """
    placed: list[core.Panel] = []
    taken: dict[int, str] = {}
    top = 0
    for each in rows:
        heading = None
        if each.title:
            heading = grafana.RowPanel(
                title=each.title,
                id=_id(each.title, taken),
                gridPos=core.GridPos(h=1, w=COLUMNS, x=0, y=top),
                collapsed=each.collapsed,
            )
            placed.append(heading)
            top += 1
        inside, bottom = _lines(each, top, taken)
        if heading is not None and each.collapsed:
            heading.panels = inside
        else:
            placed.extend(inside)
            top = bottom
    return placed


def _lines(each: DashboardRow, top: int, taken: dict[int, str]) -> tuple[list[core.Panel], int]:
    """Place a row's panels from `top` on; return them and where the next row starts."""
    placed = []
    for line in _break(each.panels):
        left = 0
        for panel, width in zip(line, _widths(line), strict=True):
            position = core.GridPos(h=each.height, w=width, x=left, y=top)
            identity = _id(panel.title, taken)
            placed.append(attrs.evolve(panel, gridPos=position, id=identity))
            left += width
        top += each.height
    return placed, top


def _break(panels: Sequence[grafana.Panel]) -> list[list[grafana.Panel]]:
    """Split panels into lines; one without a width needs at least one column."""
    lines: list[list[grafana.Panel]] = [[]]
    used = 0
    for panel in panels:
        width = panel.width or 1
        if not 1 <= width <= COLUMNS:
            raise LayoutError(f"panel {panel.title!r} is {width} columns wide; there are {COLUMNS}")
        if used + width > COLUMNS:
            lines.append([])
            used = 0
        lines[-1].append(panel)
        used += width
    return lines


def _widths(line: Sequence[grafana.Panel]) -> list[int]:
    """Give each panel its width; the first ones get what equal shares leave over."""
    without_width = sum(panel.width is None for panel in line)
    rest = COLUMNS - sum(panel.width or 0 for panel in line)
    share, over = divmod(rest, without_width) if without_width else (0, 0)
    widths = []
    for panel in line:
        if panel.width is not None:
            widths.append(panel.width)
            continue
        widths.append(share + (over > 0))
        over -= 1
    return widths


def panel_id(title: str) -> int:
    """Return a number between 1 and 2^31 made of a panel's title."""
    return zlib.crc32(title.encode()) % (2**31 - 1) + 1


def _id(title: str, taken: dict[int, str]) -> int:
    """Return a panel's id, which no other panel of the dashboard has."""
    identity = panel_id(title)
    if identity in taken:
        raise LayoutError(
            f"panels {taken[identity]!r} and {title!r} get one id; give one another title"
        )
    taken[identity] = title
    return identity
