"""Whether the stack fits beside what runs: requests, pods and DaemonSets, node by node."""

from __future__ import annotations

import re

import pytest

from scripts.live.preflight import capacity
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model.requirements import Requirements
from tests.programs.live.preflight_cluster import NODES, assert_is, judged, node, oke, pod, seen

pytest_plugins = ("tests.programs.live.preflight_cluster",)


def busy(**requests: str) -> ClusterState:
    """Two nodes, each with one more pod."""
    more = [pod(f"busy-{name}", name, **requests) for name in NODES]
    return seen(pods=[*oke()["pods"], *more])


def test_what_is_needed_is_what_the_readme_says(fitted: Requirements) -> None:
    # 2 x 940m, less 4 pods of 100m and one of 50m; the job that has ended takes nothing.
    assert_is(fitted, seen(), "CPU", "ok", "^475m needed, 1430m free on 2 nodes;")
    assert_is(fitted, seen(), "memory", "ok", "^1608Mi needed, 9536Mi free on 2 nodes;")
    assert_is(fitted, seen(), "pods", "ok", "^12 needed, 57 free on 2 nodes;")


def test_daemonsets_are_counted_for_each_node(fitted: Requirements) -> None:
    three = seen(nodes=[*oke()["nodes"], node("10.0.10.56")])
    assert_is(fitted, three, "CPU", "ok", "^530m needed")
    assert_is(fitted, three, "pods", "ok", "^14 needed")


def test_a_full_cluster_has_no_room(fitted: Requirements) -> None:
    full = busy(cpu="500m", memory="4Gi")
    assert_is(fitted, full, "CPU", "missing", "475m needed, 430m free on 2 nodes of 1880m")
    assert_is(fitted, full, "memory", "missing", "1608Mi needed, 1344Mi free on 2 nodes of 10176Mi")


def test_room_that_is_used_up_is_told(fitted: Requirements) -> None:
    tight = busy(cpu="450m", memory="3700Mi")
    assert_is(fitted, tight, "CPU", "warning", "leaves 55m of 1880m.*a tenth free")
    assert_is(fitted, tight, "memory", "warning", "leaves 528Mi of 10176Mi")


@pytest.mark.parametrize(
    ("most", "state", "text"),
    [
        ("8", "missing", "12 needed, 11 free on 2 nodes of 16"),
        ("9", "warning", "leaves 1 of 18"),
        ("11", "ok", "12 needed, 17 free"),
    ],
)
def test_pods_are_as_many_as_a_node_takes(
    fitted: Requirements, most: str, state: str, text: str
) -> None:
    cluster = seen(nodes=[node(name, pods=most) for name in NODES])
    assert_is(fitted, cluster, "pods", state, text)


def test_a_node_without_room_for_the_daemonsets_is_named(fitted: Requirements) -> None:
    one = seen(pods=[pod("greedy", NODES[1], "900m")])
    text = rf"DaemonSets need 55m of each node, {re.escape(NODES[1])} has 40m"
    assert_is(fitted, one, "CPU", "missing", text)


def test_room_in_pieces_too_small_for_a_pod_is_found(fitted: Requirements) -> None:
    small = [node(f"small-{index}", "4", "500Mi") for index in range(9)]
    cluster = seen(nodes=small, pods=[])
    assert judged(fitted, cluster, "memory")[0] == "ok"
    text = r"no node has room for prometheus-kube-prometheus-stack \(105m, 424Mi\)"
    assert_is(fitted, cluster, "placement", "missing", text)


def test_a_pod_that_only_one_node_can_take_is_told(fitted: Requirements) -> None:
    cluster = seen(pods=[pod("large", NODES[0], memory="4600Mi")])
    assert_is(fitted, cluster, "placement", "warning", "prometheus.* fits on 1 of 2 nodes")


def test_a_tainted_node_takes_daemonsets_only(fitted: Requirements) -> None:
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    cluster = seen(nodes=[node("control-plane", taints=[taint]), node(NODES[1])], pods=[])
    assert_is(fitted, cluster, "CPU", "ok", "^420m needed, 940m free on 1 node;")
    full = seen(nodes=cluster.lists["nodes"], pods=[pod("etcd", "control-plane", "900m")])
    assert_is(fitted, full, "CPU", "missing", "55m of each node, control-plane has 40m")
    closed = seen(nodes=[node(name, taints=[taint]) for name in NODES])
    assert_is(fitted, closed, "CPU", "missing", "none of 2 nodes takes ordinary pods")
    assert_is(fitted, closed, "placement", "missing", "none of 2 nodes")


def test_a_daemonset_s_node_selector_is_respected(fitted: Requirements) -> None:
    windows = node(NODES[1])
    windows["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    asked = capacity.resource_demand(fitted, seen(nodes=[node(NODES[0]), windows]))
    assert [asked.daemon_sets[name]["pods"] for name in NODES] == [2, 1]


def test_what_an_earlier_install_runs_is_not_counted_twice(fitted: Requirements) -> None:
    (grafana,) = (p for p in fitted.pods if p.owner.name == "grafana")
    own = pod("grafana-7d9f-x", cpu="400m", namespace="monitoring", **grafana.labels)
    assert_is(fitted, seen(pods=[*oke()["pods"], own]), "CPU", "ok", "1430m free")
    own["metadata"]["namespace"] = "default"
    assert_is(fitted, seen(pods=[*oke()["pods"], own]), "CPU", "ok", "1030m free")


def test_a_quantity_that_is_not_understood_is_not_passed_over(fitted: Requirements) -> None:
    odd = seen(pods=[pod("odd", memory="1gig")])
    assert_is(
        fitted, odd, "memory", "missing", "not checked: Pod default/odd: '1gig' is no quantity"
    )
