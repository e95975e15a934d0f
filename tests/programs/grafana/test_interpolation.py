"""Variables and times are what Grafana makes of them. No server runs here."""

from __future__ import annotations

import pytest

from scripts.grafana import interpolation, timing
from scripts.grafana.interpolation import VariableError, VariableValue
from scripts.grafana.timing import DAY, HOUR, MINUTE, SECOND, TimeRange
from scripts.model.dashboards import LOGQL, PROMQL

SIX_HOURS = TimeRange(1_800_000_000_000, 1_800_000_000_000 + 6 * HOUR)


def promql(text: str, **variables: VariableValue) -> str:
    return interpolation.interpolate(text, variables, {"__rate_interval": "2m0s"}, PROMQL)


def logql(text: str, **variables: VariableValue) -> str:
    return interpolation.interpolate(text, variables, {"__auto": "1m"}, LOGQL)


ALL = interpolation.value_of_all(("a", "b"), "default|todo.*")


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{n=~'$v'}", VariableValue(("a", "b"), multi=True), "{n=~'(a|b)'}"),
        ("{n=~'${v}'}", VariableValue(("a",), multi=True), "{n=~'a'}"),
        ("{n=~'[[v]]'}", VariableValue(("a.b",), multi=True), r"{n=~'a\\.b'}"),
        ("$v", VariableValue(("a-b/c", "d+e"), multi=True), r"(a-b/c|d\\+e)"),
        ("$v", VariableValue(("back\\slash",), multi=True), r"back\\\\slash"),
        ("$v", VariableValue("a.b"), "a.b"),
        ("$v", VariableValue('say "it"'), r"say \"it\""),
        ("$v", VariableValue((), multi=True), "()"),
        ("$v", ALL, "default|todo.*"),
        ("${v:regex}", ALL, "default|todo.*"),
        ("${v:text}", ALL, "All"),
        ("$v", interpolation.value_of_all(("a", "b"), None), "(a|b)"),
    ],
)
def test_values_in_promql(text: str, value: VariableValue, expected: str) -> None:
    assert promql(text, v=value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (VariableValue(("a", "b"), multi=True), "a|b"),
        (VariableValue(("a.b",), multi=True), r"a\\.b"),
        (VariableValue(r"\d+ \"x\""), r"\d+ \"x\""),
        (ALL, "default|todo.*"),
    ],
)
def test_values_in_logql_have_no_parentheses(value: VariableValue, expected: str) -> None:
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
    assert promql(f"${{v:{style}}}", v=VariableValue(("a.b", "c"), multi=True)) == expected


def test_a_date_has_formats_of_its_own() -> None:
    own = {"__from": "1800000000500"}
    for style, expected in (
        ("", "1800000000500"),
        (":date", "2027-01-15T08:00:00.500Z"),
        (":date:seconds", "1800000001"),
        (":date:ms", "1800000000500"),
    ):
        assert interpolation.interpolate(f"${{__from{style}}}", {}, own, PROMQL) == expected


def test_unknown_variables_and_formats_are_named() -> None:
    with pytest.raises(VariableError, match="'lost' is not defined"):
        promql('up{x="$lost"}')
    with pytest.raises(VariableError, match="'sqlstring' of variable 'v'"):
        promql("${v:sqlstring}", v=VariableValue("a"))


def test_groups_of_label_replace_stay() -> None:
    text = 'label_replace(up, "a", "$1", "b", "(.*)") + label_replace(up, "a", "${1}xx", "b", "c")'
    assert promql(text) == text


def test_a_longer_name_is_not_cut() -> None:
    own = {"__interval": "1m", "__interval_ms": "60000"}
    assert interpolation.interpolate("$__interval_ms $__interval", {}, own, PROMQL) == "60000 1m"


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
    assert timing.round_interval(length) == expected


def test_a_panel_has_a_point_for_each_pixel() -> None:
    assert timing.max_data_points(24) == 1366 - 32 - 18
    assert timing.max_data_points(12) == 645
    assert timing.max_data_points(8) == 421


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
    time_range = TimeRange(0, hours * HOUR)
    found = timing.prometheus_timing(time_range, timing.max_data_points(columns), 30 * SECOND)
    assert (found.step, found.built_in["__rate_interval"]) == (step, rate)


def test_a_least_step_counts_and_widens_the_rate() -> None:
    found = timing.prometheus_timing(SIX_HOURS, 645, 30 * SECOND, "1m")
    assert (found.step, found.built_in["__rate_interval"]) == (MINUTE, "4m0s")
    found = timing.prometheus_timing(SIX_HOURS, 645, 30 * SECOND, "$__rate_interval")
    assert (found.step, found.built_in["__rate_interval"]) == (2 * MINUTE, "2m0s")
    found = timing.prometheus_timing(SIX_HOURS, 645, 30 * SECOND, "", 2)
    assert found.step == MINUTE


def test_prometheus_ranges_begin_and_end_at_a_step() -> None:
    time_range = TimeRange(1_000_000_012_345, 1_000_000_012_345 + 6 * HOUR)
    found = timing.prometheus_timing(time_range, 421, 30 * SECOND)
    assert found.step == MINUTE
    assert found.time_range.start % MINUTE == found.time_range.end % MINUTE == 0
    assert 0 <= time_range.end - found.time_range.end < MINUTE
    assert found.built_in["__to"] == str(time_range.end)


def test_the_range_as_variables() -> None:
    own = timing.prometheus_timing(SIX_HOURS, 645, 30 * SECOND).built_in
    assert [own[n] for n in ("__range", "__range_s", "__range_ms")] == [
        "21600s",
        "21600",
        "21600000",
    ]
    assert (own["__interval"], own["__interval_ms"]) == ("30s", "30000")


def test_lokis_auto_is_the_step_of_a_graph_and_the_range_of_a_number() -> None:
    graph = timing.loki_timing(SIX_HOURS, 421)
    assert (graph.step, graph.built_in["__auto"]) == (MINUTE, "1m")
    number = timing.loki_timing(SIX_HOURS, 421, instant=True)
    assert number.built_in["__auto"] == "21600s"
    assert timing.loki_timing(TimeRange(0, 5 * MINUTE), 421).step == 500
    assert graph.time_range == SIX_HOURS


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
    assert (timing.interval_text(length), timing.go_duration(length)) == (short, go)


def test_intervals_are_read() -> None:
    assert [timing.milliseconds(t) for t in ("30s", "1m", "15", ">10s")] == [
        30_000,
        60_000,
        15_000,
        10_000,
    ]
    with pytest.raises(ValueError, match="no interval"):
        timing.milliseconds("soon")


def test_legends() -> None:
    assert interpolation.legend("{{app}} {{ method }}!", {"app": "a"}) == "a !"
    assert interpolation.legend_labels("{{app}} {{ method }}") == ["app", "method"]


def test_an_option_takes_the_place_of_all() -> None:
    assert (
        promql(
            "$v", v=interpolation.with_option(interpolation.value_of_all(("a", "b"), None), "a.b")
        )
        == r"a\\.b"
    )
    assert promql("$v", v=interpolation.with_option(VariableValue("a"), "b")) == "b"
