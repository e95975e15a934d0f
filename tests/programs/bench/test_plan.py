"""What the measurement beside `make plan` feeds its servers with, and how it compares."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from scripts.bench import plan
from scripts.bench.plan import SCRAPES, Exposition, Lines, Metrics, Row
from scripts.model.plan import FACTOR, sizes
from scripts.servers.http_client import request

ENTRIES = 120
# What `make bench BENCH=plan` found at 1, 10 and 100 times, on two cores of x86 that others used,
# too. Of the larger ones, Prometheus had no time for all samples of two hours.
PROMETHEIS = (
    Metrics(6_121, 12_234, 0.0398, 107_122_688, 4_422_251, 1_468_714, 8_513_345, 1_468_714),
    Metrics(61_210, 83_781, 0.2235, 399_482_880, 49_854_416, 10_181_395, 0, 1),
    Metrics(610_300, 88_312, 0.2643, 2_364_137_472, 162_882_127, 23_483_164, 0, 1),
)
LOKIS = (
    Lines(11_224, 1_727_681, 174_534_656, 44, 44, 185_389, 7_800),
    Lines(112_248, 16_085_656, 219_389_952, 47, 54, 1_596_306, 8_747),
    Lines(1_122_483, 160_564_164, 289_579_008, 47, 75, 15_170_915, 9_797),
)
# How near the plan is to them: nearer than it says, as everything else it is asked is less certain.
NEAR = 1.4


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "day.jsonl"
    entries = [
        {"labels": {"app": "a"}, "timestamp": str(number), "line": f"GET /tasks/{number:04} 200"}
        for number in range(ENTRIES)
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


@pytest.mark.parametrize("scale", SCRAPES)
def test_lines_are_spread_over_two_hours_and_differ(day: Path, tmp_path: Path, scale: int) -> None:
    output = tmp_path / "lines.jsonl"
    count = plan.repeated(day, output, scale)
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(found) == count == ENTRIES * scale // 12
    stamps = [int(entry["timestamp"]) for entry in found]
    assert stamps == sorted(set(stamps))
    assert stamps[0] / 1e9 == pytest.approx(time.time() - 7200, abs=60)
    assert stamps[-1] < time.time_ns()
    assert len({entry["line"] for entry in found[: 2 * ENTRIES]}) > min(count, 2 * ENTRIES) * 0.9
    assert {entry["labels"]["app"] for entry in found} == {"a"}


def test_an_exposition_goes_on_with_time() -> None:
    values = [[str(step) for step in range(240)], ["", *["7"] * 239]]
    exposition = Exposition(['up{job="a"}', "gone{}"], values, interval=1000)
    assert exposition.text() == b'up{job="a"} 0\n'
    exposition.began -= 1000
    assert exposition.text() == b'up{job="a"} 1\ngone{} 7\n'
    with plan.served(exposition) as address:
        answer = request(f"http://{address}/metrics")
    assert (answer.status, answer.content) == (200, exposition.text())


def test_what_is_off_by_more_than_the_factor_is_marked() -> None:
    rows = [Row("near", 100, 100 * FACTOR * 0.99), Row("far", 100, 100 / FACTOR * 0.99)]
    near, far = plan.table(rows, 1).splitlines()[1:]
    assert not near.endswith("off")
    assert far.endswith("off")


def test_the_plan_agrees_with_itself() -> None:
    """Servers that take what is planned have a ratio of 1."""
    series, rate = 6000, 200.0
    prometheus = Metrics(
        series=series,
        samples=200,
        cores=sizes.prometheus_cores(200),
        memory=round(sizes.prometheus_memory(series)),
        block=10**6,
        stored=10**6,
        log=10**6,
        appended=10**6,
    )
    size = int(rate * 7200)
    loki = Lines(
        lines=10**4,
        size=size,
        memory=round(sizes.loki_memory(rate, 45)),
        streams=45,
        chunks=round(2 * sizes.chunks_an_hour(rate, 45)),
        stored=round(sizes.stored_logs(size, 2 * sizes.chunks_an_hour(rate, 45))),
        index=0,
    )
    rows = [*plan.metric_rows(prometheus)[:2], *plan.line_rows(loki)]
    for row in rows:
        assert row.planned == pytest.approx(row.measured, rel=0.05), row.what


def rows() -> list[Row]:
    first, *others = PROMETHEIS
    found = plan.metric_rows(first)
    for one in others:
        found += plan.metric_rows(one)[:2]  # The log was not measured.
    return [*found, *(row for one in LOKIS for row in plan.line_rows(one))]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.what.strip()}, {row.measured:.4g}")
def test_the_plan_is_near_what_was_measured(row: Row) -> None:
    assert 1 / NEAR < row.planned / row.measured < NEAR
