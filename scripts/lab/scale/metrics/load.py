"""What Thanos needs in memory and CPU while every dashboard is opened through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.findings import progress
from scripts.grafana import evaluation
from scripts.grafana.model import DashboardModel
from scripts.lab.scale.metrics import panels
from scripts.lab.scale.metrics.fleet import Fleet, pair
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.servers.api import Api
from scripts.servers.processes import Processes

MIB = 2.0**20


@dataclass(frozen=True)
class Need:
    """What a program used at a load.

    Attributes:
        program: Part of Thanos, or Prometheus.
        idle: Most resident memory until the first query, in bytes.
        memory: Most of all time.
        cpu: Seconds.
    """

    program: str
    idle: int
    memory: int
    cpu: float


@dataclass(frozen=True)
class Load:
    """What was asked, and what it took.

    Attributes:
        copies: How often each series of the day was there.
        series: In each Prometheus, at the end of the day.
        samples: In the bucket.
        queries: Of all dashboards.
        refused: Those that a server refused, by Prometheus and through Thanos.
        seconds: Of all of them, two at a time, by Prometheus and through Thanos.
        requests: That the object storage answered for them.
        needs: Of each program.
    """

    copies: int
    series: int
    samples: int
    queries: int
    refused: tuple[int, int]
    seconds: tuple[float, float]
    requests: int
    needs: tuple[Need, ...]


def measure(
    declared: Mapping[str, Sequence[str]],
    day: Path,
    at: float,
    boards: Sequence[DashboardModel],
    changes: Changes,
) -> Load:
    """Open every dashboard by a Prometheus alone, and through Thanos over a pair.

    Args:
        declared: Arguments of Thanos' parts.
        day: A day's TSDB.
        at: When dashboards are opened.
        boards: Which.
        changes: How often each series is there.
    """
    with Processes() as processes:
        fleet = Fleet(processes, declared, pair("hub", day, changes, changes))
        names = list(fleet.prometheus)
        alone = fleet.prometheus[names[0]]
        series = alone.get("/api/v1/query", {"query": 'count({__name__=~".+"})', "time": str(at)})
        fleet.thanos.wait_for_compaction(fleet.thanos.compact())
        frontend = fleet.through(names)
        idle = processes.peak_memory()
        before = sum(fleet.storage.requests().values())
        through = _open(frontend.api, boards, at, f"x{changes.copies}, Thanos")
        requests = sum(fleet.storage.requests().values()) - before
        by_prometheus = _open(alone, boards, at, f"x{changes.copies}, Prometheus")
        memory, cpu = processes.peak_memory(), processes.cpu_seconds()
        needs = tuple(Need(name, idle[name], memory[name], cpu[name]) for name in memory)
        written = fleet.written.values()
        fleet.close()
    return Load(
        copies=changes.copies,
        series=int(series["data"]["result"][0]["value"][1]),
        samples=sum(one.samples for one in written),
        queries=through[0],
        refused=(by_prometheus[1], through[1]),
        seconds=(by_prometheus[2], through[2]),
        requests=requests,
        needs=needs,
    )


def _open(
    api: Api, boards: Sequence[DashboardModel], at: float, what: str
) -> tuple[int, int, float]:
    """Return how many queries there are, how many are refused, and how long all take."""
    queries = refused = 0
    seconds = 0.0
    for board in boards:
        progress(f"{what}: {board.uid}")
        opened = panels.open_metrics(api, board, evaluation.time_range_at(at))
        queries += len(opened.results)
        refused += sum(bool(result.error) for result in opened.results)
        seconds += opened.seconds
    return queries, refused, seconds
