"""The simulated cluster shows what is true of it, as the real exporters would."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pytest

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.model import scraping as monitors
from scripts.model.rendered import Cluster
from scripts.simulation import scrape
from scripts.simulation.building import build
from scripts.simulation.exporters.kube_state_metrics import kube_state_metrics
from scripts.simulation.exporters.kubernetes import api_server, cadvisor, kubelet
from scripts.simulation.exporters.node_exporter import node_exporter
from scripts.simulation.model import Array, Clock, Exposed, SimulatedNode
from scripts.simulation.state import BACKEND, RELEASE, Simulation, application_namespace
from scripts.simulation.truth import truth

pytestmark = pytest.mark.prove
START = 1763942400.0  # A midnight UTC.


@pytest.fixture(scope="module")
def cluster(rendered: list[Cluster]) -> Cluster:
    """Where every opt-in component is on."""
    return next(c for c in rendered if c.name == "options/flux")


@pytest.fixture(scope="module")
def healthy(cluster: Cluster) -> Simulation:
    return build(cluster, Clock(START), faulty=False)


@pytest.fixture(scope="module")
def incident(cluster: Cluster) -> Simulation:
    return build(cluster, Clock(START), faulty=True)


@pytest.fixture(scope="module", params=["healthy", "incident"])
def sim(request: pytest.FixtureRequest) -> Simulation:
    found: Simulation = request.getfixturevalue(request.param)
    return found


def named(
    series: Iterable[Exposed], name: str, **labels: str
) -> list[tuple[dict[str, str], Array]]:
    """Return the labels and values of the series of a name that have these labels."""
    return [
        (dict(own), values)
        for metric, own, values in series
        if metric == name and labels.items() <= own.items()
    ]


def only(series: Iterable[Exposed], name: str, **labels: str) -> Array:
    """Return the values of the one series of a name with these labels."""
    ((_, values),) = named(series, name, **labels)
    return values


# What the cluster's own parts and its machines expose.


@functools.cache
def of_kubernetes(sim: Simulation) -> dict[str, list[Exposed]]:
    """Return the series of each target."""
    on_nodes: list[Callable[[Simulation, SimulatedNode], Iterable[Exposed]]]
    on_nodes = [kubelet, cadvisor, node_exporter]
    found = {
        "kube-state-metrics": list(kube_state_metrics(sim)),
        "apiserver": list(api_server(sim)),
    }
    for exporter in on_nodes:
        for node in sim.nodes:
            name = getattr(exporter, "__name__", "")
            found[f"{name} {node.name}"] = list(exporter(sim, node))
    return found


def state(sim: Simulation) -> list[Exposed]:
    return of_kubernetes(sim)["kube-state-metrics"]


def rises(values: Array) -> Array:
    """Return the increase of each step; 0 where a series begins or ends."""
    return np.nan_to_num(np.diff(values, prepend=np.nan))


def test_the_same_seed_gives_the_same_series_in_any_order(cluster: Cluster) -> None:
    first, second = (build(cluster, Clock(START), faulty=True) for _ in range(2))
    forward = [list(cadvisor(first, node)) for node in first.nodes]
    forward += [list(kube_state_metrics(first))]
    backward = [list(kube_state_metrics(second))]
    backward += [list(cadvisor(second, node)) for node in reversed(second.nodes)]
    for one, other in zip(forward, reversed(backward), strict=True):
        for (name, labels, values), (name2, labels2, values2) in zip(one, other, strict=True):
            assert (name, labels) == (name2, labels2)
            np.testing.assert_array_equal(values, values2)
    another = build(cluster, Clock(START), faulty=True, seed=2)
    assert not np.array_equal(another.nodes[0].extra_cpu, first.nodes[0].extra_cpu)


def test_containers_cpu_is_what_they_use(sim: Simulation) -> None:
    for node, pod in ((pod.node, pod) for pod in sim.pods if pod.node):
        target = of_kubernetes(sim)[f"cadvisor {node.name}"]
        for container in pod.containers:
            shown = named(
                target,
                "container_cpu_usage_seconds_total",
                namespace=pod.namespace,
                pod=pod.name,
                container=container.name,
            )
            # A pod that had finished before the day shows nothing.
            none = sim.clock.constant(0)
            increase = np.sum([none, *(rises(values) for _, values in shown)], axis=0)
            used = container.cpu * sim.clock.step
            steady = np.diff(container.restarts, prepend=container.restarts[0]) == 0
            steady &= ~np.isnan(np.concatenate([[np.nan], used[:-1]])) & ~np.isnan(used)
            np.testing.assert_allclose(increase[steady], used[steady])
            assert (increase[~steady] == 0).all()


def test_a_restarted_container_is_another_one_whose_counters_begin_again(
    incident: Simulation,
) -> None:
    pod = incident.pods_of(f"{RELEASE}-backend")[-1]
    (container,) = (c for c in pod.containers if c.name == BACKEND)
    restarts = int(np.nanmax(container.restarts))
    target = of_kubernetes(incident)[f"cadvisor {pod.node.name if pod.node else None}"]
    own = {"namespace": incident.namespace, "pod": pod.name, "container": BACKEND}
    counters = named(target, "container_cpu_usage_seconds_total", **own)
    assert restarts > 5
    assert len({labels["id"] for labels, _ in counters}) == len(counters) == restarts + 1
    for (_, before), (_, after) in itertools.pairwise(counters):
        assert np.nanmin(after) < np.nanmax(before) / 10
        assert not (~np.isnan(before) & ~np.isnan(after)).any()


def test_relabelling_keeps_what_containers_use_and_stays_below_its_limit(sim: Simulation) -> None:
    (monitor,) = (i for i in sim.cluster.of("ServiceMonitor") if i.name.endswith("-kubelet"))
    (endpoint,) = (e for e in monitors.endpoints(monitor) if "cadvisor" in str(e.get("path")))
    known = truth(sim)
    for node in sim.nodes:
        kept = [
            one
            for one in of_kubernetes(sim)[f"cadvisor {node.name}"]
            if survives({"__name__": one[0], **one[1]}, endpoint["metricRelabelings"])
        ]
        there = np.sum([~np.isnan(values) for _, _, values in kept], axis=0)
        assert there.max() <= int(monitor.spec["sampleLimit"])
        for pod in (p for p in sim.pods if p.node is node):
            sets = named(
                kept, "container_memory_working_set_bytes", namespace=pod.namespace, pod=pod.name
            )
            none = sim.clock.constant(0)
            total = np.sum([none, *(np.nan_to_num(values) for _, values in sets)], axis=0)
            want = np.nan_to_num(known[f"memory/{pod.namespace}/{pod.name}"])
            np.testing.assert_allclose(total, want)
            interfaces = {
                labels["interface"]
                for name, labels, _ in kept
                if labels.get("pod") == pod.name and "interface" in labels
            }
            assert interfaces <= ({"ens3", "flannel.1"} if pod.host_network else {"eth0"})


def survives(labels: Mapping[str, str], rules: Iterable[Mapping[str, Json]]) -> bool:
    """Return whether Prometheus keeps a series under rules that only keep and drop."""
    for rule in rules:
        value = rule.get("separator", ";").join(labels.get(s, "") for s in rule["sourceLabels"])
        found = re.fullmatch(rule["regex"], value, re.DOTALL) is not None
        assert rule["action"] in ("keep", "drop")
        if found != (rule["action"] == "keep"):
            return False
    return True


def test_a_nodes_cpu_and_memory_are_those_in_use(sim: Simulation) -> None:
    known = truth(sim)
    for node in sim.nodes:
        series = of_kubernetes(sim)[f"node_exporter {node.name}"]
        modes = {
            labels["mode"]: rises(values) / sim.clock.step
            for labels, values in named(series, "node_cpu_seconds_total", cpu="0")
        }
        total = np.sum(list(modes.values()), axis=0)[1:]
        np.testing.assert_allclose(total, 1, rtol=1e-6)
        busy = 1 - modes["idle"][1:] - modes["iowait"][1:] - modes["steal"][1:]
        used = np.minimum(known[f"node_cpu/{node.name}"] / node.cpu, 0.995)
        np.testing.assert_allclose(busy, used[1:], rtol=1e-4)
        available = only(series, "node_memory_MemAvailable_bytes")
        taken = only(series, "node_memory_MemTotal_bytes") - available
        want = np.minimum(known[f"node_memory/{node.name}"], 0.98 * node.memory)
        np.testing.assert_allclose(taken, want, atol=2)
        assert (only(series, "node_memory_MemFree_bytes") <= available).all()
        root = {"mountpoint": "/"}
        full = only(series, "node_filesystem_size_bytes", **root)
        free = only(series, "node_filesystem_avail_bytes", **root)
        np.testing.assert_allclose(full - free, node.disk_used, atol=2)


def test_volumes_are_as_full_as_they_are(sim: Simulation) -> None:
    known = truth(sim)
    for volume in sim.volumes:
        series = of_kubernetes(sim)[f"kubelet {volume.node.name}"]
        claim = {"namespace": volume.namespace, "persistentvolumeclaim": volume.claim}
        share = only(series, "kubelet_volume_stats_used_bytes", **claim)
        share = share / only(series, "kubelet_volume_stats_capacity_bytes", **claim)
        want = known[f"volume/{volume.namespace}/{volume.claim}"]
        np.testing.assert_allclose(share, want, atol=1e-6)
        assert only(state(sim), "kube_persistentvolumeclaim_access_mode", **claim).all()


def test_every_pod_is_in_one_phase_while_it_exists(sim: Simulation) -> None:
    for pod in sim.pods:
        own = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}
        phases = [values for _, values in named(state(sim), "kube_pod_status_phase", **own)]
        assert len(phases) == 5
        np.testing.assert_array_equal(np.sum(phases, axis=0), np.where(pod.exists > 0, 1, np.nan))
        for container in pod.containers if pod.node else ():
            shown = only(
                state(sim),
                "kube_pod_container_status_restarts_total",
                container=container.name,
                **own,
            )
            want = truth(sim)[f"restarts/{pod.namespace}/{pod.name}/{container.name}"]
            np.testing.assert_array_equal(shown, want)


def test_a_finished_pod_has_succeeded_and_uses_nothing(healthy: Simulation) -> None:
    pod = next(p for p in healthy.pods_of("backup") if p.exists[-1])
    own = {"namespace": pod.namespace, "pod": pod.name}
    at = -1
    assert only(state(healthy), "kube_pod_status_phase", phase="Succeeded", **own)[at] == 1
    assert only(state(healthy), "kube_pod_status_ready", condition="true", **own)[at] == 0
    assert pod.node
    target = of_kubernetes(healthy)[f"cadvisor {pod.node.name}"]
    gone = named(target, "container_memory_working_set_bytes", **own)
    assert gone == [] or all(np.isnan(values[at]) for _, values in gone)
    job = {"namespace": pod.namespace, "job_name": pod.owner[1]}
    assert only(state(healthy), "kube_job_status_succeeded", **job)[at] == 1
    kept = [values for _, values in named(state(healthy), "kube_job_status_active")]
    assert np.sum([~np.isnan(values) for values in kept], axis=0).max() == 4
    assert np.sum([~np.isnan(values) for values in kept], axis=0)[at] == 3


def test_faults_show_as_kubernetes_shows_them(incident: Simulation, healthy: Simulation) -> None:
    at = int(20 * 3600 / incident.clock.step)
    series = state(incident)
    waiting = "kube_pod_container_status_waiting_reason"
    (loop,) = named(series, waiting, reason="CrashLoopBackOff")
    assert np.isnan(loop[1][0])
    assert np.nanmax(loop[1][at : at + 12]) == 1
    ended = "kube_pod_container_status_last_terminated"
    (killed,) = named(series, f"{ended}_reason", reason="OOMKilled")
    assert killed[1][at] == 1
    node = next(p.node for p in incident.pods if p.name == killed[0]["pod"])
    assert node
    on_node = of_kubernetes(incident)[f"node_exporter {node.name}"]
    assert only(on_node, "node_vmstat_oom_kill")[at] > 0
    # A pod that no node takes has neither a kubelet nor conditions of one.
    (unschedulable,) = named(series, "kube_pod_status_unschedulable")
    assert unschedulable[1][at] == 1
    assert not named(series, "kube_pod_status_ready", pod=unschedulable[0]["pod"])
    wanted = only(series, "kube_deployment_spec_replicas", deployment="export")
    made = only(series, "kube_deployment_status_replicas", deployment="export")
    assert (wanted[at], made[at]) == (1, 0)
    pressed = only(
        series,
        "kube_node_status_condition",
        node="node-2",
        condition="MemoryPressure",
        status="true",
    )
    assert (pressed[0], pressed[at]) == (0, 1)
    names = {name for name, _, _ in state(healthy)}
    assert not names & {waiting, f"{ended}_reason", "kube_pod_status_unschedulable"}
    asked, ready = (
        [values for _, values in named(state(healthy), f"kube_deployment_{name}")]
        for name in ("spec_replicas", "status_replicas_available")
    )
    np.testing.assert_array_equal(asked, ready)


def test_a_release_that_fails_is_not_ready(incident: Simulation) -> None:
    at = int(20 * 3600 / incident.clock.step)
    release = {"customresource_kind": "HelmRelease", "exported_namespace": "monitoring"}
    own = named(state(incident), "gotk_resource_info", **release)
    now = {(labels["name"], labels["ready"]) for labels, values in own if values[at] == 1}
    assert ("grafana", "False") in now
    assert ("grafana", "True") not in now
    assert ("loki", "True") in now
    kinds = {
        labels["customresource_kind"] for labels, _ in named(state(incident), "gotk_resource_info")
    }
    sources = {"GitRepository", "HelmRepository", "OCIRepository"}
    assert kinds == {"HelmRelease", "Kustomization", *sources}


def test_pods_that_are_replaced_disappear(healthy: Simulation) -> None:
    old, new = (p.name for p in healthy.pods_of(f"{RELEASE}-backend"))
    shown = [only(state(healthy), "kube_pod_info", pod=name) for name in (old, new)]
    np.testing.assert_array_equal(np.isnan(shown[0]), ~np.isnan(shown[1]))
    generation = "kube_deployment_metadata_generation"
    values = only(state(healthy), generation, deployment=f"{RELEASE}-backend")
    assert (values[0], values[-1]) == (1, 2)


def test_kube_state_metrics_shows_what_its_arguments_allow(sim: Simulation) -> None:
    name = "kube-prometheus-stack-kube-state-metrics"
    arguments = sim.rendered["monitoring", name].spec["containers"][0]["args"]
    flags = dict(a.removeprefix("--").split("=", 1) for a in arguments)
    kinds = "|".join(kind.removesuffix("s") for kind in flags["resources"].split(","))
    # A list is split at commas.
    denied = "|".join(f"(?:{pattern})" for pattern in flags["metric-denylist"].split(","))
    (target,) = (t for t in scrape.targets(sim) if t.labels.get("service") == name)
    for metric in {metric for metric, _, _ in target.exporter.series()}:
        assert re.match(rf"kube_({kinds})_|gotk_resource_info$", metric), metric
        assert not re.fullmatch(denied, metric), metric


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("default", "api.default.svc", "default"),
        ("todo-app|todo-web", "api.todo-web.svc", "todo-web"),
        ("todo-app|todo-web", "todo.example.org", "todo-app"),
        ("todo-.*", "api.todo-prod.svc.cluster.local", "todo-prod"),
        ("todo-.*", "todo.example.org", "todo-app"),
    ],
)
def test_the_application_runs_where_its_inventory_says(
    pattern: str, host: str, expected: str
) -> None:
    urls = dict.fromkeys(("BACKEND_URL", "FRONTEND_URL"), f"http://{host}/")
    assert application_namespace({"NAMESPACES": pattern, **urls}) == expected


def test_namespaces_that_no_name_is_made_for_are_told() -> None:
    urls = dict.fromkeys(("BACKEND_URL", "FRONTEND_URL"), "https://todo.example.org/")
    with pytest.raises(RepositoryError, match=r"NAMESPACES is t\[0-9\]\{3}"):
        application_namespace({"NAMESPACES": "t[0-9]{3}", **urls})
