"""Edits of a YAML file by path: comments and all other lines stay as they are.

A path is `kind/name:key.key.0`, where the object's part is left out in a file of one document; `~`
stands for a dot in a key.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml


class AbsentError(LookupError):
    """This tree does not have what an edit is about."""


def put(path: Path, place: str, value: object) -> None:
    """Set a value; a key that is not there is added to its map, an item `-` put before the list's.

    Raises:
        AbsentError: If the tree does not have the file, the object, or what the last key is in.
    """
    text = read(path)
    *way, last = _keys(place)
    holder = _find(path, text, place, way)
    written = value if isinstance(value, str) and "\n" in value else json.dumps(value)
    if isinstance(holder, yaml.SequenceNode) and last == "-":
        first = holder.value[0]
        indent = text.rindex("- ", 0, first.start_mark.index)
        column = indent - text.rfind("\n", 0, indent) - 1
        added = f"- {written}\n{' ' * column}"
        path.write_text(text[:indent] + added + text[indent:])
        return
    if not isinstance(holder, yaml.MappingNode):
        raise AbsentError(f"{path.name} has no map at {'.'.join(way)}")
    for key, node in holder.value:
        if key.value == last:
            start, end = node.start_mark.index, node.end_mark.index
            tail = "\n" if text[start:end].endswith("\n") else ""
            path.write_text(text[:start] + str(written) + tail + text[end:])
            return
    start, column = holder.start_mark.index, holder.start_mark.column
    path.write_text(f"{text[:start]}{last}: {written}\n{' ' * column}{text[start:]}")


def drop(path: Path, place: str) -> None:
    """Take out a key, or an item of a list by its index or its text, with all that is in it.

    Raises:
        AbsentError: If it is not there.
    """
    text = read(path)
    *way, last = _keys(place)
    holder = _find(path, text, place, way)
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
    node = _find(path, read(path), place, _keys(place))
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


def _find(path: Path, text: str, place: str, way: list[str]) -> yaml.Node:
    wanted = place.rpartition(":")[0]
    for node in yaml.compose_all(text, yaml.SafeLoader):
        if wanted and _identity(node) != wanted:
            continue
        at = node
        for key in way:
            found = _child(at, key)
            if found is None:
                raise AbsentError(f"{path.name} has no {place}")
            at = found
        return at
    raise AbsentError(f"{path.name} has no {wanted or 'document'}")


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((v for k, v in node.value if k.value == key), None)
    if isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
        item: yaml.Node = node.value[int(key)]
        return item
    return None


def _identity(node: yaml.Node) -> str:
    kind, metadata = _child(node, "kind"), _child(node, "metadata")
    name = metadata and _child(metadata, "name")
    return f"{kind.value}/{name.value}" if kind and name else ""
