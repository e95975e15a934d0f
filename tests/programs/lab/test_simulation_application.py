"""What the simulated application, its platform and its logs show, against what is true of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from scripts.lab import simulation
from scripts.lab.simulation import application, logs, stack
from scripts.lab.simulation.model import Array, Clock, Exposed, Pod
from scripts.lab.simulation.world import (
    AUDIT,
    BACKEND,
    FRONTEND,
    NOTIFICATION,
    World,
    backlog,
    build,
)
from scripts.model import catalogue
from scripts.model.rendered import Cluster

pytestmark = pytest.mark.prove
MIDNIGHT = 20_780 * 86400.0
Series = dict[tuple[str, frozenset[tuple[str, str]]], Array]
DAYS = ("healthy", "incident")


@pytest.fixture(scope="module")
def simulated(rendered: list[Cluster]) -> Cluster:
    return next(c for c in rendered if c.name == simulation.ENTRY)


@pytest.fixture(scope="module")
def worlds(simulated: Cluster) -> dict[str, World]:
    return {day: build(simulated, Clock(MIDNIGHT), faulty=day == "incident") for day in DAYS}


@pytest.fixture(scope="module")
def syncs(worlds: dict[str, World]) -> dict[str, list[dict[str, Any]]]:
    return {day: list(logs.entries(world)) for day, world in worlds.items()}


def exporters(world: World) -> Iterator[tuple[str, str, Iterable[Exposed]]]:
    """Yield each target's name, a pattern of its files in the catalogue, what it exposes."""
    for pod in sidecars(world):
        yield f"sidecar {pod.name}", "daprd", application.sidecar(world, pod)
    for pod in world.with_label("app.kubernetes.io/part-of", "dapr"):
        yield pod.name, "dapr-control-plane", application.dapr_control_plane(world, pod)
    for pod in world.with_label("app.kubernetes.io/name", "alloy"):
        yield f"alloy {pod.name}", "alloy|log-pipeline", stack.alloy(world, pod)
    for pod in world.with_label("app.kubernetes.io/part-of", "flux"):
        yield pod.name, "flux-.*|kubernetes", stack.flux(world, pod)
    for pod in world.with_label("app.kubernetes.io/part-of", "argocd"):
        yield pod.name, "argo-cd", stack.argocd(world, pod)
    for pod in world.pods_of("prometheus-kube-prometheus-stack", "monitoring"):
        yield "reloader", "prometheus-config-reloader", stack.reloader(world, pod)
    for job in world.probes:
        yield f"probe {job}", "blackbox-exporter", stack.probe(world, job)
    for file, exporter in (
        ("ingress-nginx", application.ingress_nginx),
        ("traefik", application.traefik),
        ("redpanda", application.redpanda),
        ("prometheus", stack.prometheus),
        ("alertmanager", stack.alertmanager),
        ("prometheus-operator", stack.operator),
        ("loki", stack.loki),
        ("grafana", stack.grafana),
        ("blackbox-exporter", stack.blackbox),
        ("kube-state-metrics", stack.kube_state_metrics_self),
    ):
        yield file, file, exporter(world)


def sidecars(world: World) -> list[Pod]:
    return world.with_label("dapr.io/sidecar-injected", "true")


def exposed(series: Iterable[Exposed]) -> Series:
    found: Series = {}
    for name, labels, values in series:
        key = (name, frozenset(labels.items()))
        assert key not in found, f"{key} is exposed twice"
        found[key] = values
    return found


def total(series: Series, name: str, **labels: str) -> float:
    """Sum the last values of the series with these labels."""
    lasts = [
        values[~np.isnan(values)][-1]
        for (metric, own), values in series.items()
        if metric == name and set(labels.items()) <= own and not np.isnan(values).all()
    ]
    return float(sum(lasts))


