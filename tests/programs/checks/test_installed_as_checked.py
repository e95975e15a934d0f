"""What is checked is what is installed."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.bench import trees
from scripts.checks.static import installed_as_checked
from scripts.checks.validate import validate
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from tests.fixtures import BAD_CHANGES

CHANGES = trees.changes(BAD_CHANGES / "what-is-installed.yaml")
TOLD_ONCE = {
    "a chart and a reference to one",
    "a chart's version written in its Application",
    "a dependency in another namespace",
    "a digest beside the tag",
    "a folder that Flux does not pack",
    "a range of versions beside the tag",
    "files that Flux does not pack",
    "values from files of the chart",
}
LAYER = {"mediaType": installed_as_checked.LAYER["mediaType"], "operation": "copy"}


def source(reference: Json, layer: Json = LAYER) -> dict[str, Any]:
    spec = {"url": "oci://x/y", "ref": reference, "layerSelector": layer}
    return {"kind": "OCIRepository", "metadata": {"name": "y"}, "spec": spec}


def test_one_version_and_the_charts_layer() -> None:
    assert list(installed_as_checked.chart_source_exact(source({"tag": "1.0.0"}))) == []
    both = list(
        installed_as_checked.chart_source_exact(
            source({"tag": "1.0.0", "semver": "*", "digest": "sha256:0"})
        )
    )
    assert [one.keys[-1] for one in both] == ["digest", "semver"]
    for layer in ({}, None, LAYER | {"operation": "extract"}, LAYER | {"mediaType": "x"}):
        assert (
            len(list(installed_as_checked.chart_source_exact(source({"tag": "1.0.0"}, layer)))) == 1
        )


@pytest.mark.parametrize(
    "change", [c for c in CHANGES if c["fault"] in TOLD_ONCE], ids=lambda change: change["fault"]
)
def test_each_fault_is_told_once(change: Json, copy: Repository) -> None:
    trees.apply(change, copy.root)
    assert len({(f.path, f.line, f.message) for f in validate(copy)}) == 1


def test_a_shared_patch_has_the_fault_of_each_of_its_objects(copy: Repository) -> None:
    (change,) = (c for c in CHANGES if c["fault"] == "a chart's layer that is unpacked")
    trees.apply(change, copy.root)
    found = {(f.path, f.line, f.message) for f in validate(copy)}
    assert len(found) == len({(path, line) for path, line, _ in found}) > 1


def test_a_chart_from_git_has_no_version(copy: Repository) -> None:
    path = copy.root / "base/releases/alloy.yaml"
    path.write_text(path.read_text().replace("kind: HelmRepository", "kind: GitRepository"))
    other = copy.root / "base/releases/alloy-events.yaml"
    other.write_text(other.read_text().replace("kind: HelmRepository", "kind: GitRepository"))
    assert {f.message for f in validate(copy)} == {
        "its chart is of no registry, but of a GitRepository"
    }
