"""Each rule of drawing finds what an edit of a dashboard breaks."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from scripts.checks.static import drawing
from scripts.checks.validate import validate
from scripts.core.yamlfile import Json
from scripts.model import dashboards
from scripts.model.manifests import Repository
from tests.fixtures import FROZEN
from tests.programs.cluster_syncs import assert_says
from tests.programs.dashboard_files import committed

HOME = "todo-overview.json"
SCRAPE = 30.0

Edit = Callable[[Json], object]


def first(board: Json, kind: str, *, bars: bool = False) -> Json:
    """Return the first panel of a type; of graphs, one of lines or one of bars."""
    found: Json = next(
        p
        for p in dashboards.panels(board)
        if p["type"] == kind
        and (
            kind != "timeseries"
            or bars == (p["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars")
        )
    )
    return found


def defaults(board: Json, kind: str, *, bars: bool = False) -> Json:
    found: Json = first(board, kind, bars=bars)["fieldConfig"]["defaults"]
    return found


def ask(board: Json, expr: str, *, bars: bool = False, interval: str = "2m") -> None:
    """Let a graph ask Prometheus."""
    panel = first(board, "timeseries", bars=bars)
    prometheus = {"type": "prometheus", "uid": "prometheus"}
    panel["targets"] = [
        {
            "datasource": prometheus,
            "editorMode": "code",
            "expr": expr,
            "format": "time_series",
            "instant": False,
            "legendFormat": "",
            "range": True,
            "refId": "A",
        }
    ]
    panel["interval"] = interval


def by_thresholds(board: Json) -> None:
    defaults(board, "state-timeline")["color"] = {"mode": "thresholds"}


def one_that_nobody_uses(board: Json) -> None:
    variable = copy.deepcopy(board["templating"]["list"][0]) | {"name": "seldom"}
    board["templating"]["list"].append(variable)
    first(board, "timeseries")["targets"][0]["expr"] += ' and x{a=~"$seldom"}'


def long_title(board: Json) -> None:
    first(board, "stat")["title"] = "Probes of everything that people open"


def long_name(board: Json) -> None:
    several = next(p for p in dashboards.panels(board) if len(p["targets"]) > 2)
    several["targets"][0]["legendFormat"] = "ready to serve what people ask"


def narrow_table(board: Json) -> None:
    first(board, "table")["gridPos"]["w"] = 8


def without_links(board: Json) -> None:
    del defaults(board, "timeseries")["links"]


def cells_without_links(board: Json) -> None:
    for override in first(board, "table")["fieldConfig"]["overrides"]:
        override["properties"] = [p for p in override["properties"] if p["id"] != "links"]


def both(*edits: Edit) -> Edit:
    def apply(board: Json) -> None:
        for edit in edits:
            edit(board)

    return apply


COUNT = 'sum(increase(x_total{a="b"}[$__rate_interval]))'
RATE = 'sum(round(rate(x_total{a="b"}[$__rate_interval])))'
OF_STEP = 'sum(round(rate(x_total{a="b"}[$__rate_interval]) * $__interval_ms / 1000))'


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (by_thresholds, "thresholds replace its value mappings, and every state has one colour"),
        (lambda b: ask(b, COUNT), "one event is in several points"),
        (lambda b: ask(b, COUNT, bars=True), "one event is in several points"),
        (lambda b: ask(b, RATE, bars=True), "one event is in several points"),
        (
            lambda b: ask(b, 'sum(x{a="b"})', bars=True, interval="1m"),
            "bars of scrapes that may be narrower than 90 s",
        ),
        (
            lambda b: first(b, "timeseries", bars=True).pop("interval"),
            "bars of log lines that may be narrower than 60 s",
        ),
        (one_that_nobody_uses, "variable 'seldom' moves 1 of "),
        (long_title, "the title 'Probes of everything that people open' is cut"),
        (long_name, "the name 'ready to serve what people ask' is cut"),
        (narrow_table, "pixels that it needs on a screen of 1366"),
        (lambda b: defaults(b, "stat").update(noValue="No data"), "it says 'No data', which nob"),
        (lambda b: defaults(b, "table").pop("noValue"), "it says 'No data', which nobody"),
        (lambda b: defaults(b, "logs").update(noValue="none"), "shows no `noValue` for log lines"),
        (
            lambda b: first(b, "logs").update(description="Lines."),
            "its description does not say what an empty panel means",
        ),
        (
            lambda b: defaults(b, "timeseries")["custom"].pop("axisSoftMax"),
            "where every value is 0 its axis ends at 100",
        ),
        (
            lambda b: defaults(b, "timeseries").update(color={"mode": "palette-classic"}),
            "a series' colour depends on how many come before it",
        ),
        (without_links, "leads nowhere"),
        (cells_without_links, "panel 'Firing alerts' leads nowhere"),
    ],
)
def test_each_rule_finds_what_is_broken(edit: Edit, says: str) -> None:
    board = committed()[HOME]
    edit(board)
    messages = [f.message for f in drawing.findings({HOME: board}, SCRAPE)]
    assert any(says in message for message in messages), messages


def test_nothing_is_found_in_what_is_drawn_well() -> None:
    assert drawing.findings(committed(), SCRAPE) == []


@pytest.mark.parametrize(
    "edit",
    [
        # States of a timeline that does not merge, or has no mappings, keep their thresholds.
        both(
            by_thresholds,
            lambda b: first(b, "state-timeline")["options"].update(mergeValues=False),
        ),
        both(by_thresholds, lambda b: defaults(b, "state-timeline").pop("mappings")),
        # A number of the whole range has no steps.
        lambda b: first(b, "stat")["targets"][0].update(expr="increase(x_total[$__range])"),
        # Bars of what is no counter, and counts of a step.
        lambda b: ask(b, 'sum(x{a="b"})', bars=True),
        lambda b: ask(b, OF_STEP, bars=True),
        # A variable that is hidden misleads nobody.
        both(one_that_nobody_uses, lambda b: b["templating"]["list"][-1].update(hide=2)),
        lambda b: defaults(b, "timeseries")["custom"].update(axisSoftMax=7),
    ],
)
def test_what_is_right_is_left_alone(edit: Edit) -> None:
    board = committed()[HOME]
    edit(board)
    assert [str(f) for f in drawing.findings({HOME: board}, SCRAPE)] == []


def test_bars_are_as_wide_as_the_scrapes_are_far_apart() -> None:
    board = committed()[HOME]
    ask(board, 'sum(x{a="b"})', bars=True)
    assert drawing.findings({HOME: board}, 30) == []
    (finding,) = drawing.findings({HOME: board}, 60)
    assert "narrower than 180 s" in finding.message


def test_the_scrape_interval_is_the_data_source_s() -> None:
    assert drawing.scrape_interval(Repository(FROZEN)) == SCRAPE


def test_a_person_is_told_by_make_validate(copy: Repository) -> None:
    path = copy.root / dashboards.FOLDER / HOME
    text = path.read_text()
    by_name = '"mode": "palette-classic-by-name"'
    assert by_name in text
    path.write_text(text.replace(by_name, '"mode": "palette-classic"', 1))
    assert_says(validate(copy), r"todo-overview.json.+a series' colour depends on how many come")
