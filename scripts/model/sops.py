"""Files encrypted with SOPS: the Secrets in a cluster's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json, load_all

# Files beside the encrypted ones that are not encrypted.
KUSTOMIZATION, RULES = "kustomization.yaml", ".sops.yaml"


def secrets(folder: Path) -> Iterator[tuple[Path, dict[str, Json]]]:
    """Yield the Secrets of a cluster's folder, each with its file; their values are encrypted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in {KUSTOMIZATION, RULES}:
            for item in parsed(content(path)):
                if isinstance(item, dict) and item.get("kind") == "Secret":
                    yield path, item


def parsed(text: str) -> list[Json]:
    """Return the documents of YAML or JSON; none of anything else."""
    try:
        return load_all(text, "")
    except RepositoryError:
        return []


def content(path: Path) -> str:
    """Return a file's text; bytes that are not UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")
