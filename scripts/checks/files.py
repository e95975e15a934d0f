"""This repository's own files have the shape that what reads them expects."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from scripts.findings import Finding
from scripts.manifests import Repository
from scripts.yamlfile import load


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON schema for each pattern of `files.schema.json`."""
    text = Path(__file__).with_name("files.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["properties"])


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each place at which a file is not as its schema says."""
    findings = []
    for pattern, schema in schemas().items():
        for path in sorted(repository.root.glob(pattern)):
            name = str(path.relative_to(repository.root))
            document = load(path, repository.root)[0]
            for error in Draft202012Validator(schema).iter_errors(document):
                place = ".".join(map(str, error.absolute_path)) or "the top level"
                fix = "see scripts/checks/files.schema.json"
                findings.append(Finding(name, None, f"{place}: {error.message}", fix))
    return findings