def unknown(pattern: str, series: Iterable[Exposed]) -> list[str]:
    """Return what the programs of these files do not expose."""
    wrong = set()
    for name, labels, _ in series:
        known = [
            own
            for sync, own in catalogue.series().get(name, ())
            if re.fullmatch(pattern, sync.file) or re.match("go_|process_|promhttp_", name)
        ]
        if not any(set(labels) <= own for own in known):
            wrong.add(f"{name} {sorted(labels)}")
    return sorted(wrong)


@pytest.mark.parametrize("day", DAYS)
def test_only_names_and_labels_of_real_programs_are_exposed(
    day: str, worlds: dict[str, World]
) -> None:
    wrong = {
        target: found
        for target, pattern, series in exporters(worlds[day])
        if (found := unknown(pattern, series))
    }
    assert not wrong


def test_a_name_or_label_that_no_program_has_is_found() -> None:
    none = np.zeros(1)
    assert unknown("daprd", [("dapr_component_pubsub_egress_total", {}, none)])
    assert unknown("daprd", [("dapr_component_pubsub_egress_count", {"app": "a"}, none)])
    assert unknown("daprd", [("traefik_open_connections", {"entrypoint": "web"}, none)])
    assert not unknown("daprd", [("dapr_component_pubsub_egress_count", {"app_id": "a"}, none)])


@pytest.mark.parametrize("day", DAYS)
def test_counters_never_fall_and_histograms_add_up(day: str, worlds: dict[str, World]) -> None:
    counting = {
        name
        for name, found in catalogue.series().items()
        if all(e.type in {"counter", "histogram"} for e, _ in found)
    }
    for target, _, series in exporters(worlds[day]):
        every = exposed(series)
        for (name, labels), values in every.items():
            assert values.shape == (worlds[day].clock.steps,), (target, name)
            there = values[~np.isnan(values)]
            assert (there >= 0).all() or name.endswith("timestamp_seconds"), (target, name)
            if name in counting:
                assert (np.diff(there) >= -1e-6).all(), (target, name, labels)
            if name.endswith("_bucket"):
                rest = {(k, v) for k, v in labels if k != "le"}
                whole = every[name.removesuffix("_bucket") + "_count", frozenset(rest)]
                assert not (values > whole).any(), (target, name, labels)
                if ("le", "+Inf") in labels:
                    np.testing.assert_array_equal(values, whole)


