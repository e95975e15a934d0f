"""Alerts on log lines fire when they should: Loki's rules on a real Loki with pushed lines."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.yamlfile import Json, load
from scripts.lab.alerting import firing
from scripts.model.rendered import Cluster
from scripts.servers import monitoring
from scripts.servers.api import Api
from scripts.simulation import Day
from tests.fixtures import rules
from tests.programs import tsdb_fixtures

pytestmark = pytest.mark.prove

CASES: list[Json] = load(Path(__file__).with_name("log_rules.yaml"), tools.ROOT)[0]
Fired = dict[str, dict[str, list[int]]]


@pytest.fixture(scope="module")
def cluster(rendered: list[Cluster]) -> Cluster:
    return next(c for c in rendered if c.sync.synced)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    start = time.time() // 86400 * 86400 - 86400
    folder = tmp_path_factory.mktemp("lines")
    found = sorted(_entries(start), key=lambda entry: int(entry["timestamp"]))
    (folder / "logs.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in found))
    return tsdb_fixtures.day(folder, start)


def _entries(start: float) -> Iterator[Json]:
    known = rules.namespace()
    for case in CASES:
        for kind in case["lines"]:
            at = kind["from"] * 60.0
            while at < kind["to"] * 60:
                yield {
                    "labels": {
                        "cluster": "todo",
                        "namespace": case.get("namespace", known),
                        "app": case["app"],
                        "container": case.get("container", case["app"]),
                        "level": kind.get("level", "info"),
                    },
                    "timestamp": str(int((start + at) * 10**9)),
                    "line": kind["text"],
                }
                at += kind["every"]


@pytest.fixture(scope="module")
def loki(cluster: Cluster, day: Day) -> Iterator[Api]:
    with monitoring.loki(cluster, day.logs) as api:
        yield api


def fired(loki: Api, day: Day, files: Mapping[str, Json]) -> Fired:
    """Minutes at which each alert begins and ends to fire, by application."""
    found: Fired = {}
    for alert in firing.of_loki(loki, day, files):
        minutes = [round((at - day.start) / 60) for at in (alert.start, alert.end)]
        found.setdefault(alert.labels["app"], {})[alert.name] = minutes
    return found


def test_alerts_fire_for_their_lines_and_for_no_others(
    loki: Api, day: Day, cluster: Cluster
) -> None:
    expected = {case["app"]: case["fires"] for case in CASES if "fires" in case}
    assert fired(loki, day, rules.tuned_loki(cluster)) == expected


def test_every_alert_on_log_lines_is_seen_to_fire(cluster: Cluster) -> None:
    declared = rules.alerts(rules.tuned_loki(cluster))
    assert declared == {alert for case in CASES for alert in case.get("fires", ())}


def test_no_alert_on_log_lines_can_be_negated_unnoticed(
    loki: Api, day: Day, cluster: Cluster
) -> None:
    files = rules.tuned_loki(cluster)
    usual = fired(loki, day, files)
    unnoticed = []
    for rule in rules.rules(files):
        for way in rules.wrong(rule):
            changed = {"one": {"groups": [{"rules": [copy.deepcopy(rule) | way]}]}}
            seen = {app: alerts.get(rule["alert"]) for app, alerts in usual.items()}
            now = {app: alerts[rule["alert"]] for app, alerts in fired(loki, day, changed).items()}
            if now == {app: minutes for app, minutes in seen.items() if minutes}:
                unnoticed.append(f"{rule['alert']}: {way}")
    assert unnoticed == []


def test_loki_reads_the_rules_where_they_are_mounted(loki: Api, cluster: Cluster) -> None:
    """From a ConfigMap's symbolic links, by the ruler of the rendered configuration."""
    deadline = time.monotonic() + 90
    declared = rules.alerts(rules.tuned_loki(cluster))
    while rules.loaded(loki) != declared and time.monotonic() < deadline:
        time.sleep(1)
    assert rules.loaded(loki) == declared


def test_an_expression_that_loki_refuses_is_named(loki: Api, day: Day) -> None:
    broken = {"f": {"groups": [{"rules": [{"alert": "Broken", "expr": "sum(", "for": "1m"}]}]}}
    with pytest.raises(Exception, match="rule Broken: Loki"):
        firing.of_loki(loki, day, broken)
