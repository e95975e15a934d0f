"""Tables as text: words flush left, numbers flush right."""

from __future__ import annotations

from scripts.core.columns import aligned

ROWS = (("name", "count", "where"), ("a", "10", ""), ("longer", "7", "here"))


def test_numbers_are_flush_right_and_nothing_trails() -> None:
    assert list(aligned(ROWS, left=(0, 2))) == [
        "name    count  where",
        "a          10",
        "longer      7  here",
    ]


def test_all_may_be_flush_left() -> None:
    assert list(aligned(ROWS, left=None))[1] == "a       10"


def test_a_table_without_rows_has_no_lines() -> None:
    assert list(aligned(())) == []
