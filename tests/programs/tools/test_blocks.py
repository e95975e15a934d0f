"""What `blocks` makes of a day, read back by Prometheus' own code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.lab.scale.metrics import tsdb
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.simulation import Day
from tests.programs.tsdb_fixtures import STEP, STEPS, small_day

pytestmark = pytest.mark.prove

INFO = 'pod_info{pod="web-1"}'


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return small_day(tmp_path_factory.mktemp("day"))


def dumped(folder: Path, selector: str) -> dict[str, list[tuple[int, float]]]:
    """Return time (ms) and value of each sample, by the labels as promtool writes them."""
    (folder / "wal").mkdir(exist_ok=True)  # promtool reads it, too.
    command = (tools.path("promtool"), "tsdb", "dump", f"--match={selector}", folder)
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[tuple[int, float]]] = {}
    for line in text.splitlines():
        labels, value, time = line.rsplit(" ", 2)
        found.setdefault(labels, []).append((int(time), float(value)))
    return found


def test_a_copy_has_every_sample_in_blocks_of_two_hours(day: Day, tmp_path: Path) -> None:
    written = tsdb.copy(day.tsdb, tmp_path / "copy")
    metas = [json.loads(p.read_text()) for p in (tmp_path / "copy").glob("*/meta.json")]
    assert written.blocks == len(metas) == 12
    assert all(m["minTime"] % 7_200_000 == 0 for m in metas)
    # A sidecar ships what nobody has compacted.
    assert {m["compaction"]["level"] for m in metas} == {1}
    assert dumped(tmp_path / "copy", "{__name__=~'.+'}") == dumped(day.tsdb, "{__name__=~'.+'}")


def test_a_gap_has_no_samples_and_the_rest_has_all(day: Day, tmp_path: Path) -> None:
    gap = (day.start + 3600, day.start + 4800)
    tsdb.copy(day.tsdb, tmp_path / "copy", Changes(gap=gap))
    (found,) = dumped(tmp_path / "copy", INFO).values()
    assert len(found) == STEPS - 1200 // STEP
    assert not [time for time, _ in found if gap[0] * 1000 <= time < gap[1] * 1000]


def test_labels_copies_and_another_time(day: Day, tmp_path: Path) -> None:
    changes = Changes(labels={"cluster": "a"}, copies=2, shift=15, match=[INFO])
    written = tsdb.copy(day.tsdb, tmp_path / "copy", changes)
    found = dumped(tmp_path / "copy", "{__name__=~'.+'}")
    (first,) = dumped(day.tsdb, INFO).values()
    assert len(found) == 2
    assert sum('copy="1"' in labels for labels in found) == 1
    assert all('cluster="a"' in labels for labels in found)
    assert written.samples == 2 * STEPS
    for samples in found.values():
        assert samples == [(time + 15_000, value) for time, value in first]


def test_days_before_are_like_this_one(day: Day, tmp_path: Path) -> None:
    tsdb.copy(day.tsdb, tmp_path / "copy", Changes(days=3, duration="1d", match=[INFO]))
    (found,) = dumped(tmp_path / "copy", INFO).values()
    times = [time for time, _ in found]
    assert len(found) == 3 * STEPS
    assert times == sorted(set(times))
    assert times[0] == round(day.start * 1000) - 2 * 86_400_000


def test_wrong_arguments_are_refused(day: Day, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="--match"):
        tsdb.copy(day.tsdb, tmp_path / "copy", Changes(match=["{"]))
    tsdb.copy(day.tsdb, tmp_path / "copy")
    with pytest.raises(RepositoryError, match="is not empty"):
        tsdb.copy(day.tsdb, tmp_path / "copy")
