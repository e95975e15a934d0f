"""A scalar is replaced, and all else of the text stays."""

from __future__ import annotations

import pytest

from scripts.core import yaml_edit


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('a:\n  tag: "1.2.3" # why\nb: 1\n', 'a:\n  tag: "1.2.4" # why\nb: 1\n'),
        ("a:\n  tag: '1.2.3'\n", 'a:\n  tag: "1.2.4"\n'),
        ("a:\n  tag: v1 # why\n", "a:\n  tag: 1.2.4 # why\n"),
    ],
)
def test_what_was_quoted_stays_quoted(before: str, after: str) -> None:
    (document,) = yaml_edit.compose(before)
    assert yaml_edit.replaced(before, document, ("a", "tag"), "1.2.4", quoted=True) == after
