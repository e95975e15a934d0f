"""How `make diff` reads Alloy's configuration."""

from __future__ import annotations

import pytest

from scripts.core.findings import RepositoryError
from scripts.diff import alloy


def expression(text: str) -> list[str]:
    return [token.text for token in alloy.parse("p.alloy", text).attributes["a"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1.5", ["1.5"]),
        ("a = `\\x41`\nb = 2", ["\\x41"]),
        (r'a = "\x41▲\u25b2é\"\\\n"', ['A▲▲é"\\\n']),
        ("a = b.c(\n d,\n)\ne = 1", ["b.c", "(", "d", ",", ")"]),
        ("a =\n  b +\n  c // + d\n", ["b", "+", "c"]),
        ('a = ["(", `[`, "//"] /* ] */', ["[", "(", ",", "[", ",", "//", "]"]),
        ('a = "+"\nb = 2', ["+"]),
        ("a = { b = 1,\n c = 2 }\n", ["{", "b", "=", "1", ",", "c", "=", "2", "}"]),
        ('b "c" { a = 2 }\na = 1', ["1"]),
    ],
)
def test_an_expression_of_alloy(text: str, expected: list[str]) -> None:
    assert expression(text) == expected


def test_blocks_of_alloy() -> None:
    outer = alloy.parse("p.alloy", 'a.b "c" {\n d { }\n d { e = 1 }\n}\nf { }')
    found = [[f"{one.type} {one.label}" for one in blocks[1:]] for blocks in outer.within()]
    assert found == [[], ["a.b c"], ["a.b c", "d "], ["a.b c", "d "], ["f "]]
    assert [token.text for token in outer.tokens()] == ["1"]


@pytest.mark.parametrize("text", ["a {", "a = [", "a = ]", "a", "}", "a b", 'a = "\\x"', "= 1"])
def test_what_is_not_alloy_is_refused(text: str) -> None:
    with pytest.raises(RepositoryError, match="Alloy does not load it"):
        alloy.parse("p.alloy", text)
