"""This repository's own files have the shape that what reads them expects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, line_of, load
from scripts.model.manifests import Repository


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON schema for each pattern of `files.schema.json`."""
    text = Path(__file__).with_name("files.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["properties"])


def invalid(pattern: str, document: Json) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where a document is not as a pattern's schema says, as keys, and what is wrong."""
    for error in Draft202012Validator(schemas()[pattern]).iter_errors(document):
        yield tuple(map(str, error.absolute_path)), error.message


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each place at which a file is not as its schema says."""
    findings = []
    for pattern in schemas():
        for path in sorted(repository.root.glob(pattern)):
            name = str(path.relative_to(repository.root))
            document = load(path, repository.root)[0]
            text = path.read_text(encoding="utf-8")
            for keys, message in invalid(pattern, document):
                place = ".".join(keys) or "the top level"
                fix = "see scripts/checks/files.schema.json"
                findings.append(Finding(name, line_of(text, *keys), f"{place}: {message}", fix))
    return findings
