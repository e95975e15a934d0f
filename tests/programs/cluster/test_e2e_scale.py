"""What `make e2e` does with several nodes and replicas, as far as it needs no cluster."""

from __future__ import annotations

import base64
import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.cluster.e2e import drains, monitoring_checks, thanos_programs
from scripts.cluster.e2e.drains import ReplicatedWorkload
from scripts.cluster.e2e.environment import given
from scripts.cluster.e2e.infrastructure import ZONE, ZONES, Infrastructure
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.credentials import NeededSecret
from scripts.model.requirements import Requirements
from scripts.model.secretfile import DeclaredSecret, SecretKey

APP = ReplicatedWorkload("StatefulSet.apps monitoring/app", "monitoring", {"app": "a"}, 2)


def pod(name: str, node: str = "", *, ready: bool = True, namespace: str = "monitoring") -> Any:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "a", "b": "c"}},
        "spec": {"nodeName": node} if node else {},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def test_a_pod_that_ends_is_not_ready_nor_is_one_of_another_namespace() -> None:
    ending = pod("ending")
    ending["metadata"]["deletionTimestamp"] = "now"
    pods = [pod("one"), pod("unready", ready=False), ending, pod("other", namespace="default")]
    assert APP.ready(pods) == 1


@pytest.mark.parametrize(
    ("nodes", "texts"),
    [
        (["n0", "n1"], []),
        (["n0", "n0"], ["has 2 pods on 1 node, ['n0']", "has 2 pods on 1 zone, ['a']"]),
        # Two nodes of one zone, and another zone without a pod.
        (["n0", "n2"], ["has 2 pods on 1 zone, ['a']"]),
    ],
)
def test_pods_that_are_together_and_could_be_apart_are_found(
    nodes: list[str], texts: list[str]
) -> None:
    zones = {"n0": "a", "n1": "b", "n2": "a"}
    pods = [pod(f"app-{number}", node) for number, node in enumerate(nodes)]
    found = drains.spread_findings("one/flux", APP, pods, zones)
    assert [one.message for one in found] == texts


def test_where_all_nodes_are_of_one_zone_pods_may_be_there() -> None:
    pods = [pod("app-0", "n0"), pod("app-1", "n1")]
    assert list(drains.spread_findings("one", APP, pods, {"n0": "a", "n1": "a"})) == []


@pytest.mark.parametrize(("left", "found"), [(3, 0), (2, 0), (1, 1), (0, 1)])
def test_a_workload_that_loses_two_pods_at_once_is_found(left: int, found: int) -> None:
    app = dataclasses.replace(APP, replicas=3)
    pods = [pod(f"app-{number}", ready=number < left) for number in range(3)]
    texts = [one.message for one in drains.lost_findings("one", [app], pods, "now", "")]
    assert texts == [f"{left} of 3 pods are ready now"] * found


def test_nodes_are_in_zones_one_after_the_other() -> None:
    made = Infrastructure(cast(Requirements, SimpleNamespace(limits={"nodes": 4}, claims=())))
    zones = [node["metadata"]["labels"][ZONE] for node in made.nodes()]
    assert len(set(zones[:ZONES])) == ZONES
    assert zones[ZONES] == zones[0]


def needed(name: str, *keys: SecretKey, optional: str = "") -> NeededSecret:
    declared = DeclaredSecret(name, ("monitoring",), keys, "why", optional)
    return NeededSecret("monitoring", name, declared.names, declared)


def test_what_only_the_owner_has_is_given_where_something_waits_for_it() -> None:
    url = SecretKey("url", given="an address")
    both = needed("both", url, SecretKey("user", value="me"))
    found = given(
        [
            both,
            needed("bucket", SecretKey("objstore.yml", given="a configuration")),
            needed("optional", url, optional="nobody is told"),
            needed("made", SecretKey("salt", random=16, encoding="hex")),
            NeededSecret("monitoring", "undeclared", frozenset(), None),
        ]
    )
    assert found.keys() == {("monitoring", "both"), ("monitoring", "bucket")}
    assert found["monitoring", "both"]["user"] == b"me"
    assert found["monitoring", "both"]["url"]


