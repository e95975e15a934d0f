"""Objects and what differs in them as YAML, with `-`, `+` and ` ` in front of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import yaml

from scripts.core.yamlfile import Json
from scripts.diff.model import ABSENT
from scripts.diff.value_diff import Difference, ListItem, PathStep, TextLines

INDENT = "  "


class _ManifestDumper(yaml.CSafeDumper):
    """Writes texts of several lines as blocks, as people write them."""


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_ManifestDumper.add_representer(str, _text)


def whole(manifest: Mapping[str, Json], sign: str) -> str:
    """Return an object that is added or removed."""
    return "\n".join(f"{sign}{line}" for line in _dumped(dict(manifest)))


def differing(found: Sequence[Difference]) -> str:
    """Return the values that differ below the keys that lead to them."""
    lines: list[str] = []
    printed: tuple[PathStep, ...] = ()
    for difference in found:
        *way, last = difference.steps or ("",)
        shared = 0
        while shared < min(len(way), len(printed)) and way[shared] == printed[shared]:
            shared += 1
        for depth in range(shared, len(way)):
            lines.append(f" {INDENT * depth}{_heading(way[depth])}")
        printed = tuple(way)
        lines += _values(difference, last, len(way))
    return "\n".join(lines)


def _heading(step: PathStep) -> str:
    if not isinstance(step, ListItem):
        return f"{step}:"
    return f"- {_identity(step)}"


def _identity(member: ListItem) -> str:
    """An item by its identity; where that is only its place, a comment says so."""
    if any(not key for key, _ in member.keys):
        return f"# item {member.keys[0][1]}"
    return ", ".join(f"{key}: {value}" for key, value in member.keys)


def _values(difference: Difference, last: PathStep, depth: int) -> Iterator[str]:
    indent = INDENT * depth
    if isinstance(last, TextLines):
        yield f" {indent}# line {last.number}"
        yield from (f" {indent}{line}" for line in last.above)
    for sign, value in (("-", difference.before), ("+", difference.after)):
        if value is ABSENT:
            continue
        if isinstance(last, TextLines):
            lines = value.split("\n")
        elif isinstance(last, ListItem):
            lines = _dumped([value])
        else:
            lines = _dumped({last: value})
        yield from (f"{sign}{indent}{line}" for line in lines)
    if isinstance(last, TextLines):
        yield from (f" {indent}{line}" for line in last.below)


def _dumped(value: Json) -> list[str]:
    text = yaml.dump(value, Dumper=_ManifestDumper, sort_keys=False, allow_unicode=True, width=1000)
    return text.rstrip("\n").split("\n")
