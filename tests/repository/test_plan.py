"""Memory and volumes of each environment do for what the plan says that its size takes."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.core.quantities import quantity
from scripts.model import budget
from scripts.model.plan import FACTOR, retention, sizes, steps
from scripts.model.plan.__main__ import planned
from scripts.model.plan.sizes import Workload
from scripts.model.rendered import Cluster


def environments(rendered: list[Cluster]) -> Iterator[tuple[Cluster, Workload]]:
    for cluster in rendered:
        if (limits := budget.limits(cluster)) and cluster.of("Prometheus"):
            yield cluster, planned(limits, retention.of_cluster(cluster), {})


def least_limit(cluster: Cluster, container: str) -> float:
    """The least memory limit of the containers of that name; no limit is any amount."""
    limits = [
        budget.effective({"containers": [one]}, "memory", "limits")
        for pod in cluster.pods
        for one in pod.containers
        if one["name"] == container
    ]
    return min(filter(None, limits), default=float("inf"))


def test_prometheus_may_hold_what_the_budget_allows(rendered: list[Cluster]) -> None:
    for cluster, w in environments(rendered):
        needed = sizes.prometheus_memory(w.most_series)
        assert least_limit(cluster, "prometheus") >= needed, cluster.name


def test_loki_may_hold_what_comes(rendered: list[Cluster]) -> None:
    for cluster, w in environments(rendered):
        needed = sizes.loki_memory(w.log_rate, w.streams)
        assert least_limit(cluster, "loki") >= needed, cluster.name


def test_the_volume_of_metrics_does_for_what_is_kept(rendered: list[Cluster]) -> None:
    for cluster, w in environments(rendered):
        for pod in cluster.pods:
            if any(one["name"] == "prometheus" for one in pod.containers):
                for claim in pod.claims:
                    size = quantity(claim["resources"]["requests"]["storage"])
                    assert size >= sizes.local_metrics(w), cluster.name


def test_what_is_requested_is_not_far_below_the_plan(rendered: list[Cluster]) -> None:
    """More is the owner's choice; far less is a mistake, of the environment or of the plan."""
    for cluster, w in environments(rendered):
        usage = budget.usage_by_release(cluster, budget.limits(cluster)).values()
        memory = sum(one.memory * one.pods for one in steps.taken(w))
        assert sum(row.memory for row in usage) > memory / FACTOR, cluster.name