def test_the_given_bucket_is_the_one_that_the_sidecar_ships_to() -> None:
    secret = given([needed("bucket", SecretKey("objstore.yml", given="a configuration"))])
    content = base64.b64encode(secret["monitoring", "bucket"]["objstore.yml"]).decode()
    storage = {"name": "bucket", "key": "objstore.yml"}

    def env(**spec: Json) -> Any:
        client = SimpleNamespace(
            all=lambda *_: [{"spec": spec}], get=lambda *_: {"data": {"objstore.yml": content}}
        )
        return SimpleNamespace(client=client)

    assert thanos_programs.bucket(env(thanos={"objectStorageConfig": storage})) == "metrics"
    assert thanos_programs.bucket(env(thanos={})) == ""
    assert thanos_programs.bucket(env()) == ""


def workload(*containers: list[str]) -> Any:
    template = {"spec": {"containers": [{"args": one} for one in containers]}}
    return {"spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template}}


def test_parts_of_thanos_are_known_by_their_commands() -> None:
    arguments = ["sidecar", "--objstore.config=$(CONFIG)", "--tsdb.path=/prometheus"]
    found = thanos_programs.deployed_parts(
        [workload(["--config.file=a"], arguments), workload(["run", "store"]), workload([])]
    )
    assert {name: list(part.arguments) for name, part in found.items()} == {
        "sidecar": ["sidecar", "--tsdb.path=/prometheus"]
    }


SLICE = {
    "metadata": {"labels": {"kubernetes.io/service-name": "store"}},
    "ports": [{"name": "http", "port": 10902}, {"name": "grpc", "port": 10901}],
    "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
}


def asked(*arguments: str) -> list[Any]:
    client = SimpleNamespace(all=lambda *_: [SLICE])
    env = SimpleNamespace(client=client, sync=SimpleNamespace(name="one"))
    routes: Any = {"10.0.0.1:10901": "a", "10.0.0.2:10901": "b"}
    return list(thanos_programs._endpoints(cast(Any, env), arguments, routes))


def test_a_querier_s_endpoints_are_those_of_the_service_that_it_names() -> None:
    lookup = "--endpoint=dnssrv+_grpc._tcp.store.monitoring.svc"
    assert asked("query", lookup, f"{lookup}.cluster.local") == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("dnssrv+_grpc._tcp.other.monitoring.svc", "no pod"),
        ("dnssrv+_grcp._tcp.store.monitoring.svc", "no pod"),
        ("dnssrv+_http._tcp.store.monitoring.svc", r"10\.0\.0\.1:10902, 10\.0\.0\.2:10902"),
        ("store.example.com:10901", "no pod"),
    ],
)
def test_an_endpoint_that_leads_nowhere_is_named(endpoint: str, text: str) -> None:
    with pytest.raises(RepositoryError, match=f"asks .*, which leads to {text}"):
        asked(f"--endpoint={endpoint}")


@pytest.mark.parametrize(
    ("series", "text"),
    [
        ([{"cluster": "oke"}], ""),
        ([], "it has no series"),
        ([{"cluster": "other"}], "is not of the cluster oke alone"),
        ([{}], "is not of the cluster oke alone"),
        ([{"cluster": "oke", "prometheus_replica": "p-0"}], "is not of the cluster oke alone"),
    ],
)
def test_thanos_has_each_series_once_and_with_its_cluster(
    series: list[dict[str, str]], text: str
) -> None:
    said: list[str] = []

    def until(missing: Any, _: str, timeout: float) -> float:
        said.append(missing())
        return timeout

    client = SimpleNamespace(all=lambda *_: [{"spec": {"externalLabels": {"cluster": "oke"}}}])
    env = SimpleNamespace(client=client, until=until)
    answer = {"data": {"result": [{"metric": one} for one in series]}}
    thanos = SimpleNamespace(get=lambda *_: answer)
    assert monitoring_checks.check_thanos(cast(Any, env), cast(Any, thanos)) == []
    assert said[0].endswith(text)
    assert bool(said[0]) == bool(text)
