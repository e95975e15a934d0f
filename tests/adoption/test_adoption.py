"""Each edit touches only what the README names, and every promise holds afterwards."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from scripts.core import git
from scripts.model import charts
from scripts.model.manifests import Repository
from tests.adoption.cases import CASES, Case
from tests.adoption.edits import AbsentError
from tests.fixtures import CODE

pytestmark = pytest.mark.adoption
GENERATED = re.compile(
    r"base/(dashboards/[^/]+\.json|config/rules/(alerts|slo)-.+|logs/rules/.+"
    r"|config/runbooks/runbooks\.json|optional/.+/alerts-.+)|overlays/[^/]+/config/budget-rules\.yaml"
)
Texts = dict[str, bytes]


def texts(root: Path) -> Texts:
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def differing(before: Texts, after: Texts) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the working tree, as somebody has it who cloned it."""
    root = tmp_path / "tree"
    listed = git.output(CODE, "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        if (CODE / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CODE / name, root / name)
    return root


def named(row: str) -> list[re.Pattern[str]]:
    """What a row of the README's table, or a section, names: paths with <placeholders>."""
    readme = (CODE / "README.md").read_text()
    lines = [line for line in readme.splitlines() if line.startswith(f"| {row}")]
    section = re.search(rf"(?ms)^##+ {re.escape(row)}\n(.*?)(?=^##? |\Z)", readme)
    assert lines or section, f"the README has neither a row nor a section {row!r}"
    text = lines[0].split("|")[2] if lines else section[1] if section else ""
    paths = re.findall(r"`([\w./<>…*-]+)`|\]\(([\w./<>-]+)\)", text)
    return [_pattern(one or other) for one, other in paths] + [
        _pattern(f"{path}/") for path in re.findall(r"clusters/[\w-]+/\w+", text)
    ]


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.escape(path).replace(r"\*", "[^/]+").replace("…", ".*")
    text = re.sub(r"<\w+>", "[^/]+", escaped)
    text = re.sub(r"(clusters|overlays)/[\w\\-]+(?=/|$)", r"\1/[^/]+", text)
    return re.compile(rf"{text.rstrip('/')}(/.*)?")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_promise_holds_after(
    case: Case, tree: Path, record_property: Callable[[str, object], None]
) -> None:
    started = time.monotonic()
    before = texts(tree)
    try:
        variables = case.edit(tree) or {}
    except AbsentError as absent:
        pytest.skip(f"{case.name}: {absent}")
    edited = texts(tree)
    by_hand = differing(before, edited)
    if not by_hand:
        pytest.skip(f"{case.name}: so it is already")
    patterns = named(case.row)
    unnamed = {name for name in by_hand if not any(p.fullmatch(name) for p in patterns)}
    assert not unnamed, f"the README's {case.row!r} does not name these files"
    missing = charts.missing(Repository(tree).syncs)
    run(tree, variables, "dashboards_py")
    run(tree, variables, "scripts.rules")
    generated = differing(edited, texts(tree))
    assert {name for name in generated if not GENERATED.fullmatch(name)} == set()
    run(tree, variables, "scripts.checks.validate")
    run(tree, variables, "scripts.checks.render", *(["--allow-missing"] if missing else []))
    run(
        tree,
        variables,
        "pytest",
        "-q",
        "-n0",
        "-m",
        "not prove and not mutation",
        "tests/repository",
    )
    record_property(
        "adoption", [case.name, sorted(by_hand), len(generated), time.monotonic() - started]
    )


def run(tree: Path, variables: Mapping[str, str], module: str, *arguments: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=tree,
        env={**os.environ, **variables, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        said = (answer.stdout + answer.stderr)[-6000:]
        pytest.fail(f"python -m {module} {' '.join(arguments)}\n{said}", pytrace=False)
