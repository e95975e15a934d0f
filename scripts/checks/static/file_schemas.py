"""This repository's own files match their schemas."""

from __future__ import annotations

from scripts.core.findings import Finding
from scripts.core.yamlfile import line_of, load
from scripts.model.files import invalid, schemas
from scripts.model.manifests import Repository


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each place at which a file does not match its schema."""
    findings = []
    for pattern in schemas():
        for path in sorted(repository.root.glob(pattern)):
            name = str(path.relative_to(repository.root))
            document = load(path, repository.root)[0]
            text = path.read_text(encoding="utf-8")
            for keys, message in invalid(pattern, document):
                place = ".".join(keys) or "the top level"
                fix = "see scripts/model/files.schema.json"
                findings.append(Finding(name, line_of(text, *keys), f"{place}: {message}", fix))
    return findings
