"""What `make diff` says of network policies."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import network
from scripts.diff.model import Flag
from tests.programs.diff.diff_pairs import DEPLOYMENT, cluster, manifest, pair, put

INSIDE: Json = {"from": [{"podSelector": {}}]}
POLICY = manifest(
    "NetworkPolicy",
    api="networking.k8s.io/v1",
    spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [INSIDE]},
)
ON_A_PORT = {"ports": [{"port": 3000}]}


def put_on(manifest: Json, path: str, value: Any) -> Json:
    after = copy.deepcopy(manifest)
    put(path, value)(after)
    return after


def opened(before: list[Json], after: list[Json]) -> list[str]:
    found = network.analyze(pair(cluster(DEPLOYMENT, *before), cluster(DEPLOYMENT, *after)))
    return [f"{one.where}: {one.why}" for one in found if isinstance(one, Flag)]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec/ingress", [{}, INSIDE], "Anybody may reach it on every port, "),
        ("spec/ingress", [ON_A_PORT, INSIDE], "Anybody may reach it on TCP port 3000, "),
        ("spec/ingress", [{"from": [{"namespaceSelector": {}}]}], "Anybody may reach it on "),
        ("spec/ingress", [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}], "Anybody may reach "),
        ("spec/egress", [{}], "It may reach anything on every port, "),
        ("spec/policyTypes", ["Ingress"], "It may reach anything on every port, "),
        ("spec/policyTypes", None, "It may reach anything on every port, "),
        ("spec/podSelector", {"matchLabels": {"a": "b"}}, "Anybody may reach it on every port, "),
        ("spec/ingress", [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}], None),
        (
            "spec/ingress",
            [{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "a"}}}]}],
            None,
        ),
        ("spec/ingress", [INSIDE, INSIDE], None),
        ("spec/ingress", [], None),
        ("spec/podSelector", {"matchLabels": {"a": "a"}}, None),
    ],
)
def test_network_policies(path: str, value: Any, says: str | None) -> None:
    after = put_on(POLICY, path, value)
    found = opened([POLICY], [after])
    if says is None:
        assert found == []
    else:
        assert found[0].startswith(f"Deployment n/a: {says}")
        assert opened([after], [POLICY]) == []


def test_a_network_policy_more_or_fewer() -> None:
    allows = manifest("NetworkPolicy", metadata={"name": "b"}, spec={"ingress": [{}]})
    assert len(opened([POLICY], [POLICY, allows])) == 1
    # Without another, it forbids nothing and allows nothing new; elsewhere, it is about others.
    for rule in ({}, ON_A_PORT):
        assert opened([], [put_on(allows, "spec/ingress", [rule])]) == []
    allows["metadata"]["namespace"] = "m"
    assert opened([POLICY], [POLICY, allows]) == []
    # A pod that is new was closed to nobody.
    new = pair(cluster(POLICY), cluster(DEPLOYMENT, put_on(POLICY, "spec/ingress", [{}])))
    assert list(network.analyze(new)) == []
    # What a policy has rules for is its type, too.
    typed = put_on(POLICY, "spec/egress", [{"to": [{"podSelector": {}}]}])
    assert opened([typed], [put_on(typed, "spec/policyTypes", None)]) == []
    # Its removal is a flag of its own.
    assert opened([POLICY], []) == []
