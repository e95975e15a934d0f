"""The queries of runbooks, asked on both days: they must show what their pages say.

On the fault day each page is asked for every alert of its that fires, when it begins to and for the
object that it names; on the healthy day for the same object at the same time of day. A page whose
alert no simulated fault raises is asked on the healthy day alone, for every object there is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import yaml

from scripts.core.findings import Finding, counted
from scripts.lab.alerting import firing
from scripts.lab.alerting.firing import FiringAlert
from scripts.lab.proof import causes
from scripts.lab.proof.checks import HEALTHY, INCIDENT
from scripts.model.rendered import LOKI_RULES_CONFIGMAP, Cluster, rule_files
from scripts.model.runbooks import CONTEXT, SAYS_FIRING, SAYS_QUIET, Runbook, RunbookQuery
from scripts.servers import evidence
from scripts.servers.evidence import Evidence
from scripts.servers.monitoring import Servers
from scripts.simulation import Day

# Seconds of a day before a rate has something to count.
_SETTLED = 3600.0


@dataclass(frozen=True)
class Occurrence:
    """An alert that fires on the fault day.

    Attributes:
        alert: Its name.
        labels: What it is about.
        after: Seconds since midnight, when it begins.
    """

    alert: str
    labels: Mapping[str, str]
    after: float


def raised_in(cluster: Cluster, books: Mapping[str, Runbook]) -> dict[str, Runbook]:
    """Return the pages of the alerts that a cluster has; others are of opt-ins that it lacks."""
    files = [*rule_files(cluster).values()]
    for item in cluster.of("ConfigMap"):
        if item.name == LOKI_RULES_CONFIGMAP:
            files += [yaml.safe_load(str(text)) for text in item.data.values()]
    alerts = {
        rule.get("alert") for file in files for group in file["groups"] for rule in group["rules"]
    }
    return {name: book for name, book in books.items() if name in alerts}


@dataclass
class Asked:
    """What was asked of the pages of a cluster's alerts; the fault day is to come first.

    Attributes:
        books: Pages by alert.
        seen: What fires on the fault day; empty where that was not asked.
        count: Queries that were sent.
        seconds: That they took, and the alerts that only Loki knows.
        shown: Place of each query that is context to whether it showed anything.
        told: What is said of each fault.
    """

    cluster: Cluster
    books: Mapping[str, Runbook]
    seen: list[Occurrence] = field(default_factory=list)
    count: int = 0
    seconds: float = 0.0
    shown: dict[str, bool] = field(default_factory=dict)
    told: list[causes.Told] = field(default_factory=list)

    def prove(self, running: Servers, day: Day) -> list[Finding]:
        """Ask every query of every page on a day; return what shows something else."""
        started = time.perf_counter()
        if day.name == INCIDENT:
            alerts = fired(running, day, self.cluster)
            self.seen = occurrences(day, alerts)
        else:
            # That Loki's fire on no other day is for the proof of the alerts to say.
            alerts = firing.of_prometheus(day, rule_files(self.cluster))
        findings = list(self._findings(running, day, {alert.name for alert in alerts}))
        self.seconds += time.perf_counter() - started
        if day.name == INCIDENT:
            self.told = causes.told(running, day, alerts, self.books)
            findings += causes.check(self.told)
        return findings

    def text(self) -> str:
        """Return what the proof prints."""
        raised = {one.alert for one in self.seen} & self.books.keys()
        lines = [
            f"{len(self.books)} runbooks: {self.count} queries in {self.seconds:.1f} s, "
            f"for {counted(len(raised), 'alert')} that faults raise"
        ]
        if raised:
            never = sorted(place for place, shown in self.shown.items() if not shown)
            unraised = sorted(self.books.keys() - raised)
            lines += [
                f"  raised by no fault, so only seen quiet: {', '.join(unraised) or 'none'}",
                f"  context that is empty on both days: {', '.join(never) or 'none'}",
                "",
                causes.table(self.told),
            ]
        return "\n".join(lines)

    def _findings(self, running: Servers, day: Day, loud: set[str]) -> Iterator[Finding]:
        elsewhere = loud | {one.alert for one in self.seen}
        # On the fault day, other faults show in the queries of alerts that do not fire.
        quiet = [
            Occurrence(name, {}, day.at - day.start)
            for name in self.books
            if day.name == HEALTHY and name not in elsewhere
        ]
        for one in (*(one for one in self.seen if one.alert in self.books), *quiet):
            book = self.books[one.alert]
            for number, query in enumerate(book.queries):
                api = running.loki if query.language == "logql" else running.prometheus
                answer = evidence.ask(api, query, one.labels, day.start + one.after)
                self.count += 1
                place = f"{book.path}:{query.line}"
                if query.context and one.labels:
                    self.shown[place] = self.shown.get(place, False) or bool(answer.rows)
                fires = one.alert in loud
                text, fix = judge(answer, one, fires=fires, first=number == 0)
                if text:
                    yield Finding(book.path, query.line, f"{day.name}: {text}", fix)


def fired(running: Servers, day: Day, cluster: Cluster) -> list[FiringAlert]:
    """Return what fires on the fault day, of Prometheus' rules and of Loki's."""
    return firing.of_both(cluster, day, nullcontext(running.loki))


def occurrences(day: Day, alerts: Iterable[FiringAlert]) -> list[Occurrence]:
    """Return the first time that each alert fires for each object, the earliest first."""
    first: dict[tuple[str, ...], Occurrence] = {}
    for alert in sorted(alerts, key=lambda alert: alert.start):
        labels = {name: value for name, value in alert.labels.items() if name != "alertname"}
        key = alert.name, *(f"{name}={value}" for name, value in sorted(labels.items()))
        after = max(alert.start - day.start, _SETTLED)
        first.setdefault(key, Occurrence(alert.name, labels, after))
    return list(first.values())


def judge(answer: Evidence, one: Occurrence, *, fires: bool, first: bool) -> tuple[str, str]:
    """Return what an answer shows other than its page says, and what to do; empty where it does.

    Args:
        answer: Of a server.
        one: The alert that was asked for.
        fires: Whether it fires on that day.
        first: Whether it is the page's first query, which must tell by itself.
    """
    if answer.error:
        return f"refused: {answer.error}: {answer.asked}", "correct the query"
    query = answer.query
    if answer.verdict == CONTEXT:
        return "", ""
    values = [row.value for row in answer.rows]
    said = SAYS_FIRING if fires else SAYS_QUIET
    if answer.verdict == said if first else fits(query, values, fires=fires):
        return "", ""
    reading = query.firing if fires else query.quiet
    about = ", ".join(f"{k}={v}" for k, v in one.labels.items() if k in query.labels)
    text = (
        f"{one.alert}{f' of {about}' if about else ''} {'fires' if fires else 'is quiet'}, the "
        f"page says {reading.text if reading else ''!r}, and there is {shown(answer)}: "
        f"{' '.join(answer.asked.split())}"
    )
    return text, "correct the query, or what the page says of it"


def fits(query: RunbookQuery, values: Sequence[float], *, fires: bool) -> bool:
    """Say whether an answer is what the page says of a day."""
    reading = query.firing if fires else query.quiet
    return reading is not None and reading.fits(values, every=not fires)


def shown(answer: Evidence) -> str:
    """Return an answer in few words."""
    if not answer.rows:
        return "nothing"
    if answer.rows[0].line:
        return counted(len(answer.rows), "line")
    values = ", ".join(f"{row.value:.4g}" for row in answer.rows[:4])
    return f"{counted(len(answer.rows), 'row')} ({values}{', …' if len(answer.rows) > 4 else ''})"
