"""Panels are placed on the grid, with ids that stay."""

from __future__ import annotations

import random

import pytest

from dashboards_py import grafana, layout, panels
from dashboards_py.queries import workloads


def some_panel(title: str, width: int | None = None) -> grafana.Panel:
    query = panels.show(workloads.memory_in_use())
    return panels.stat(title, query, description="d", unit="bytes", width=width)


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_any_shape_fill_the_grid_without_overlap(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    rows = []
    for number in range(dice.randint(1, 6)):
        widths = [dice.choice([None, None, 1, 3, 6, 8, 12, 24]) for _ in range(dice.randint(1, 9))]
        rows.append(
            layout.row(
                *(some_panel(f"{number}-{i}", width) for i, width in enumerate(widths)),
                height=dice.randint(2, 12),
                title=dice.choice(["", f"row {number}"]),
            )
        )
    placed = layout.place(rows)
    cells: set[tuple[int, int]] = set()
    for p in placed:
        g = p.gridPos
        own = {(x, y) for x in range(g.x, g.x + g.w) for y in range(g.y, g.y + g.h)}
        assert not cells & own
        assert all(0 <= x < layout.COLUMNS for x, _ in own)
        cells |= own
    # No line is left empty, and a line with an open-ended panel is full.
    assert {y for _, y in cells} == set(range(max(y for _, y in cells) + 1))
    assert len({p.id for p in placed}) == len(placed)


def test_open_ended_panels_share_what_is_left() -> None:
    placed = layout.place([layout.row(some_panel("a", 4), some_panel("b"), some_panel("c"))])
    assert [(p.gridPos.x, p.gridPos.w) for p in placed] == [(0, 4), (4, 10), (14, 10)]


def test_ids_stay_when_a_panel_comes_before() -> None:
    before = {p.title: p.id for p in layout.place([layout.row(some_panel("a"), some_panel("b"))])}
    after = {
        p.title: p.id
        for p in layout.place([layout.row(some_panel("new"), some_panel("b"), some_panel("a"))])
    }
    assert before.items() <= after.items()


def test_a_collapsed_row_holds_its_panels_and_the_next_row_follows_it() -> None:
    rows = [
        layout.row(some_panel("inside"), title="closed", collapsed=True),
        layout.row(some_panel("below")),
    ]
    closed, below = layout.place(rows)
    assert [p.title for p in closed.panels] == ["inside"]
    assert below.gridPos.y == 1


def test_a_row_that_cannot_be_placed_is_refused() -> None:
    with pytest.raises(layout.LayoutError, match="'wide' is 25 columns"):
        layout.place([layout.row(some_panel("wide", 25))])
    with pytest.raises(layout.LayoutError, match="give one another title"):
        layout.place([layout.row(some_panel("twice"), some_panel("twice"))])
    with pytest.raises(layout.LayoutError, match="no panel"):
        layout.row()
    with pytest.raises(layout.LayoutError, match="needs a title"):
        layout.row(some_panel("a"), collapsed=True)


@pytest.mark.parametrize("rows", range(1, 30))
def test_a_table_has_room_for_its_rows_and_for_no_further_one(rows: int) -> None:
    # As a browser measures it: `make preview` says where it is otherwise.
    room, needed = layout.height_of_table(rows) * 38 - 58, 36 * (rows + 1) - 2
    assert needed <= room < needed + 38
