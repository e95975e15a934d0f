"""Replacing a scalar in a YAML text: comments, order and quoting of the rest are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable

import yaml

from scripts.core.yamlfile import child

INDENT = 2
Scalar = str | int | float


def compose(text: str) -> list[yaml.Node]:
    """Return the documents of a YAML text as nodes, whose marks count characters."""
    # The loader in pure Python: the marks of libyaml's count bytes.
    return list(yaml.compose_all(text, yaml.SafeLoader))


def replaced(
    text: str, document: yaml.Node, keys: Iterable[str], value: Scalar, *, quoted: bool = False
) -> str:
    """Return the text with another scalar at the keys, and indices of lists, of a document.

    Args:
        text: The YAML.
        document: One of its documents, as `compose` returns it.
        keys: They lead to the scalar.
        value: The new one.
        quoted: Whether a text keeps the quotes of the old one, as a version needs.

    Raises:
        KeyError: If one of them does not exist.
    """
    name = node = document
    for key in keys:
        found = child(node, key)
        if not found:
            raise KeyError(key)
        name, node = found
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        end = _block_end(text, name.start_mark.line, name.start_mark.column)
    new = written(value, name.start_mark.column)
    if quoted and isinstance(node, yaml.ScalarNode) and node.style in {"'", '"'}:
        new = json.dumps(value)
    # A block scalar without a final newline is another value.
    return text[:start] + new + (text[end:] or "\n")


def written(value: Scalar, column: int = 0) -> str:
    """Return a scalar as YAML; `column` is that of its key, for a text of several lines."""
    if not isinstance(value, str):
        return json.dumps(value)
    if "\n" in value:
        lines = value.rstrip("\n").split("\n")
        return "\n".join(["|", *(f"{' ' * (column + INDENT)}{line}" for line in lines)])
    return value if _is_plain(value) else json.dumps(value)


def _block_end(text: str, line: int, column: int) -> int:
    """Return the index after the last line of a block, without the blank lines that follow it."""
    lines = text.splitlines(keepends=True)
    last = line
    for number in range(line + 1, len(lines)):
        content = lines[number].strip()
        if content and len(lines[number]) - len(lines[number].lstrip()) <= column:
            break
        if content:
            last = number
    ended = sum(map(len, lines[: last + 1]))
    return ended - (1 if lines[last].endswith("\n") else 0)


def _is_plain(value: str) -> bool:
    try:
        return bool(yaml.safe_load(f"key: {value}") == {"key": value})
    except yaml.YAMLError:
        return False
