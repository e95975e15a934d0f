"""What is wrong with the answers that a dashboard gets, and the table of `make prove`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass

from dashboards_py.promql import IN_CLUSTER
from dashboards_py.query import CLUSTER
from scripts import simulation
from scripts.core.findings import Finding
from scripts.grafana import evaluation, interpolation, no_data, variables
from scripts.grafana.evaluation import OpenedDashboard, QueryResult
from scripts.servers.monitoring import Servers

HEALTHY, INCIDENT = simulation.DAYS


@dataclass(frozen=True)
class Summary:
    """One dashboard on one day, as the table shows it.

    Attributes:
        queries: Of panels and annotations.
        with_data: Those that returned something finite.
        allow_empty: Those that are marked as rightly empty on a healthy day.
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


def must_have_data(result: QueryResult, day: str) -> bool:
    """Say whether a query may not be empty on a day; one that may is judged on the other day."""
    return bool(result.target.allow_empty) == (day == INCIDENT)


def summary(opened: OpenedDashboard, day: str) -> Summary:
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


def check(servers: Servers, opened: OpenedDashboard, day: str) -> list[Finding]:
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


def check_options(servers: Servers, opened: OpenedDashboard) -> list[Finding]:
    """Return a finding for each query that fails with another option of a variable.

    It may well be empty: nobody says that each source is there.
    """
    findings = []
    for name, value in variables.other_options(opened.dashboard, opened.values):
        values = {**opened.values, name: value}
        for result in evaluation.run(
            servers, opened.dashboard, opened.time_range, values, only=name
        ):
            if result.error:
                findings.append(_refused(opened, result, f" with {name}={value.text}"))
    return findings


def _variables(opened: OpenedDashboard, day: str) -> Iterator[Finding]:
    path, _ = opened.dashboard.source()
    for name, message in opened.refused.items():
        text = f"{day}: the query of variable {name!r} is refused: {message}"
        yield Finding(path, None, text, "correct the variable")
    if day == HEALTHY:
        for name, options in opened.found.items():
            # One Prometheus is asked, which does not show its cluster.
            if not options and name not in {*opened.refused, CLUSTER}:
                text = f"{day}: the query of variable {name!r} finds no value"
                yield Finding(path, None, text, "correct the variable's metric or label")


def _result(
    servers: Servers, opened: OpenedDashboard, result: QueryResult, day: str
) -> Iterator[Finding]:
    if result.error:
        yield _refused(opened, result, "")
        return
    if not result.finite:
        if must_have_data(result, day):
            reason = no_data.explain(servers, result, opened.time_range)
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
    if result.type == "streams":
        return
    for label in interpolation.legend_labels(result.target.legend):
        if label != IN_CLUSTER and not any(s["metric"].get(label) for s in result.data):
            has = sorted({name for series in result.data for name in series["metric"]})
            text = f"{_place(result)}: {day}: no series has the label {label!r} of the legend"
            yield _finding(opened, result, text, f"the series have: {', '.join(has) or 'no label'}")


def _repeated(opened: OpenedDashboard) -> Iterator[Finding]:
    """Find series of one query that no person can tell apart."""
    for result in opened.results:
        template = result.target.legend
        if result.type != "matrix" or not template or template == "__auto":
            continue
        names = Counter(interpolation.legend(template, s["metric"]) for s in result.data)
        name, times = max(names.items(), key=lambda item: item[1], default=("", 0))
        if times > 1:
            text = f"{_place(result)}: {times} series are all called {name!r}"
            fix = "name more labels in the legend, or aggregate them away"
            yield _finding(opened, result, text, fix)


def _refused(opened: OpenedDashboard, result: QueryResult, condition: str) -> Finding:
    text = f"{_place(result)}: refused{condition}: {result.error}: {result.expr}"
    return _finding(opened, result, text, "correct the query")


def _place(result: QueryResult) -> str:
    if not result.panel_id:
        return result.title
    return f"panel {result.title!r}, query {result.target.ref}"


def _finding(opened: OpenedDashboard, result: QueryResult, text: str, fix: str) -> Finding:
    path, line = opened.dashboard.source(result.title.removeprefix("annotation "))
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
    numbers = zip(*(astuple(summary)[1:] for summary in summaries), strict=True)
    return Summary("total", *map(sum, numbers))
