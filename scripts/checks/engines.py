"""Both engines of a cluster declare the same: releases, values, and every object besides.

kustomize skips a misspelt replacement target in silence, so this is what proves the derivation.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from scripts.findings import Finding
from scripts.manifests import Entry, Repository, group, identity
from scripts.yamlfile import Json

ENGINE_GROUPS = ("toolkit.fluxcd.io", "argoproj.io")


def check(repository: Repository) -> list[Finding]:
    """Compare the engines of every cluster, and look for placeholders that nothing filled."""
    findings = [f for entry in repository.entries for f in placeholders(entry)]
    clusters: dict[str, dict[str, Entry]] = {}
    for entry in repository.entries:
        clusters.setdefault(entry.cluster, {})[entry.engine] = entry
    for engines in clusters.values():
        if len(engines) == 2:
            findings += differences(engines["flux"], engines["argocd"])
    return findings


def differences(flux: Entry, argocd: Entry) -> list[Finding]:
    """Return a finding for each thing that the two engines would not do alike."""
    findings = []
    place = f"clusters/{flux.cluster}"
    left = {r.name: dataclasses.asdict(r) for r in flux.releases}
    right = {r.name: dataclasses.asdict(r) for r in argocd.releases}
    for name in sorted(left.keys() | right.keys()):
        if name not in right or name not in left:
            engine = "Flux" if name in left else "Argo CD"
            message = f"only {engine} has a release {name}"
            fix = "declare it in base/releases and in base/argocd/applications"
            findings.append(Finding(place, None, message, fix))
            continue
        for key in ("chart", "version", "repository", "namespace", "values"):
            for path, one, other in _unequal(left[name][key], right[name][key], key):
                message = f"release {name}: {path} is {one} for Flux and {other} for Argo CD"
                fix = f"correct the skeleton or replacement of {name} in base/argocd/applications"
                findings.append(Finding(place, None, message, fix))
    mine, theirs = _applied(flux), _applied(argocd)
    for name in sorted(mine.keys() | theirs.keys()):
        for path, one, other in _unequal(mine.get(name), theirs.get(name), name):
            message = f"{path} is {one} for Flux and {other} for Argo CD"
            fix = "let both engines reach the same overlay"
            findings.append(Finding(place, None, message, fix))
    return findings


def placeholders(entry: Entry) -> list[Finding]:
    """Return a finding for each value that kustomize should have replaced."""
    return [
        Finding(
            f"{entry.name} {identity(item)}",
            None,
            f"{path} is still {value!r}",
            "add the kustomize replacement that fills it, or correct its target",
        )
        for item in entry.objects()
        for path, value in _strings(item)
        if value == "copied" or value.startswith("copied from ")
    ]


def _applied(entry: Entry) -> dict[str, Json]:
    """What is applied besides the engine's own objects, by identity."""
    return {
        identity(item): item for item in entry.objects() if not group(item).endswith(ENGINE_GROUPS)
    }


def _unequal(one: Json, other: Json, path: str) -> Iterator[tuple[str, str, str]]:
    """The deepest paths at which two values differ, types included."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _unequal(one.get(key), other.get(key), f"{path}.{key}")
    elif type(one) is not type(other) or one != other:
        yield path, _short(one), _short(other)


def _short(value: Json) -> str:
    if value is None:
        return "absent"
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _strings(value: Json, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value
