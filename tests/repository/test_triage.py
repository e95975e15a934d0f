"""On the simulated day with faults, `make triage` names the cause of each, and its queries tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import simulation, tools
from scripts.core.yamlfile import load
from scripts.lab.alerting.faults import NOTIFIED, is_about
from scripts.lab.alerting.firing import FiringAlert
from scripts.lab.proof import causes, runbooks
from scripts.live.triage import __main__ as triage
from scripts.model.alertmanager import TEMPLATE
from scripts.model.rendered import Cluster
from scripts.servers import monitoring
from scripts.servers.api import Api
from scripts.servers.processes import Processes
from tests.programs.live.triage_cluster import SERVICES, played

pytestmark = pytest.mark.prove


@pytest.fixture(scope="module")
def fault_day(
    rendered: list[Cluster],
) -> Iterator[tuple[dict[str, int], Api, list[FiringAlert]]]:
    """Where each Service's port leads, Alertmanager, and what fires on the day."""
    cluster = next(c for c in rendered if c.name == simulation.ENTRY)
    day = simulation.day("incident")
    (config,) = load(tools.ROOT / TEMPLATE, tools.ROOT)
    with monitoring.servers(cluster, day.tsdb, day.logs) as running, Processes() as processes:
        manager = Api(monitoring.start_alertmanager(processes, config))
        ports = (running.prometheus.port, running.loki.port, manager.port)
        alerts = runbooks.fired(running, day, cluster)
        yield dict(zip(SERVICES, ports, strict=True)), manager, alerts
        manager.close()


def begins(alerts: list[FiringAlert]) -> list[tuple[float, str]]:
    """When each fault's alert begins, in order."""
    return sorted(
        (min(a.start for a in alerts if is_about(a.labels, expected)), fault)
        for fault, expected in NOTIFIED.items()
    )


def test_each_fault_is_named_first_of_its_severity_and_confirmed(
    fault_day: tuple[dict[str, int], Api, list[FiringAlert]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ports, manager, alerts = fault_day
    played(tmp_path, ports, monkeypatch)
    named = {}
    for begin, fault in begins(alerts):
        at = begin + causes.AFTER
        causes.send(manager, alerts, at)
        expected = NOTIFIED[fault]
        monkeypatch.setattr(sys, "argv", ["triage", "--output=json", f"--at={causes.moment(at)}"])
        assert triage.main() == 0
        document = json.loads(capsys.readouterr().out)
        found = [case for case in document["alerts"] if not case["held_back"]]
        own = next(c for c in found if is_about(labels(c), expected))
        first = next(c for c in found if c["severity"] == own["severity"])
        named[fault] = (first["alert"], own["confirmed"])
        # What is held back is shown as that, and never as a cause.
        explained = {name for case in found for name in case["holds_back"]}
        fires = {a.name for a in alerts if a.start <= at < a.end} - {"Watchdog"}
        assert {case["alert"] for case in found} | explained == fires
    assert named == {fault: (one.alert, True) for fault, one in NOTIFIED.items()}


def labels(case: dict[str, Any]) -> dict[str, str]:
    return {"alertname": case["alert"], "severity": case["severity"], **case["labels"]}
