"""Waiting until everything is ready and at the commit; a report of what is not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.waiting import MissingError, until
from scripts.core.yamlfile import Json
from scripts.live.kind.cluster import KindCluster
from scripts.live.verify.grafana_pods import GrafanaPod
from scripts.model.api_groups import HELM, KUSTOMIZE, SOURCE
from scripts.model.manifests import ClusterSync, identity
from scripts.servers.kubernetes.client import condition

# Seconds between two attempts: each starts kubectl, which takes CPU from the pods that start.
PAUSE = 5.0
_SOURCES = ("gitrepositories", "ocirepositories", "helmrepositories", "helmcharts")
# The objects whose status an engine writes.
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
# How many warnings are reported, and how many characters of what an object says.
_LAST, _QUOTED = 25, 600


def wait(cluster: KindCluster, sync: ClusterSync, commit: str, limit: float) -> None:
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
        raise MissingError(*found)

    until(attempt, limit, PAUSE)


def unready(cluster: KindCluster, sync: ClusterSync, commit: str) -> list[Finding]:
    """Return a finding for each object that is not ready: the engine's, and then pods."""
    problem = _flux if sync.engine == "flux" else _argocd
    items = {identity(item): item for item in cluster.listed(*RESOURCES[sync.engine])}
    declared = {identity(item) for item in sync.objects() if item["kind"] in DECLARED}
    problems = dict.fromkeys(declared - items.keys(), "is not there yet")
    problems |= {name: problem(item, commit) for name, item in items.items()}
    if not any(problems.values()):
        problems = dict(_pods(cluster))
        problems |= {identity(i): _condition(i, "Available") for i in cluster.listed(*OPERATED)}
    fix = "see its message, and what the cluster says above"
    # Argo CD quotes every object that it could not apply.
    return [Finding(name, None, text[:_QUOTED], fix) for name, text in problems.items() if text]


def _condition(item: Json, kind: str) -> str:
    found = condition(item, kind)
    if found.get("status") == "True":
        return ""
    words = (found.get("reason"), found.get("message"))
    return ": ".join(filter(None, words)) or f"says nothing of {kind} yet"


def _flux(item: Json, commit: str) -> str:
    status = item.get("status") or {}
    if problem := _condition(item, "Ready"):
        return problem
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
        parts = (status.get("operationState") or {}, health, *(status.get("conditions") or ()))
        words = (f"is {states[0]} and {states[1]}", *(one.get("message") for one in parts))
        return ": ".join(filter(None, words))
    if "path" in item["spec"]["source"] and sync.get("revision") != commit:
        return f"is at {sync.get('revision')}, not at {commit}"
    return ""


def _pods(cluster: KindCluster) -> Iterator[tuple[str, str]]:
    for document in cluster.listed("pods"):
        pod = GrafanaPod.of(document)
        if not pod.ready and not pod.gone:
            yield identity({**document, "kind": "Pod"}), pod.reason


def report(cluster: KindCluster) -> Iterator[str]:
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
