"""What a person would say of a dashboard: it is empty where it should not be, or it is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.core.findings import Finding
from scripts.grafana import evaluation, interpolation, narrowing
from scripts.grafana.evaluation import Opened, Result
from scripts.servers.monitoring import Servers

HEALTHY, INCIDENT = "healthy", "incident"


@dataclass(frozen=True)
class Summary:
    """One dashboard on one day, as the table shows it.

    Attributes:
        queries: Of panels and annotations.
        with_data: Those that returned something finite.
        allow_empty: Those that may return nothing on a healthy day.
        empty: Those that returned nothing and had to return something.
        seconds: Until all was there, two requests at a time.
        samples: That Prometheus loaded.
    """

    uid: str
    panels: int
    queries: int
    with_data: int
    allow_empty: int
    empty: int
    seconds: float
    samples: int


def must_have_data(result: Result, day: str) -> bool:
    """Return whether a query must return data on a day.

    One with `allow_empty` must in the incident, all others on the healthy day.
    """
    return bool(result.target.allow_empty) == (day == INCIDENT)


def summary(opened: Opened, day: str) -> Summary:
    """Return a dashboard's line of the table."""
    results = opened.results
    return Summary(
        uid=opened.dashboard.uid,
        panels=len(opened.dashboard.panels),
        queries=len(results),
        with_data=sum(r.finite for r in results),
        allow_empty=sum(bool(r.target.allow_empty) for r in results),
        empty=sum(must_have_data(r, day) and not r.finite for r in results),
        seconds=opened.seconds,
        samples=opened.samples,
    )


def judge(servers: Servers, opened: Opened, day: str) -> list[Finding]:
    """Return what is wrong with a dashboard that was opened.

    Args:
        servers: Those that answered; they are asked again why a query is empty.
        opened: The dashboard with its answers.
        day: HEALTHY or INCIDENT.
    """
    return [
        *_variables(opened, day),
        *(f for result in opened.results for f in _result(servers, opened, result, day)),
        *(_repeated(opened)),
    ]


def judge_others(servers: Servers, opened: Opened) -> list[Finding]:
    """Return a finding for each query that fails with another option of a variable.

    It may well be empty: nobody says that each source is there.
    """
    findings = []
    for name, value in evaluation.others(opened.dashboard, opened.values):
        values = {**opened.values, name: value}
        for result in evaluation.run(servers, opened.dashboard, opened.window, values, only=name):
            if result.error:
                findings.append(_refused(opened, result, f" with {name}={value.text}"))
    return findings


def _variables(opened: Opened, day: str) -> Iterator[Finding]:
    path, _ = opened.dashboard.where()
    for name, message in opened.refused.items():
        text = f"{day}: the query of variable {name!r} is refused: {message}"
        yield Finding(path, None, text, "correct the variable")
    if day == HEALTHY:
        for name, options in opened.found.items():
            if not options and name not in opened.refused:
                text = f"{day}: the query of variable {name!r} finds no value"
                yield Finding(path, None, text, "correct the variable's metric or label")


def _result(servers: Servers, opened: Opened, result: Result, day: str) -> Iterator[Finding]:
    if result.error:
        yield _refused(opened, result, "")
        return
    if not result.finite:
        if must_have_data(result, day):
            reason = narrowing.explain(servers, result, opened.window)
            nothing = "no finite value" if result.data else "nothing"
            mark = (
                f" although allow_empty holds only while nothing is wrong "
                f"({result.target.allow_empty})"
                if result.target.allow_empty
                else ""
            )
            text = f"{_place(result)}: {day}: {nothing} comes back{mark}: {result.expr}"
            fix = (
                reason if result.target.allow_empty else f"{reason}; or say why with `allow_empty=`"
            )
            yield _finding(opened, result, text, fix)
        return
    if result.kind == "streams":
        return
    for label in interpolation.legend_labels(result.target.legend):
        if not any(series["metric"].get(label) for series in result.data):
            has = sorted({name for series in result.data for name in series["metric"]})
            text = f"{_place(result)}: {day}: no series has the label {label!r} of the legend"
            yield _finding(opened, result, text, f"the series have: {', '.join(has) or 'no label'}")


def _repeated(opened: Opened) -> Iterator[Finding]:
    """Find series of one query that no person can tell apart."""
    for result in opened.results:
        template = result.target.legend
        if result.kind != "matrix" or not template or template == "__auto":
            continue
        names = Counter(interpolation.legend(template, s["metric"]) for s in result.data)
        name, times = max(names.items(), key=lambda item: item[1], default=("", 0))
        if times > 1:
            text = f"{_place(result)}: {times} series are all called {name!r}"
            fix = "name more labels in the legend, or aggregate them away"
            yield _finding(opened, result, text, fix)


def _refused(opened: Opened, result: Result, condition: str) -> Finding:
    text = f"{_place(result)}: refused{condition}: {result.error}: {result.expr}"
    return _finding(opened, result, text, "correct the query")


def _place(result: Result) -> str:
    if not result.panel:
        return result.where
    return f"panel {result.where!r}, query {result.target.ref}"


def _finding(opened: Opened, result: Result, text: str, fix: str) -> Finding:
    path, line = opened.dashboard.where(result.where.removeprefix("annotation "))
    return Finding(path, line, text, fix)


def table(summaries: Mapping[str, Mapping[str, Summary]]) -> str:
    """Return the table by dashboard.

    Args:
        summaries: Day to uid to its line.
    """
    days = list(summaries)
    head = f"{'dashboard':18}{'panels':>7}{'queries':>9}{'allow empty':>13}"
    for day in days:
        head += f"{day + ':':>12}{'data':>5}{'empty':>7}{'seconds':>9}{'samples':>13}"
    lines = [head]
    uids = list(dict.fromkeys(uid for found in summaries.values() for uid in found))
    for uid in uids:
        each = [summaries[day][uid] for day in days if uid in summaries[day]]
        lines.append(_line(uid, each))
    totals = [_total(list(found.values())) for found in summaries.values() if found]
    lines.append(_line("total", totals))
    return "\n".join(lines)


def _line(name: str, each: list[Summary]) -> str:
    first = each[0]
    text = f"{name:18}{first.panels:>7}{first.queries:>9}{first.allow_empty:>13}"
    for one in each:
        text += f"{'':12}{one.with_data:>5}{one.empty:>7}{one.seconds:>9.2f}{one.samples:>13,}"
    return text


def _total(summaries: list[Summary]) -> Summary:
    return Summary(
        uid="total",
        panels=sum(s.panels for s in summaries),
        queries=sum(s.queries for s in summaries),
        with_data=sum(s.with_data for s in summaries),
        allow_empty=sum(s.allow_empty for s in summaries),
        empty=sum(s.empty for s in summaries),
        seconds=sum(s.seconds for s in summaries),
        samples=sum(s.samples for s in summaries),
    )
