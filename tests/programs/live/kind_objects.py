"""Objects of a kind cluster in which all is ready."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from scripts.core.yamlfile import Json
from scripts.live.kind import engines, readiness
from scripts.live.kind.source import GitSource
from scripts.model import api_groups
from scripts.model.manifests import ENGINES, ClusterSync, Repository, group

COMMIT = "0123456789abcdef0123456789abcdef01234567"
URL = "https://git.example.com/team/todo-monitoring.git"
REF = "refs/pull/7/merge"
SOURCE = GitSource(URL, REF, COMMIT)
PODS = "pods"
OPERATED = ",".join(readiness.OPERATED)


def sync_of(repository: Repository, engine: str) -> ClusterSync:
    return next(e for e in repository.syncs if e.name == f"local/{engine}")


def conditions(kind: str, status: str = "True", **words: str) -> Json:
    return {"conditions": [{"type": kind, "status": status, **words}]}


def of_flux(item: Json) -> Json:
    """An object of Flux that is ready, and at the commit."""
    status = {"observedGeneration": 1, **conditions("Ready")}
    status |= {"lastAppliedRevision": f"{REF}@sha1:{COMMIT}"}
    return {**item, "metadata": item["metadata"] | {"generation": 1}, "status": status}


def of_argocd(item: Json) -> Json:
    """An Application that is ready, and at the commit where it comes from git."""
    revision = COMMIT if "path" in item["spec"]["source"] else item["spec"]["source"]["chart"]
    sync = {"status": "Synced", "revision": revision}
    return {**item, "status": {"sync": sync, "health": {"status": "Healthy"}}}


def engine_objects(sync: ClusterSync) -> list[Json]:
    """What an engine's resources list once all is ready."""
    if sync.engine == "argocd":
        return [of_argocd(o) for o in sync.objects() if o["kind"] == "Application"]
    own = [o for o in sync.objects() if group(o) in api_groups.FLUX]
    return [of_flux(o) for o in [*engines.sync(sync, SOURCE), *own]]


def pod(name: str, **status: Json) -> Json:
    metadata = {"namespace": "monitoring", "name": name, "uid": name}
    return {"metadata": metadata, "status": {"phase": "Running", **conditions("Ready")} | status}


def operated(kind: str) -> Json:
    metadata = {"namespace": "monitoring", "name": kind.lower()}
    return {"kind": kind, "metadata": metadata, "status": conditions("Available")}


PENDING = pod(
    "loki-0",
    phase="Pending",
    **conditions("PodScheduled", "False", reason="Unschedulable", message="no node has the memory"),
)


def lists(sync: ClusterSync) -> dict[str, list[Json]]:
    """The answers to all that is asked, of a cluster in which everything is ready."""
    return {
        ",".join(readiness.RESOURCES[sync.engine]): engine_objects(sync),
        PODS: [pod("grafana-0"), pod("evicted", phase="Failed", **conditions("Ready", "False"))],
        OPERATED: [operated("Prometheus"), operated("Alertmanager")],
        "events": [],
    }


FAILED = conditions("Ready", "False", reason="InstallFailed", message="context deadline exceeded")
GRAFANA = "HelmRelease monitoring/grafana"


def pinned(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: str) -> None:
    """Pin a manifest in a folder in place of the real one of each engine."""
    content = b"kind: Manifest\n"
    (folder / "v1.yaml").write_bytes(content)
    pin = {
        "version": "v1",
        "manifest": f"{folder.as_uri()}/{{version}}.yaml",
        "sha256": hashlib.sha256(content).hexdigest(),
    } | changes
    path = folder / "engines.yaml"
    path.write_text(yaml.safe_dump(dict.fromkeys(ENGINES, pin)))
    monkeypatch.setattr(engines, "PINS", path)
