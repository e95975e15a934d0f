"""Dashboards: what is committed is what the Python makes, and says what each page promises."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import yaml

import dashboards_py
from dashboards_py import __main__ as command
from dashboards_py import alerts as specified
from dashboards_py import colours, metrics, namespaces
from dashboards_py.definition import Folder
from dashboards_py.promql import Kind, Metric
from dashboards_py.queries import lines
from scripts import tools
from scripts.checks.static import drawing
from scripts.core.yamlfile import Json
from scripts.model import dashboards as checks
from scripts.model.manifests import ENGINE_NAMESPACES, NAMESPACES, Repository

FOLDER = tools.ROOT / checks.FOLDER
HOME = "todo-overview.json"


def committed() -> dict[str, Json]:
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@pytest.fixture
def home() -> Json:
    return copy.deepcopy(committed()[HOME])


def test_committed_json_is_what_the_python_makes() -> None:
    assert command.differences(command.render(), FOLDER) == []


def test_each_dashboard_is_in_the_configmap_of_its_folder() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    listed = {c["name"]: set(c["files"]) for c in kustomization["configMapGenerator"]}
    for uid, definition in command.build().items():
        assert f"{uid}.json" in listed[definition.folder.value]


def exported_names() -> dict[str, Metric]:
    """Declared metrics as queries name them: of a histogram they read the buckets."""
    suffixes = {Kind.HISTOGRAM: "_bucket"}
    return {m.name + suffixes.get(m.kind, ""): m for m in metrics.BY_NAME.values()}


def test_every_metric_in_a_query_is_declared() -> None:
    for dashboard in committed().values():
        for query in checks.queries(dashboard):
            if query.lang == "promql":
                bare = re.sub(r'"[^"]*"', '""', query.expr)
                assert set(re.findall(r"([a-zA-Z_][\w:]*)\{", bare)) <= exported_names().keys()


def test_every_declared_metric_is_asked_for() -> None:
    root = Path(dashboards_py.__path__[0])
    asking = [path for path in root.rglob("*.py") if path != Path(metrics.__file__)]
    text = "".join(path.read_text() for path in asking)
    declared = [name for name, value in vars(metrics).items() if isinstance(value, Metric)]
    assert [name for name in declared if not re.search(rf"\b{name}\b", text)] == []


def test_the_first_row_of_the_home_page_needs_one_scrape(home: Json) -> None:
    first = [p for p in home["panels"] if p["gridPos"]["y"] == 0]
    assert first
    for target in (t for p in first for t in p["targets"]):
        assert target["instant"] is True
        assert "[" not in target["expr"]


def test_the_first_row_of_the_home_page_answers_who_is_on_call(home: Json) -> None:
    """Does it work, for whom not, how slow is it, what fires, how bad is it: and what changed."""
    asked = " ".join(
        t["expr"] for p in home["panels"] if p["gridPos"]["y"] == 0 for t in p["targets"]
    )
    for metric in (
        metrics.PROBE_SUCCESS,
        metrics.HTTP_REQUESTS,
        metrics.HTTP_DURATION_P95,
        metrics.ALERTS,
        metrics.SLO_BUDGET_LEFT,
        metrics.POD_READY,
    ):
        assert metric.name in asked
    # A laptop of 768 pixels shows 14 units of the grid.
    next_row = [
        p
        for p in home["panels"]
        if p["gridPos"]["y"] > 0 and sum((p["gridPos"]["y"], p["gridPos"]["h"])) <= 14
    ]
    shown = " ".join(t["expr"] for p in next_row for t in p.get("targets", ()))
    assert "ALERTS{" in shown
    assert metrics.DEPLOYMENT_GENERATION.name in shown


def test_an_alert_leads_to_its_dashboard_and_its_runbook(home: Json) -> None:
    alerts = next(p for p in home["panels"] if p["title"] == "Firing alerts")
    asked = alerts["targets"][0]["expr"]
    for name, uid in specified.dashboards().items():
        assert name in asked
        assert (FOLDER / f"{uid}.json").is_file()
        assert (tools.ROOT / "base/config/runbooks" / f"{name}.md").is_file()
    links = json.dumps(alerts["fieldConfig"]["overrides"])
    assert f"{namespaces.runbooks()}/${{__data.fields.Runbook}}" in links
    assert "/d/${__value.raw}?" in links


def test_each_dashboard_draws_what_it_means() -> None:
    found = drawing.findings(committed(), drawing.scrape_interval(Repository(tools.ROOT)))
    assert [str(finding) for finding in found] == []


def test_all_namespaces_are_those_of_the_inventory(home: Json) -> None:
    variable = next(v for v in home["templating"]["list"] if v["name"] == "namespace")
    assert variable["allValue"] == namespaces.application()
    assert variable["current"]["value"] == ["$__all"]


def test_the_stack_is_what_is_in_our_namespaces_and_those_of_the_engines() -> None:
    assert set(namespaces.monitoring().split("|")) == NAMESPACES
    assert namespaces.ENGINES == ENGINE_NAMESPACES


def test_every_query_reads_the_chosen_namespaces_or_says_why_not() -> None:
    whole_cluster = {"Requested of the cluster", "Probes", "Alerts firing", "Firing alerts"}
    # Dapr's control plane and the broker serve every namespace.
    whole_cluster |= {"Certificate", "Consumer lag in the broker"}
    whole_cluster |= {"Scheduled jobs", "Sidecars at the scheduler"}
    # An objective is the whole application's.
    whole_cluster |= {"Budget", "Error budget left"}
    for definition in command.build().values():
        if definition.folder is Folder.PLATFORM or definition.board.uid == "todo-slo":
            continue
        dashboard = committed()[f"{definition.board.uid}.json"]
        for p in checks.panels(dashboard):
            texts = [target["expr"] for target in p["targets"]]
            assert p["title"] in whole_cluster or all("$namespace" in text for text in texts)


def test_no_dashboard_knows_an_environment() -> None:
    names = {path.name for path in tools.ROOT.glob("overlays/*") if path.is_dir()}
    assert names
    for name, board in committed().items():
        said = re.findall(r"overlays/([\w-]+)", json.dumps(board))
        assert not names & set(said), f"{name} names an environment"


def test_durations_do_not_depend_on_who_counts_requests() -> None:
    """The default source, the access log, has none: the panel would be empty by default."""
    asked = [q for board in committed().values() for q in checks.queries(board)]
    assert [q.where for q in asked if "histogram_quantile(" in q.expr and "$source" in q.expr] == []


def test_levels_are_those_that_the_log_pipeline_writes() -> None:
    pipeline = (tools.ROOT / "base/logs/pods.alloy").read_text()
    written = set(re.findall(r"}}(debug|info|warn|error|fatal){{", pipeline))
    assert {name.removesuffix(" lines") for name in colours.level_colours()} == written
    assert {*lines.ERROR_LEVELS.split("|"), lines.WARNING_LEVEL} < written


@pytest.mark.parametrize("uid", sorted(path.stem for path in FOLDER.glob("*.json")))
class TestEachDashboard:
    def test_rollouts_and_firing_alerts_are_marked(self, uid: str) -> None:
        marked = committed()[f"{uid}.json"]["annotations"]["list"]
        names = [annotation["name"] for annotation in marked]
        assert names == ["Rollouts", "Critical alerts", "Warnings"]
        # A bad day has dozens of them: whoever wants to see each switches them on.
        assert [annotation["enable"] for annotation in marked] == [True, True, False]

    def test_graphs_are_wide_enough_to_read(self, uid: str) -> None:
        """A column is 57 pixels wide on a screen of 1366."""
        for p in checks.panels(committed()[f"{uid}.json"]):
            if p["type"] in {"timeseries", "state-timeline", "logs", "table"}:
                assert p["gridPos"]["w"] >= 5, p["title"]

    def test_links_keep_the_time(self, uid: str) -> None:
        urls = re.findall(r'"url": "([^"]*)"', json.dumps(committed()[f"{uid}.json"]))
        inside = [url for url in urls if url.startswith("/")]
        assert [url for url in inside if "?${__url_time_range}" not in url] == []
        outside = set(urls) - set(inside)
        assert all(url.startswith(f"{namespaces.runbooks()}/") for url in outside)
