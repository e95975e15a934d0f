"""What opening a dashboard costs Prometheus, beside the chart's own dashboards on the same data.

Samples are those that Prometheus loads for all steps of all queries (`stats=all`,
totalQueryableSamples): the same in every run, whatever else the machine does. Seconds are not.
"""

from __future__ import annotations

import functools
import json
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from scripts import simulation, tools
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.grafana import evaluation, interpolation, model
from scripts.grafana.evaluation import QueryResult
from scripts.grafana.model import DashboardModel
from scripts.grafana.timing import TimeRange
from scripts.model import charts
from scripts.model.manifests import Repository
from scripts.rules.facts import Facts
from scripts.servers.monitoring import Servers, servers
from scripts.simulation.state import application_namespace

CHART = "kube-prometheus-stack"
SCALES = (1, 10)


@dataclass(frozen=True)
class Question:
    """A question that both answer.

    Attributes:
        ours: A dashboard of this repository, and the panels that answer it; after a colon, the
            letters of the queries that do.
        theirs: A dashboard of the chart, and the panels that answer it.
    """

    text: str
    ours: tuple[str, tuple[str, ...]]
    theirs: tuple[str, tuple[str, ...]]


_ANY = string.ascii_uppercase
_CAPACITY, _STACK, _HOME = "cluster-capacity", "stack-health", "todo-overview"
_CLUSTER, _NAMESPACE = "k8s-resources-cluster", "k8s-resources-namespace"
QUESTIONS = (
    Question(
        "CPU of each pod of a namespace", (_HOME, ("CPU by pod",)), (_NAMESPACE, ("CPU Usage",))
    ),
    Question(
        "memory of each pod of a namespace",
        (_HOME, ("Memory by pod",)),
        (_NAMESPACE, ("Memory Usage (w/o cache)",)),
    ),
    Question(
        "CPU of each namespace", (_CAPACITY, ("CPU by namespace",)), (_CLUSTER, ("CPU Usage",))
    ),
    Question(
        "memory of each namespace", (_CAPACITY, ("Memory by namespace",)), (_CLUSTER, ("Memory",))
    ),
    Question(
        "CPU used, requested and limited",
        (_CAPACITY, ("CPU",)),
        (_CLUSTER, ("CPU Utilisation", "CPU Requests Commitment", "CPU Limits Commitment")),
    ),
    Question(
        "memory used, requested and limited",
        (_CAPACITY, ("Memory",)),
        (
            _CLUSTER,
            ("Memory Utilisation", "Memory Requests Commitment", "Memory Limits Commitment"),
        ),
    ),
    Question(
        "namespaces: use, requests, limits",
        (_CAPACITY, ("Namespaces",)),
        (_CLUSTER, ("CPU Quota", "Memory Requests by Namespace")),
    ),
    Question(
        "pods: use, requests, limits",
        (_CAPACITY, ("Pods in figures",)),
        (_NAMESPACE, ("CPU Quota", "Memory Quota")),
    ),
    Question(
        "network of each namespace",
        (_CAPACITY, ("Network by namespace",)),
        (_CLUSTER, ("Receive Bandwidth", "Transmit Bandwidth")),
    ),
    Question(
        "volumes: space and inodes",
        (_CAPACITY, ("Volumes", "Volume use")),
        ("persistentvolumesusage", ("Volume Space Usage", "Volume inodes Usage")),
    ),
    Question(
        "series in Prometheus", (_STACK, ("Series in memory",)), ("prometheus", ("Head Series",))
    ),
    Question(
        "scrapes that fail",
        (_STACK, ("Failed scrapes and rules:BCD",)),
        ("prometheus", ("Scrape failures",)),
    ),
)


def tables() -> Iterator[str]:
    """Yield the tables of each scale, as soon as it is measured.

    Raises:
        RepositoryError: Where a chart is missing, or a panel of QUESTIONS does not exist any more.
    """
    ours = {board.uid: board for board in model.committed()}
    theirs = dict(of_chart())
    for scale in SCALES:
        day = simulation.day("healthy", scale)
        with servers(simulation.cluster(), day.tsdb, day.logs) as running:
            time_range = evaluation.time_range_at(day.at)
            progress(f"opening dashboards at {scale} x")
            series = int(day.summary["series"])
            yield f"\n{_opened(running, ours.values(), time_range, scale, series)}"
            yield f"\n{_compared(running, ours, theirs, time_range, scale)}"


