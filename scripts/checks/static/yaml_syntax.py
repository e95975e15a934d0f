"""Every YAML file is valid YAML, without tabs and without duplicate keys."""

from __future__ import annotations

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import load
from scripts.model.manifests import Repository

FOLDERS = ("base", "clusters", "overlays", ".github", "tests/options")


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each file that is not strict YAML."""
    findings: list[Finding] = []
    for folder in FOLDERS:
        for path in sorted((repository.root / folder).rglob("*.y*ml")):
            try:
                load(path, repository.root)
            except RepositoryError as error:
                findings.extend(error.findings)
    return findings
