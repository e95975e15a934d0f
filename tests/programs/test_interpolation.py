"""Variables and times are what Grafana makes of them. No server runs here."""

from __future__ import annotations

import pytest

from scripts.grafana import interpolation as grafana
from scripts.grafana.interpolation import (
    DAY,
    HOUR,
    LOGQL,
    MINUTE,
    PROMQL,
    SECOND,
    Value,
    VariableError,
    Window,
)

SIX_HOURS = Window(1_800_000_000_000, 1_800_000_000_000 + 6 * HOUR)


def promql(text: str, **variables: Value) -> str:
    return grafana.interpolate(text, variables, {"__rate_interval": "2m0s"}, PROMQL)


def logql(text: str, **variables: Value) -> str:
    return grafana.interpolate(text, variables, {"__auto": "1m"}, LOGQL)


ALL = grafana.everything(("a", "b"), "default|todo.*")


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{n=~'$v'}", Value(("a", "b"), several=True), "{n=~'(a|b)'}"),
        ("{n=~'${v}'}", Value(("a",), several=True), "{n=~'a'}"),
        ("{n=~'[[v]]'}", Value(("a.b",), several=True), r"{n=~'a\\.b'}"),
        ("$v", Value(("a-b/c", "d+e"), several=True), r"(a-b/c|d\\+e)"),
        ("$v", Value(("back\\slash",), several=True), r"back\\\\slash"),
        ("$v", Value("a.b"), "a.b"),
        ("$v", Value('say "it"'), r"say \"it\""),
        ("$v", Value((), several=True), "()"),
        ("$v", ALL, "default|todo.*"),
        ("${v:regex}", ALL, "default|todo.*"),
        ("${v:text}", ALL, "All"),
        ("$v", grafana.everything(("a", "b"), None), "(a|b)"),
    ],
)
def test_values_in_promql(text: str, value: Value, expected: str) -> None:
    assert promql(text, v=value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Value(("a", "b"), several=True), "a|b"),
        (Value(("a.b",), several=True), r"a\\.b"),
        (Value(r"\d+ \"x\""), r"\d+ \"x\""),
        (ALL, "default|todo.*"),
    ],
)
def test_values_in_logql_have_no_parentheses(value: Value, expected: str) -> None:
    assert logql('{n=~"$v"}', v=value) == f'{{n=~"{expected}"}}'


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("raw", "a.b,c"),
        ("csv", "a.b,c"),
        ("pipe", "a.b|c"),
        ("regex", r"(a\.b|c)"),
        ("glob", "{a.b,c}"),
        ("json", '["a.b","c"]'),
        ("doublequote", '"a.b","c"'),
        ("singlequote", "'a.b','c'"),
        ("percentencode", "%7Ba.b%2Cc%7D"),
        ("queryparam", "var-v=a.b&var-v=c"),
    ],
)
def test_formats(style: str, expected: str) -> None:
    assert promql(f"${{v:{style}}}", v=Value(("a.b", "c"), several=True)) == expected


def test_a_date_has_formats_of_its_own() -> None:
    own = {"__from": "1800000000500"}
    for style, expected in (
        ("", "1800000000500"),
        (":date", "2027-01-15T08:00:00.500Z"),
        (":date:seconds", "1800000001"),
        (":date:ms", "1800000000500"),
    ):
        assert grafana.interpolate(f"${{__from{style}}}", {}, own, PROMQL) == expected


def test_unknown_variables_and_formats_are_named() -> None:
    with pytest.raises(VariableError, match="'lost' is not defined"):
        promql('up{x="$lost"}')
    with pytest.raises(VariableError, match="'sqlstring' of variable 'v'"):
        promql("${v:sqlstring}", v=Value("a"))


def test_groups_of_label_replace_stay() -> None:
    text = 'label_replace(up, "a", "$1", "b", "(.*)") + label_replace(up, "a", "${1}xx", "b", "c")'
    assert promql(text) == text


def test_a_longer_name_is_not_cut() -> None:
    own = {"__interval": "1m", "__interval_ms": "60000"}
    assert grafana.interpolate("$__interval_ms $__interval", {}, own, PROMQL) == "60000 1m"


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (9, 1),
        (12, 10),
        (1_499, SECOND),
        (1_500, 2 * SECOND),
        (15_812, 15 * SECOND),
        (17_500, 20 * SECOND),
        (44_999, 30 * SECOND),
        (45_000, MINUTE),
        (90_000, 2 * MINUTE),
        (449_999, 5 * MINUTE),
        (2_699_999, 30 * MINUTE),
        (86_399_999, 12 * HOUR),
        (86_400_000, DAY),
        (4_000_000_000, 365 * DAY),
    ],
)
def test_intervals_are_rounded_to_what_people_read(length: int, expected: int) -> None:
    assert grafana.rounded(length) == expected