@pytest.mark.parametrize("day", DAYS)
def test_what_is_published_is_consumed_dropped_or_waits(day: str, worlds: dict[str, World]) -> None:
    world = worlds[day]
    broker = exposed(application.redpanda(world))
    shown = [exposed(application.sidecar(world, pod)) for pod in sidecars(world)]
    for taken in world.consumed:
        lag = backlog(world, taken)
        assert (lag >= 0).all()
        group = frozenset({("redpanda_group", taken.app)})
        np.testing.assert_allclose(
            broker["redpanda_kafka_consumer_group_lag_sum", group], lag, atol=3
        )
        published = sum(
            total(s, "dapr_component_pubsub_egress_count", topic=taken.topic, success="true")
            for s in shown
        )
        name, app = "dapr_component_pubsub_ingress_count", {"app_id": taken.app}
        succeeded, dropped = (
            sum(total(s, name, **app, process_status=status) for s in shown)
            for status in ("success", "drop")
        )
        assert succeeded == taken.succeeded.sum()
        assert published - succeeded - dropped == lag[-1]
        waits = lag[world.clock.steps * 20 // 24]
        stuck = taken.app in {AUDIT, NOTIFICATION} and day == "incident"
        assert (waits > 100) == stuck, (taken.app, waits)


def test_both_sides_of_an_invocation_count_the_same(worlds: dict[str, World]) -> None:
    world = worlds["incident"]
    shown = [exposed(application.sidecar(world, pod)) for pod in sidecars(world)]
    prefix = "dapr_runtime_service_invocation"
    for calls in world.invocations:
        status = {"status": str(calls.status)}
        for name in (f"{prefix}_res_recv_total", f"{prefix}_res_sent_total"):
            assert sum(total(s, name, **status) for s in shown) == calls.count.sum()
    name = "dapr_http_server_request_count"
    paths = {dict(labels)["path"] for s in shown for metric, labels in s if metric == name}
    assert any(re.fullmatch(rf"/v1.0/invoke/{BACKEND}/method/api/\w{{32}}/tasks", p) for p in paths)


@pytest.mark.parametrize("day", DAYS)
def test_access_log_counters_equal_traffic(day: str, worlds: dict[str, World]) -> None:
    world = worlds[day]
    counters = [
        exposed(stack.alloy(world, pod))
        for pod in world.with_label("app.kubernetes.io/name", "alloy")
    ]
    expected: dict[tuple[str, str, str, str], float] = {}
    for r in world.traffic:
        key = (r.app, r.method, r.route, f"{r.status // 100}xx")
        expected[key] = expected.get(key, 0) + r.count.sum()
    for (app, method, route, status), count in expected.items():
        labels = {"app": app, "method": method, "route": route, "status_class": status}
        found = sum(total(c, "todo_http_requests_total", **labels) for c in counters)
        assert found == count, labels
    assert sum(total(c, "todo_http_requests_total") for c in counters) == sum(expected.values())


def counted(metrics: str, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """Return a counter's values as the pipeline exposes them, without the cluster's labels."""
    return {
        frozenset(re.findall(r'(\w+)="([^"]*)"', labels)): float(value)
        for metric, labels, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", metrics, re.MULTILINE)
        if metric == name
    }


@pytest.mark.parametrize("day", DAYS)
def test_counters_are_what_the_real_pipeline_counts(day: str, worlds: dict[str, World]) -> None:
    world = worlds[day]
    kinds = [k for k in logs.written(world) if k.app != logs.EVENTS]
    results = logs.pipeline(world, "pods.alloy", [logs.case(kind)[0] for kind in kinds])
    for kind, result in zip(kinds, results, strict=True):
        number = float(len(kind.texts))
        own = {("namespace", kind.namespace), ("app", kind.app)}
        requests = own | {("component_id", "loki.process.requests"), ("component_path", "/")}
        expected: dict[frozenset[tuple[str, str]], float] = {}
        if kind.request:
            names = ("method", "route", "status_class")
            expected = {frozenset(requests | set(zip(names, kind.request, strict=True))): number}
        assert counted(result["metrics"], "todo_http_requests_total") == expected, kind.name
        count = {("component_id", "loki.process.count"), ("component_path", "/shared.redact.pods")}
        assert counted(result["metrics"], "todo_log_redactions_total") == {
            frozenset(own | count | {("kind", what)}): number for what in kind.redactions
        }, kind.name
        dropped = counted(result["metrics"], "loki_process_dropped_lines_total")
        assert sum(dropped.values()) == (0 if kind.kept else number), kind.name
        assert len(result["entries"]) == (number if kind.kept else 0)


def test_lines_of_a_container_come_out_the_same_when_mixed(worlds: dict[str, World]) -> None:
    world = worlds["incident"]
    for app in (BACKEND, FRONTEND, NOTIFICATION):
        kinds = [k for k in logs.written(world) if k.app == app and k.container == app and k.kept]
        texts = [text for kind in kinds for text in kind.texts[:10]]
        mixed = [texts[i] for i in np.random.default_rng(7).permutation(len(texts))]
        alone = logs.pipeline(world, "pods.alloy", [logs.case(kind)[0] for kind in kinds])
        content, times = logs.case(kinds[0], mixed)
        (together,) = logs.pipeline(world, "pods.alloy", [content])
        lines = [e["line"] for result in alone for e in result["entries"][:10]]
        expected = dict(zip(texts, lines, strict=True))
        assert [e["timestamp"] for e in together["entries"]] == times
        assert [e["line"] for e in together["entries"]] == [expected[text] for text in mixed]


@pytest.mark.parametrize("day", DAYS)
def test_no_secret_reaches_loki(
    day: str, worlds: dict[str, World], syncs: dict[str, list[dict[str, Any]]]
) -> None:
    planted = logs.secrets(worlds[day])
    texts = "\n".join(text for kind in logs.written(worlds[day]) for text in kind.texts)
    lines = "\n".join({e["line"] for e in syncs[day]})
    assert sum(secret in texts for secret in planted) > len(planted) / 2
    assert [secret for secret in planted if secret in lines] == []
    series = [key for _, _, found in exporters(worlds[day]) for key in exposed(found)]
    named = str([key for key in series if key[0].startswith(("todo_", "loki_"))])
    assert [secret for secret in planted if secret in named] == []


@pytest.mark.parametrize("day", DAYS)
def test_entries_are_as_many_as_is_true_and_in_order(
    day: str, worlds: dict[str, World], syncs: dict[str, list[dict[str, Any]]]
) -> None:
    world = worlds[day]
    found: dict[str, int] = {}
    for sync in syncs[day]:
        key = f"log_lines/{sync['labels']['app']}"
        found[key] = found.get(key, 0) + 1
        assert set(sync["labels"]) <= {"cluster", "namespace", "app", "container", "level"}
    true = {key: round((v * world.clock.step).sum()) for key, v in logs.truth(world).items()}
    assert found == true
    assert 60_000 <= len(syncs[day]) <= 160_000
    times = [int(sync["timestamp"]) for sync in syncs[day]]
    assert times == sorted(times)
    assert MIDNIGHT * 1e9 <= times[0] <= times[-1] < (MIDNIGHT + 86400) * 1e9


def between(
    syncs: list[dict[str, Any]], begin: float, end: float, text: str = "", **labels: str
) -> int:
    first, last = ((MIDNIGHT + hour * 3600) * 1e9 for hour in (begin, end))
    return sum(
        first <= int(e["timestamp"]) < last
        and text in e["line"]
        and labels.items() <= e["labels"].items()
        for e in syncs
    )


def test_faults_are_seen_in_the_logs(syncs: dict[str, list[dict[str, Any]]]) -> None:
    seen = {day: partial(between, syncs[day], 18.5, 20) for day in DAYS}
    frontend = {"app": FRONTEND, "container": FRONTEND}
    assert seen["healthy"](**frontend) > 100
    assert seen["incident"](**frontend) == 0
    for text in ("Too Many Requests", "Traceback (most recent call last)"):
        assert between(syncs["healthy"], 0, 24, text) > 0, text
        assert 10 * seen["healthy"](text) + 10 < seen["incident"](text), text
    events = {"app": logs.EVENTS, "level": "warn"}
    for reason in ("BackOff", "FailedCreate", "FailedScheduling", "Unhealthy", "OOMKilling"):
        assert seen["incident"](reason, **events) > 0, reason
        assert seen["healthy"](reason, **events) == 0, reason
    for day in DAYS:
        assert between(syncs[day], 16.4, 16.6, "Killing", app=logs.EVENTS) > 0
        assert between(syncs[day], 16.4, 16.6, "Uvicorn running", app=BACKEND) == 1


def test_the_seed_decides(simulated: Cluster) -> None:
    clock = Clock(MIDNIGHT, steps=400)
    one, same, other = (build(simulated, clock, faulty=False, seed=seed) for seed in (1, 1, 2))

    def everything(world: World) -> list[object]:
        return [
            (target, name, sorted(labels.items()), values.tobytes())
            for target, _, series in exporters(world)
            for name, labels, values in series
        ]

    assert everything(one) == everything(same)
    assert everything(one) != everything(other)
    assert list(logs.entries(one)) == list(logs.entries(same))
    assert list(logs.entries(one)) != list(logs.entries(other))
