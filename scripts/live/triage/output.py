"""What was found, for people and as JSON; what programs wrote is marked as theirs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scripts.core.findings import DIM, GREEN, RED, YELLOW, Finding, colour, counted
from scripts.live.triage.investigation import Case, Investigation
from scripts.model.runbooks import (
    CONTEXT,
    SAYS_FIRING,
    SAYS_QUIET,
    UNDECIDED,
    UNEXPECTED,
)
from scripts.servers import firing_alerts
from scripts.servers.evidence import Evidence, Row, as_data

# Rows that a person is shown of an answer, and characters of a line of it.
_SHOWN, _WIDTH = 3, 160
NO_ANSWER = "no answer"
COLOURS = {
    SAYS_FIRING: RED,
    SAYS_QUIET: GREEN,
    UNDECIDED: YELLOW,
    UNEXPECTED: YELLOW,
    NO_ANSWER: YELLOW,
    CONTEXT: DIM,
}
_WORDS = max(map(len, COLOURS))


def verdict(evidence: Evidence) -> str:
    """Return what an answer says, or that there is none."""
    return evidence.verdict or NO_ANSWER


def head(investigation: Investigation, context: str, cases: Sequence[Case]) -> str:
    """Return the first line."""
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(investigation.at))
    held = sum(len(case.symptoms) for case in cases)
    what = f"{counted(len(cases), 'alert')} to look into, {held} held back by them"
    return f"context {context or 'of the pod'}, as of {at}: {what}"


def text(number: int, case: Case, at: float) -> str:
    """Return an alert with its evidence for a terminal.

    Args:
        number: From 1.
        case: The alert.
        at: When it was asked, in seconds since the epoch.
    """
    lines = ["", colour(f"{number}. {_title(case, at)}", 1)]
    if case.symptoms:
        names = as_data(", ".join(dict.fromkeys(alert.name for alert in case.symptoms)))
        lines.append(f"   the cause, as Alertmanager's inhibit rules say, of {names}")
    if case.firing and case.firing.held_by:
        lines.append("   held back: a symptom of what is above")
    if case.book:
        lines.append(f"   {case.book.path}")
    for evidence in case.evidence:
        lines += ["", *_evidence(evidence)]
    if case.evidence:
        lines += ["", f"   {_conclusion(case)}"]
    return "\n".join(lines)


def document(
    investigation: Investigation,
    context: str,
    cases: Iterable[Case],
    left_out: Mapping[str, int],
    findings: Iterable[Finding],
) -> dict[str, Any]:
    """Return all of it as JSON."""
    return {
        "context": context,
        "at": _moment(investigation.at),
        "complete": investigation.complete,
        "alerts": [_case(case) for case in cases],
        "left_out": dict(left_out),
        "findings": [
            {"where": f.path, "line": f.line, "message": f.message, "fix": f.fix} for f in findings
        ],
    }


def _title(case: Case, at: float) -> str:
    name = as_data(case.alert)
    if case.firing is None:
        return f"{name} does not fire; asked of everything there is"
    labels = firing_alerts.about(case.firing, case.book)
    of = "".join(f" {label}={value}" for label, value in labels.items())
    lasts = _lasts(max(0.0, at - case.firing.since))
    silenced = ", silenced" if case.firing.silenced else ""
    return f"{as_data(case.firing.severity)} {name}{of}, for {lasts}{silenced}"


def _lasts(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def _evidence(evidence: Evidence) -> Iterator[str]:
    said = verdict(evidence)
    asked = _cut(as_data(evidence.asked, _WIDTH))
    yield f"   {colour(said.ljust(_WORDS), COLOURS[said])}  {asked}"
    yield from (f"   {' ' * _WORDS}  {line}" for line in _answer(evidence))


def _answer(evidence: Evidence) -> Iterator[str]:
    query = evidence.query
    if evidence.error:
        yield evidence.error
    elif not evidence.rows:
        yield "shows nothing"
    else:
        kind = "line" if evidence.rows[0].line else "row"
        yield f"shows {counted(len(evidence.rows), kind)}:"
        yield from (f"  | {_cut(_row(row))}" for row in evidence.rows[:_SHOWN])
        if len(evidence.rows) > _SHOWN:
            yield f"  | and {len(evidence.rows) - _SHOWN} more"
    if query.firing and query.quiet:
        yield colour(f"firing: {query.firing.text}; quiet: {query.quiet.text}", DIM)
    else:
        yield colour(query.context, DIM)


def _conclusion(case: Case) -> str:
    telling = [e for e in case.evidence if e.query.firing]
    said = [verdict(e) for e in telling]
    counts = ", ".join(
        f"{said.count(word)} {word}" for word in COLOURS if word != CONTEXT and word in said
    )
    return f"{len(telling)} of {len(case.evidence)} queries can tell: {counts or 'none'}"


def _row(row: Row) -> str:
    if row.line:
        return f"{time.strftime('%H:%M:%S', time.gmtime(row.at))} {row.line}"
    labels = ", ".join(f"{name}={value}" for name, value in row.labels.items())
    return f"{row.value:.6g}{f'  {labels}' if labels else ''}"


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _case(case: Case) -> dict[str, Any]:
    firing = case.firing
    return {
        "alert": case.alert,
        "firing": firing is not None,
        "severity": firing.severity if firing else None,
        "labels": firing_alerts.about(firing, None) if firing else {},
        "since": _moment(firing.since) if firing else None,
        "held_back": bool(firing and firing.held_by),
        "silenced": bool(firing and firing.silenced),
        "holds_back": list(dict.fromkeys(alert.name for alert in case.symptoms)),
        "runbook": case.book.path if case.book else None,
        "confirmed": case.confirmed,
        "queries": [_query(evidence) for evidence in case.evidence],
    }


def _query(evidence: Evidence) -> dict[str, Any]:
    query = evidence.query
    expected = (
        {"firing": query.firing.text, "quiet": query.quiet.text}
        if query.firing and query.quiet
        else {"context": query.context}
    )
    return {
        "language": query.language,
        "asked": evidence.asked,
        **expected,
        "verdict": verdict(evidence),
        "error": evidence.error or None,
        "rows": [_data(row) for row in evidence.rows],
    }


def _data(row: Row) -> dict[str, Any]:
    labels = dict(row.labels)
    if row.line:
        return {"labels": labels, "at": _moment(row.at), "line": row.line}
    # JSON has no infinity.
    value = row.value if math.isfinite(row.value) else str(row.value)
    return {"labels": labels, "value": value}


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
