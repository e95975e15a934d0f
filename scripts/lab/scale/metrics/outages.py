"""A Prometheus of a pair that was away for a while, and one that is gone: no panel shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.findings import Finding, progress
from scripts.grafana import evaluation
from scripts.grafana.model import DashboardModel
from scripts.grafana.timing import TimeRange
from scripts.lab.scale.metrics import panels
from scripts.lab.scale.metrics.fleet import Fleet, Member
from scripts.lab.scale.metrics.panels import IN_CLUSTER
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.model.clusters import LABEL as CLUSTER
from scripts.servers.api import Api
from scripts.servers.thanos import Component

# Seconds of a restart that takes long: a volume that moves to another node.
AWAY = 20 * 60
# Two Prometheis do not scrape at the same moment.
APART = 15.0
# Of a series, on average: what is shown is up to one scrape older.
TOLERANCE = 0.05
_IGNORED = (CLUSTER, IN_CLUSTER)
_FIX = "see the flags of Thanos' querier and compactor: the label of replicas"


@dataclass(frozen=True)
class Seen:
    """How many queries of metrics show a gap, and how many else deviate, in one state.

    Attributes:
        state: What has happened, and who is asked.
        queries: Of all dashboards.
        gaps: Those that lack a series or a point.
        deviating: Those that show other values.
    """

    state: str
    queries: int
    gaps: int
    deviating: int

    @property
    def cells(self) -> tuple[str, ...]:
        """Its line of the table."""
        return self.state, str(self.queries), str(self.gaps), str(self.deviating)


HEAD = ("what has happened, who is asked", "queries", "with a gap", "deviating")


def members(cluster: str, day: Path, at: float) -> list[Member]:
    """Return a pair whose first was away, half an hour before dashboards are opened.

    Args:
        cluster: Its name.
        day: The TSDB of its day.
        at: When dashboards are opened.
    """
    end = at - 1800
    away = Changes(gap=(end - AWAY, end))
    return [
        Member(cluster, "replica-0", day, away),
        Member(cluster, "replica-1", day, Changes(shift=APART)),
        # Beside the pair, for comparison: it never was away, and its blocks are nobody's.
        Member(f"{cluster}-whole", "replica-0", day),
    ]


def prove(
    fleet: Fleet, cluster: str, boards: Sequence[DashboardModel], at: float
) -> tuple[list[Seen], list[Finding]]:
    """Compare what panels show through Thanos, and of each Prometheus, with what is right.

    Args:
        fleet: Of `members`, all shipped.
        cluster: The pair's name.
        boards: Which dashboards.
        at: When they are opened.
    """
    whole = fleet.prometheus[f"{cluster}-whole-replica-0"]
    first, second = (f"{cluster}-replica-{number}" for number in (0, 1))
    time_range = evaluation.time_range_at(at)
    frontend = fleet.through([first, second])
    seen, findings = [], []

    def look(state: str, api: Api, *, of: str = cluster, judged: bool = True) -> None:
        progress(state)
        one, found = _compare(state, whole, api, boards, time_range, of)
        seen.append(one)
        if judged:
            findings.extend(found)

    look("the first was away, Prometheus alone", fleet.prometheus[first], of="", judged=False)
    if not seen[0].gaps:
        text = "no panel of a Prometheus that was away has a gap: nothing is proven"
        findings.append(Finding(__name__, None, text, "let it be away while panels look"))
    look("the first was away, Thanos", frontend.api)
    fleet.kill(first)
    look("the first is gone, too, Thanos", frontend.api)
    compactor = fleet.thanos.compact()
    fleet.thanos.wait_for_compaction(compactor)
    look("all in the bucket, compacted, Thanos", _of_bucket(fleet).api)
    return seen, findings


def _of_bucket(fleet: Fleet) -> Component:
    """Start what asks the bucket alone, which has been compacted."""
    store = fleet.thanos.store("store-of-compacted")
    query = fleet.thanos.query([store], "query-of-compacted")
    return fleet.thanos.frontend(query, "query-frontend-of-compacted")


def _compare(
    state: str,
    whole: Api,
    api: Api,
    boards: Sequence[DashboardModel],
    time_range: TimeRange,
    cluster: str,
) -> tuple[Seen, list[Finding]]:
    queries, found = 0, []
    for board in boards:
        expected = panels.open_metrics(whole, board, time_range)
        actual = panels.open_metrics(api, board, time_range, cluster)
        queries += len(expected.results)
        found += [
            (board, difference)
            for difference in panels.differences(expected, actual, _IGNORED, TOLERANCE)
        ]
    gaps = [(board, difference) for board, difference in found if difference.gap]
    findings = [panels.finding(board, state, one, _FIX) for board, one in gaps]
    return Seen(state, queries, len(gaps), len(found) - len(gaps)), findings
