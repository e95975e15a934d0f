"""Whether all of it is ready and at the commit, and what the cluster says where it is not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json
from scripts.live.kind.cluster import Cluster
from scripts.live.verify.kubectl import Pod
from scripts.live.verify.waiting import MissingError, until
from scripts.model.api_groups import HELM, KUSTOMIZE, SOURCE
from scripts.model.manifests import ClusterSync, identity
from scripts.servers.kubernetes.client import condition

# Seconds between two looks: each starts kubectl, which pods that start would feel.
PAUSE = 5.0
_SOURCES = ("gitrepositories", "ocirepositories", "helmrepositories", "helmcharts")
# What an engine says of itself.
RESOURCES = {
    "flux": (
        *(f"{name}.{SOURCE}" for name in _SOURCES),
        f"kustomizations.{KUSTOMIZE}",
        f"helmreleases.{HELM}",
    ),
    "argocd": ("applications.argoproj.io",),
}
# What git names, so that one that is not made is missed.
DECLARED = frozenset({"Application", "HelmRelease", "Kustomization"})
# The operator makes the pods of these after the engine has looked.
OPERATED = ("prometheuses.monitoring.coreos.com", "alertmanagers.monitoring.coreos.com")
# How many warnings are told, and how many characters of what an object says.
_LAST, _QUOTED = 25, 600


def wait(cluster: Cluster, sync: ClusterSync, commit: str, limit: float) -> None:
    """Wait until everything of a cluster sync is ready, and what comes from git is at a commit.

    Raises:
        RepositoryError: After `limit` seconds, with what is not ready in the cluster's own words.
    """
    before = ""

    def attempt() -> None:
        nonlocal before
        found = unready(cluster, sync, commit)
        if not found:
            return
        if (names := ", ".join(sorted(f.path for f in found))) != before:
            progress(f"not ready yet: {names}")
            before = names
        time.sleep(PAUSE)
        raise MissingError(*found)

    until(attempt, time.monotonic() + limit, limit)


def unready(cluster: Cluster, sync: ClusterSync, commit: str) -> list[Finding]:
    """Return a finding for each object that is not ready: the engine's, and then pods."""
    judge = _flux if sync.engine == "flux" else _argocd
    items = {identity(item): item for item in cluster.listed(*RESOURCES[sync.engine])}
    declared = {identity(item) for item in sync.objects() if item["kind"] in DECLARED}
    said = dict.fromkeys(declared - items.keys(), "is not there yet")
    said |= {name: judge(item, commit) for name, item in items.items()}
    if not any(said.values()):
        said = dict(_pods(cluster))
        said |= {identity(i): _condition(i, "Available") for i in cluster.listed(*OPERATED)}
    fix = "see its message, and what the cluster says above"
    # Argo CD quotes every object that it could not apply.
    return [Finding(name, None, text[:_QUOTED], fix) for name, text in said.items() if text]


def _condition(item: Json, kind: str) -> str:
    found = condition(item, kind)
    if found.get("status") == "True":
        return ""
    words = (found.get("reason"), found.get("message"))
    return ": ".join(filter(None, words)) or f"says nothing of {kind} yet"


def _flux(item: Json, commit: str) -> str:
    status = item.get("status") or {}
    if said := _condition(item, "Ready"):
        return said
    if status.get("observedGeneration") != item["metadata"]["generation"]:
        return "has changed, and is not looked at yet"
    if item["kind"] == "Kustomization":
        applied = str(status.get("lastAppliedRevision"))
        return "" if applied.endswith(f":{commit}") else f"is at {applied}, not at {commit}"
    return ""


def _argocd(item: Json, commit: str) -> str:
    status = item.get("status") or {}
    sync, health = (status.get(key) or {} for key in ("sync", "health"))
    states = sync.get("status") or "not compared", health.get("status") or "of unknown health"
    if states != ("Synced", "Healthy"):
        told = (status.get("operationState") or {}, health, *(status.get("conditions") or ()))
        words = (f"is {states[0]} and {states[1]}", *(one.get("message") for one in told))
        return ": ".join(filter(None, words))
    if "path" in item["spec"]["source"] and sync.get("revision") != commit:
        return f"is at {sync.get('revision')}, not at {commit}"
    return ""


def _pods(cluster: Cluster) -> Iterator[tuple[str, str]]:
    for document in cluster.listed("pods"):
        pod = Pod.of(document)
        if not pod.ready and not pod.gone:
            yield identity({**document, "kind": "Pod"}), pod.reason


def told(cluster: Cluster) -> Iterator[str]:
    """Yield a line for each pod that is not ready, and for each of the last warnings.

    What cannot be read is left out, as something else has failed before.
    """
    with contextlib.suppress(RepositoryError):
        yield from (f"{name}: {reason}" for name, reason in _pods(cluster))
    with contextlib.suppress(RepositoryError):
        events = cluster.listed("events", selector="type=Warning")
        for event in sorted(events, key=_moment)[-_LAST:]:
            about = {**event["involvedObject"], "metadata": event["involvedObject"]}
            yield f"{identity(about)}: {event.get('reason')}: {event.get('message')}"


def _moment(event: Json) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