def test_a_panel_has_a_point_for_each_pixel() -> None:
    assert grafana.points(24) == 1366 - 32 - 18
    assert grafana.points(12) == 645
    assert grafana.points(8) == 421


@pytest.mark.parametrize(
    ("hours", "columns", "step", "rate"),
    [
        (1, 24, 30 * SECOND, "2m0s"),
        (6, 24, 30 * SECOND, "2m0s"),
        (6, 12, 30 * SECOND, "2m0s"),
        (6, 8, MINUTE, "2m0s"),
        (24, 8, 2 * MINUTE, "2m30s"),
        (24, 5, 5 * MINUTE, "5m30s"),
        (24 * 7, 8, 20 * MINUTE, "20m30s"),
    ],
)
def test_prometheus_step_and_rate_interval(hours: int, columns: int, step: int, rate: str) -> None:
    window = Window(0, hours * HOUR)
    timing = grafana.prometheus_timing(window, grafana.points(columns), 30 * SECOND)
    assert (timing.step, timing.variables["__rate_interval"]) == (step, rate)


def test_a_least_step_counts_and_widens_the_rate() -> None:
    timing = grafana.prometheus_timing(SIX_HOURS, 645, 30 * SECOND, "1m")
    assert (timing.step, timing.variables["__rate_interval"]) == (MINUTE, "4m0s")
    timing = grafana.prometheus_timing(SIX_HOURS, 645, 30 * SECOND, "$__rate_interval")
    assert (timing.step, timing.variables["__rate_interval"]) == (2 * MINUTE, "2m0s")
    timing = grafana.prometheus_timing(SIX_HOURS, 645, 30 * SECOND, "", 2)
    assert timing.step == MINUTE


def test_prometheus_ranges_begin_and_end_at_a_step() -> None:
    window = Window(1_000_000_012_345, 1_000_000_012_345 + 6 * HOUR)
    timing = grafana.prometheus_timing(window, 421, 30 * SECOND)
    assert timing.step == MINUTE
    assert timing.window.start % MINUTE == timing.window.end % MINUTE == 0
    assert 0 <= window.end - timing.window.end < MINUTE
    assert timing.variables["__to"] == str(window.end)


def test_the_range_as_variables() -> None:
    own = grafana.prometheus_timing(SIX_HOURS, 645, 30 * SECOND).variables
    assert [own[n] for n in ("__range", "__range_s", "__range_ms")] == [
        "21600s",
        "21600",
        "21600000",
    ]
    assert (own["__interval"], own["__interval_ms"]) == ("30s", "30000")


def test_lokis_auto_is_the_step_of_a_graph_and_the_range_of_a_number() -> None:
    graph = grafana.loki_timing(SIX_HOURS, 421)
    assert (graph.step, graph.variables["__auto"]) == (MINUTE, "1m")
    number = grafana.loki_timing(SIX_HOURS, 421, instant=True)
    assert number.variables["__auto"] == "21600s"
    assert grafana.loki_timing(Window(0, 5 * MINUTE), 421).step == 500
    assert graph.window == SIX_HOURS


@pytest.mark.parametrize(
    ("length", "short", "go"),
    [
        (500, "500ms", "500ms"),
        (30_000, "30s", "30s"),
        (90_000, "1m", "1m30s"),
        (3_600_000, "1h", "1h0m0s"),
        (2 * DAY, "2d", "48h0m0s"),
    ],
)
def test_durations_as_grafana_and_as_go_write_them(length: int, short: str, go: str) -> None:
    assert (grafana.short(length), grafana.go_duration(length)) == (short, go)


def test_intervals_are_read() -> None:
    assert [grafana.milliseconds(t) for t in ("30s", "1m", "15", ">10s")] == [
        30_000,
        60_000,
        15_000,
        10_000,
    ]
    with pytest.raises(ValueError, match="no interval"):
        grafana.milliseconds("soon")


def test_legends() -> None:
    assert grafana.legend("{{app}} {{ method }}!", {"app": "a"}) == "a !"
    assert grafana.legend_labels("{{app}} {{ method }}") == ["app", "method"]


def test_an_option_takes_the_place_of_all() -> None:
    assert promql("$v", v=grafana.chosen(grafana.everything(("a", "b"), None), "a.b")) == r"a\\.b"
    assert promql("$v", v=grafana.chosen(Value("a"), "b")) == "b"
