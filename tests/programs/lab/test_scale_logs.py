"""What Loki loses, doubles or answers otherwise, in three and on a bucket, is found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts.core.yamlfile import Json
from scripts.grafana.evaluation import QueryResult
from scripts.grafana.model import Target
from scripts.lab.scale.logs import answers, bad_input, cost, migration, replica_loss
from scripts.model.dashboards import LOGQL
from scripts.simulation import Day

STEP = migration.Step("three", loses=(("one", migration.OLD),))


def test_lines_that_are_lost_or_doubled_are_found() -> None:
    assert not list(replica_loss.compare("here", 3, Counter({0: 1, 1: 1, 2: 1})))
    (lost,) = replica_loss.compare("here", 3, Counter({0: 1, 2: 1}))
    assert "here: 1 of 3 lines are lost, such as 1" in lost.message
    (doubled,) = replica_loss.compare("here", 3, Counter({0: 1, 1: 2, 2: 1}))
    assert "1 of 3 lines are stored more than once, such as 1" in doubled.message


def found(old: tuple[int, int], new: tuple[int, int] = (100, 100)) -> migration.Found:
    kinds = (("one", migration.OLD), ("one", migration.FRESH))
    return migration.Found(
        STEP, dict.fromkeys(kinds, 100), dict(zip(kinds, (old, new), strict=True))
    )


def test_a_step_loses_what_it_says_and_nothing_else() -> None:
    assert not list(migration.judge(found((0, 100))))
    (more,) = migration.judge(found((0, 100), (99, 100)))
    assert "three: 99 to 100 of 100 new lines of 'one' are found" in more.message
    (less,) = migration.judge(found((100, 100)))
    assert "all old lines of 'one' are found, although it says not" in less.message
    (twice,) = migration.judge(found((0, 100), (100, 101)))
    assert "100 to 101" in twice.message
    assert "old 0-100" in migration.table([found((0, 100))])


def asked(data: Sequence[Json], kind: str = "matrix", error: str = "") -> answers.Asked:
    target = Target("A", "x", LOGQL, legend="", instant=False, max_lines=2)
    result = QueryResult("Lines", 1, target, "x", 1000, kind, data, error)
    return answers.Asked("three", 3, {("board", "Lines", "A", 0): result})


def test_another_answer_is_found_and_another_order_is_none() -> None:
    one, two = {"metric": {"app": "a"}, "values": [[1, "2"]]}, {"metric": {}, "values": [[1, "3"]]}
    wanted = asked([one, two])
    assert not list(answers.differences(wanted, asked([two, one])))
    (other,) = answers.differences(wanted, asked([one]))
    assert "another answer" in other.message
    (refused,) = answers.differences(wanted, asked([], error="too many"))
    assert "too many" in refused.message
    (unasked,) = answers.differences(wanted, replace(wanted, answers={}))
    assert "not asked" in unasked.message


def streams(*lines: tuple[str, str]) -> answers.Asked:
    return asked([{"stream": {"app": "a"}, "values": [list(line) for line in lines]}], "streams")


def test_lines_differ_only_where_the_limit_cuts_within_a_moment() -> None:
    wanted = streams(("3", "last"), ("2", "first of two"))
    assert not list(answers.differences(wanted, streams(("3", "last"), ("2", "second of two"))))
    assert list(answers.differences(wanted, streams(("3", "another"), ("2", "first of two"))))
    assert list(answers.differences(streams(("3", "last")), streams(("3", "another"))))


def test_a_fault_that_nothing_tells_of_is_found() -> None:
    nothing, wrong = bad_input.cases()[:2]
    well = bad_input.Told(nothing, "ready after 3 s", bad_input.ACCEPTED)
    assert not list(bad_input.unheard([well, bad_input.Told(wrong, "ends: NoSuchBucket")]))
    assert not list(bad_input.unheard([bad_input.Told(wrong, "ready", "accepted", failures=1)]))
    (silent,) = bad_input.unheard([bad_input.Told(wrong, "ready", bad_input.ACCEPTED)])
    assert f"{wrong.name}: nothing tells of it" in silent.message
    assert list(bad_input.unheard([bad_input.Told(nothing, "ends: something")]))


def test_chunks_end_when_they_are_idle_old_or_full(tmp_path: Path) -> None:
    day = Day("healthy", 0, 86400, 0, tmp_path, {})

    def chunks(times: Sequence[int], size: int = 10, factor: int = 1) -> int:
        entries = [
            {"labels": {"app": "a"}, "timestamp": str(at * 10**9), "line": "x" * size}
            for at in times
        ]
        day.logs.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        return cost.chunks(day, factor, 1.0)

    assert chunks(range(0, 7200, 600)) == 1
    assert chunks([0, 600, 3000]) == 2
    assert chunks(range(0, 7900, 600)) == 2
    assert chunks(range(0, 6000, 600), size=400_000) == 3
    assert chunks(range(0, 6000, 600), size=4_000, factor=100) == 3
