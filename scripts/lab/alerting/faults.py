"""Which alert notifies of which fault of the incident, how soon, and how soon the chart's would."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scripts import tools
from scripts.core.findings import Finding
from scripts.lab.alerting.delivery import Delivery, Notification
from scripts.lab.alerting.firing import FiringAlert
from scripts.model.runbooks import RUNBOOKS
from scripts.simulation import Day
from scripts.simulation.state import AUDIT, BACKEND, FAULTS, FRONTEND, NOTIFICATION, RECURRING

# An alert that always fires, and the receiver of it alone.
WATCHDOG, WATCHDOG_RECEIVER = "Watchdog", "watchdog"
# Each notification is one message of each integration; this one stands for all of them.
INTEGRATION = "webhook"
FIRST = "first notification"
PLACE = "base/config/alerts"


@dataclass(frozen=True)
class Notified:
    """The alert that must notify of a fault.

    Attributes:
        alert: Its name.
        labels: Labels that it has, by regular expression.
        defaults: Regular expression of a label's value, or of the name, of those of the chart's
            default alerts that are about the same.
    """

    alert: str
    labels: Mapping[str, str] = field(default_factory=dict)
    defaults: str = ""


NOTIFIED: Mapping[str, Notified] = {
    "crash loop": Notified(
        "ContainerCrashLooping", {"container": NOTIFICATION}, f"{NOTIFICATION}.*"
    ),
    "out of memory": Notified("ContainerOOMKilled", {"container": BACKEND}, f".*{BACKEND}.*"),
    "error burst": Notified("TodoDatabaseUnreachable", {"app": BACKEND}),
    "slow route": Notified("TodoApiSlow", {"app": ".*backend"}),
    "consumer backlog": Notified("TodoEventProcessingBudgetBurn", {"severity": "critical"}, AUDIT),
    "publishing fails": Notified("TodoEventPublishingBudgetBurn", {"severity": "critical"}),
    "full volume": Notified(
        "VolumeFillingUp", {"persistentvolumeclaim": "storage-loki-0"}, "storage-loki-0"
    ),
    "node pressure": Notified(
        "NodeUnderPressure", {"node": "node-2"}, "NodeMemory.*|KubeNodePressure"
    ),
    "silent logs": Notified("TodoLogsSilent", {"container": FRONTEND}, f".*{FRONTEND}.*"),
    "sidecar component fails": Notified(
        "DaprSidecarNotReady", {"app_id": RECURRING}, f"{RECURRING}.*"
    ),
    "probe fails": Notified("TodoBackendDown", {"job": "backend"}, "backend"),
    "unschedulable": Notified(
        "PodNotReady", {"pod": "report-.*"}, "report(-.*)?|KubeMemoryOvercommit"
    ),
    "rejected pods": Notified("PodsNotCreated", {"workload": "export"}, "export"),
    "sync fails": Notified("GitOpsNotSynced", {"name": "grafana"}, "grafana"),
    "rate limit of the model": Notified("TodoModelRateLimited", {"app": BACKEND}),
    "target down": Notified("TargetDown", {"job": "traefik"}, "traefik"),
}


@dataclass(frozen=True)
class FaultResult:
    """What is known of one fault; seconds count from its begin, None is never.

    Attributes:
        fault: Its name.
        alert: The alert that must notify of it.
        fires: When that alert fires.
        notified: When the first notification of it is sent.
        default: The first default alert that is about it and would be routed.
        default_fires: When that one fires.
    """

    fault: str
    alert: str
    fires: float | None
    notified: float | None
    default: str | None
    default_fires: float | None


def results(
    day: Day, alerts: Sequence[FiringAlert], sent: Delivery, defaults: Sequence[FiringAlert]
) -> list[FaultResult]:
    """Return a result for each fault of the incident.

    Args:
        day: The incident.
        alerts: Of this repository's rules.
        sent: What Alertmanager made of them.
        defaults: Alerts of the chart's default rules, on the same data.
    """
    found = []
    for fault in FAULTS:
        expected, begin = NOTIFIED[fault.name], day.start + 3600 * fault.begin
        ours = [alert for alert in alerts if is_about(alert.labels, expected)]
        notified = [n for n in notifications(sent) if notifies(n, expected)]
        theirs = [
            alert
            for alert in defaults
            if _default_is_about(alert, expected) and alert.start >= begin and _routed(alert)
        ]
        first = min(theirs, key=lambda alert: alert.start, default=None)
        found.append(
            FaultResult(
                fault.name,
                expected.alert,
                min((alert.start - begin for alert in ours), default=None),
                min((n.time - begin for n in notified), default=None),
                first.name if first else None,
                first.start - begin if first else None,
            )
        )
    return found


def check_incident(day: Day, found: Iterable[FaultResult], sent: Delivery) -> list[Finding]:
    """Each fault is told once, not later than by the defaults, and nothing else is told."""
    findings = []
    for row in found:
        expected = NOTIFIED[row.fault]
        first = [n for n in notifications(sent) if n.reason == FIRST and notifies(n, expected)]
        if len(first) != 1:
            when = ", ".join(_clock(day, n) for n in first) or "never"
            text = f"the fault {row.fault!r} is told {len(first)} times ({when})"
            findings.append(_finding(text, f"see {row.alert} and the inhibit_rules"))
        if row.default_fires is not None and (row.fires is None or row.fires > row.default_fires):
            text = f"{row.default} tells of {row.fault!r} earlier than {row.alert}"
            findings.append(_finding(text, "make it faster, or keep the chart's alert"))
    for notification in notifications(sent):
        if not any(notifies(notification, one) for one in NOTIFIED.values()):
            text = f"at {_clock(day, notification)}, {dict(notification.group)} tells of no fault"
            findings.append(_finding(text, "hold it back, or make it wait"))
        findings += check_runbooks(notification)
    return [*findings, *check_watchdog(day, sent)]


def check_healthy(day: Day, alerts: Iterable[FiringAlert], sent: Delivery) -> list[Finding]:
    """Nothing fires but the Watchdog, and nobody is told of anything else."""
    findings = [
        _finding(f"{alert.name} fires on the healthy day: {dict(alert.labels)}", "raise its bar")
        for alert in alerts
        if alert.name != WATCHDOG
    ]
    findings += [
        _finding(f"{dict(n.group)} is told on the healthy day", "see its route")
        for n in sent.notifications
        if n.receiver != WATCHDOG_RECEIVER
    ]
    return [*findings, *check_watchdog(day, sent)]


def check_watchdog(day: Day, sent: Delivery) -> list[Finding]:
    """The Watchdog is sent all day long, at least every two minutes, and never as resolved."""
    pings = [n for n in sent.notifications if n.receiver == WATCHDOG_RECEIVER]
    times = [day.start, *(n.time for n in pings if n.status == "firing"), day.end]
    longest = max(after - before for before, after in itertools.pairwise(times))
    findings = []
    if longest > 150:
        text = f"the Watchdog stays away for {longest:.0f} s while all is well"
        findings.append(_finding(text, "see its route"))
    if any(n.status != "firing" for n in pings):
        findings.append(_finding("the Watchdog is sent as resolved", "set send_resolved: false"))
    return findings


def check_runbooks(notification: Notification) -> Iterator[Finding]:
    """Every alert of a notification links to a runbook of this repository."""
    for alert in notification.alerts:
        name = alert["labels"]["alertname"]
        url = str(alert["annotations"].get("runbook_url"))
        page = tools.ROOT / RUNBOOKS / url.rpartition("/")[2]
        if not page.is_file():
            yield _finding(
                f"{name} is told without a runbook: {url}", f"write {RUNBOOKS}/{name}.md"
            )


def notifications(sent: Delivery) -> Iterator[Notification]:
    """Yield what is told of alerts that fire, each once, without the Watchdog's."""
    for one in sent.notifications:
        if (
            one.integration == INTEGRATION
            and one.receiver != WATCHDOG_RECEIVER
            and one.status == "firing"
        ):
            yield one


