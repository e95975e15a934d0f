"""Clusters with one object changed or added, for the checks of what is rendered."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster, Item

Edit = Callable[[Json], object]
Check = Callable[[Cluster], Iterable[Finding]]


def named(clusters: list[Cluster], name: str = "oke-free/flux") -> Cluster:
    return next(cluster for cluster in clusters if cluster.name == name)


def edited(cluster: Cluster, kind: str, name: str, edit: Edit) -> Cluster:
    """The cluster with one object changed."""
    found = [i for i in cluster.items if (i.kind, i.name) == (kind, name)]
    assert len(found) == 1, f"{len(found)} objects are {kind} {name}"
    items = []
    for item in cluster.items:
        if item is not found[0]:
            items.append(item)
            continue
        manifest = copy.deepcopy(dict(item.manifest))
        edit(manifest)
        items.append(Item(manifest, item.release))
    return dataclasses.replace(cluster, items=tuple(items))


def added(cluster: Cluster, kind: str, release: str | None = "loki", **more: Any) -> Cluster:
    """The cluster with one object more."""
    metadata = {"name": "added", "namespace": "monitoring", **more.pop("metadata", {})}
    manifest = {"apiVersion": more.pop("api", "v1"), "kind": kind, "metadata": metadata, **more}
    return dataclasses.replace(cluster, items=(*cluster.items, Item(manifest, release)))


def container(manifest: Json, index: int = 0) -> Json:
    found: Json = manifest["spec"]["template"]["spec"]["containers"][index]
    return found


def pod(manifest: Json) -> Json:
    found: Json = manifest["spec"]["template"]["spec"]
    return found


def argument(old: str, new: str) -> Edit:
    def edit(manifest: Json) -> None:
        own = container(manifest)
        assert any(old in a for a in own["args"])
        own["args"] = [a.replace(old, new) for a in own["args"]]

    return edit


def text(key: str, old: str, new: str) -> Edit:
    def edit(manifest: Json) -> None:
        assert old in manifest["data"][key]
        manifest["data"][key] = manifest["data"][key].replace(old, new)

    return edit


STACK = "kube-prometheus-stack"
KUBELET = f"{STACK}-kubelet"
STATE = f"{STACK}-kube-state-metrics"
Broken = tuple[str, Check, str, str, Edit]


def each(broken: Sequence[Broken]) -> pytest.MarkDecorator:
    """Run a test with each: what a check says, the check, an object and what breaks it."""
    ids = [f"{check.__name__}-{number}" for number, (_, check, *_) in enumerate(broken)]
    return pytest.mark.parametrize(("expected", "check", "kind", "name", "edit"), broken, ids=ids)


def messages(rendered: list[Cluster], check: Check, kind: str, name: str, edit: Edit) -> list[str]:
    """Return what a check says of a cluster with one object changed."""
    return [finding.message for finding in check(edited(named(rendered), kind, name, edit))]
