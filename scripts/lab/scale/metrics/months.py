"""A year of metrics: downsampled blocks through Thanos, and a Prometheus that has all."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, get
from scripts.grafana.evaluation import samples
from scripts.lab.scale.metrics.fleet import BUCKET, Fleet, Member
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.model.clusters import LABEL as CLUSTER
from scripts.servers.api import Api
from scripts.servers.processes import Processes
from scripts.servers.thanos import Component

DAYS = 365
_STEP = 12 * 3600  # Of a graph of a year that is 700 pixels wide.
# As the compactor leaves blocks after weeks.
_DURATION = "14d"
# Seconds that downsampling a year may take.
_TIMEOUT = 1200.0
# Of a mean over half a day: hours are whole, its ends are not.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Question:
    """A graph of a year: what people ask it for, and its query."""

    text: str
    expr: str


_OF_STEP = f"[{_STEP // 3600}h]"
QUESTIONS = (
    Question(
        "error budget left",
        f"max by (sloth_slo) (avg_over_time(slo:period_error_budget_remaining:ratio{_OF_STEP}))",
    ),
    Question(
        "requests by app", f"sum by (app) (avg_over_time(todo:http_requests:rate5m{_OF_STEP}))"
    ),
    Question(
        "CPU by namespace",
        "sum by (namespace) (avg_over_time("
        f"namespace_node:container_cpu_usage_seconds_total:rate5m{_OF_STEP}))",
    ),
    Question(
        "memory by namespace",
        "sum by (namespace) (avg_over_time("
        f"namespace_node:container_memory_working_set_bytes:sum{_OF_STEP}))",
    ),
    Question("targets up", f"sum by (job) (avg_over_time(up{_OF_STEP}))"),
)
# What a year is made of: the series above.
MATCH = (
    '{__name__=~"slo:period_error_budget_remaining:ratio|todo:http_requests:rate5m|up'
    '|namespace_node:.+"}',
)


@dataclass(frozen=True)
class Answer:
    """What a server answers.

    Attributes:
        points: By the labels of their series and their time (s).
        loaded: Samples that the server loaded.
        seconds: Until the answer was here.
    """

    points: Mapping[tuple[str, float], float]
    loaded: int
    seconds: float


@dataclass(frozen=True)
class Asked:
    """A question and both answers."""

    question: Question
    alone: Answer
    through: Answer

    @property
    def apart(self) -> float:
        """Mean deviation, as a share of the mean."""
        pairs = [(v, self.through.points[k]) for k, v in self.alone.points.items() if self.has(k)]
        size = sum(abs(one) for one, _ in pairs)
        return sum(abs(one - other) for one, other in pairs) / size if size else 0.0

    def has(self, key: tuple[str, float]) -> bool:
        """Whether Thanos has a point."""
        return key in self.through.points


@dataclass(frozen=True)
class Year:
    """A year that was asked.

    Attributes:
        series: How many there are.
        samples: As they were scraped.
        sizes: Bytes in the bucket, by resolution in seconds.
        downsampling: Seconds that the compactor took.
        asked: Each question.
        memory: Most of each program, in bytes.
    """

    series: int
    samples: int
    sizes: Mapping[int, int]
    downsampling: float
    asked: tuple[Asked, ...]
    memory: Mapping[str, int]

    def findings(self) -> list[Finding]:
        """Return what Thanos answers differently."""
        place = "base/optional/scale/thanos/thanos.yaml"
        found = []
        for one in self.asked:
            lost = sum(not one.has(key) for key in one.alone.points)
            if lost or not one.alone.points or one.apart > TOLERANCE:
                text = (
                    f"{one.question.text}, a year: {lost} of {len(one.alone.points)} points are "
                    f"missing, the others {one.apart:.1%} apart"
                )
                found.append(Finding(place, None, text, "see the compactor's downsampling"))
        return found


def ask(declared: Mapping[str, Sequence[str]], day: Path, end: float, days: int = DAYS) -> Year:
    """Make a year of a day, downsample it, and ask it.

    Args:
        declared: Arguments of Thanos' parts.
        day: A day's TSDB.
        end: Of the day (s since the epoch).
        days: How many.
    """
    changes = Changes(days=days, duration=_DURATION, match=MATCH)
    with Processes() as processes:
        member = Member("hub", "replica-0", day, changes)
        fleet = Fleet(processes, declared, [member])
        began = time.monotonic()
        fleet.thanos.wait_for_compaction(fleet.thanos.compact(), _TIMEOUT)
        downsampling = time.monotonic() - began
        # Not the sidecar: no Prometheus keeps a year.
        frontend = fleet.through([])
        alone = fleet.prometheus[member.name]
        start = end - days * 86400 + _STEP
        asked = tuple(_ask(question, alone, frontend, start, end) for question in QUESTIONS)
        count = {"query": f"count({MATCH[0]})", "time": str(end - 3600)}
        series = alone.get("/api/v1/query", count)["data"]["result"]
        year = Year(
            series=int(series[0]["value"][1]),
            samples=fleet.written[member.name].samples,
            sizes=_sizes(fleet),
            downsampling=downsampling,
            asked=asked,
            memory=processes.peak_memory(),
        )
        fleet.close()
    return year


def _ask(question: Question, alone: Api, through: Component, start: float, end: float) -> Asked:
    # Thanos first: what the disk's cache has by then is in favour of the other one.
    by_thanos = _answer(through.api, question, start, end)
    return Asked(question, _answer(alone, question, start, end), by_thanos)


def _answer(api: Api, question: Question, start: float, end: float) -> Answer:
    form = {"query": question.expr, "start": f"{start:.0f}", "end": f"{end:.0f}", "stats": "all"}
    began = time.perf_counter()
    data = api.form("/api/v1/query_range", form | {"step": str(_STEP)})["data"]
    seconds = time.perf_counter() - began
    points = {
        (str(sorted(_own(series["metric"]).items())), moment): value
        for series in data["result"]
        for moment, value in samples(series)
    }
    return Answer(points, int(get(data, "stats", "samples", "totalQueryableSamples") or 0), seconds)


def _own(labels: Mapping[str, Json]) -> dict[str, str]:
    return {name: str(value) for name, value in labels.items() if name != CLUSTER}


def _sizes(fleet: Fleet) -> dict[int, int]:
    sizes: dict[int, int] = {}
    objects = fleet.storage.objects(BUCKET)
    resolutions = {}
    for one in objects:
        if one.key.endswith("/meta.json"):
            meta = json.loads(fleet.storage.path(BUCKET, one.key).read_text())
            resolutions[one.key.split("/")[0]] = meta["thanos"]["downsample"]["resolution"] // 1000
    for one in objects:
        resolution = resolutions.get(one.key.split("/")[0])
        if resolution is not None:
            sizes[resolution] = sizes.get(resolution, 0) + one.size
    return sizes
