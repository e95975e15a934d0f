"""The commands as a person runs them: exit codes, one clear message, and nothing changed."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import tools
from scripts.model.manifests import Repository
from tests.fixtures import CODE

CACHED = ("builds", "schemas", "tools", "valid")
NOWHERE = "oci://127.0.0.1:1/charts"


def run(module: str, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=CODE,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def contents(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_targets_keep_bytecode_and_none_beside_the_modules() -> None:
    run = subprocess.run(
        ["make", "--file=Makefile", "--file=-", "shown"],
        cwd=CODE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "elsewhere"},
        input='shown:\n\t@echo "<$$PYTHONDONTWRITEBYTECODE> <$$PYTHONPYCACHEPREFIX>"\n',
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"<> <{CODE / '.venv/bytecode'}>" in run.stdout.splitlines()


@pytest.fixture
def without_charts(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has the programs, but no chart and no registry."""
    folder = tmp_path / "todo-monitoring"
    folder.mkdir()
    for name in CACHED:
        (folder / name).symlink_to(tools.cache() / name)
    return {"XDG_CACHE_HOME": str(tmp_path), "CHARTS_MIRROR": NOWHERE}


def test_validate_passes_on_a_good_tree(copy: Repository) -> None:
    answer = run("scripts.checks.validate", copy.root)
    assert answer.returncode == 0
    assert re.search(r"valid: \d+ objects, \d+ checks", answer.stdout)


def test_validate_names_line_and_remedy_and_changes_nothing(copy: Repository) -> None:
    path = copy.root / "base/releases/loki.yaml"
    path.write_text(path.read_text().replace("\n  values:\n", "\n\tvalues:\n"))
    before = contents(copy.root)
    answer = run("scripts.checks.validate", copy.root)
    assert answer.returncode == 1
    first, second, *_ = answer.stderr.splitlines()
    assert re.match(r"base/releases/loki.yaml:\d+: not valid YAML: ", first)
    assert second == "    fix: indent with spaces, never tabs"
    assert "Traceback" not in answer.stderr
    assert contents(copy.root) == before


def test_render_names_each_missing_chart_and_where_to_put_it(
    without_charts: dict[str, str], repository: Repository
) -> None:
    answer = run("scripts.checks.render", **without_charts)
    assert answer.returncode == 1
    charts = {r.chart for e in repository.syncs for r in e.releases}
    for chart in charts:
        assert re.search(rf"^chart {chart} v?\d\S+: neither the cache nor", answer.stderr, re.M)
    assert "CHARTS_MIRROR" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_render_may_leave_out_what_needs_a_missing_chart(without_charts: dict[str, str]) -> None:
    answer = run("scripts.checks.render", "--allow-missing", **without_charts)
    assert answer.returncode == 0
    assert "not rendered: chart loki" in answer.stdout


def test_an_unknown_program_is_named() -> None:
    answer = run("scripts.tools", "kustomise")
    assert answer.returncode == 1
    assert "no tool named kustomise" in answer.stderr
