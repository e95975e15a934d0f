"""Which alerts are held back, and when they are sent again."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import yaml

from scripts.core.findings import RepositoryError
from scripts.lab.alerting import delivery, faults
from scripts.lab.alerting.firing import FiringAlert
from tests.programs.lab.alerting_day import CONFIG, START, firing, sent


def later(name: str, severity: str = "warning", **labels: str) -> FiringAlert:
    """What begins ten seconds after the rest: its cause is known by then."""
    return dataclasses.replace(firing(name, severity, **labels), start=START + 10)


def told_of(*firing_: FiringAlert) -> set[str]:
    return {name for name, _ in sent(*firing_)}


POD = {"namespace": "default", "pod": "web-1", "node": "node-1", "app_id": "web"}
OTHER = {"namespace": "default", "pod": "api-1", "node": "node-2", "app_id": "api"}
HELD = [
    (firing("TodoX", "critical", namespace="a"), ("TodoX", "warning", {"namespace": "a"}), {}),
    (firing("NodeNotReady", "critical", node="node-1"), ("PodNotReady", "warning", POD), OTHER),
    (firing("DaprSidecarNotReady", "critical", **POD), ("PodNotReady", "warning", POD), OTHER),
    (
        firing("DaprSidecarNotReady", "critical", **POD),
        ("DaprComponentFailed", "warning", POD),
        OTHER,
    ),
    (
        firing("DaprSidecarNotReady", "critical", **POD),
        ("TodoEventBacklog", "warning", {"namespace": "default", "app_id": "web"}),
        {"namespace": "default", "app_id": "api"},
    ),
    (firing("ContainerCrashLooping", **POD), ("ContainerOOMKilled", "warning", POD), OTHER),
    (
        firing("ContainerCrashLooping", **POD),
        ("TodoEventBacklog", "warning", {"namespace": "default", "app_id": "web"}),
        {"namespace": "default", "app_id": "api"},
    ),
    (
        firing("StackComponentDown", "critical", job="loki"),
        ("TargetDown", "warning", {"job": "loki", "namespace": "monitoring"}),
        {"job": "alloy", "namespace": "monitoring"},
    ),
]


@pytest.mark.prove
@pytest.mark.parametrize(
    ("cause", "effect", "other"), HELD, ids=lambda value: getattr(value, "name", None)
)
def test_an_effect_is_held_back_by_its_own_cause_only(
    cause: FiringAlert, effect: tuple[str, str, dict[str, str]], other: dict[str, str]
) -> None:
    name, severity, labels = effect
    own = later(name, severity, **labels)
    assert told_of(cause, own) == {cause.name}
    assert told_of(own) == {name}
    if other:
        assert told_of(cause, later(name, severity, **other)) == {cause.name, name}


@pytest.mark.prove
@pytest.mark.parametrize(
    ("cause", "effect"),
    [(cause, effect) for cause, effect, _ in HELD],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_fault_of_one_cluster_holds_back_nothing_of_another(
    cause: FiringAlert, effect: tuple[str, str, dict[str, str]]
) -> None:
    """Two clusters have the same names of everything, as they sync the same repository."""
    name, severity, labels = effect
    here = dataclasses.replace(cause, labels={**cause.labels, "cluster": "blue"})
    assert told_of(here, later(name, severity, **labels, cluster="blue")) == {cause.name}
    there = later(name, severity, **labels, cluster="green")
    assert sent(here, there) == {(cause.name, cause.labels["severity"]), (name, severity)}


EVERYWHERE = [
    (firing("NodeNotReady", "critical", node="n"), "TodoApiErrorBudgetBurn"),
    (firing("DaprSidecarNotReady", "critical", **POD), "TodoReminderBudgetBurn"),
    (firing("TodoBackendDown", "critical"), "TodoApiErrorBudgetBurn"),
    (firing("TodoDatabaseUnreachable", "critical"), "TodoApiErrorBudgetBurn"),
    (firing("TodoFrontendDown", "critical"), "TodoUiErrorBudgetBurn"),
    (firing("TodoApiErrorBudgetBurn", "critical"), "TodoLogErrors"),
    (firing("TodoEventPublishingBudgetBurn", "critical"), "DaprCircuitBreakerOpen"),
    (firing("TodoEventProcessingBudgetBurn", "critical"), "TodoEventBacklog"),
    (firing("TodoModelRateLimited"), "TodoLogErrors"),
    (
        firing("VolumeFillingUp", persistentvolumeclaim="storage-loki-0"),
        "LogsLost",
    ),
    (firing("StackComponentDown", "critical", job="loki"), "LokiAlertsFailing"),
    (
        firing("StackComponentDown", "critical", job="prometheus-blackbox-exporter"),
        "TodoProbeMissing",
    ),
]


@pytest.mark.prove
@pytest.mark.parametrize(
    ("cause", "effect"),
    EVERYWHERE,
    ids=lambda value: value.name if isinstance(value, FiringAlert) else value,
)
def test_an_effect_is_held_back_wherever_it_is(cause: FiringAlert, effect: str) -> None:
    assert told_of(cause, later(effect)) == {cause.name}
    harmless = dataclasses.replace(cause, labels={**cause.labels, "alertname": "Harmless"})
    assert told_of(harmless, later(effect)) == {"Harmless", effect}
    elsewhere = dataclasses.replace(cause, labels={**cause.labels, "cluster": "blue"})
    assert told_of(elsewhere, later(effect, cluster="green")) == {cause.name, effect}


@pytest.mark.prove
def test_no_rule_that_holds_back_can_be_left_out_unnoticed(tmp_path: Path) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    scenes = [
        (cause, later(name, severity, **labels)) for cause, (name, severity, labels), _ in HELD
    ]
    scenes += [(cause, later(effect)) for cause, effect in EVERYWHERE]
    scenes += [
        (firing("TodoX", namespace="a"), later("TodoX", "info", namespace="a")),
        (firing("InfoInhibitor", "none", namespace="a"), later("TodoX", "info", namespace="a")),
        (firing("NodeNotReady", "critical", node="n"), later("TargetDown", job="x")),
    ]
    usual = [sent(*scene) for scene in scenes]
    unnoticed = []
    for index, rule in enumerate(config["inhibit_rules"]):
        path = tmp_path / f"{index}.yaml"
        left = [r for r in config["inhibit_rules"] if r is not rule]
        path.write_text(yaml.safe_dump({**config, "inhibit_rules": left}))
        if [sent(*scene, config=path) for scene in scenes] == usual:
            unnoticed.append(rule)
    assert unnoticed == []


@pytest.mark.prove
def test_news_of_severity_info_is_told_only_beside_something_else() -> None:
    info = firing("KubeQuotaAlmostFull", "info", namespace="a")
    held = firing("InfoInhibitor", "none", namespace="a")
    assert told_of(info) == {"KubeQuotaAlmostFull"}
    assert told_of(info, held) == set()


@pytest.mark.prove
def test_the_watchdog_is_silent_once_prometheus_is() -> None:
    alive = FiringAlert({"alertname": "Watchdog", "severity": "none"}, {}, START, START + 1800)
    sent = delivery.deliver([alive], START, START + 7200, CONFIG)
    times = [n.time - START for n in sent.notifications]
    assert {n.receiver for n in sent.notifications} == {"watchdog"}
    assert all(n.status == "firing" for n in sent.notifications)
    assert times[0] < 60
    assert max(b - a for a, b in itertools.pairwise(times)) <= 121
    assert 1700 < times[-1] < 1800 + 120


@pytest.mark.prove
def test_what_is_critical_is_told_again_after_four_hours_and_a_warning_after_a_day() -> None:
    for severity, hours in (("critical", 4), ("warning", 24)):
        one = dataclasses.replace(firing("TodoX", severity), end=START + 50 * 3600)
        sent = delivery.deliver([one], START, START + 50 * 3600, CONFIG)
        times = [n.time - START for n in faults.notifications(sent)]
        assert times[1] - times[0] == pytest.approx(hours * 3600, abs=400), severity


@pytest.mark.prove
def test_a_configuration_that_alertmanager_refuses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yaml"
    path.write_text(CONFIG.read_text().replace("receiver: nobody", "receiver: everybody"))
    with pytest.raises(RepositoryError, match=r"alertmanager\.yaml: Alertmanager: .*everybody"):
        delivery.deliver([], START, START + 60, path)