def notifies(notification: Notification, expected: Notified) -> bool:
    """Whether a notification is about a fault."""
    return any(is_about(alert["labels"], expected) for alert in notification.alerts)


def is_about(labels: Mapping[str, str], expected: Notified) -> bool:
    """Whether an alert is the one that must notify of a fault."""
    return labels["alertname"] == expected.alert and all(
        re.fullmatch(pattern, labels.get(name, "")) for name, pattern in expected.labels.items()
    )


def table(found: Iterable[FaultResult]) -> str:
    """Return the results as text, times in minutes and seconds."""
    lines = [
        f"{'fault':<24}{'alert':<31}{'fires':>7}{'told':>7}"
        f"  {'first of the chart’s defaults':<31}{'fires':>7}"
    ]
    for row in found:
        default = row.default or "never seen"
        lines.append(
            f"{row.fault:<24}{row.alert:<31}{_minutes(row.fires):>7}{_minutes(row.notified):>7}"
            f"  {default:<31}{_minutes(row.default_fires):>7}"
        )
    return "\n".join(lines)


def _default_is_about(alert: FiringAlert, expected: Notified) -> bool:
    return bool(expected.defaults) and any(
        re.fullmatch(expected.defaults, value) for value in alert.labels.values()
    )


def _routed(alert: FiringAlert) -> bool:
    """Whether a default alert would reach anybody: those of severity info are held back."""
    return alert.labels.get("severity") in {"warning", "critical"}


def _finding(text: str, fix: str) -> Finding:
    return Finding(PLACE, None, text, fix)


def _clock(day: Day, notification: Notification) -> str:
    hours, seconds = divmod(notification.time - day.start, 3600)
    return f"{hours:02.0f}:{seconds // 60:02.0f}"


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
