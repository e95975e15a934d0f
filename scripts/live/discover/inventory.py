"""`application.yaml` as text: values are put in their places, and all else stays as it is."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping

import yaml

from scripts.checks.static import application
from scripts.checks.static.references import INVENTORY
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load_all
from scripts.model import files

INDENT = 2


def values(text: str) -> dict[str, str]:
    """Return the inventory's values.

    Raises:
        RepositoryError: If it is no YAML, or not of the shape that its schema says.
    """
    document: Json = next(iter(load_all(text, INVENTORY)), None)
    for keys, message in files.invalid(INVENTORY, document):
        place = ".".join(keys) or "the top level"
        fix = "restore it: `git checkout` has the one of before"
        raise RepositoryError(Finding(INVENTORY, None, f"{place}: {message}", fix))
    data: dict[str, str] = document["data"]
    return data


def edited(text: str, changes: Mapping[str, str]) -> str:
    """Return the file with other values; comments, order and quoting of the rest are kept.

    Args:
        text: The file.
        changes: New values by name; each name is there already.

    Raises:
        RepositoryError: If the file is written in a way that cannot be edited in place.
    """
    before = values(text)
    for key, value in changes.items():
        if before[key] != value:
            text = _put(text, key, value)
    try:
        kept = values(text) == {**before, **changes}
    except RepositoryError:
        kept = False
    if not kept:
        fix = "write each value on a line of its own, or as a block after `|`"
        raise RepositoryError(Finding(INVENTORY, None, "cannot be edited in place", fix))
    return text


def checked(text: str, source: str) -> None:
    """See that a proposal is what `make validate` takes.

    Args:
        text: The file as it would be.
        source: Where the values were found.

    Raises:
        RepositoryError: If it contradicts itself.
    """
    for key, _, message, fix in application.contradictions(values(text)):
        raise RepositoryError(Finding(source, None, f"{key} {message}", fix))


def difference(before: str, after: str) -> str:
    """Return the unified diff of the file."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{INVENTORY}",
        f"b/{INVENTORY}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _put(text: str, key: str, value: str) -> str:
    """Replace one value of `data`, from its first to its last character."""
    # The one of pure Python: its marks count characters.
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)  # noqa: S101 - its shape has been looked at
    data = next(node for name, node in root.value if name.value == "data")
    name, node = next((n, v) for n, v in data.value if n.value == key)
    start, end = node.start_mark.index, node.end_mark.index
    if node.style in {"|", ">"}:
        end = _block_end(text, name.start_mark.line, name.start_mark.column)
    # A block without an end of line is another value.
    return text[:start] + _written(value, name.start_mark.column) + (text[end:] or "\n")


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


def _written(value: str, column: int) -> str:
    if "\n" in value:
        lines = value.rstrip("\n").split("\n")
        return "\n".join(["|", *(f"{' ' * (column + INDENT)}{line}" for line in lines)])
    return value if _is_plain(value) else json.dumps(value)


def _is_plain(value: str) -> bool:
    try:
        read: Json = yaml.safe_load(f"key: {value}")
    except yaml.YAMLError:
        return False
    return bool(read == {"key": value})
