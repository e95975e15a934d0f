"""A real Alertmanager says which alert is the cause of which, by the template's inhibit rules."""

from __future__ import annotations

from typing import Any

import pytest

from scripts import tools
from scripts.core.yamlfile import load
from scripts.lab.alerting.firing import FiringAlert
from scripts.lab.proof import causes
from scripts.model.alertmanager import TEMPLATE
from scripts.servers import firing_alerts, monitoring
from scripts.servers.api import Api
from scripts.servers.processes import Processes
from tests.programs.lab.alerting_day import START, firing

pytestmark = pytest.mark.prove

POD = {"namespace": "shop", "pod": "web-1"}
ALERTS = [
    firing("DaprSidecarNotReady", "critical", **POD),
    firing("PodNotReady", **POD),
    firing("PodNotReady", **{**POD, "pod": "web-2"}),
    FiringAlert({"alertname": "TargetDown", "severity": "warning"}, {}, START + 60, START + 120),
]


def said(config: Any) -> list[list[tuple[str, list[str]]]]:
    """Each cause with its symptoms, while all fire, and when one of them is over."""
    with Processes() as processes:
        manager = Api(monitoring.start_alertmanager(processes, config))
        found = [
            firing_alerts.causes(causes.send(manager, ALERTS, START + after)) for after in (90, 150)
        ]
        manager.close()
    return [[(c.alert.name, [s.name for s in c.symptoms]) for c in one] for one in found]


def test_what_is_held_back_is_a_symptom_and_what_is_over_is_forgotten() -> None:
    (config,) = load(tools.ROOT / TEMPLATE, tools.ROOT)
    sidecar: tuple[str, list[str]] = ("DaprSidecarNotReady", ["PodNotReady"])
    other: tuple[str, list[str]] = ("PodNotReady", [])
    # The one that began last is the first of its severity.
    assert said(config) == [[sidecar, ("TargetDown", []), other], [sidecar, other]]


def test_without_inhibit_rules_every_alert_is_a_cause() -> None:
    (config,) = load(tools.ROOT / TEMPLATE, tools.ROOT)
    names = [name for name, _ in said({**config, "inhibit_rules": []})[1]]
    assert names == ["DaprSidecarNotReady", "PodNotReady", "PodNotReady"]
