"""Previews: what panels show, how values are written, and pages as a real browser draws them."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.grafana import frames, pages
from scripts.lab.preview import results as preview
from scripts.model import dashboards
from scripts.servers import browser
from tests.programs.lab import preview_results
from tests.programs.lab.preview_results import answer

COMMITTED = dashboards.load(tools.ROOT)
DASHBOARDS = [name.removesuffix(".json") for name in COMMITTED]


def load(uid: str) -> Json:
    return copy.deepcopy(COMMITTED[f"{uid}.json"])


def panel(kind: str, *targets: Json, **settings: Any) -> Json:
    """A panel with a query for each target, lettered from A on."""
    defaults = {
        "color": {"mode": "palette-classic"},
        "custom": {},
        "noValue": "nothing",
        "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}]},
    }
    return {
        "id": 1,
        "type": kind,
        "title": "Panel",
        "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0},
        "options": {"legend": {"showLegend": True}, "sortOrder": "Descending"},
        "fieldConfig": {"defaults": defaults, "overrides": settings.pop("overrides", [])},
        "targets": [
            {"refId": letter, "legendFormat": "", "datasource": {"type": "prometheus"}, **target}
            for letter, target in zip("ABC", targets or ({},), strict=False)
        ],
        **settings,
    }


def board(*panels: Json) -> Json:
    return {
        "uid": "board",
        "title": "Board",
        "description": "",
        "templating": {"list": []},
        "panels": list(panels),
    }


def vector(value: str, **labels: str) -> Json:
    return {"metric": labels, "value": [1000, value]}


# What a panel shows


def test_a_legend_names_labels_and_leaves_out_absent_ones() -> None:
    target = {"legendFormat": "{{app}} {{ route }}!"}
    assert frames.legend(target, {"app": "a", "x": "y"}, "up") == "a !"
    assert frames.legend({"legendFormat": ""}, {"__name__": "up", "b": "2", "a": "1"}, "up") == (
        'up{a="1", b="2"}'
    )
    assert frames.legend({"legendFormat": ""}, {}, "sum(up)") == "sum(up)"
    assert frames.legend({"legendFormat": "{{level}}"}, {}, "sum(up)") == "Value"


def test_overrides_apply_by_name_pattern_and_query_and_the_last_wins() -> None:
    def override(matcher: str, options: str, key: str, value: object) -> Json:
        found = {"id": key, "value": value}
        return {"matcher": {"id": matcher, "options": options}, "properties": [found]}

    model = panel(
        "timeseries",
        overrides=[
            override("byRegexp", "/^(error|fatal)$/", "unit", "bytes"),
            override("byFrameRefID", "B", "custom.width", 7),
            override("byName", "error", "unit", "s"),
        ],
    )
    assert frames.config(model, "error", "A")["unit"] == "s"
    assert frames.config(model, "fatal", "A")["unit"] == "bytes"
    assert "unit" not in frames.config(model, "errors", "A")
    assert frames.config(model, "x", "B")["custom"] == {"width": 7}
    assert model["fieldConfig"]["defaults"]["custom"] == {}, "settings of one field leak"


def test_a_missing_scrape_is_a_gap_in_a_graph() -> None:
    model = panel("timeseries", {"legendFormat": "{{app}}"})
    series = [
        {"metric": {"app": "a"}, "values": [[60, "1"], [120, "2"], [300, "3"]]},
        {"metric": {"app": "b"}, "values": [[60, "NaN"], [120, "+Inf"]]},
    ]
    shown = frames.panel(model, {"A": answer(series)})["data"]
    assert shown["times"] == [60, 120, 180, 300]
    assert [one["values"] for one in shown["series"]] == [[1, 2, None, 3], [None] * 4]


def test_an_instant_answer_of_loki_is_one_value_as_grafana_makes_a_table_of_it() -> None:
    two = [vector("1", app="a"), vector("2", app="b")]
    model = panel("stat", {"legendFormat": "{{app}}"})
    prometheus = frames.panel(model, {"A": answer(two, instant=True)})["data"]["values"]
    loki = frames.panel(model, {"A": answer(two, "logql", instant=True)})["data"]["values"]
    assert [(one["name"], one["value"]) for one in prometheus] == [("a", 1), ("b", 2)]
    assert [(one["name"], one["value"]) for one in loki] == [("Value #A", 2)]


def test_an_error_and_a_query_that_was_not_run_are_shown() -> None:
    model = panel("stat", {}, {})
    failed = answer([], instant=True) | {"error": "parse error"}
    assert frames.panel(model, {"A": failed})["errors"] == ["A: parse error", "B: was not run"]
    assert "heatmap" in frames.panel(panel("heatmap"), {"A": answer([])})["errors"][0]


def test_tables_join_rows_of_equal_labels_and_order_rename_and_sort_columns() -> None:
    organize = {
        "excludeByName": {"Time": True, "job": True, "Value #C": True},
        "indexByName": {"pod": 0, "why": 1, "Value #A": 2, "Value #B": 3},
        "renameByName": {"pod": "Pod", "why": "Why", "Value #A": "Ready", "Value #B": "Memory"},
    }
    model = panel("table", {}, {}, {})
    model["options"] = {"sortBy": [{"displayName": "Memory", "desc": True}]}
    model["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": organize},
    ]
    answers = {
        "A": answer([vector("1", pod="x", job="j"), vector("0", pod="y", job="j")], instant=True),
        "B": answer([vector("5", pod="x"), vector("9", pod="y"), vector("7", pod="z")]),
        "C": answer([vector("1", pod="y", why="OOMKilled")], instant=True),
    }
    shown = frames.panel(model, answers)["data"]
    assert [column["name"] for column in shown["columns"]] == ["Pod", "Why", "Ready", "Memory"]
    assert shown["rows"] == [
        ["y", "OOMKilled", 0, 9],
        ["z", None, None, 7],
        ["x", None, 1, 5],
    ]


def test_a_row_that_differs_stands_alone_and_one_that_fits_several_joins_all() -> None:
    pods = frames.TableFrame(["pod", "container", "A"], [
        {"pod": "x", "container": "1", "A": 1.0},
        {"pod": "x", "container": "2", "A": 2.0},
    ])  # fmt: skip
    nodes = frames.TableFrame(["pod", "B"], [{"pod": "x", "B": 3.0}, {"pod": "y", "B": 4.0}])
    (merged,) = frames.merge([pods, nodes], {})
    assert merged.rows == [
        {"pod": "x", "container": "1", "A": 1.0, "B": 3.0},
        {"pod": "x", "container": "2", "A": 2.0, "B": 3.0},
        {"pod": "y", "B": 4.0},
    ]
    (apart,) = frames.merge([pods, frames.TableFrame(["pod", "A"], [{"pod": "x", "A": 9.0}])], {})
    assert len(apart.rows) == 3, "values that contradict each other are joined"


def test_log_lines_are_in_the_order_of_the_panel_with_their_level() -> None:
    streams = [
        {"stream": {"level": "info"}, "values": [["2000000", "b"], ["1000000", "a"]]},
        {"stream": {"detected_level": "error"}, "values": [["3000000", "c"]]},
    ]
    model = panel("logs")
    lines = frames.panel(model, {"A": answer(streams, "logql")})["data"]["lines"]
    assert [(one["line"], one["level"]) for one in lines] == [
        ("c", "error"),
        ("b", "info"),
        ("a", "info"),
    ]


def test_panels_stand_under_their_row_and_inside_a_closed_one() -> None:
    closed = {"type": "row", "collapsed": True, "panels": [{"type": "stat", "id": 3}]}
    open_row: Json = {"type": "row", "collapsed": False, "panels": []}
    stats = [{"type": "stat", "id": number} for number in (1, 2, 4)]
    found = frames.sections([stats[0], open_row, stats[1], closed, stats[2]])
    assert [[one["id"] for one in panels] for _, panels in found] == [[1], [2], [3], [4]]


def test_results_that_are_missing_say_what_to_run(tmp_path: Path) -> None:
    results = tmp_path / "proof"
    with pytest.raises(RepositoryError, match=r"no results of any day\n.*run make prove first"):
        preview.write([], [], results, tmp_path)
    (results / "healthy").mkdir(parents=True)
    with pytest.raises(RepositoryError, match="no results of incident"):
        preview.write(["incident"], [], results, tmp_path)
    with pytest.raises(RepositoryError, match=r"proof/healthy/.*json: no results of .* healthy"):
        preview.write([], [], results, tmp_path)
    with pytest.raises(RepositoryError, match="no dashboard nonsense"):
        preview.write([], ["nonsense"], results, tmp_path)


def test_a_missing_browser_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(RepositoryError, match="set CHROMIUM to its path"):
        browser.executable()


def test_packages_are_pinned_by_hash_without_a_registry() -> None:
    lock = json.loads(browser.LOCK.read_text())["packages"]
    wanted = json.loads(browser.LOCK.with_name("package.json").read_text())["dependencies"]
    assert wanted == lock[""]["dependencies"]
    own = {name: package for name, package in lock.items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in own.values())
    assert not any("resolved" in package for package in own.values())


# How a value is written and coloured: display.js, which needs no browser


def javascript(expression: str) -> Any:
    """The value of an expression in the scope of display.js."""
    node = shutil.which("node")
    if not node:
        pytest.skip("Node.js is not installed")
    script = 'const vm = require("vm"), [file, text] = process.argv.slice(1);'
    script += 'vm.runInThisContext(require("fs").readFileSync(file, "utf8"));'
    script += "console.log(JSON.stringify(vm.runInThisContext(text)));"
    command = [node, "-e", script, str(pages.FOLDER / "display.js"), expression]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# Written by @grafana/data 13.2.3: formattedValueToString(getValueFormat(unit)(value)).
WRITTEN = [
    ("none", 0.000123, "0.000123"),
    ("short", 0, "0"),
    ("short", 999.95, "1000"),
    ("short", 1234.5, "1.23 K"),
    ("short", 45678901, "45.7 Mil"),
    ("percentunit", 1 / 3, "33.3%"),
    ("percentunit", 1, "100%"),
    ("bytes", 1099511627776, "1 TiB"),
    ("bytes", 45678901, "43.6 MiB"),
    ("bytes", 0.5, "0.500 B"),
    ("decbytes", 45678901, "45.7 MB"),
    ("Bps", 1234.5, "1.23 kB/s"),
    ("binBps", 1234.5, "1.21 KiB/s"),
    ("reqps", 12.3456, "12.3 req/s"),
    ("reqps", 1234.5, "1.23K req/s"),
    ("s", 0, "0 s"),
    ("s", 0.0034, "3.40 ms"),
    ("s", 61, "1.02 mins"),
    ("s", 90000, "1.04 days"),
    ("s", 1.5e-7, "150 ns"),
    ("ms", 3600, "3.60 s"),
    ("ms", 4e7, "11.1 hours"),
    ("suffix:cores", 2.2, "2.20 cores"),
    ("suffix: cores", 2.2, "2.20  cores"),
    ("prefix:v", 100, "v100"),
]


def test_units_are_written_as_grafana_writes_them() -> None:
    pairs = json.dumps([[value, unit] for unit, value, _ in WRITTEN])
    texts = javascript(f"{pairs}.map(([value, unit]) => format(value, unit).join(''))")
    assert texts == [text for _, _, text in WRITTEN]


def test_every_unit_of_the_dashboards_is_known() -> None:
    used = {unit for uid in DASHBOARDS for unit in _units(load(uid))}
    assert used, "no unit found"
    javascript(f"{json.dumps(sorted(used))}.map((unit) => format(1, unit))")


def _units(value: object) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_units, value))
    if not isinstance(value, dict):
        return set()
    own = {value["unit"]} if isinstance(value.get("unit"), str) else set()
    if value.get("id") == "unit":
        own = {value["value"]}
    return own.union(*map(_units, value.values()))


STEPS = [
    {"color": "green", "value": None},
    {"color": "orange", "value": 0.8},
    {"color": "red", "value": 0.9},
]
CONFIG = {
    "unit": "percentunit",
    "noValue": "–",
    "thresholds": {"mode": "absolute", "steps": STEPS},
    "mappings": [{"type": "value", "options": {"1": {"text": "full", "color": "dark-red"}}}],
}


@pytest.mark.parametrize(
    ("value", "text", "colour"),
    [
        (0.5, "50%", "#73BF69"),
        (0.8, "80%", "#FF9830"),
        (2, "200%", "#F2495C"),
        (1, "full", "#C4162A"),
        (None, "–", "#73BF69"),
        ("", "–", "#73BF69"),
        ("Infinity", "∞%", "#F2495C"),
        ("name", "name", "#73BF69"),
    ],
)
def test_mappings_come_before_units_and_thresholds(value: object, text: str, colour: str) -> None:
    shown = javascript(f"display({json.dumps(value)}, {json.dumps(CONFIG)}, 'dark')")
    assert (shown["text"] + shown["suffix"], shown["color"]) == (text, colour)


def test_series_take_the_classic_palette_in_order_unless_a_colour_is_fixed() -> None:
    palette = json.dumps({"color": {"mode": "palette-classic"}})
    fixed = json.dumps({"color": {"mode": "fixed", "fixedColor": "semi-dark-blue"}})
    expression = f"[0, 1, 2].map((at) => seriesColour(at === 1 ? {fixed} : {palette}, at, 'dark'))"
    assert javascript(expression) == ["#73BF69", "#3274D9", "#5794F2"]


# Pages in a browser


def page(tmp_path: Path, model: Json, results: Json, html: str = "") -> Path:
    data = frames.dashboard(model, results) | {"links": []}
    path = tmp_path / f"{model['uid']}.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(pages.page(data, browser.modules()) + html)
    return path


def see(path: Path, **settings: Any) -> browser.PageReport:
    (seen,) = browser.open_pages([browser.PageJob(path, **settings)])
    return seen


def faults(*paths: Path) -> list[str]:
    """What is wrong with each page, as one text each; one browser opens them all."""
    return [
        "\n".join(map(str, browser.page_findings(s)))
        for s in browser.open_pages(map(browser.PageJob, paths))
    ]


@pytest.mark.prove
@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_panel_is_drawn_or_says_why_not(uid: str, tmp_path: Path) -> None:
    model = load(uid)
    found = [preview_results.results(model, day) for day in preview_results.DAYS]
    paths = [page(tmp_path / one["day"], model, one) for one in found]
    no_value = {
        str(one["id"]): one["fieldConfig"]["defaults"].get("noValue", frames.NO_VALUE)
        for _, panels in frames.sections(model["panels"])
        for one in panels
    }
    for seen, results in zip(browser.open_pages(map(browser.PageJob, paths)), found, strict=True):
        assert browser.page_findings(seen) == []
        shown = {str(one["id"]): one for one in seen.report["panels"]}
        assert shown.keys() == no_value.keys()
        for number, answers in results["panels"].items():
            there = any(one["result"] for one in answers.values())
            one = shown[number]
            assert one["state"] == ("drawn" if there else "no-value"), one["title"]
            if not there:
                assert no_value[number] in one["text"]
            elif one["type"] == "timeseries":
                assert one["painted"]["best"] > 0.9, one["title"]
                assert one["marks"] == len(results["annotations"])


@pytest.mark.prove
def test_the_button_changes_the_theme_and_every_panel_is_drawn_again(tmp_path: Path) -> None:
    model = load("todo-overview")
    path = page(tmp_path, model, preview_results.results(model))
    jobs = [
        browser.PageJob(path, theme, toggle=toggle)
        for theme in ("dark", "light")
        for toggle in (False, True)
    ]
    seen = list(browser.open_pages(jobs))
    assert [one.report["theme"] for one in seen] == ["dark", "light", "light", "dark"]
    dark, light, *rest = [one.report["background"] for one in seen]
    assert dark != light
    assert rest == [light, dark]
    colours = [[p["painted"] and p["painted"]["colours"] for p in s.report["panels"]] for s in seen]
    assert colours[0] != colours[1], "the lines keep their colours"
    assert colours[2:] == [colours[1], colours[0]]
    assert [browser.page_findings(one) for one in seen] == [[], [], [], []]


@pytest.mark.prove
def test_the_list_shows_every_page_and_its_picture(tmp_path: Path) -> None:
    for day in preview_results.DAYS:
        (tmp_path / "proof" / day).mkdir(parents=True)
        for uid in DASHBOARDS:
            found = json.dumps(preview_results.results(load(uid), day))
            (tmp_path / "proof" / day / f"{uid}.json").write_text(found)
    output = tmp_path / "preview"
    written = preview.write([], [], tmp_path / "proof", output)
    assert len(written) == 2 * len(DASHBOARDS)
    text = (output / "index.html").read_text()
    assert all(f'href="{path.relative_to(output)}"' in text for path in written)
    picture = tmp_path / "picture.png"
    see(written[0], picture=picture)
    assert picture.read_bytes()[16:20] == browser.WIDTH.to_bytes(4, "big")


@pytest.mark.prove
def test_a_panel_of_each_type_shows_an_error_in_its_place(tmp_path: Path) -> None:
    kinds = ("stat", "gauge", "table", "logs", "timeseries", "state-timeline")
    models = [board(panel(kind)) | {"uid": kind} for kind in kinds]
    failed = {"1": {"A": answer([]) | {"error": "bad query"}}}
    paths = [page(tmp_path, m, preview_results.results(m) | {"panels": failed}) for m in models]
    for kind, text in zip(kinds, faults(*paths), strict=True):
        assert "panel 'Panel' shows an error: A: bad query" in text, kind


@pytest.mark.prove
def test_what_no_page_may_show_is_found(tmp_path: Path) -> None:
    """Each fault is put into a page that has none."""
    values = [[time, "3"] for time in range(1_700_000_000, 1_700_021_600, 60)]
    series = {"A": answer([{"metric": {"app": "a"}, "values": values}])}
    model = board(panel("timeseries"), panel("timeseries", id=2, title="Other"))
    model["panels"][1]["gridPos"] |= {"x": 12}
    results = preview_results.results(model) | {"panels": {"1": series, "2": series}}
    paths: list[Path] = []
    wanted: list[str] = []

    def put(expected: str, html: str = "", place: Json | None = None, **settings: Any) -> None:
        changed = copy.deepcopy(model) | {"uid": f"board-{len(paths)}"}
        changed["panels"][1]["gridPos"] |= place or {}
        changed["panels"][1]["fieldConfig"]["defaults"] |= settings
        paths.append(page(tmp_path, changed, results, html))
        wanted.append(expected)

    put("")
    put("panels 'Panel' and 'Other' overlap", place={"x": 11})
    put("px wide in a window of 1366 px", place={"w": 13})
    put("'Other' has 1 series and draws none", min=0, max=1)
    put("'Other' shows an error: unit furlong", unit="furlong")
    put("console says: Error: unit furlong", unit="furlong")
    put("asks the network for http://127.0.0.1:9", '<img src="http://127.0.0.1:9/a.png">')
    put("'Panel' is not drawn", "<script>drawPanel = () => {}</script>")
    put("console says: Error: fault", "<script>throw new Error('fault')</script>")
    found = faults(*paths)
    assert found[0] == "", "the page is not sound before"
    for text, expected in zip(found[1:], wanted[1:], strict=True):
        assert expected in text
