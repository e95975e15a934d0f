"""The way up: what its page tells an owner to write, step by step, and a cluster that has a hub."""

from __future__ import annotations

import datetime
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.adoption import edits
from tests.adoption.edits import AbsentError

PARTS = "../../../base/optional/scale"
BUCKETS = {
    "ENDPOINT": "https://acme.compat.objectstorage.eu-frankfurt-1.oraclecloud.com",
    "REGION": "eu-frankfurt-1",
    "LOGS_BUCKET": "acme-logs",
    "METRICS_BUCKET": "acme-metrics",
}
SINCE = "2100-01-01"
HUB = {"URL": "https://grafana.acme.test"}
# What three nodes carry; of a budget, the limits that are there.
ROOM: Mapping[str, str | int] = {
    "nodes": 3,
    "requests.cpu": "2000m",
    "requests.memory": "8Gi",
    "volumes.count": 6,
    "volumes.total": "300Gi",
    "series.limit": 60000,
}
BACK = {
    "from": "2101-01-01",
    "store": "tsdb",
    "object_store": "filesystem",
    "schema": "v13",
    "index": {"prefix": "index_", "period": "24h"},
}


def environment(root: Path) -> str:
    """Return the last environment that has volumes and is one of one Loki still.

    Raises:
        AbsentError: If there is none.
    """
    for path in sorted(root.glob("overlays/*/budget.yaml"), reverse=True):
        listed = edits.read(path.parent / "releases/kustomization.yaml")
        budget = yaml.safe_load(path.read_text())
        if PARTS not in listed and (budget.get("volumes") or {}).get("count"):
            return path.parent.name
    raise AbsentError("every environment with volumes has grown already")


def bucket(root: Path, since: str = SINCE) -> None:
    """Loki stores in a bucket, from a day in the future on."""
    name = environment(root)
    _room(root, name)
    _config(root, name, "object-storage", BUCKETS | {"LOGS_SINCE": since})
    _taken(root / f"overlays/{name}/releases", "object-storage", "object-storage/from-volume")


def bucket_left(root: Path) -> None:
    """And from a later day on, on its volume again."""
    name = environment(root)
    bucket(root)
    place = "/spec/values/loki/schemaConfig/configs/-"
    patch = [{"op": "add", "path": place, "value": BACK}]
    path = root / f"overlays/{name}/releases/kustomization.yaml"
    content = yaml.safe_load(path.read_text())
    target = {"kind": "HelmRelease", "name": "loki"}
    content.setdefault("patches", []).append({"target": target, "patch": yaml.safe_dump(patch)})
    _written(path, content)


def thanos(root: Path, since: str = SINCE) -> None:
    """Metrics go to a bucket, too, and two Prometheis collect them."""
    name = environment(root)
    bucket(root, since)
    overlay = root / f"overlays/{name}"
    _taken(overlay / "releases", "thanos")
    _taken(overlay / "config", "thanos/watch")
    for path in _argocd(root, name):
        content = yaml.safe_load(path.read_text())
        first, last = f"{PARTS}/thanos/argocd", f"{PARTS}/argocd"
        _written(path, content | {"components": [first, *content["components"], last]})
    path = overlay / "releases/kube-prometheus-stack.yaml"
    content = yaml.safe_load(edits.read(path))
    prometheus = content["spec"]["values"].setdefault("prometheus", {})
    prometheus["podDisruptionBudget"] = {"enabled": True}
    prometheus.setdefault("prometheusSpec", {}).update(replicas=2, podAntiAffinity="hard")
    _written(path, content)


def replicas(root: Path) -> None:
    """Three Lokis, long after the bucket: no line is on the volume any more."""
    name = environment(root)
    place = "HelmRelease/loki:spec.values.loki.schemaConfig.configs.0.from"
    first = datetime.date.fromisoformat(edits.value(root / "base/releases/loki.yaml", place))
    thanos(root, (first + datetime.timedelta(days=1)).isoformat())
    _taken(root / f"overlays/{name}/releases", "loki-replicas")


def distributed(root: Path) -> None:
    """Loki in parts, in place of three."""
    name = environment(root)
    replicas(root)
    overlay = root / f"overlays/{name}/releases"
    listed = overlay / "kustomization.yaml"
    listed.write_text(listed.read_text().replace("/loki-replicas", "/loki-distributed"))
    path = overlay / "loki.yaml"
    content = yaml.safe_load(edits.read(path))
    values = content["spec"]["values"]
    own = (values.get("singleBinary") or {}).get("persistence") or {}
    claim = {"name": "data", "accessModes": ["ReadWriteOnce"], **own}
    values["ingester"] = {"persistence": {"claims": [claim]}}
    _written(path, content)


def member(root: Path) -> None:
    """A second cluster, which a hub shows."""
    name = environment(root)
    for kind in ("overlays", "clusters"):
        source = root / kind / name
        if not source.is_dir():
            raise AbsentError(f"no cluster is called {name}")
        shutil.copytree(source, root / kind / "second")
        for path in (root / kind / "second").rglob("*.yaml"):
            text = re.sub(rf"(clusters|overlays)/{name}/", r"\1/second/", path.read_text())
            path.write_text(text)
    overlay = root / "overlays/second"
    edits.put(overlay / "releases/cluster.yaml", "data.NAME", "second")
    _config(root, "second", "hub", HUB)
    _config(root, "second", "object-storage", BUCKETS)
    _taken(overlay / "releases", "thanos/sidecar", "member")
    _taken(overlay / "config", "member/config")
    for path in _argocd(root, "second"):
        content = yaml.safe_load(path.read_text())
        parts = [*content["components"], f"{PARTS}/member/argocd"]
        _written(path, content | {"components": parts})


def _room(root: Path, name: str) -> None:
    """The nodes that are paid for, in the environment's budget."""
    path = root / f"overlays/{name}/budget.yaml"
    for place in ("tier", "replicas"):
        if place in yaml.safe_load(path.read_text()):
            edits.drop(path, place)
    for place, most in ROOM.items():
        edits.put(path, place, most)


def _config(root: Path, name: str, config: str, data: Mapping[str, str]) -> None:
    """Write a ConfigMap that components copy from, and list it."""
    folder = root / f"overlays/{name}/releases"
    metadata = {"name": config, "annotations": {"config.kubernetes.io/local-config": "true"}}
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
    _written(folder / f"{config}.yaml", content)
    path = folder / "kustomization.yaml"
    listed = yaml.safe_load(path.read_text())
    _written(path, listed | {"resources": [*listed["resources"], f"{config}.yaml"]})


def _taken(folder: Path, *parts: str) -> None:
    path = folder / "kustomization.yaml"
    content = yaml.safe_load(edits.read(path))
    own = [f"{PARTS}/{part}" for part in parts]
    _written(path, content | {"components": [*(content.get("components") or []), *own]})


def _argocd(root: Path, name: str) -> list[Path]:
    """Return the lists of components of each cluster that syncs an environment by Argo CD."""
    paths = sorted(root.glob("clusters/*/argocd/kustomization.yaml"))
    return [path for path in paths if f"overlays/{name}/" in path.read_text()]


def _written(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False))
