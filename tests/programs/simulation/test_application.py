"""What the simulated application, its platform and its logs show, against what is true of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from scripts import simulation
from scripts.model import catalogue
from scripts.model.rendered import Cluster
from scripts.simulation import logs, scrape
from scripts.simulation.building import build
from scripts.simulation.exporters import dapr, defaults
from scripts.simulation.exporters.alloy import alloy
from scripts.simulation.exporters.defaults import Exporter
from scripts.simulation.exporters.redpanda import redpanda
from scripts.simulation.logs import pipeline
from scripts.simulation.logs.lines import EVENTS, secrets
from scripts.simulation.model import Array, Clock, Exposed, SimulatedPod
from scripts.simulation.state import AUDIT, BACKEND, FRONTEND, NOTIFICATION, Simulation
from scripts.simulation.traffic import backlog

pytestmark = pytest.mark.prove
MIDNIGHT = 20_780 * 86400.0
Series = dict[tuple[str, frozenset[tuple[str, str]]], Array]
DAYS = ("healthy", "incident")


@pytest.fixture(scope="module")
def simulated(rendered: list[Cluster]) -> Cluster:
    return next(c for c in rendered if c.name == simulation.ENTRY)


@pytest.fixture(scope="module")
def simulations(simulated: Cluster) -> dict[str, Simulation]:
    return {day: build(simulated, Clock(MIDNIGHT), faulty=day == "incident") for day in DAYS}


@pytest.fixture(scope="module")
def entries(simulations: dict[str, Simulation]) -> dict[str, list[dict[str, Any]]]:
    return {day: list(pipeline.entries(sim)) for day, sim in simulations.items()}


def exporters(sim: Simulation) -> Iterator[tuple[str, Exporter]]:
    """Yield the exporter of each target, with a name of the target."""
    for target in scrape.targets(sim):
        labels = target.labels
        name = [labels["job"], labels["__address__"], labels["__metrics_path__"]]
        yield " ".join([*name, labels.get("instance", "")]), target.exporter


def sidecars(sim: Simulation) -> list[SimulatedPod]:
    return sim.with_label("dapr.io/sidecar-injected", "true")


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


def unknown(file: str, series: Iterable[Exposed]) -> list[str]:
    """Return what the program of a file of the catalogue does not expose."""
    wrong = set()
    for name, labels, _ in series:
        known = [
            own
            for entry, own in catalogue.series().get(name, ())
            # What is counted of the lines is exposed by Alloy.
            if entry.file in {file, "log-pipeline"} or re.match("go_|process_|promhttp_", name)
        ]
        if not any(set(labels) <= own for own in known):
            wrong.add(f"{name} {sorted(labels)}")
    return sorted(wrong)


@pytest.mark.parametrize("day", DAYS)
def test_only_names_and_labels_of_real_programs_are_exposed(
    day: str, simulations: dict[str, Simulation]
) -> None:
    wrong = {
        target: found
        for target, exporter in exporters(simulations[day])
        if (found := unknown(exporter.program.file, exporter.series()))
    }
    assert not wrong


def test_a_name_or_label_that_no_program_has_is_found() -> None:
    none = np.zeros(1)
    assert unknown("daprd", [("dapr_component_pubsub_egress_total", {}, none)])
    assert unknown("daprd", [("dapr_component_pubsub_egress_count", {"app": "a"}, none)])
    assert unknown("daprd", [("traefik_open_connections", {"entrypoint": "web"}, none)])
    assert not unknown("daprd", [("dapr_component_pubsub_egress_count", {"app_id": "a"}, none)])


def test_no_family_is_by_hand_here_and_by_default_there(
    simulations: dict[str, Simulation],
) -> None:
    """What a program shows only now and then would be there by default the rest of the time."""
    by_hand: dict[defaults.Program, set[str]] = {}
    shown: dict[defaults.Program, list[set[str]]] = {}
    for sim in simulations.values():
        for _, exporter in exporters(sim):
            names = {name for name, _, _ in exporter.by_hand()}
            by_hand.setdefault(exporter.program, set()).update(names)
            shown.setdefault(exporter.program, []).append(names)
    wrong = {
        family.name
        for program, every in by_hand.items()
        for family in defaults.families(program)
        if every & family.series().keys()
        and not all(names & family.series().keys() for names in shown[program])
    }
    assert not wrong


def test_default_series_tell_of_nothing_wrong() -> None:
    clock = Clock(MIDNIGHT, steps=3)
    prometheus = Exporter(defaults.Program("prometheus"), clock, lambda: ())
    values = {name: values for (name, _), values in exposed(prometheus.series()).items()}
    assert values["prometheus_tsdb_compactions_failed_total"].tolist() == [0, 0, 0]
    assert values["prometheus_tsdb_compactions_total"].tolist() == [0.5, 1, 1.5]
    assert values["prometheus_config_last_reload_successful"].tolist() == [1, 1, 1]
    assert values["prometheus_tsdb_compaction_duration_seconds_count"].tolist() == [0.5, 1, 1.5]
    assert "prometheus_remote_storage_samples_total" not in values


def test_a_default_series_is_about_an_object_that_is_there() -> None:
    clock = Clock(MIDNIGHT, steps=3)
    labels = {"deployment": "web", "namespace": "shop"}
    replicas: Exposed = ("kube_deployment_spec_replicas", labels, clock.constant(3))
    program = defaults.Program("kube-state-metrics", "kube_deployment_.+")
    found = exposed(Exporter(program, clock, lambda: [replicas]).series())
    assert found["kube_deployment_spec_replicas", frozenset(labels.items())].tolist() == [3, 3, 3]
    assert ("kube_deployment_created", frozenset(labels.items())) in found


@pytest.mark.parametrize("day", DAYS)
def test_series_are_numbers_counters_never_fall_and_histograms_add_up(
    day: str, simulations: dict[str, Simulation]
) -> None:
    counting = {
        name
        for name, found in catalogue.series().items()
        if all(e.type in {"counter", "histogram"} for e, _ in found)
    }
    steps = simulations[day].clock.steps
    for target, exporter in exporters(simulations[day]):
        every = exposed(exporter.series())
        for (name, labels), values in every.items():
            assert values.shape == (steps,), (target, name)
            assert values.dtype == np.float64, (target, name)
            there = values[~np.isnan(values)]
            assert np.isfinite(there).all(), (target, name)
            assert (there >= 0).all(), (target, name)
            if name in counting:
                assert (np.diff(there) >= -1e-6).all(), (target, name, labels)
            if name.endswith("_bucket"):
                rest = {(k, v) for k, v in labels if k != "le"}
                whole = every[name.removesuffix("_bucket") + "_count", frozenset(rest)]
                assert not (values > whole).any(), (target, name, labels)
                if ("le", "+Inf") in labels:
                    np.testing.assert_array_equal(values, whole)


@pytest.mark.parametrize("day", DAYS)
def test_what_is_published_is_consumed_dropped_or_waits(
    day: str, simulations: dict[str, Simulation]
) -> None:
    sim = simulations[day]
    broker = exposed(redpanda(sim))
    shown = [exposed(dapr.sidecar(sim, pod)) for pod in sidecars(sim)]
    for taken in sim.consumed:
        lag = backlog(sim, taken)
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
        waits = lag[sim.clock.steps * 20 // 24]
        stuck = taken.app in {AUDIT, NOTIFICATION} and day == "incident"
        assert (waits > 100) == stuck, (taken.app, waits)


def test_both_sides_of_an_invocation_count_the_same(simulations: dict[str, Simulation]) -> None:
    sim = simulations["incident"]
    shown = [exposed(dapr.sidecar(sim, pod)) for pod in sidecars(sim)]
    prefix = "dapr_runtime_service_invocation"
    for calls in sim.invocations:
        status = {"status": str(calls.status)}
        for name in (f"{prefix}_res_recv_total", f"{prefix}_res_sent_total"):
            assert sum(total(s, name, **status) for s in shown) == calls.count.sum()
    name = "dapr_http_server_request_count"
    paths = {dict(labels)["path"] for s in shown for metric, labels in s if metric == name}
    assert any(re.fullmatch(rf"/v1.0/invoke/{BACKEND}/method/api/\w{{32}}/tasks", p) for p in paths)


@pytest.mark.parametrize("day", DAYS)
def test_access_log_counters_equal_traffic(day: str, simulations: dict[str, Simulation]) -> None:
    sim = simulations[day]
    counters = [
        exposed(alloy(sim, pod)) for pod in sim.with_label("app.kubernetes.io/name", "alloy")
    ]
    expected: dict[tuple[str, str, str, str], float] = {}
    for r in sim.traffic:
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
def test_counters_are_what_the_real_pipeline_counts(
    day: str, simulations: dict[str, Simulation]
) -> None:
    sim = simulations[day]
    kinds = [k for k in logs.written(sim) if k.app != EVENTS]
    results = pipeline.run(sim, [pipeline.case(kind)[0] for kind in kinds])
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


def test_lines_of_a_container_come_out_the_same_when_mixed(
    simulations: dict[str, Simulation],
) -> None:
    sim = simulations["incident"]
    of_app = {
        app: [k for k in logs.written(sim) if k.app == app and k.container == app and k.kept]
        for app in (BACKEND, FRONTEND, NOTIFICATION)
    }
    mixed = {
        app: np.random.default_rng(7).permutation([t for k in kinds for t in k.texts[:10]]).tolist()
        for app, kinds in of_app.items()
    }
    cases = {app: pipeline.case(kinds[0], mixed[app]) for app, kinds in of_app.items()}
    results = pipeline.run(sim, [content for content, _ in cases.values()])
    for (app, kinds), together in zip(of_app.items(), results, strict=True):
        alone = pipeline.run(sim, [pipeline.case(kind)[0] for kind in kinds])
        texts = [text for kind in kinds for text in kind.texts[:10]]
        lines = [e["line"] for result in alone for e in result["entries"][:10]]
        expected = dict(zip(texts, lines, strict=True))
        assert [e["timestamp"] for e in together["entries"]] == cases[app][1]
        assert [e["line"] for e in together["entries"]] == [expected[text] for text in mixed[app]]


@pytest.mark.parametrize("day", DAYS)
def test_no_secret_reaches_loki(
    day: str, simulations: dict[str, Simulation], entries: dict[str, list[dict[str, Any]]]
) -> None:
    planted = secrets(simulations[day])
    texts = "\n".join(text for kind in logs.written(simulations[day]) for text in kind.texts)
    lines = "\n".join({e["line"] for e in entries[day]})
    assert sum(secret in texts for secret in planted) > len(planted) / 2
    assert [secret for secret in planted if secret in lines] == []
    series = [key for _, e in exporters(simulations[day]) for key in exposed(e.series())]
    named = str([key for key in series if key[0].startswith(("todo_", "loki_"))])
    assert [secret for secret in planted if secret in named] == []


@pytest.mark.parametrize("day", DAYS)
def test_entries_are_as_many_as_is_true_and_in_order(
    day: str, simulations: dict[str, Simulation], entries: dict[str, list[dict[str, Any]]]
) -> None:
    sim = simulations[day]
    found: dict[str, int] = {}
    for entry in entries[day]:
        key = f"log_lines/{entry['labels']['app']}"
        found[key] = found.get(key, 0) + 1
        assert set(entry["labels"]) <= {"cluster", "namespace", "app", "container", "level"}
    true = {key: round((v * sim.clock.step).sum()) for key, v in logs.truth(sim).items()}
    assert found == true
    assert 60_000 <= len(entries[day]) <= 160_000
    times = [int(entry["timestamp"]) for entry in entries[day]]
    assert times == sorted(times)
    assert MIDNIGHT * 1e9 <= times[0] <= times[-1] < (MIDNIGHT + 86400) * 1e9


def between(
    entries: list[dict[str, Any]], begin: float, end: float, text: str = "", **labels: str
) -> int:
    first, last = ((MIDNIGHT + hour * 3600) * 1e9 for hour in (begin, end))
    return sum(
        first <= int(e["timestamp"]) < last
        and text in e["line"]
        and labels.items() <= e["labels"].items()
        for e in entries
    )


def test_faults_are_seen_in_the_logs(entries: dict[str, list[dict[str, Any]]]) -> None:
    seen = {day: partial(between, entries[day], 18.5, 20) for day in DAYS}
    frontend = {"app": FRONTEND, "container": FRONTEND}
    assert seen["healthy"](**frontend) > 100
    assert seen["incident"](**frontend) == 0
    for text in ("Too Many Requests", "Traceback (most recent call last)"):
        assert between(entries["healthy"], 0, 24, text) > 0, text
        assert 10 * seen["healthy"](text) + 10 < seen["incident"](text), text
    events = {"app": EVENTS, "level": "warn"}
    for reason in ("BackOff", "FailedCreate", "FailedScheduling", "Unhealthy", "OOMKilling"):
        assert seen["incident"](reason, **events) > 0, reason
        assert seen["healthy"](reason, **events) == 0, reason
    for day in DAYS:
        assert between(entries[day], 16.4, 16.6, "Killing", app=EVENTS) > 0
        assert between(entries[day], 16.4, 16.6, "Uvicorn running", app=BACKEND) == 1


def test_the_seed_decides(simulated: Cluster) -> None:
    clock = Clock(MIDNIGHT, steps=400)
    one, same, other = (build(simulated, clock, faulty=False, seed=seed) for seed in (1, 1, 2))

    def everything(sim: Simulation) -> list[object]:
        return [
            (target, name, sorted(labels.items()), values.tobytes())
            for target, exporter in exporters(sim)
            for name, labels, values in exporter.series()
        ]

    assert everything(one) == everything(same)
    assert everything(one) != everything(other)
    with ThreadPoolExecutor() as pool:
        found, others = pool.map(lambda sim: list(pipeline.entries(sim)), (one, other))
    assert found == list(pipeline.entries(same))
    assert found != others
