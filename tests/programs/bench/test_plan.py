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
