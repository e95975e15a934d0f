"""Edits of a YAML file by path: comments and all other lines stay as they are.

A path is `kind/name:key.key.0`, where the object's part is left out in a file of one document; `~`
stands for a dot in a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from scripts.core.yaml_edit import Scalar, compose, replaced, written
from scripts.core.yamlfile import child


class AbsentError(LookupError):
    """This tree does not have what an edit is about."""


def put(path: Path, place: str, value: Scalar) -> None:
    """Set a value; a key that is not there is added to its map, an item `-` put before the list's.

    Raises:
        AbsentError: If the tree does not have the file, the object, or what the last key is in.
    """
    text = read(path)
    *way, last = keys = _keys(place)
    document = _document(path, text, place)
    holder = _find(path, document, way)
    if isinstance(holder, yaml.SequenceNode) and last == "-":
        first = holder.value[0]
        start = text.rindex("- ", 0, first.start_mark.index)
        column = start - text.rfind("\n", 0, start) - 1
        added = f"- {written(value)}\n{' ' * column}"
    elif not isinstance(holder, yaml.MappingNode):
        raise AbsentError(f"{path.name} has no map at {'.'.join(way)}")
    elif child(holder, last):
        path.write_text(replaced(text, document, keys, value, quoted=True))
        return
    else:
        start, column = holder.start_mark.index, holder.start_mark.column
        added = f"{last}: {written(value, column)}\n{' ' * column}"
    path.write_text(text[:start] + added + text[start:])


def drop(path: Path, place: str) -> None:
    """Take out a key, or an item of a list by its index or its text, with all that is in it.

    Raises:
        AbsentError: If it is not there.
    """
    text = read(path)
    *way, last = _keys(place)
    holder = _find(path, _document(path, text, place), way)
    lines = text.splitlines(keepends=True)
    if isinstance(holder, yaml.MappingNode):
        found = next((n for n in holder.value if n[0].value == last), None)
        nodes = found and (found[0], found[1])
    else:
        items = list(enumerate(holder.value))
        node = next((n for i, n in items if last in (str(i), n.value)), None)
        nodes = node and (node, node)
    if not nodes:
        raise AbsentError(f"{path.name} has no {place}")
    first, end = nodes[0].start_mark.line, nodes[1].end_mark
    # A block ends where the next token begins, on another line.
    alone = not lines[end.line][: end.column].strip() if end.line < len(lines) else True
    last_line = end.line if alone else end.line + 1
    path.write_text("".join(lines[:first] + lines[last_line:]))


def value(path: Path, place: str) -> str:
    """Return the scalar at a path, as text.

    Raises:
        AbsentError: If it is not there.
    """
    node = _find(path, _document(path, read(path), place), _keys(place))
    return str(node.value)


def read(path: Path) -> str:
    """Return a file's text.

    Raises:
        AbsentError: If there is no such file.
    """
    if not path.is_file():
        raise AbsentError(f"there is no {path.name}")
    return path.read_text(encoding="utf-8")


def _keys(place: str) -> list[str]:
    return [key.replace("~", ".") for key in place.rpartition(":")[2].split(".")]


def _document(path: Path, text: str, place: str) -> yaml.Node:
    wanted = place.rpartition(":")[0]
    for node in compose(text):
        if not wanted or _identity(node) == wanted:
            return node
    raise AbsentError(f"{path.name} has no {wanted or 'document'}")


def _find(path: Path, node: yaml.Node, way: Sequence[str]) -> yaml.Node:
    for key in way:
        found = child(node, key)
        if found is None:
            raise AbsentError(f"{path.name} has no {'.'.join(way)}")
        node = found[1]
    return node


def _identity(node: yaml.Node) -> str:
    kind, metadata = child(node, "kind"), child(node, "metadata")
    name = metadata and child(metadata[1], "name")
    return f"{kind[1].value}/{name[1].value}" if kind and name else ""
