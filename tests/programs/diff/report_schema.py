"""The published schema of report.json, and what of a document it refuses."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from scripts.core.yamlfile import Json
from tests.fixtures import CODE

SCHEMA: Json = json.loads((CODE / "scripts/diff/report.schema.json").read_text())
_VALIDATOR = Draft202012Validator(SCHEMA)


def wrong(document: Json) -> list[str]:
    return [f"{e.json_path}: {e.message}" for e in _VALIDATOR.iter_errors(document)]
