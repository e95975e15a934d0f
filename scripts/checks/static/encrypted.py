"""Secrets in git: SOPS has encrypted every value of each file in `clusters/<cluster>/secrets`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, leaves, line_of, maps
from scripts.model.manifests import ENCRYPTED, Repository
from scripts.model.sops import KUSTOMIZATION, RULES, content, parsed

# How SOPS writes a value.
VALUE = "ENC["
FIX = "revoke what it holds, and make it anew with `make secrets SECRETS=--sops`"


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each value in a folder of Secrets that is not encrypted."""
    return [
        finding
        for path in sorted(repository.root.glob(f"clusters/*/{ENCRYPTED}/**/*"))
        if path.is_file() and path.name != RULES
        for finding in _file_findings(path, str(path.relative_to(repository.root)))
    ]


def unencrypted(text: str, name: str) -> Iterator[Finding]:
    """Find values that are not encrypted.

    Args:
        text: The file's content.
        name: What to call the file in a finding.
    """
    for index, item in enumerate(parsed(text) or [None]):
        if not isinstance(item, dict):
            message = "is no Secret in YAML or JSON, so nobody sees whether it is encrypted"
            yield Finding(name, None, message, FIX)
            continue
        for keys in _unencrypted_keys(item):
            message = f"{'.'.join(keys)} is not encrypted"
            yield Finding(name, line_of(text, *keys, document=index), message, FIX)
        if item.get("kind") == "Secret" and "sops" not in item:
            line = line_of(text, "metadata", document=index)
            yield Finding(name, line, "a Secret that SOPS has not encrypted", FIX)


def _file_findings(path: Path, name: str) -> Iterator[Finding]:
    text = content(path)
    if path.name != KUSTOMIZATION:
        yield from unencrypted(text, name)
        return
    for item in parsed(text):
        for generator in item.get("secretGenerator") or () if isinstance(item, dict) else ():
            if generator.get("literals"):
                message = "secretGenerator has values in plain text"
                yield Finding(name, line_of(text, "secretGenerator"), message, FIX)


def _unencrypted_keys(item: dict[str, Json]) -> Iterator[tuple[str, ...]]:
    """Yield the keys of each value that is not encrypted, in an object or a List of objects."""
    for keys, holder in maps(item):
        for kind in ("data", "stringData") if keys[:1] != ("sops",) else ():
            for inner, value in leaves(holder.get(kind)):
                # SOPS leaves what is empty as it is.
                if value not in ("", None) and not str(value).startswith(VALUE):
                    yield (*keys, kind, *inner)
