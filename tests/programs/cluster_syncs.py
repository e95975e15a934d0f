"""Cluster syncs that are edited in memory, without a copy of the tree and without a build."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.core.findings import Finding
from scripts.model.manifests import ClusterSync, Repository, Unit, flux_releases
from tests.fixtures import FROZEN

# Found by glob, so that a new cluster is tested without a change here.
CLUSTERS = [
    f"{path.parent.name}/{path.name}"
    for path in sorted(FROZEN.glob("clusters/*/*"))
    if path.name in {"flux", "argocd"}
]
FLUX, ARGOCD, OPTIONS = "oke-free/flux", "oke-free/argocd", "options/flux"

Edit = Callable[[Any], object]


def named(repository: Repository, name: str) -> ClusterSync:
    """The cluster sync `cluster/engine`."""
    return next(sync for sync in repository.syncs if sync.name == name)


def edited(sync: ClusterSync, kind: str, name: str, edit: Edit) -> ClusterSync:
    """The cluster sync with one object edited in place, and the releases that follow from it."""
    units = copy.deepcopy(sync.units)
    objects = [item for unit in units for item in unit.objects]
    for item in objects:
        if (item["kind"], item["metadata"]["name"]) == (kind, name):
            edit(item)
            break
    else:
        raise LookupError(f"{sync.name} has no {kind} {name}")
    releases = flux_releases(objects) if sync.engine == "flux" else sync.releases
    return dataclasses.replace(sync, units=units, releases=releases)


def added(sync: ClusterSync, *objects: dict[str, Any]) -> ClusterSync:
    """The cluster sync with more objects in its last unit."""
    *units, last = sync.units
    more = Unit(last.name, last.path, [*last.objects, *objects], last.depends_on)
    return dataclasses.replace(sync, units=[*units, more])


def take(path: Path, component: str) -> None:
    """Make a kustomization take in one of the opt-ins as its last component."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    content.setdefault("components", []).append(f"../../../base/optional/{component}")
    path.write_text(yaml.safe_dump(content))


def holding(repository: Repository, *syncs: ClusterSync) -> Repository:
    """The repository with these cluster syncs in place of its own."""
    other = Repository(repository.root)
    other.__dict__.update(syncs=list(syncs), sources=repository.sources)
    return other


def assert_says(findings: Sequence[Finding], *patterns: str) -> None:
    """There are just these findings, each placed in a file and with something to do about it."""
    texts = [f"{finding.path}:{finding.line}: {finding.message}" for finding in findings]
    unmatched = [p for p in patterns if not any(re.search(p, text) for text in texts)]
    assert not unmatched, f"{unmatched} not in {texts}"
    assert len(set(texts)) == len(patterns), texts
    assert all(finding.fix for finding in findings)
