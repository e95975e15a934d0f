"""Both engines of a cluster get the same releases, values and objects.

Applications are derived from HelmReleases by kustomize, which silently skips a misspelt replacement
target; this check proves that the derivation is complete.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import chain

from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, leaves
from scripts.model.manifests import ClusterSync, Repository, is_engine_object

# Fields of a release, and where an Application has them.
SHARED = {
    "chart": ("source", "chart"),
    "version": ("source", "targetRevision"),
    "repository": ("source", "repoURL"),
    "name": ("source", "helm", "releaseName"),
    "namespace": ("destination", "namespace"),
    "values": ("source", "helm", "valuesObject"),
}
ABSENT = object()


def check(repository: Repository) -> list[Finding]:
    """Compare the engines of every cluster, and look for placeholders that nothing filled."""
    findings: list[Finding] = []
    clusters: dict[str, dict[str, ClusterSync]] = {}
    for sync in repository.syncs:
        clusters.setdefault(sync.cluster, {})[sync.engine] = sync
        findings += repository.locate(sync, placeholders(sync))
    for engines in clusters.values():
        if len(engines) == 2:
            pair = engines["flux"], engines["argocd"]
            # Argo CD's sync reads all files that Flux' reads, so lines are looked up in it.
            findings += repository.locate(pair[1], chain(releases(*pair), objects(*pair)))
    return findings


def releases(flux: ClusterSync, argocd: ClusterSync) -> Iterator[Violation]:
    """Compare each HelmRelease with the Application of the same name."""
    left = {release.owner[1]: release for release in flux.releases}
    right = {release.owner[1]: release for release in argocd.releases}
    for name in sorted(left.keys() | right.keys()):
        if name not in right:
            folder = f"clusters/{argocd.cluster}/argocd/kustomization.yaml"
            fix = "add its skeleton to base/argocd/applications; of an opt-in, list its folder "
            fix += f"`argocd` in components of {folder}, before base/argocd"
            yield Violation("HelmRelease", name, (), "has no Application", fix)
            continue
        if name not in left:
            text, fix = "has no HelmRelease", "declare the release in base/releases, or remove this"
            yield Violation("Application", name, (), text, fix)
            continue
        one, other = dataclasses.asdict(left[name]), dataclasses.asdict(right[name])
        for key, at in SHARED.items():
            for path, flux_has, argocd_has in differences(one[key], other[key], key):
                text = f"{path} is {flux_has} for Flux and {argocd_has} for Argo CD"
                fix = "correct the skeleton, or its replacement in the kustomization.yaml beside it"
                yield Violation("Application", name, ("spec", *at), text, fix)


def objects(flux: ClusterSync, argocd: ClusterSync) -> Iterator[Violation]:
    """Compare all objects but the engines' own."""
    left, right = _applied(flux), _applied(argocd)
    for key in sorted(left.keys() | right.keys()):
        kind, _, name = key
        for path, flux_has, argocd_has in differences(
            left.get(key, ABSENT), right.get(key, ABSENT)
        ):
            text = f"{path or 'it'} is {flux_has} for Flux and {argocd_has} for Argo CD"
            fix = "let both engines build the same overlay"
            if not path:
                lacking = flux if key not in left else argocd
                fix = f"let clusters/{lacking.cluster}/{lacking.engine} sync the overlay's folder "
                fix += "that has it"
            yield Violation(kind, name, tuple(path.split(".")), text, fix)


def placeholders(sync: ClusterSync) -> Iterator[Violation]:
    """No value is a placeholder any more: `copied`, or `copied from …`."""
    for item in sync.objects():
        for keys, value in leaves(item):
            if unfilled(value):
                text = f"{'.'.join(keys)} is still {value!r}"
                fix = "add the kustomize replacement that fills it, or correct its target"
                yield Violation(item["kind"], item["metadata"]["name"], keys, text, fix)


def unfilled(value: Json) -> bool:
    """Say whether a value is a placeholder that kustomize should have replaced."""
    return isinstance(value, str) and (value == "copied" or value.startswith("copied from "))


def differences(one: Json, other: Json, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the deepest paths at which two values differ, types included, with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            deeper = f"{path}.{key}" if path else str(key)
            yield from differences(one.get(key, ABSENT), other.get(key, ABSENT), deeper)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}.{index}")
    elif type(one) is not type(other) or one != other:
        yield path, _short(one), _short(other)


def _applied(sync: ClusterSync) -> dict[tuple[str, str, str], dict[str, Json]]:
    return {
        (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): item
        for item in sync.objects()
        if not is_engine_object(item)
    }


def _short(value: Json) -> str:
    if value is ABSENT:
        return "absent"
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
