"""pint, Cloudflare's linter of Prometheus rules, over the rules and the panels' queries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import tools
from scripts.checks.static import queries
from scripts.model.manifests import Repository

pytestmark = pytest.mark.prove
Rule = Mapping[str, Any]

# Checks that do not fit, and why.
DISABLED = {
    "rule/dependency": "dashboards read what rules record; each objective has groups of its own",
    "promql/regexp": "All of a variable is an expression that matches everything",
}


def lint(folder: Path, groups: Mapping[str, Sequence[Rule]]) -> list[dict[str, Any]]:
    """What pint says of rules, each problem with file, line and check."""
    for name, rules in groups.items():
        text = yaml.safe_dump({"groups": [{"name": name, "rules": rules}]}, width=10_000)
        (folder / f"{name}.yaml").write_text(text)
    config = f"checks {{ disabled = {json.dumps(list(DISABLED))} }}"
    (folder / "config.hcl").write_text(config)
    report = folder / "report.json"
    flags = ("--offline", f"--config={folder / 'config.hcl'}")
    files = sorted(str(path) for path in folder.glob("*.yaml"))
    run = tools.run("pint", *flags, "lint", f"--json={report}", *files)
    assert report.exists(), run.stderr
    problems: list[dict[str, Any]] = json.loads(report.read_text()) or []
    return problems


def test_pint_has_nothing_to_say_of_the_rules(repository: Repository, tmp_path: Path) -> None:
    groups = {
        group["name"]: group["rules"]
        for sync in repository.syncs
        for item in sync.objects()
        if item["kind"] == "PrometheusRule"
        for group in item["spec"]["groups"]
    }
    # One alert fires all the time, and that is what it is for.
    groups = {n: [r for r in rs if r.get("alert") != "Watchdog"] for n, rs in groups.items()}
    assert groups
    assert lint(tmp_path, groups) == []


def test_pint_has_nothing_to_say_of_the_panels(repository: Repository, tmp_path: Path) -> None:
    asked = [q for q in queries.dashboard_queries(repository) if q.lang == "promql"]
    assert asked
    rules = [{"record": f"panel:{n}", "expr": query.expr} for n, query in enumerate(asked)]
    assert lint(tmp_path, {"panels": rules}) == []


@pytest.mark.parametrize(
    ("expr", "check"),
    [
        ("sum by (c) (a) * on (b) sum by (c) (d)", "promql/impossible"),
        ("sum(", "promql/syntax"),
    ],
)
def test_pint_finds_faults(tmp_path: Path, expr: str, check: str) -> None:
    found = lint(tmp_path, {"faulty": [{"record": "a:b", "expr": expr}]})
    assert check in {problem["reporter"] for problem in found}
