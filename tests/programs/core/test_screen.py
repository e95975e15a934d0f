"""How wide text and panels are: as a browser measures them with Grafana's font."""

from __future__ import annotations

import pytest

from scripts.core import screen


@pytest.mark.parametrize(
    ("text", "pixels", "weight", "width"),
    [
        # Measured by Chromium in 14 px of Inter.
        ("CPU requested", 14, screen.MEDIUM, 101.5),
        ("Restarts so far", 14, screen.MEDIUM, 97.4),
        ("api-availability", 14, screen.REGULAR, 96),
        ("", 14, screen.REGULAR, 0),
    ],
)
def test_text_is_as_wide_as_its_characters(
    text: str, pixels: float, weight: int, width: float
) -> None:
    assert screen.text_width(text, pixels, weight) == pytest.approx(width, rel=0.03)
    assert screen.text_width(text, 2 * pixels, weight) == pytest.approx(2 * width, rel=0.03)


def test_a_character_that_is_not_known_is_wide() -> None:
    assert screen.text_width("→", 10) > screen.text_width("W", 10)


def test_panels_fill_the_page() -> None:
    assert screen.panel_width(24) == screen.WINDOW_PIXELS - 32
    assert 2 * screen.panel_width(12) + 8 == pytest.approx(screen.panel_width(24))


def test_columns_of_a_table_share_what_is_left() -> None:
    room = screen.panel_width(12) - 2
    assert screen.column_widths([100, None, None], 12, 70) == [
        100,
        (room - 100) / 2,
        (room - 100) / 2,
    ]
    assert screen.column_widths([600, None], 12, 70) == [600, 70]


def test_values_of_a_stat_stand_beside_each_other_or_in_a_grid() -> None:
    flat = screen.name_rooms(24, 4, 6)
    assert len(flat) == 6
    assert len(set(flat)) == 1
    # The last row of a grid shares its width.
    first, second, last = screen.name_rooms(4, 6, 3)
    assert first == second < last
