"""`application.yaml` as text: values are put in their places, and all else stays as it is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from scripts.checks.static import application
from scripts.core import yaml_edit
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load_all
from scripts.model import files
from scripts.model.files import INVENTORY


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
            text = yaml_edit.replaced(text, yaml_edit.compose(text)[0], ("data", key), value)
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
