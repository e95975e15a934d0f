"""What is not ready yet is told by its kind, name and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.live.kind import readiness
from scripts.live.kind.cluster import KindCluster
from scripts.model.manifests import ENGINES, ClusterSync, Repository, identity
from tests.programs.live.kind_objects import (
    COMMIT,
    FAILED,
    GRAFANA,
    OPERATED,
    PENDING,
    PODS,
    conditions,
    lists,
    sync_of,
)


class Listed(KindCluster):
    """A cluster that is only read."""

    answers: dict[str, list[Json]]

    def listed(self, *resources: str, selector: str = "") -> list[Json]:
        return self.answers[",".join(resources)]


def said(sync: ClusterSync, answers: dict[str, list[Json]]) -> dict[str, str]:
    cluster = Listed(Path())
    cluster.answers = answers
    return {f.path: f.message for f in readiness.unready(cluster, sync, COMMIT)}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cluster_where_all_is_ready_misses_nothing(engine: str, repository: Repository) -> None:
    sync = sync_of(repository, engine)
    assert said(sync, lists(sync)) == {}


CONFIG = "Kustomization flux-system/monitoring-config"


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        (GRAFANA, FAILED, "InstallFailed: context deadline exceeded"),
        (GRAFANA, {"conditions": []}, "says nothing of Ready yet"),
        (GRAFANA, {"observedGeneration": 0}, "has changed, and is not looked at yet"),
        ("OCIRepository monitoring/loki", FAILED, "InstallFailed: context deadline exceeded"),
        (CONFIG, {"lastAppliedRevision": "main@sha1:abc"}, f"is at main@sha1:abc, not at {COMMIT}"),
    ],
)
def test_what_flux_is_not_done_with_is_told_in_its_words(
    name: str, status: Json, text: str, repository: Repository
) -> None:
    sync = sync_of(repository, "flux")
    answers = lists(sync)
    items = next(iter(answers.values()))
    (item,) = [i for i in items if identity(i) == name]
    item["status"] |= status
    assert said(sync, answers) == {name: text}
    items.remove(item)
    declared = name != "OCIRepository monitoring/loki"
    assert said(sync, answers) == ({name: "is not there yet"} if declared else {})


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("loki", {"sync": {"status": "OutOfSync"}}, "is OutOfSync and Healthy"),
        (
            "loki",
            {"health": {"status": "Degraded", "message": "0 of 1 replicas"}},
            "is Synced and Degraded: 0 of 1 replicas",
        ),
        (
            "monitoring-config",
            {"sync": {}, "conditions": [{"type": "ComparisonError", "message": "no such ref"}]},
            "is not compared and Healthy: no such ref",
        ),
        (
            "monitoring",
            {"sync": {"status": "Synced", "revision": "abc"}},
            f"is at abc, not at {COMMIT}",
        ),
    ],
)
def test_what_argo_cd_is_not_done_with_is_told_in_its_words(
    name: str, status: Json, text: str, repository: Repository
) -> None:
    sync = sync_of(repository, "argocd")
    answers = lists(sync)
    items = next(iter(answers.values()))
    (item,) = [i for i in items if i["metadata"]["name"] == name]
    item["status"] |= status
    assert said(sync, answers) == {f"Application argocd/{name}": text}
    items.remove(item)
    assert said(sync, answers) == {f"Application argocd/{name}": "is not there yet"}


def test_pods_and_what_the_operator_makes_are_waited_for_after_the_engine(
    repository: Repository,
) -> None:
    sync = sync_of(repository, "flux")
    answers = lists(sync)
    answers[PODS].append(PENDING)
    answers[OPERATED][0]["status"] = conditions("Available", "Degraded", message="no replica")
    assert said(sync, answers) == {
        "Pod monitoring/loki-0": "Unschedulable no node has the memory",
        "Prometheus monitoring/prometheus": "no replica",
    }
