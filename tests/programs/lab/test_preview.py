"""Previews: what panels show, how values are written, and pages as a real browser draws them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.grafana import evaluation, frames, library, model, pages
from scripts.lab.preview import results as preview
from scripts.model import dashboards
from scripts.servers import browser, npm
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


def test_what_is_missing_is_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(RepositoryError, match="set CHROMIUM to its path"):
        browser.executable()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "cache", lambda: tmp_path)
    with pytest.raises(RepositoryError, match=r"none of npm is there\n.*install Node.js 20"):
        library.folder()


@pytest.mark.parametrize("folder", [browser.FOLDER, library.FOLDER], ids=lambda path: path.name)
def test_packages_are_pinned_by_hash_without_a_registry(folder: Path) -> None:
    lock = json.loads((folder / npm.LOCK).read_text())["packages"]
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert wanted == lock[""]["dependencies"]
    assert all(lock[f"node_modules/{name}"]["version"] == at for name, at in wanted.items())
    own = {name: package for name, package in lock.items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in own.values())
    assert not any("resolved" in package for package in own.values())


def test_what_is_made_of_packages_is_made_once_and_nothing_else_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "room"
    folder.mkdir()
    (folder / npm.LOCK).write_text("1")
    monkeypatch.setattr(tools, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(npm, "_install", lambda _, scratch: (scratch / "large").write_text(""))
    made: list[Path] = []

    def make(scratch: Path) -> Path:
        made.append(scratch)
        (scratch / "small").mkdir()
        return scratch / "small"

    kept = npm.installed(folder, make)
    assert npm.installed(folder, make) == kept
    assert len(made) == 1
    assert [path.name for path in kept.parent.iterdir() if path.name != ".lock"] == [kept.name]
    (folder / npm.LOCK).write_text("2")
    assert npm.installed(folder, make) != kept


@pytest.mark.parametrize(
    ("image", "said"),
    [({"tag": "own.99"}, 0), ({"tag": "13.99.0"}, 1), ({"tag": "99.2.3"}, 1), ({}, 0), (None, 0)],
)
def test_pages_are_drawn_with_the_version_that_clusters_get(
    image: Json | None, said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = json.loads((library.FOLDER / "package.json").read_text())
    assert package["dependencies"]["@grafana/data"] == package["dependencies"]["@grafana/ui"]
    minor = package["dependencies"]["@grafana/data"].rpartition(".")[0]
    given = {"tag": image["tag"].replace("own", minor)} if image else image
    monkeypatch.setattr(model, "release_values", lambda: {"image": given})
    assert len(library.version_findings()) == said


@pytest.mark.parametrize(
    ("spanned", "hours"),
    [
        ({"from": "now-1h", "to": "now"}, 1),
        ({"from": "now-2d", "to": "now"}, 48),
        ({"from": "now/d", "to": "now"}, 6),
        (None, 6),
    ],
)
def test_a_dashboard_opens_with_its_own_range(spanned: Json | None, hours: int) -> None:
    read = model.read(board() | {"time": spanned}, ())
    assert read.length == hours * 3_600_000
    opened = evaluation.time_range_at(1_700_000_000, read.length)
    assert (opened.end, opened.length) == (1_700_000_000_000, read.length)


def test_links_above_a_dashboard_are_one_a_dashboard_or_a_menu() -> None:
    others = [{"title": "One", "tags": ["a"]}, {"title": "Two", "tags": ["b"]}]
    link = {"type": "dashboards", "tags": ["a"], "asDropdown": False, "title": "All"}
    assert frames.menu({"links": [link]}, others) == ["One"]
    assert frames.menu({"links": [link | {"asDropdown": True}]}, others) == ["All"]
    assert frames.menu({"links": [{"type": "link", "title": "Docs"}]}, others) == ["Docs"]


STEPS = [
    {"color": "green", "value": None},
    {"color": "orange", "value": 0.8},
    {"color": "red", "value": 0.9},
]


# Pages in a browser


def page(tmp_path: Path, model: Json, results: Json, html: str = "") -> Path:
    data = frames.dashboard(model, results) | {"links": []}
    path = tmp_path / f"{model['uid']}.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(pages.page(data) + html)
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
    put("'Other' shows an error: Grafana knows no unit furlong", unit="furlong")
    put("console says: Error: Grafana knows no unit furlong", unit="furlong")
    put("asks the network for http://127.0.0.1:9", '<img src="http://127.0.0.1:9/a.png">')
    put("'Panel' is not drawn", "<script>drawPanel = () => {}</script>")
    put("console says: Other: no graph", "<script>TYPES.timeseries = () => null</script>")
    put("console says: Error: fault", "<script>throw new Error('fault')</script>")
    found = faults(*paths)
    assert found[0] == "", "the page is not sound before"
    for text, expected in zip(found[1:], wanted[1:], strict=True):
        assert expected in text


# What Grafana does with a dashboard's settings is seen on the page


def shown(tmp_path: Path, *panels: Json, answers: Json, **settings: Any) -> browser.PageReport:
    """A page of panels, each of which gets the same answers."""
    drawn = board(*panels)
    results = preview_results.results(drawn)
    results["panels"] = {str(one["id"]): answers for one in panels}
    return see(page(tmp_path, drawn, results), **settings)


def readiness(color: Json) -> Json:
    """A state timeline whose value mappings say what 0 and 1 mean."""
    timeline = panel("state-timeline", {"legendFormat": "{{pod}}"})
    timeline["options"] = {"mergeValues": True, "showValue": "never"}
    mappings = {"0": {"text": "no", "color": "red"}, "1": {"text": "yes", "color": "green"}}
    timeline["fieldConfig"]["defaults"] |= {
        "color": color,
        "mappings": [{"type": "value", "options": mappings}],
        "thresholds": {"mode": "absolute", "steps": [{"color": "blue", "value": None}]},
    }
    return timeline


@pytest.mark.prove
def test_a_timeline_that_merges_values_by_threshold_is_one_colour_as_in_grafana(
    tmp_path: Path,
) -> None:
    times = range(1_700_000_000, 1_700_021_600, 60)
    values = [[time, str(int(time < 1_700_010_000))] for time in times]
    answers = {"A": answer([{"metric": {"pod": "x"}, "values": values}])}
    by_threshold = readiness({"mode": "thresholds"})
    fixed = readiness({"mode": "fixed", "fixedColor": "text"}) | {"id": 2}
    fixed["gridPos"] |= {"x": 12}
    seen = shown(tmp_path, by_threshold, fixed, answers=answers)
    assert browser.page_findings(seen) == []
    assert [one["states"] for one in seen.report["panels"]] == [
        ["#5794F2"],
        ["#73BF69", "#F2495C"],
    ]


@pytest.mark.prove
@pytest.mark.parametrize(("width", "cut"), [(1366, True), (2600, False)])
def test_a_title_is_cut_where_grafana_cuts_it(width: int, cut: bool, tmp_path: Path) -> None:
    small = panel("stat", title="Restarts so far", description="Why.")
    small["gridPos"] |= {"w": 3}
    small["options"] |= {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    answers = {"A": answer([vector("3")], instant=True)}
    seen = shown(tmp_path, small, answers=answers, width=width)
    assert any("“Restarts so far”" in text for text in browser.truncated(seen)) is cut


@pytest.mark.prove
def test_values_are_written_by_mapping_then_unit_and_tables_say_what_they_cut(
    tmp_path: Path,
) -> None:
    stat = panel("stat", {"legendFormat": "{{app}}"})
    stat["options"] |= {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    table = panel("table", id=2)
    table["gridPos"] |= {"x": 12, "h": 4}
    table["options"] |= {"showHeader": True, "cellHeight": "sm"}
    mapping = {"type": "value", "options": {"1": {"text": "full", "color": "dark-red"}}}
    for one in (stat, table):
        one["fieldConfig"]["defaults"] |= {
            "unit": "percentunit",
            "mappings": [mapping],
            "thresholds": {"mode": "absolute", "steps": STEPS},
        }
    values = {"a": "0.5", "b": "1", "c": "+Inf", "d": "NaN"}
    answers = {"A": answer([vector(v, app=k) for k, v in values.items()], instant=True)}
    seen = shown(tmp_path, stat, table, answers=answers)
    assert browser.page_findings(seen) == []
    first, second = (one["text"] for one in seen.report["panels"])
    assert {"50", "full"} <= set(first.replace("%", "").split())
    assert "50%" in second
    assert "nothing" in first, "of what is no number, the panel's text for that"
    assert any("the table's height" in text for text in browser.truncated(seen))


@pytest.mark.prove
def test_a_table_that_is_just_too_low_is_a_fault_and_a_legend_that_scrolls_is_said(
    tmp_path: Path,
) -> None:
    series = [
        {"metric": {"app": f"{at}-{'x' * 40}"}, "values": [[1_700_000_060, "1"]]} for at in range(9)
    ]
    graph = panel("timeseries", {"legendFormat": "{{app}}"})
    seen = shown(tmp_path, graph, answers={"A": answer(series)})
    assert any("the legend's height" in text for text in browser.truncated(seen))
    assert browser.too_low(seen) == []
    table = panel("table")
    table["options"] |= {"showHeader": True, "cellHeight": "sm"}
    rows = {"A": answer([vector("1", app=str(at)) for at in range(4)], instant=True)}
    found = {}
    for height in (4, 6, 7):
        table["gridPos"]["h"] = height
        found[height] = [f.message for f in browser.too_low(shown(tmp_path, table, answers=rows))]
    assert "panel 'Panel': the table's height needs 178 of 170 px" in found.pop(6)[0]
    assert found == {4: [], 7: []}


@pytest.mark.prove
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("config", "a, unit: frames.py says"),
        ("organize", "columns: frames.py says"),
        ("merge", "rows: frames.py says"),
    ],
)
def test_what_python_reads_otherwise_than_grafana_is_found(
    broken: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {"app": "App"}}
    table = panel("table", {}, {}, id=2)
    table["gridPos"] |= {"x": 12}
    table["options"] |= {"showHeader": True}
    table["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": renamed},
    ]
    stat = panel("stat", {"legendFormat": "{{app}}"}, {"legendFormat": "{{app}}"})
    stat["options"] |= {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    own = {"id": "links", "value": [{"title": "own", "url": "/own"}]}
    for one in (stat, table):
        one["fieldConfig"]["defaults"] |= {"unit": "s", "links": [{"title": "all", "url": "/all"}]}
        one["fieldConfig"]["overrides"] = [
            {"matcher": {"id": "byRegexp", "options": "/a/"}, "properties": [own]}
        ]
    answers = {
        letter: answer([vector("1", app="a"), vector("2", app="b")], instant=True)
        for letter in "AB"
    }
    assert browser.page_findings(shown(tmp_path, stat, table, answers=answers)) == []
    right = getattr(frames, broken)
    wrong = {
        "config": lambda *given: right(*given) | {"unit": "ms"},
        "organize": lambda tables, options: right(tables, options | {"renameByName": {}}),
        "merge": lambda tables, options: [
            table._replace(rows=table.rows[1:]) for table in right(tables, options)
        ],
    }[broken]
    if broken in frames._TRANSFORMATIONS:
        monkeypatch.setattr(frames, "_TRANSFORMATIONS", {**frames._TRANSFORMATIONS, broken: wrong})
    else:
        monkeypatch.setattr(frames, broken, wrong)
    texts = map(str, browser.page_findings(shown(tmp_path, stat, table, answers=answers)))
    assert any(said in text for text in texts)
