"""How `make diff` reads Alloy's configuration."""

from __future__ import annotations

import json
import subprocess

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.diff import alloy, log_pipelines
from tests.fixtures import FROZEN


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


def test_alloy_finds_the_same_ways_to_loki() -> None:
    files = sorted((FROZEN / "base/logs").glob("*.alloy"))
    parsed = [alloy.parse(file.name, file.read_text()) for file in files]
    variables: set[str] = set()
    for whole in parsed:
        tokens = list(whole.tokens())
        calls = zip(tokens, tokens[2:], strict=False)
        variables |= {argument.text for name, argument in calls if name.text == "sys.env"}
    blocks = [block for whole in parsed for block in whole.blocks]
    declared = {block.label: block for block in blocks if block.type == "declare"}
    components = log_pipelines._components(blocks, declared)
    # Alloy refuses a module that runs alone.
    answers = [
        json.loads(
            subprocess.run(
                [tools.path("alloy"), "check", file],
                env=dict.fromkeys(variables, "a"),
                capture_output=True,
                check=True,
            ).stdout
        )
        for file in files
        if file.name != "shared.alloy"
    ]
    writing = {name for name, component in components if component.writes}
    assert len(writing) > 1
    assert writing == {place for one in answers for place in one}
