"""Promises name nothing that belongs to an owner: a version, a size, an environment, a count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts.model.files import INVENTORY
from scripts.model.manifests import Repository
from tests.fixtures import CODE, FROZEN

PROMISES = sorted((CODE / "tests/repository").glob("*.py"))
# Keys of values that an owner sets to what suits the cluster.
SIZES = {"retention", "retentionSize", "retention_period", "size", "storage", "storageClass"}


def values(at: object, key: str = "") -> Iterator[str]:
    """Sizes, retentions and tags in values of charts."""
    if isinstance(at, dict):
        for name, value in at.items():
            yield from values(value, str(name))
    elif isinstance(at, list):
        for value in at:
            yield from values(value, key)
    elif key in SIZES or key == "tag":
        yield str(at)


def owned(repository: Repository) -> set[str]:
    """What owners change of the frozen repository, which has the values of this one's first day."""
    found = {f"{path.name}/" for path in FROZEN.glob("overlays/*/")}
    for sync in repository.syncs:
        for release in sync.releases:
            found |= {release.version, *values(release.values)}
    data = yaml.safe_load((FROZEN / INVENTORY).read_text())["data"]
    found |= {value for name, value in data.items() if name.endswith("_URL")}
    for path in FROZEN.glob("overlays/*/budget.yaml"):
        budget = yaml.safe_load(path.read_text())
        found |= {str(size) for size in budget["requests"].values()}
        found |= {str(budget["series"]["limit"])}
    # Shorter ones, such as 1d, are also said of something else.
    return {value for value in found if len(value) > 2}


def named(source: str, owned_by_somebody: set[str]) -> list[str]:
    """What a promise's source names of an owner's, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int):
            text = str(node.value)
            parts = {text, *(f"{part}/" for part in text.split("/")[:-1])}
            found += [f"{node.lineno}: {value}" for value in sorted(parts & owned_by_somebody)]
        if isinstance(node, ast.Compare) and _counts(node):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def _counts(node: ast.Compare) -> bool:
    """Whether something of the tree is compared with a number of today."""
    left, right = node.left, node.comparators[0]
    is_count = isinstance(left, ast.Call) and ast.unparse(left.func) == "len"
    equal = isinstance(node.ops[0], ast.Eq)
    return is_count and equal and isinstance(right, ast.Constant) and isinstance(right.value, int)


@pytest.mark.parametrize("path", PROMISES, ids=lambda path: path.stem)
def test_a_promise_names_nothing_that_is_an_owner_s(path: Path, repository: Repository) -> None:
    assert named(path.read_text(), owned(repository)) == []


def test_what_is_an_owner_s_is_found(repository: Repository) -> None:
    everything = owned(repository)
    environment = next(path.name for path in FROZEN.glob("overlays/*/"))
    version = repository.syncs[0].releases[0].version
    assert named(f"named('{environment}/flux')", everything) == [f"1: {environment}/"]
    assert named(f"\nfind('overlays/{environment}/x')", everything) == [f"2: {environment}/"]
    assert named(f"assert x == {version!r}", everything) == [f"1: {version}"]
    assert named("assert limit == 30000", everything) == ["1: 30000"]
    assert named("assert len(clusters) == 4", everything) == ["1: len(clusters) == 4"]
    assert named("assert clusters", everything) == []
