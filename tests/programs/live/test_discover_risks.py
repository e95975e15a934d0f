"""What in the application would keep the monitoring from working is told."""

from __future__ import annotations

import pytest
import yaml

from scripts.core.yamlfile import Json
from scripts.live.discover import risks
from tests.programs.live import layouts
from tests.programs.live.discover_manifests import (
    BACKEND,
    FRONTEND,
    found,
    objects,
    service,
    told,
    workload,
)


def policy(name: str, selector: Json, **spec: Json) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "todo"},
        "spec": {"podSelector": selector, **spec},
    }


DENY = policy("deny", {}, policyTypes=["Egress", "Ingress"])
DNS = [{"protocol": "UDP", "port": 53}]


@pytest.mark.parametrize(
    ("egress", "blind"),
    [
        ([], True),
        ([{}], False),
        ([{"ports": DNS}], False),
        ([{"ports": [{"port": 53}]}], True),  # TCP alone.
        ([{"ports": [{"protocol": "UDP", "port": 50, "endPort": 60}]}], False),
        ([{"ports": [{"protocol": "UDP", "port": 54}]}], True),
        ([{"ports": [{"protocol": "UDP", "port": "dns"}]}], False),
        ([{"ports": DNS, "to": [{"podSelector": {}}]}], True),
        ([{"ports": DNS, "to": [{"namespaceSelector": {}}]}], False),
        ([{"ports": DNS, "to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}]}], False),
        ([{"ports": [{"port": 443}]}, {"ports": DNS}], False),
    ],
)
def test_egress_without_dns(egress: list[Json], blind: bool) -> None:
    one = policy(
        "egress", {"matchLabels": {"app": "backend"}}, egress=egress, policyTypes=["Egress"]
    )
    assert told(*BACKEND, *FRONTEND, one) == (["egress-without-dns"] if blind else [])


def test_policies_of_one_pod_are_summed_and_others_do_not_count() -> None:
    opened = policy("dns", {}, egress=[{"ports": DNS}], ingress=[{}])
    assert told(*BACKEND, *FRONTEND, DENY, opened) == []
    assert told(*BACKEND, *FRONTEND, DENY) == ["egress-without-dns", "ingress-closed"]
    elsewhere = {**DENY, "metadata": {"name": "deny", "namespace": "shop"}}
    assert told(*BACKEND, *FRONTEND, elsewhere) == []


@pytest.mark.parametrize(
    ("peer", "closed"),
    [
        ({"podSelector": {}}, True),
        ({"namespaceSelector": {}}, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, True),
        (
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
            False,
        ),
    ],
)
def test_ingress_that_does_not_admit_monitoring(peer: Json, closed: bool) -> None:
    one = policy("ingress", {}, ingress=[{"from": [peer]}])
    assert told(*BACKEND, *FRONTEND, one) == (["ingress-closed"] if closed else [])


def test_annotations_of_dapr_on_the_pods_are_right() -> None:
    right, wrong = workload("backend"), workload("frontend", port=3000)
    annotations = {"dapr.io/enabled": "true", "dapr.io/app-id": "a"}
    right["metadata"]["annotations"] = annotations
    right["spec"]["template"]["metadata"]["annotations"] = annotations
    assert told(right, BACKEND[1], *FRONTEND) == []
    wrong["metadata"]["annotations"] = annotations
    assert told(*BACKEND, wrong, FRONTEND[1]) == ["dapr-annotations"]


def test_a_load_balancer_counts_where_a_tier_has_one() -> None:
    balanced = service("frontend", port=3000, type="LoadBalancer")
    documents = [*BACKEND, FRONTEND[0], balanced]
    assert told(*documents) == ["load-balancer-taken"]
    assert not list(risks.of_objects(objects(*documents), found(*documents), {}))


@pytest.mark.parametrize(
    ("cpu", "memory", "replicas", "full"),
    [
        ("320m", "1Gi", 1, False),
        ("321m", "1Gi", 1, True),
        ("200m", "1Gi", 2, True),
        ("1m", "7Gi", 1, True),
        ("2", "9Gi", 0, False),
    ],
)
def test_requests_that_leave_no_room(cpu: str, memory: str, replicas: int, full: bool) -> None:
    one = workload("backend", resources={"requests": {"cpu": cpu, "memory": memory}})
    one["spec"]["replicas"] = replicas
    limits = yaml.safe_load(layouts.BUDGET)
    assert bool(list(risks.without_room(objects(one), limits))) == full
    assert not list(risks.without_room(objects(one), {}))
