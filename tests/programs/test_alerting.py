"""Who is told: routes, what holds back what, the messages, and the comparison with the faults."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.checks.static import alerts, routing
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.lab.alerting import delivery, faults
from scripts.lab.alerting.delivery import TEMPLATE, Delivery, Notification
from scripts.lab.alerting.faults import NOTIFIED
from scripts.lab.alerting.firing import FiringAlert, active_periods, duration
from scripts.lab.simulation.world import FAULTS
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from tests.fixtures import CODE, FROZEN, rules
from tests.programs import days

CONFIG = FROZEN / TEMPLATE
START = 1_700_000_000.0
DAY = days.day(Path(), START, "incident")


def known(repository: Repository) -> routing.Known:
    return routing.Known(routing.labels(repository))


# Routes


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "TodoBackendDown", "severity": "critical"}, "team"),
        ({"alertname": "PodNotReady", "severity": "warning"}, "team"),
        ({"alertname": "KubeQuotaAlmostFull", "severity": "info"}, "team"),
        ({"alertname": "Watchdog", "severity": "none"}, "watchdog"),
        ({"alertname": "InfoInhibitor", "severity": "none"}, "nobody"),
        # Whatever somebody forgot reaches somebody.
        ({"alertname": "Anything"}, "team"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["alertname"],
)
def test_amtool_routes_each_severity(labels: Mapping[str, str], receiver: str) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    run = tools.run("amtool", "config", "routes", "test", f"--config.file={CONFIG}", *pairs)
    assert (run.returncode, run.stdout.strip()) == (0, receiver)


def test_every_severity_of_an_alert_has_a_route(repository: Repository) -> None:
    declared = {
        alert.rule["labels"]["severity"] for sync in repository.syncs for alert in alerts.of(sync)
    }
    text = CONFIG.read_text()
    assert declared == {"critical", "warning", "none"}
    assert all(severity in text for severity in declared - {"none"})


def test_every_file_that_the_template_reads_is_of_the_secret() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    paths = re.findall(r"_file: (\S+)", CONFIG.read_text())
    assert len(paths) == 6
    assert {str(Path(path).parent) for path in [*paths, *config["templates"]]} == {
        "/etc/alertmanager/config"
    }


# Messages


def render(template: str, alerts_: list[Json], folder: Path, status: str = "firing") -> str:
    common = {
        key: alerts_[0]["annotations"][key]
        for key in alerts_[0]["annotations"]
        if all(a["annotations"].get(key) == alerts_[0]["annotations"][key] for a in alerts_)
    }
    data = {
        "receiver": "team",
        "status": status,
        "alerts": alerts_,
        "groupLabels": {"alertname": "PodNotReady"},
        "commonLabels": {
            "alertname": "PodNotReady",
            "severity": "warning",
            **{k: v for k, v in alerts_[0]["labels"].items() if k == "cluster"},
        },
        "commonAnnotations": common,
    }
    path = folder / "data.json"
    path.write_text(json.dumps(data))
    run = tools.run(
        "amtool",
        *("template", "render", f"--template.glob={CONFIG.parent}/*.tmpl"),
        *(f"--template.data={path}", f'--template.text={{{{ template "{template}" . }}}}'),
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def pod(name: str, status: str = "firing") -> Json:
    return {
        "status": status,
        "labels": {"alertname": "PodNotReady", "severity": "warning", "pod": name},
        "annotations": {
            "summary": "A pod is not ready.",
            "description": f"{name} is not ready.",
            "runbook_url": "https://example.org/PodNotReady.md",
            "dashboard_url": f"https://example.org/d/x?var-pod={name}",
        },
    }


def test_a_message_says_what_is_wrong_and_where_to_go_on(tmp_path: Path) -> None:
    assert render("todo.message", [pod("a"), pod("b")], tmp_path) == (
        "Warning: A pod is not ready.\n\n"
        "a is not ready.\nb is not ready.\n"
        "Runbook: https://example.org/PodNotReady.md\n"
        "Dashboard: https://example.org/d/x?var-pod=a"
    )


def test_a_message_names_the_cluster_where_alerts_do(tmp_path: Path) -> None:
    ours = pod("a")
    ours["labels"]["cluster"] = "blue"
    assert render("todo.title", [ours], tmp_path) == "Warning in blue: A pod is not ready."
    text = render("todo.title", [ours], tmp_path, "resolved")
    assert text == "Resolved in blue: A pod is not ready."


def test_a_message_says_what_is_over(tmp_path: Path) -> None:
    text = render("todo.message", [pod("a", "resolved")], tmp_path, "resolved")
    assert text.startswith("Resolved: A pod is not ready.\n\nResolved: a is not ready.\n")


def test_a_message_of_an_alert_without_texts_names_it(tmp_path: Path) -> None:
    bare = {"status": "firing", "labels": {"alertname": "X"}, "annotations": {}}
    assert render("todo.title", [bare], tmp_path) == "Warning: PodNotReady"


# What holds back what, by Alertmanager's own code


def firing(name: str, severity: str = "warning", **labels: str) -> FiringAlert:
    every = {"alertname": name, "severity": severity, **labels}
    return FiringAlert(every, {"runbook_url": f"https://r/{name}.md"}, START, START + 3600)


def later(name: str, severity: str = "warning", **labels: str) -> FiringAlert:
    """What begins ten seconds after the rest: its cause is known by then."""
    return dataclasses.replace(firing(name, severity, **labels), start=START + 10)


def sent(*firing_: FiringAlert, config: Path = CONFIG) -> set[tuple[str, str]]:
    """Name and severity of each alert that somebody is told of."""
    found = delivery.deliver(firing_, START, START + 3600, config)
    every = [alert["labels"] for one in found.notifications for alert in one.alerts]
    return {(labels["alertname"], labels["severity"]) for labels in every}


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


@pytest.mark.prove
def test_the_operator_takes_the_template_and_loses_nothing_of_it(repository: Repository) -> None:
    """It reads it in types of its own; the chart always makes it do so."""
    run = tools.run("alertmanager-config", "v0.34.0", stdin=CONFIG.read_text())
    assert run.returncode == 0, run.stderr
    assert yaml.safe_load(run.stdout) == yaml.safe_load(CONFIG.read_text())


def test_the_operator_is_the_one_whose_objects_are_checked() -> None:
    text = (tools.FOLDER / "alertmanager-config" / "go.mod").read_text()
    (version,) = re.findall(r"prometheus-operator/prometheus-operator (v\S+)", text)
    assert version in (CODE / "scripts" / "schemas.yaml").read_text()


@pytest.mark.prove
def test_the_operator_refuses_what_it_does_not_know() -> None:
    text = CONFIG.read_text().replace("    webhook_configs:", "    webhooks_configs:", 1)
    run = tools.run("alertmanager-config", "v0.34.0", stdin=text)
    assert run.returncode == 1
    assert "webhooks_configs" in run.stderr


# Checks of the template


@pytest.fixture
def config() -> Json:
    return yaml.safe_load(CONFIG.read_text())


def test_the_template_names_only_what_there_is(config: Json, repository: Repository) -> None:
    assert list(routing.faults(config, known(repository))) == []
    assert list(routing.credentials(config)) == []


def test_comparing_by_a_label_that_only_one_side_has_is_found(
    config: Json, repository: Repository
) -> None:
    config["inhibit_rules"] = [
        {
            "source_matchers": ['alertname = "NodeNotReady"'],
            "target_matchers": ['alertname = "PodNotReady"'],
            "equal": ["node", "pod"],
        }
    ]
    said = [text for _, text, _ in routing.faults(config, known(repository))]
    assert said == ["no alert that is the source has the label pod"]


def test_a_credential_in_the_template_is_found(config: Json) -> None:
    config["receivers"][0]["slack_configs"] = [{"api_url": "https://example.org/hook"}]
    (found,) = routing.credentials(config)
    assert found[1:] == ("api_url holds what should be in a file", "use api_url_file")


# The chart's own alerts


def test_no_alert_is_both_ours_and_the_charts(rendered: list[Cluster]) -> None:
    for cluster in rendered:
        ours, theirs = (
            rules.alerts(
                {
                    item.name: item.spec
                    for item in cluster.of("PrometheusRule")
                    if (item.release is None) is own
                }
            )
            for own in (True, False)
        )
        assert ours & theirs == set(), cluster.name
        # Those that the template names, and what nothing here says.
        assert routing.OF_CHART | {"PrometheusRuleFailures", "KubeAPIDown"} <= theirs, cluster.name


# Faults and what tells of them


def test_each_fault_has_an_alert_that_there_is(repository: Repository) -> None:
    assert {fault.name for fault in FAULTS} == NOTIFIED.keys()
    assert {told.alert for told in NOTIFIED.values()} <= known(repository).labels.keys()


def note(name: str, at: float, /, **labels: str) -> Notification:
    alert = {
        "labels": {"alertname": name, **labels},
        "annotations": {"runbook_url": f"https://r/{name}.md"},
        "status": "firing",
    }
    return Notification(
        START + at, "team", "webhook", "firing", faults.FIRST, {"a": name}, (alert,)
    )


def pings() -> Iterator[Notification]:
    for minute in range(1440):
        one = note("Watchdog", 60 * minute)
        yield dataclasses.replace(one, receiver="watchdog")


def complete() -> list[Notification]:
    """Each fault told once, as it should be."""
    found = []
    for fault in FAULTS:
        told = NOTIFIED[fault.name]
        labels = {
            name: re.sub(r"\.\*", "", pattern) or "x" for name, pattern in told.labels.items()
        }
        found.append(note(told.alert, fault.begin * 3600 + 300, **labels))
    return found


def judged(
    notifications: list[Notification], defaults: list[FiringAlert] | None = None
) -> list[str]:
    delivered = Delivery((*notifications, *pings()), ())
    ours = [FiringAlert(n.alerts[0]["labels"], {}, n.time - 30, n.time) for n in notifications]
    rows = faults.results(DAY, ours, delivered, defaults or [])
    return [finding.message for finding in faults.check_incident(DAY, rows, delivered)]


def test_a_day_on_which_each_fault_is_told_once_has_no_finding() -> None:
    assert judged(complete()) == []


def test_a_fault_that_nobody_is_told_of_is_found() -> None:
    assert judged(complete()[1:]) == ["the fault 'crash loop' is told 0 times (never)"]


def test_a_fault_that_is_told_twice_is_found() -> None:
    again = dataclasses.replace(complete()[0], time=START + 16 * 3600)
    assert judged([*complete(), again]) == ["the fault 'crash loop' is told 2 times (15:05, 16:00)"]


def test_a_repetition_is_no_second_time() -> None:
    again = dataclasses.replace(complete()[0], reason="repeat interval elapsed")
    assert judged([*complete(), again]) == []


def test_a_notification_about_nothing_is_found() -> None:
    assert judged([*complete(), note("PodNotReady", 3600, pod="web-1")]) == [
        "at 01:00, {'a': 'PodNotReady'} tells of no fault"
    ]


def test_a_notification_without_a_runbook_is_found() -> None:
    first, *rest = complete()
    (alert,) = first.alerts
    lost = {**alert, "annotations": {"runbook_url": "https://r/Lost.md"}}
    said = judged([dataclasses.replace(first, alerts=(lost,)), *rest])
    assert said == ["ContainerCrashLooping is told without a runbook: https://r/Lost.md"]


def test_a_default_that_is_faster_is_found_and_one_that_nobody_gets_is_not() -> None:
    begin = START + 15 * 3600
    labels = {"alertname": "KubePodCrashLooping", "container": NOTIFIED["crash loop"].defaults[:-2]}
    early = FiringAlert({**labels, "severity": "warning"}, {}, begin + 60, begin + 900)
    assert judged(complete(), [early]) == [
        "KubePodCrashLooping tells of 'crash loop' earlier than ContainerCrashLooping"
    ]
    assert judged(complete(), [dataclasses.replace(early, start=begin + 270)]) == []
    quiet = dataclasses.replace(early, labels={**labels, "severity": "info"})
    assert judged(complete(), [quiet]) == []


def test_an_alert_on_the_healthy_day_is_found() -> None:
    sent = Delivery(tuple(pings()), ({},))
    watchdog, other = firing("Watchdog", "none"), firing("PodNotReady")
    assert faults.check_healthy(DAY, [watchdog], sent) == []
    (found,) = faults.check_healthy(DAY, [watchdog, other], sent)
    assert found.message.startswith("PodNotReady fires on the healthy day")


def test_a_watchdog_that_pauses_or_is_resolved_is_found() -> None:
    every = list(pings())
    paused = Delivery(tuple(every[:600] + every[610:]), ())
    assert [f.message for f in faults.check_watchdog(DAY, paused)] == [
        "the Watchdog stays away for 660 s while all is well"
    ]
    resolved = dataclasses.replace(every[0], status="resolved")
    sent = Delivery((*every, resolved), ())
    assert [f.message for f in faults.check_watchdog(DAY, sent)] == [
        "the Watchdog is sent as resolved"
    ]


def test_the_table_says_which_faults_the_defaults_never_see() -> None:
    row = faults.FaultResult("crash loop", "ContainerCrashLooping", 330.0, 360.0, None, None)
    assert faults.table([row]).splitlines()[1].split() == [
        *("crash", "loop", "ContainerCrashLooping", "5:30", "6:00", "never", "seen", "–"),
    ]


# Loki's alerts over a day


def test_runs_of_evaluations_are_told_apart() -> None:
    assert list(active_periods([])) == []
    assert list(active_periods([60.0, 120.0, 300.0])) == [(60.0, 180.0), (300.0, 360.0)]


def test_durations_are_those_of_prometheus() -> None:
    assert [duration(text) for text in ("0s", "90s", "5m", "1h30m", "1d")] == [
        *(0, 90, 300, 5400, 86400),
    ]