def of_chart() -> Iterator[tuple[str, DashboardModel]]:
    """Yield the dashboards that the chart would deploy, by the name of their file."""
    repository = Repository()
    release = next(r for e in repository.syncs for r in e.releases if r.chart == CHART)
    values = release.values | {"grafana": {"enabled": False, "forceDeployDashboards": True}}
    for item in charts.render(replace(release, values=values)):
        for file, text in (item.get("data") or {}).items():
            if item["kind"] == "ConfigMap" and file.endswith(".json"):
                yield file.removesuffix(".json"), model.read(json.loads(text), model.datasources())


def _opened(
    running: Servers,
    boards: Iterable[DashboardModel],
    time_range: TimeRange,
    scale: int,
    series: int,
) -> str:
    lines = [f"{f'opened once over 6 h, {series} series':<44}{'queries':>8}{'samples':>12}{'s':>8}"]
    for board in boards:
        # The first time warms what every later reader finds warm.
        evaluation.open_dashboard(running, board, time_range)
        opened = evaluation.open_dashboard(running, board, time_range)
        count, samples = len(opened.results), opened.samples
        lines.append(
            f"{f'{board.uid}, {scale} x':<44}{count:>8}{samples:>12}{opened.seconds:>8.2f}"
        )
    return "\n".join(lines)


def _compared(
    running: Servers,
    ours: dict[str, DashboardModel],
    theirs: dict[str, DashboardModel],
    time_range: TimeRange,
    scale: int,
) -> str:
    heading = f"the same question, {scale} x, samples"
    lines = [f"{heading:<44}{'here':>10}{'chart':>10}{'share':>8}"]
    totals = [0, 0]

    @functools.cache
    def answers(uid: str, of_namespace: bool) -> tuple[QueryResult, ...]:
        """Open a dashboard once, whatever number of questions it answers."""
        return _answers(running, (ours | theirs)[uid], of_namespace, time_range)

    for question in QUESTIONS:
        # The chart's dashboard of a namespace shows one at a time; ours is asked for the same one.
        of_namespace = question.theirs[0] == _NAMESPACE
        here = _samples(answers, question.ours, of_namespace)
        there = _samples(answers, question.theirs, of_namespace)
        totals[0] += here
        totals[1] += there
        lines.append(_row(question.text, here, there))
    return "\n".join([*lines, _row("in all", *totals)])


def _row(text: str, here: int, there: int) -> str:
    share = f"{here / there:.2f}" if there else "–"
    return f"{text:<44}{here:>10}{there:>10}{share:>8}"


def _answers(
    running: Servers, board: DashboardModel, of_namespace: bool, time_range: TimeRange
) -> tuple[QueryResult, ...]:
    opened = evaluation.open_dashboard(running, board, time_range)
    if not of_namespace:
        return opened.results
    values = dict(opened.values)
    namespace = application_namespace(Facts.of(tools.ROOT).application)
    values["namespace"] = interpolation.with_option(values["namespace"], namespace)
    return evaluation.run(running, board, time_range, values)


def _samples(
    answers: Callable[[str, bool], tuple[QueryResult, ...]],
    panels: tuple[str, tuple[str, ...]],
    of_namespace: bool,
) -> int:
    uid, titles = panels
    results = answers(uid, of_namespace)
    letters = dict(title.partition(":")[::2] for title in titles)
    found = [
        result
        for result in results
        if result.title in letters and result.target.ref in (letters[result.title] or _ANY)
    ]
    missing = set(letters) - {result.title for result in found}
    if missing:
        message = f"dashboard {uid} has no panel {sorted(missing)}"
        raise RepositoryError(
            Finding("scripts/bench/dashboards.py", None, message, "compare another")
        )
    return sum(result.samples or 0 for result in found)
