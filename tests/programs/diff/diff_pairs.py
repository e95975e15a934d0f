"""Two states of a few objects, and what an analyzer of `make diff` says of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import Analyzer
from scripts.diff.model import Flag
from scripts.diff.objects import ClusterPair
from scripts.model.manifests import ClusterSync, Release, Repository, Unit, is_engine_object
from scripts.model.rendered import Cluster, Item

Edit = Callable[[Json], object]


def cluster(*manifests: Json, releases: Iterable[Release] = (), unit: str = "unit") -> Cluster:
    """A cluster that applies these objects, and no chart."""
    sync = ClusterSync(
        "one", "flux", [Unit(unit, "overlays/none", list(manifests))], list(releases)
    )
    items = tuple(Item(m) for m in manifests if not is_engine_object(m))
    return Cluster(Repository(Path("/nonexistent")), sync, items)


def pair(before: Cluster, after: Cluster) -> ClusterPair:
    releases = (before.sync.releases, after.sync.releases)
    return ClusterPair("one/flux", before, after, releases, whole=True)


def manifest(kind: str, *, api: str = "v1", **fields: Any) -> Json:
    metadata = {"name": "a", "namespace": "n", **fields.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def analyzed(analyzer: Analyzer, before: Json, edit: Edit | None) -> list[str]:
    """What an analyzer says when one object is edited; removed without an edit."""
    after = copy.deepcopy(before)
    if edit:
        edit(after)
    found = analyzer(pair(cluster(before), cluster(after) if edit else cluster()))
    return [f"{one.name}: {one.where}" if isinstance(one, Flag) else one.text for one in found]


def put(path: str, value: Any) -> Edit:
    """An edit that sets one value; None takes it out. `~` stands for a slash in a key."""

    def edit(at: Json) -> None:
        *way, last = (key.replace("~", "/") for key in path.split("/"))
        for key in way:
            at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
        if value is None:
            del at[last]
        else:
            at[last] = value

    return edit


WORKLOAD = {
    "replicas": 2,
    "selector": {"matchLabels": {"a": "a"}},
    "template": {
        "metadata": {"labels": {"a": "a"}},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ]
        },
    },
}
CLAIM = {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}}
STATEFUL = manifest(
    "StatefulSet",
    api="apps/v1",
    spec={
        **WORKLOAD,
        "serviceName": "a",
        "volumeClaimTemplates": [
            {"metadata": {"name": "v", "labels": {"helm.sh/chart": "a-1.0.0"}}, "spec": CLAIM}
        ],
    },
)
DEPLOYMENT = manifest("Deployment", api="apps/v1", spec=WORKLOAD)
BINDING = manifest(
    "RoleBinding",
    api="rbac.authorization.k8s.io/v1",
    roleRef={"kind": "Role", "name": "r"},
    subjects=[{"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
)
CONTAINER = "spec/template/spec/containers/0"
