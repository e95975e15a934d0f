"""Alloy and `obscheck` name faults of the log pipeline; `obscheck` parses queries as servers do."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts import tools
from tests.repository.log_pipeline import ENVIRONMENT, LOGS, alloy

STREAM_LABELS = {"cluster", "namespace", "app", "container", "level"}
# Each with the file that it is made in, and what Alloy says.
FAULTS = {
    "component": ("pods", 'loki.process "read" {', 'loki.proces "read" {', "loki.proces"),
    "attribute": ("pods", "older_than          =", "older_thanks        =", "older_thanks"),
    "attribute of a module": ("shared", "match_all ", "match_any ", "match_any"),
    "stage": ("pods", "stage.decolorize { }", "stage.colorize { }", "stage.colorize"),
    "receiver": ("pods", "loki.process.read.receiver", "loki.process.reed.receiver", "reed"),
    "expression": ("pods", "`^(?P<level>[IWEF])", "`^(?P<level>[IWEF)", "missing closing"),
    "rule": ("pods", '"(.+);(.+)"', '"(.+;(.+)"', "missing closing"),
    "selector": ("pods", '|~ "^\\\\s*\\\\{"`', "| json`", "syntax error"),
    "function": ("pods", "string.trim_space(", "string.trim_spaces(", "trim_spaces"),
    "match without stages": (
        "shared",
        'declare "store" {',
        'declare "store" {\n\tloki.process "none" {\n\t\tforward_to = []\n\n\t\tstage.match {\n'
        '\t\t\tselector = `{app="a"}`\n\t\t}\n\t}\n',
        "requires at least one additional stage",
    ),
    "component of a module": (
        "shared",
        'declare "store" {',
        'loki.process "outside" {\n\tforward_to = []\n}\n\ndeclare "store" {',
        "only declare and import blocks are allowed",
    ),
}


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    """Copy the configuration with a change; return the file of the pods."""
    for source in LOGS.glob("*.alloy"):
        (folder / source.name).write_text(source.read_text())
    text = (LOGS / f"{file}.alloy").read_text()
    assert old in text
    (folder / f"{file}.alloy").write_text(text.replace(old, new, 1))
    return folder / "pods.alloy"


@pytest.mark.parametrize("fault", FAULTS)
def test_what_alloy_refuses_is_named_with_its_file(fault: str, tmp_path: Path) -> None:
    file, old, new, message = FAULTS[fault]
    answer = alloy("check", changed(tmp_path, file, old, new))
    assert answer.returncode == 1
    assert message in answer.stderr
    if fault != "component of a module":  # Alloy gives no place of it.
        assert re.search(rf"{file}\.alloy:\d+:\d+: ", answer.stderr), answer.stderr


def test_a_fault_has_the_line_that_somebody_wrote(tmp_path: Path) -> None:
    """Lines that are added to run a file elsewhere do not count."""
    pods = changed(tmp_path, "pods", "`^(?P<level>[IWEF])", "`^(?P<level>[IWEF)")
    number = pods.read_text().split("[IWEF)")[0].count("\n") + 1
    component = pods.read_text().split('loki.process "parse"')[0].count("\n") + 1
    answer = alloy("check", pods)
    assert re.findall(r"pods\.alloy:(\d+):", answer.stderr) in ([str(number)], [str(component)])


@pytest.mark.parametrize("file", ["pods", "events"])
def test_alloy_loads_the_configuration(file: str) -> None:
    answer = alloy("check", LOGS / f"{file}.alloy")
    assert answer.returncode == 0, answer.stderr


def parsed(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tools.path("obscheck"), "check", path],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_alloy_labels_and_variables_are_known() -> None:
    found = json.loads(parsed(LOGS / "pods.alloy").stdout)
    assert set(found["labels"]) == STREAM_LABELS
    assert set(found["environment"]) == set(ENVIRONMENT)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tfilename = file", "  filename = file", r"pods\.alloy:4:1: `alloy fmt` writes"),
        ("filename = file", "filename = = file", r"pods\.alloy:4:\d+: expected expression"),
        ('sys.env("HOSTNAME")', 'sys.env("HOST")', r":\d+: environment variable HOST is not set"),
        ("[shared.redact.pods.receiver]", "[loki.write.loki.receiver]", "no stage.label_keep"),
    ],
)
def test_without_alloy_a_fault_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    answer = parsed(changed(tmp_path, "pods", old, new))
    assert answer.returncode == 1
    assert re.search(message, answer.stderr), answer.stderr


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
    answer = tools.run("obscheck", "queries", stdin=json.dumps(asked))
    answers = json.loads(answer.stdout)
    assert [bool(a["error"]) for a in answers] == [False, False, True, True, True]
    assert [s["metric"] for s in answers[0]["selectors"]] == ["x_total", "y"]
    assert answers[0]["selectors"][0]["matchers"] == [
        {"label": "namespace", "type": "=", "value": "a"}
    ]
    assert answers[0]["clauses"] == [
        {"keyword": "on", "operator": "/", "labels": ["app"]},
        {"keyword": "by", "operator": "sum", "labels": ["app"]},
    ]
    assert answers[1]["clauses"] == [{"keyword": "by", "operator": "sum", "labels": ["app"]}]
    assert [m["label"] for m in answers[1]["selectors"][0]["matchers"]] == ["app", "level"]
