"""What `make triage` says of each fault: which alert it names first, and what its queries tell.

A real Alertmanager with the template's inhibit rules is given what fires when a fault's alert
begins; Prometheus and Loki hold the day.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from scripts import tools
from scripts.core.findings import Finding
from scripts.core.waiting import MissingError, until
from scripts.core.yamlfile import Json, load
from scripts.lab.alerting.faults import NOTIFIED, WATCHDOG, is_about
from scripts.lab.alerting.firing import FiringAlert
from scripts.model.alertmanager import TEMPLATE
from scripts.model.runbooks import SAYS_FIRING, Runbook
from scripts.servers import evidence, firing_alerts
from scripts.servers.api import Api
from scripts.servers.firing_alerts import Cause, FiringNow
from scripts.servers.monitoring import Servers, start_alertmanager
from scripts.servers.processes import Processes
from scripts.simulation import Day

# Seconds after its alert begins at which a fault is looked into, and until Alertmanager has read
# what it is sent.
AFTER, _READ, _SETTLED = 60.0, 10.0, 0.3
_HOUR = 3600.0


@dataclass(frozen=True)
class Told:
    """What is said of one fault.

    Attributes:
        fault: Its name.
        named: The alert that is about it, with what it holds back; None where none is a cause.
        rank: Its place among the causes of its severity, from 1; 0 for none.
        others: Causes that no fault explains.
        verdicts: What each query of its page says.
    """

    fault: str
    named: Cause | None
    rank: int
    others: tuple[str, ...]
    verdicts: tuple[str, ...]


def told(
    running: Servers, day: Day, alerts: Sequence[FiringAlert], books: Mapping[str, Runbook]
) -> list[Told]:
    """Look into each fault at the moment when its alert has begun.

    Args:
        running: Servers that hold the fault day.
        day: That day.
        alerts: What fires on it.
        books: Pages by alert.
    """
    (config,) = load(tools.ROOT / TEMPLATE, tools.ROOT)
    # What never fires, the proof of the alerts says.
    begins = {
        fault: min(starts)
        for fault, expected in NOTIFIED.items()
        if (starts := [a.start for a in alerts if is_about(a.labels, expected)])
    }
    found = []
    with Processes() as processes:
        manager = Api(start_alertmanager(processes, config))
        # In their order: Alertmanager takes the earlier of two beginnings of one alert.
        for fault, begin in sorted(begins.items(), key=lambda item: item[1]):
            at, expected = begin + AFTER, NOTIFIED[fault]
            causes = firing_alerts.causes(send(manager, alerts, at))
            own = next((c for c in causes if is_about(_all(c.alert), expected)), None)
            alike = [c for c in causes if own and c.alert.severity == own.alert.severity]
            others = [
                c.alert.name
                for c in causes
                if not any(is_about(_all(c.alert), one) for one in NOTIFIED.values())
            ]
            asked = _asked(running, books, own.alert, at) if own else ()
            rank = alike.index(own) + 1 if own else 0
            found.append(Told(fault, own, rank, tuple(others), tuple(asked)))
        manager.close()
    return found


def check(found: Iterable[Told]) -> Iterator[Finding]:
    """Yield a finding for each fault of which something else is said."""
    for one in found:
        name = NOTIFIED[one.fault].alert
        place, fix = TEMPLATE, "see its inhibit_rules"
        if one.named is None:
            yield Finding(place, None, f"{one.fault}: {name} is not named as a cause", fix)
            continue
        if one.rank != 1:
            text = f"{one.fault}: {name} is number {one.rank} of its severity as it begins"
            yield Finding(place, None, text, "see `causes` of scripts/servers/firing_alerts.py")
        for other in one.others:
            yield Finding(place, None, f"{one.fault}: {other} is named as a cause, too", fix)
        if one.verdicts[:1] != (SAYS_FIRING,):
            text = f"{one.fault}: the first query says {one.verdicts[:1] or 'nothing'}"
            yield Finding(
                f"the runbook {name}", None, text, "ask first for what the alert is about"
            )


def table(found: Iterable[Told]) -> str:
    """Return a line for each fault."""
    lines = [f"{'fault':<24}{'cause that is named first':<31}{'queries':<40}holds back"]
    for one in found:
        if one.named is None:
            lines.append(f"{one.fault:<24}none")
            continue
        counts = ", ".join(
            f"{one.verdicts.count(word)} {word}" for word in dict.fromkeys(one.verdicts)
        )
        held = ", ".join(dict.fromkeys(alert.name for alert in one.named.symptoms))
        lines.append(f"{one.fault:<24}{one.named.alert.name:<31}{counts:<40}{held or '–'}")
    return "\n".join(lines)


def send(manager: Api, alerts: Sequence[FiringAlert], at: float) -> list[FiringNow]:
    """Tell Alertmanager what fires at a moment of the day, as if that were now.

    Args:
        manager: It must not have been told of a later moment.
        alerts: Of the whole day.
        at: In seconds since the epoch.

    Returns:
        What it makes of them.
    """
    now = time.time()
    fire = [a for a in alerts if a.name != WATCHDOG and a.start <= at < a.end]
    before = manager.get("/api/v2/alerts")
    over = [{"labels": a["labels"], "endsAt": moment(now - 1)} for a in before]
    manager.post("/api/v2/alerts", over)
    documents: list[Json] = [
        {
            "labels": dict(alert.labels),
            "startsAt": moment(now - (at - alert.start)),
            "endsAt": moment(now + _HOUR),
        }
        for alert in fire
    ]
    manager.post("/api/v2/alerts", documents)
    wanted = sorted(sorted(alert.labels.items()) for alert in fire)

    def read() -> list[FiringNow]:
        found = firing_alerts.of_alertmanager(manager)
        if sorted(sorted(_all(alert).items()) for alert in found) != wanted:
            text = f"knows {len(found)} of {len(wanted)} alerts"
            raise MissingError(Finding("alertmanager", None, text, "run it again"))
        return found

    until(read, _READ)
    # What holds back is read on another way.
    time.sleep(_SETTLED)
    return until(read, _READ)


def moment(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as Alertmanager reads it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _asked(
    running: Servers, books: Mapping[str, Runbook], alert: FiringNow, at: float
) -> Iterator[str]:
    for query in books[alert.name].queries if alert.name in books else ():
        api = running.loki if query.language == "logql" else running.prometheus
        yield evidence.ask(api, query, alert.labels, at).verdict


def _all(alert: FiringNow) -> dict[str, str]:
    return {"alertname": alert.name, **alert.labels}
