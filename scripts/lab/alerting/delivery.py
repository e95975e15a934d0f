"""What Alertmanager makes of a day's alerts: who is notified of what, and what it suppresses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.lab.alerting.firing import FiringAlert

TEMPLATE = Path("base/config/alertmanager/alertmanager.yaml")
# At which Prometheus evaluates rules, in milliseconds: what it sends, it sends at these.
_INTERVAL = 30_000


@dataclass(frozen=True)
class Notification:
    """One call of an integration.

    Attributes:
        time: In seconds since the epoch.
        receiver: Of the configuration.
        integration: Such as `webhook`.
        status: `firing` or `resolved`.
        reason: Why it was sent, in Alertmanager's words.
        group: Labels that its alerts have in common.
        alerts: Each alert's labels, annotations and status.
    """

    time: float
    receiver: str
    integration: str
    status: str
    reason: str
    group: Mapping[str, str]
    alerts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Delivery:
    """What became of a day's alerts.

    Attributes:
        notifications: By time.
        suppressed: Labels of each alert of which nobody was notified.
    """

    notifications: tuple[Notification, ...]
    suppressed: tuple[Mapping[str, str], ...]


def deliver(firing: Iterable[FiringAlert], start: float, end: float, config: Path) -> Delivery:
    """Run Alertmanager over a period.

    Args:
        firing: What Prometheus and Loki send.
        start: Of the period, in seconds since the epoch.
        end: Of the period, likewise.
        config: Alertmanager's configuration; its receivers' files need not exist.

    Raises:
        RepositoryError: If Alertmanager refuses the configuration or an alert.
    """
    document = {
        "config": str(config),
        "start": _ms(start),
        "end": _ms(end),
        "interval": _INTERVAL,
        "alerts": [
            {
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "start": _ms(alert.start),
                "end": _ms(alert.end),
            }
            for alert in firing
        ],
    }
    run = tools.run("notifications", stdin=json.dumps(document))
    if run.returncode:
        message = f"Alertmanager: {run.stderr.strip()[-400:]}"
        raise RepositoryError(Finding(TEMPLATE.as_posix(), None, message, "correct what it names"))
    answer = json.loads(run.stdout)
    return Delivery(
        tuple(
            Notification(
                one["time"] / 1000,
                one["receiver"],
                one["integration"],
                one["status"],
                one["reason"],
                one["group_labels"],
                tuple(one["alerts"]),
            )
            for one in answer["notifications"] or ()
        ),
        tuple(one["labels"] for one in answer["suppressed"]),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
