"""What servers answer becomes rows, and what programs wrote becomes text that is safe to show."""

from __future__ import annotations

import math

import pytest

from scripts.model.runbooks import Reading, RunbookQuery
from scripts.servers import evidence
from scripts.servers.api import Api
from tests.programs.live.triage_cluster import Servers, row, stream

pytest_plugins = ("tests.programs.live.triage_cluster",)

ROWS, NOTHING = Reading("rows", None, "rows"), Reading("nothing", None, "nothing")
AT = 1_700_000_000.0


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\tb\r\nc", "a b c"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("\x1bPdevice\x1b\\x", "x"),
        ("\x1b]0;never closed", ""),
        ("bell\x07 null\x00 back\x08 delete\x7f", "bell null back delete"),
        ("a\u202eb\u200bc\ufeffd\ue000e", "abcde"),
        ("Grüße, 世界", "Grüße, 世界"),
        ("\x1b", ""),
    ],
)
def test_what_programs_wrote_is_safe_to_show(written: str, shown: str) -> None:
    assert evidence.as_data(written) == shown


def test_what_is_too_long_is_cut() -> None:
    assert evidence.as_data("x" * 240) == "x" * 240
    cut = evidence.as_data("x" * 241)
    assert (len(cut), cut[-1]) == (240, "…")
    # Also where all that is left of the beginning is short.
    assert evidence.as_data("\x00" * 5000 + "x").endswith("…")


def test_series_are_rows_without_those_that_are_no_number(servers: Servers) -> None:
    servers.rows = {"up": [row(1, pod="b"), row(math.nan, pod="c"), row(7, pod="a\x1b[1m")]}
    query = RunbookQuery("promql", "up", 1, (), ROWS, NOTHING)
    found = evidence.ask(Api(servers.port), query, {}, AT)
    assert [(r.value, dict(r.labels)) for r in found.rows] == [(7, {"pod": "a"}), (1, {"pod": "b"})]
    assert found.verdict == "firing"


def test_lines_are_rows_with_the_newest_first(servers: Servers) -> None:
    servers.lines = {"app": [stream("new", "old", app="web")]}
    query = RunbookQuery("logql", '{app="web"}', 1, ("app",), ROWS, NOTHING)
    found = evidence.ask(Api(servers.port), query, {"app": "shop"}, AT)
    assert [r.line for r in found.rows] == ["new", "old"]
    assert servers.asked == [("logql", '{cluster=~".+", app="shop"}')]


def test_a_metric_of_lines_is_asked_at_one_moment(servers: Servers) -> None:
    servers.lines = {"sum": [row(3)]}
    query = RunbookQuery("logql", 'sum(count_over_time({app="web"} [5m]))', 1, (), ROWS, NOTHING)
    assert [r.value for r in evidence.ask(Api(servers.port), query, {}, AT).rows] == [3]


def test_what_a_server_refuses_and_one_that_says_nothing_are_told_apart(servers: Servers) -> None:
    query = RunbookQuery("promql", "up", 1, (), ROWS, NOTHING)
    servers.refuses = {"up": "parse error"}
    refused = evidence.ask(Api(servers.port), query, {}, AT)
    assert (refused.error, refused.silent, refused.verdict) == ("400: parse error", False, "")
    servers.refuses, servers.late = {}, {"promql": 1.0}
    late = evidence.ask(Api(servers.port, timeout=0.2), query, {}, AT)
    assert (late.error, late.silent) == ("no answer within 0.2 s", True)
