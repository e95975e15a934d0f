"""JSON schemas of this repository's own files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from scripts.core.yamlfile import Json

# The inventory: where the application runs, and other facts that manifests and rules copy.
INVENTORY = "base/application/application.yaml"
# Runbooks for programs: others read it, so its schema is a file of its own.
RUNBOOKS_JSON = "base/config/runbooks/runbooks.json"


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON schema for each pattern of `files.schema.json`, and that of runbooks."""
    own, runbooks = (
        json.loads(Path(__file__).with_name(f"{name}.schema.json").read_text(encoding="utf-8"))
        for name in ("files", "runbooks")
    )
    return {**own["properties"], RUNBOOKS_JSON: runbooks}


def invalid(pattern: str, document: Json) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys at which a document does not match a pattern's schema, and what is wrong."""
    # To import it takes longer than all else that most commands import, and few validate.
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schemas()[pattern]).iter_errors(document):
        yield tuple(map(str, error.absolute_path)), error.message
