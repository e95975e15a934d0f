"""What is checked is what is installed."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.bench import trees
from scripts.checks.static import installed
from scripts.checks.validate import validate
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from tests.fixtures import BAD_CHANGES

CHANGES = trees.changes(BAD_CHANGES / "installed.yaml")
LAYER = {"mediaType": installed.LAYER["mediaType"], "operation": "copy"}


def source(reference: Json, layer: Json = LAYER) -> dict[str, Any]:
    spec = {"url": "oci://x/y", "ref": reference, "layerSelector": layer}
    return {"kind": "OCIRepository", "metadata": {"name": "y"}, "spec": spec}


def test_one_version_and_the_charts_layer() -> None:
    assert list(installed.chart(source({"tag": "1.0.0"}))) == []
    both = list(installed.chart(source({"tag": "1.0.0", "semver": "*", "digest": "sha256:0"})))
    assert [one.keys[-1] for one in both] == ["digest", "semver"]
    for layer in ({}, None, LAYER | {"operation": "extract"}, LAYER | {"mediaType": "x"}):
        assert len(list(installed.chart(source({"tag": "1.0.0"}, layer)))) == 1


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change["fault"])
def test_each_fault_is_told_in_few_words(change: Json, copy: Repository) -> None:
    trees.apply(change, copy.root)
    found = {(f.path, f.line, f.message) for f in validate(copy)}
    # A shared patch has the fault of each of its objects, once.
    shared = change["file"] == "base/releases/kustomization.yaml"
    assert (
        len(found)
        == len({(path, line) for path, line, _ in found})
        == (len(found) if shared else 1)
    )


def test_a_chart_from_git_has_no_version(copy: Repository) -> None:
    path = copy.root / "base/releases/alloy.yaml"
    path.write_text(path.read_text().replace("kind: HelmRepository", "kind: GitRepository"))
    other = copy.root / "base/releases/alloy-events.yaml"
    other.write_text(other.read_text().replace("kind: HelmRepository", "kind: GitRepository"))
    assert {f.message for f in validate(copy)} == {
        "its chart is of no registry, but of a GitRepository"
    }
