"""Every panel through Thanos: of each cluster alone, and of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.findings import Finding, progress
from scripts.grafana import evaluation
from scripts.grafana.evaluation import OpenedDashboard
from scripts.grafana.model import DashboardModel
from scripts.lab.proof import ground_truth
from scripts.lab.proof.ground_truth import Expected
from scripts.lab.scale.metrics import panels, tsdb
from scripts.lab.scale.metrics.fleet import Fleet
from scripts.lab.scale.metrics.panels import IN_CLUSTER, Tally
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.model.clusters import LABEL as CLUSTER
from scripts.servers.api import Api
from scripts.servers.monitoring import start_prometheus
from scripts.servers.processes import Processes
from scripts.simulation import Day

# The cluster whose Thanos it is; its sidecars are asked, too. Of the other there are only blocks.
HUB, MEMBER = "hub", "member"
ALL = "all"
_FIX = f"keep clusters apart: {CLUSTER} in its selectors, joins and sums"


@dataclass(frozen=True)
class Asked:
    """What a cluster, or all of them, must show.

    Attributes:
        cluster: What the dashboards' variable stands at; empty for All.
        alone: A Prometheus that has the same series and nothing else.
        day: What is true; None where no single day is.
        ignored: Labels that the Prometheus does not show.
    """

    cluster: str
    alone: Api
    day: Day | None
    ignored: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the table has it."""
        return self.cluster or ALL


def together(processes: Processes, days: Mapping[str, Path]) -> Api:
    """Run one Prometheus that has the series of all clusters, each with its label `cluster`.

    Args:
        processes: What it is started with.
        days: The TSDB of each cluster.
    """
    merged = processes.folder("together-blocks")
    for cluster, day in days.items():
        folder = processes.folder("copies") / f"{cluster}-labelled"
        tsdb.copy(day, folder, Changes(labels={CLUSTER: cluster}, duration="1d"))
        for block in folder.iterdir():
            block.rename(merged / block.name)
    return Api(start_prometheus(processes, "together", merged, {}))


def compare(
    asked: Sequence[Asked], through: Api, boards: Sequence[DashboardModel]
) -> tuple[list[Tally], list[Finding]]:
    """Open each dashboard through Thanos and in a Prometheus alone.

    Args:
        asked: Each cluster, and all.
        through: The query frontend.
        boards: Which dashboards.

    Returns:
        The table's lines, and what is wrong.
    """
    tallies, findings = [], []
    for one in asked:
        tally = Tally(one.name)
        known = one.day.truth if one.day else {}
        for board in boards:
            progress(f"{one.name}: {board.uid}")
            time_range = evaluation.time_range_at(_at(asked))
            expected = panels.open_metrics(one.alone, board, time_range)
            actual = panels.open_metrics(through, board, time_range, one.cluster)
            found = panels.differences(expected, actual, one.ignored)
            tally.add(expected, actual, len(found))
            where = f"{one.name}, through Thanos"
            findings += [panels.finding(board, where, difference, _FIX) for difference in found]
            if one.day:
                family = _of_metrics(actual)
                findings += ground_truth.compare(actual, one.day, known, family)
        tallies.append(tally)
    return tallies, findings


def of(fleet: Fleet, days: Mapping[str, Day]) -> list[Asked]:
    """Return each cluster beside its own Prometheus, and all beside one that has all series."""
    asked = [
        Asked(cluster, fleet.prometheus[f"{cluster}-replica-0"], day, (CLUSTER, IN_CLUSTER))
        for cluster, day in days.items()
    ]
    whole = together(fleet.processes, {cluster: day.tsdb for cluster, day in days.items()})
    return [*asked, Asked("", whole, None, ())]


def _at(asked: Sequence[Asked]) -> float:
    return next(one.day.at for one in asked if one.day)


def _of_metrics(opened: OpenedDashboard) -> Mapping[str, tuple[Expected, ...]]:
    """Return what is known of the queries that were asked: those of logs were not."""
    there = {(result.title, result.target.ref) for result in opened.results}
    return {uid: tuple(_kept(family, there)) for uid, family in ground_truth.EXPECTED.items()}


def _kept(family: Sequence[Expected], there: set[tuple[str, str]]) -> Iterator[Expected]:
    return (one for one in family if (one.panel, one.ref) in there)
