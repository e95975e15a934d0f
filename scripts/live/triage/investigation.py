"""Which alerts are looked into, and what the queries of their runbooks show."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.live.triage.servers import Server, patience
from scripts.model import runbooks
from scripts.model.dashboards import LOGQL
from scripts.model.runbooks import RUNBOOKS, SAYS_FIRING, Runbook
from scripts.servers import evidence, firing_alerts
from scripts.servers.api import ApiError, SilentError
from scripts.servers.evidence import Evidence
from scripts.servers.firing_alerts import Cause, FiringNow


@dataclass
class Case:
    """An alert, and the evidence.

    Attributes:
        alert: Its name.
        firing: What fires; None for an alert that was asked for and does not fire.
        symptoms: What it holds back.
        book: Its page; None where it has none that can be read.
        evidence: What was found so far, in the order of the page.
    """

    alert: str
    firing: FiringNow | None
    symptoms: tuple[FiringNow, ...] = ()
    book: Runbook | None = None
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def confirmed(self) -> bool:
        """Whether the page's first query shows what it shows while the alert fires."""
        return bool(self.evidence) and self.evidence[0].verdict == SAYS_FIRING


@dataclass
class Investigation:
    """What is asked of which servers, and when.

    Attributes:
        servers: By their kind.
        at: In seconds since the epoch.
        findings: What is wrong, as far as it is known.
        complete: Whether it is known what fires: with what is held back, and of Loki's rules.
    """

    servers: Mapping[str, Server]
    at: float
    findings: list[Finding] = field(default_factory=list)
    complete: bool = True

    def firing(self) -> list[FiringNow]:
        """Return what fires now: as Alertmanager says, or where it does not, Prometheus."""
        for kind, read in (
            ("alertmanager", firing_alerts.of_alertmanager),
            ("prometheus", firing_alerts.of_prometheus),
        ):
            if kind not in self.servers:
                self.complete = False
                continue
            server = self.servers[kind]
            try:
                with patience(f"asking {server.address.name} what fires"):
                    return read(server.api())
            except RepositoryError as error:
                self.findings += error.findings
            except SilentError as error:
                self.findings.append(server.give_up(evidence.as_data(str(error))))
            except ApiError as error:
                text = evidence.as_data(str(error))
                fix = "see whether its pod is well"
                self.findings.append(Finding(server.address.name, None, text, fix))
            self.complete = False
        return []

    def cases(self, alerts: Sequence[FiringNow], name: str) -> list[Case]:
        """Return what is to be looked into, the cause first.

        Args:
            alerts: All that fire.
            name: An alert's; empty for the causes of all that fire.

        Raises:
            RepositoryError: If there is no alert of that name.
        """
        found = firing_alerts.causes(alerts)
        if not name:
            return [Case(c.alert.name, c.alert, c.symptoms) for c in found]
        named = [alert for alert in alerts if alert.name == name]
        if not named:
            if name not in _pages():
                raise RepositoryError(_unknown(name))
            return [Case(name, None)]
        return [
            *(Case(c.alert.name, c.alert, c.symptoms) for c in found if _concerns(c, name)),
            *(Case(name, alert) for alert in named if not _is_cause(alert, found)),
        ]

    def look_into(self, case: Case) -> None:
        """Ask every query of an alert's page; what has no answer is a finding."""
        path = _pages().get(case.alert)
        if path is None:
            name = evidence.as_data(case.alert)
            text, fix = f"{name} fires and has no runbook", "write one, or turn the alert off"
            self.findings.append(Finding(f"{RUNBOOKS}/{name}.md", None, text, fix))
            return
        try:
            case.book = runbooks.read(path, tools.ROOT)
        except RepositoryError as error:
            self.findings += error.findings
            return
        labels = case.firing.labels if case.firing else {}
        for query in case.book.queries:
            answer = self._ask(query, labels)
            case.evidence.append(answer)
            if answer.error and not answer.silent:
                text = f"no answer: {answer.error}"
                finding = Finding(case.book.path, query.line, text, "correct the query")
                self.findings.append(finding)

    def _ask(self, query: runbooks.RunbookQuery, labels: Mapping[str, str]) -> Evidence:
        kind = "loki" if query.language == LOGQL else "prometheus"
        asked, why = query.about(labels), f"{kind} cannot be asked"
        nothing = Evidence(query, asked, (), why, 0, silent=True)
        server = self.servers.get(kind)
        if server is None:
            return nothing
        try:
            api = server.api()
        except RepositoryError as error:
            self.findings += error.findings
            return nothing
        with patience(f"waiting for an answer of {server.address.name}"):
            answer = evidence.ask(api, query, labels, self.at)
        if answer.silent:
            self.findings.append(server.give_up(answer.error))
        return answer


def _concerns(cause: Cause, name: str) -> bool:
    return any(alert.name == name for alert in (cause.alert, *cause.symptoms))


def _is_cause(alert: FiringNow, causes: Sequence[Cause]) -> bool:
    return any(cause.alert.key == alert.key for cause in causes)


def _pages() -> dict[str, Path]:
    """Return the page of each alert that has one."""
    return {path.stem: path for path in runbooks.pages(tools.ROOT)}


def _unknown(name: str) -> Finding:
    known = list(_pages())
    near = list(_near(name, known)) or known
    message = f"no alert is called {evidence.as_data(name)!r}, and none of that name fires"
    return Finding("make triage", None, message, f"name one of {', '.join(near)}")


def _near(name: str, known: Sequence[str]) -> Iterator[str]:
    lower = {one.lower(): one for one in known}
    yield from (lower[one] for one in difflib.get_close_matches(name.lower(), lower, 3, 0.5))
