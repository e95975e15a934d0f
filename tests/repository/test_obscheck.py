"""`obscheck` names faults of the log pipeline, and parses queries as Prometheus and Loki do."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts import tools
from tests.repository.log_pipeline import ENVIRONMENT, LOGS, obscheck

FAULTS = {
    "name": ('import.file "shared" {', 'import.file "loki" {', "hides"),
    "component": ('loki.process "read" {', 'loki.proces "read" {', "unknown component"),
    "attribute": ("older_than          =", "oldest              =", "oldest"),
    "stage": ("stage.decolorize { }", "stage.truncate { }", "stage.truncate"),
    "receiver": ("loki.process.read.receiver", "loki.process.reed.receiver", "reed"),
    "expression": ("`^(?P<level>[IWEF])", "`^(?P<level>[IWEF)", "missing closing"),
    "rule": ('regex        = "(.+);(.+)"', 'regex        = "(.+;(.+)"', "missing closing"),
    "selector": ('|~ "^\\\\s*\\\\{"`', "| json`", "line filters only"),
    "function": ("string.trim_space(", "string.trim_spaces(", "trim_spaces"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    old, new, message = FAULTS[fault]
    for source in LOGS.glob("*.alloy"):
        (tmp_path / source.name).write_text(source.read_text())
    text = (LOGS / "pods.alloy").read_text()
    assert old in text
    (tmp_path / "pods.alloy").write_text(text.replace(old, new, 1))
    answer = obscheck("check", tmp_path / "pods.alloy")
    assert answer.returncode == 1
    assert message in answer.stderr
    assert re.search(r"pods\.alloy:\d+:\d+: ", answer.stderr), answer.stderr


def test_a_missing_variable_is_an_error() -> None:
    environment = {k: v for k, v in {**os.environ, **ENVIRONMENT}.items() if k != "CLUSTER"}
    answer = subprocess.run(
        [tools.path("obscheck"), "check", LOGS / "pods.alloy"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "CLUSTER is not set" in answer.stderr


def test_queries_are_parsed_by_prometheus_and_loki() -> None:
    queries = [
        ("promql", 'sum by (app) (rate(x_total{namespace="a"}[5m])) / on (app) group_left (b) y'),
        (
            "logql",
            'sum by (app) (count_over_time({app="a", level=~"e.*"} |= "x" | json | b="c" [5m]))',
        ),
        ("promql", "sum(rate(x[5m])"),
        ("logql", '{app="a"} | nonsense stage'),
        ("promql", "mad_over_time(x[5m])"),
    ]
    asked = [{"id": str(i), "lang": lang, "expr": e} for i, (lang, e) in enumerate(queries)]
    answers = json.loads(obscheck("queries", stdin=json.dumps(asked)).stdout)
    assert [bool(a["error"]) for a in answers] == [False, False, True, True, True]
    assert [s["metric"] for s in answers[0]["selectors"]] == ["x_total", "y"]
    assert answers[0]["selectors"][0]["matchers"] == [
        {"label": "namespace", "type": "=", "value": "a"}
    ]
    assert answers[0]["grouping"] == ["app", "b"]
    assert [m["label"] for m in answers[1]["selectors"][0]["matchers"]] == ["app", "level"]
