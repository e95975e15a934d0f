"""What fires, as Alertmanager knows it, and which alert is the cause of another.

An alert that Alertmanager holds back is a symptom of the one that holds it back: that is what its
inhibit rules say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from scripts.core.yamlfile import Json
from scripts.model.runbooks import Runbook
from scripts.servers.api import Api
from scripts.servers.evidence import as_data

# The most urgent first; what has another severity, as the Watchdog, is no news.
SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True)
class FiringNow:
    """An alert that fires.

    Attributes:
        name: Its name.
        labels: All others, as they are: queries are about them.
        since: When it began, in seconds since the epoch.
        key: Alertmanager's fingerprint of it.
        held_by: Fingerprint of the alert that holds it back; empty for none.
        silenced: Whether somebody has silenced it.
    """

    name: str
    labels: Mapping[str, str]
    since: float
    key: str
    held_by: str = ""
    silenced: bool = False

    @property
    def severity(self) -> str:
        """Of SEVERITIES, or another."""
        return self.labels.get("severity", "")


@dataclass(frozen=True)
class Cause:
    """An alert that nothing holds back, and those that it does, directly or not."""

    alert: FiringNow
    symptoms: tuple[FiringNow, ...]


def of_alertmanager(api: Api) -> list[FiringNow]:
    """Return what fires, also what is held back or silenced.

    Raises:
        ApiError: If Alertmanager does not answer.
    """
    return [_alert(document) for document in api.get("/api/v2/alerts")]


def of_prometheus(api: Api) -> list[FiringNow]:
    """Return what fires of Prometheus' rules; it knows neither Loki's alerts nor what holds back.

    Raises:
        ApiError: If Prometheus does not answer.
    """
    return [
        _alert({**document, "startsAt": document["activeAt"], "fingerprint": str(number)})
        for number, document in enumerate(api.get("/api/v1/alerts")["data"]["alerts"])
        if document["state"] == "firing"
    ]


def causes(alerts: Iterable[FiringNow]) -> list[Cause]:
    """Return the alerts that nothing holds back: the most urgent first, of those the newest."""
    known = {alert.key: alert for alert in alerts if alert.severity in SEVERITIES}
    symptoms: dict[str, list[FiringNow]] = {key: [] for key in known}
    roots: list[FiringNow] = []
    for alert in known.values():
        root = cause_of(alert, known)
        if root is alert:
            roots.append(alert)
        else:
            symptoms[root.key].append(alert)
    roots.sort(key=lambda alert: (SEVERITIES.index(alert.severity), -alert.since, alert.name))
    return [Cause(root, tuple(sorted(symptoms[root.key], key=_order))) for root in roots]


def cause_of(alert: FiringNow, known: Mapping[str, FiringNow]) -> FiringNow:
    """Return the alert at the end of what holds an alert back; itself where nothing does.

    Args:
        alert: One of `known`.
        known: Alerts by their key.
    """
    seen: set[str] = set()
    while alert.held_by in known and alert.key not in seen:
        seen.add(alert.key)
        alert = known[alert.held_by]
    return alert


def about(alert: FiringNow, book: Runbook | None) -> dict[str, str]:
    """Return the labels that say what an alert is about, safe to show.

    Args:
        alert: The alert.
        book: Its page; without one, or one that names no labels, all labels are returned.
    """
    names = (book.labels if book else ()) or tuple(
        name for name in sorted(alert.labels) if name not in {"severity", "cluster", "prometheus"}
    )
    return {name: as_data(alert.labels[name]) for name in names if name in alert.labels}


def _order(alert: FiringNow) -> tuple[int, str, str]:
    return SEVERITIES.index(alert.severity), alert.name, alert.key


def _alert(document: Mapping[str, Json]) -> FiringNow:
    labels = {str(name): str(value) for name, value in document["labels"].items()}
    status = document.get("status") or {}
    held = status.get("inhibitedBy") or [""]
    since = datetime.fromisoformat(str(document["startsAt"])).timestamp()
    name = labels.pop("alertname", "")
    silenced = bool(status.get("silencedBy"))
    return FiringNow(name, labels, since, str(document["fingerprint"]), str(held[0]), silenced)
