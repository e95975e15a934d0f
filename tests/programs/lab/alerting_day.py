"""Alerts that fire, and what Alertmanager with the template sends of them."""

from __future__ import annotations

from pathlib import Path

from scripts.checks.static import routing
from scripts.lab.alerting import delivery
from scripts.lab.alerting.delivery import TEMPLATE
from scripts.lab.alerting.firing import FiringAlert
from scripts.model.manifests import Repository
from tests.fixtures import FROZEN

CONFIG = FROZEN / TEMPLATE
START = 1_700_000_000.0


def known(repository: Repository) -> routing.AlertLabels:
    return routing.alert_labels_of(repository)


def firing(name: str, severity: str = "warning", **labels: str) -> FiringAlert:
    every = {"alertname": name, "severity": severity, **labels}
    return FiringAlert(every, {"runbook_url": f"https://r/{name}.md"}, START, START + 3600)


def sent(*firing_: FiringAlert, config: Path = CONFIG) -> set[tuple[str, str]]:
    """Name and severity of each alert that somebody is told of."""
    found = delivery.deliver(firing_, START, START + 3600, config)
    every = [alert["labels"] for one in found.notifications for alert in one.alerts]
    return {(labels["alertname"], labels["severity"]) for labels in every}
