"""Secrets in git: SOPS has encrypted every value of each file in `clusters/<cluster>/secrets`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, get, leaves, line_of, maps
from scripts.model.manifests import ENCRYPTED, Repository
from scripts.model.sops import KUSTOMIZATION, RULES, content, parsed

# How SOPS writes a value, and where a Secret has them.
VALUE = "ENC["
VALUES = ("data", "stringData")
# What else a Secret is made of; of no other key would anybody read a value.
FIELDS = frozenset({*VALUES, "apiVersion", "immutable", "kind", "metadata", "sops", "type"})
# `kubectl get` shows what was applied once more, in plain text.
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
COMMENTED = re.compile(
    r"^\s*#(?!ENC\[)\s*(data|stringData)\s*:|^\s*#.*\b(password|token)\s*[:=]\s*\S", re.I
)
# kustomize's names of its file, of which this repository writes the first.
KUSTOMIZATIONS = (KUSTOMIZATION, "kustomization.yml", "Kustomization")
GENERATORS = ("configMapGenerator", "secretGenerator")
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
        if not isinstance(item, dict) or "kind" not in item:
            message = "is no Secret in YAML or JSON, so nobody sees whether it is encrypted"
            yield Finding(name, None, message, FIX)
            continue
        found = list(_unencrypted_keys(item))
        for keys in found:
            message = f"{'.'.join(keys)} is not encrypted"
            yield Finding(name, line_of(text, *keys, document=index), message, FIX)
        if item["kind"] == "Secret" and "sops" not in item and not found:
            line = line_of(text, "metadata", document=index)
            yield Finding(name, line, "a Secret that SOPS has not encrypted", FIX)
    for number, written in enumerate(text.splitlines(), 1):
        if COMMENTED.search(written):
            yield Finding(name, number, "a comment has values in plain text", FIX)


def _file_findings(path: Path, name: str) -> Iterator[Finding]:
    text = content(path)
    if path.name not in KUSTOMIZATIONS:
        yield from unencrypted(text, name)
        return
    for item in parsed(text):
        for kind in GENERATORS if isinstance(item, dict) else ():
            if any(get(one, "literals") for one in item.get(kind) or ()):
                message = f"{kind} has values in plain text"
                yield Finding(name, line_of(text, kind), message, FIX)
        for keys, value in leaves(item):
            if keys[-1].startswith("patch") and isinstance(value, str) and _patches_values(value):
                message = "a patch has values in plain text, and SOPS encrypts none within a text"
                yield Finding(name, line_of(text, *keys), message, FIX)


def _patches_values(patch: str) -> bool:
    """Say whether a patch, by merging or by operations, sets what a Secret holds."""
    return any(
        not set(VALUES).isdisjoint(holder)
        or set(VALUES) & set(str(holder.get("path")).strip("/").split("/")[:1])
        for _, holder in maps(parsed(patch))
    )


def _unencrypted_keys(item: dict[str, Json]) -> Iterator[tuple[str, ...]]:
    """Yield the keys of each value that is not encrypted, in an object or a List of objects."""
    for keys, holder in maps(item):
        if keys[:1] == ("sops",):
            continue
        for kind in VALUES:
            for inner, value in leaves(holder.get(kind)):
                # SOPS leaves what is empty as it is.
                if value not in ("", None) and not str(value).startswith(VALUE):
                    yield (*keys, kind, *inner)
        if keys[-1:] == ("annotations",) and APPLIED in holder:
            yield (*keys, APPLIED)
        if holder.get("kind") == "Secret":
            yield from ((*keys, key) for key in holder.keys() - FIELDS)
