"""What is checked is what is installed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.bench import trees
from scripts.checks.static import installed_as_checked
from scripts.checks.validate import validate
from scripts.core.yamlfile import Json
from scripts.model.manifests import ClusterSync, Repository, Unit
from tests.fixtures import BAD_CHANGES

CHANGES = trees.changes(BAD_CHANGES / "what-is-installed.yaml")
TOLD_ONCE = {
    "a chart and a reference to one",
    "a chart's version written in its Application",
    "a dependency in another namespace",
    "a checksum of Helm's index in place of a digest",
    "a folder that Flux does not pack",
    "a range of versions beside the tag",
    "files that Flux does not pack",
    "values from files of the chart",
}
LAYER = {"mediaType": installed_as_checked.LAYER["mediaType"], "operation": "copy"}


DIGEST = f"sha256:{'0f' * 32}"


def source(reference: Json, layer: Json = LAYER, url: str = "oci://x/y") -> dict[str, Any]:
    spec = {"url": url, "ref": reference, "layerSelector": layer}
    return {"kind": "OCIRepository", "metadata": {"name": url[-1]}, "spec": spec}


def test_one_version_and_the_charts_layer() -> None:
    for reference in ({"tag": "1.0.0"}, {"tag": "1.0.0", "digest": DIGEST}):
        assert list(installed_as_checked.chart_source_exact(source(reference))) == []
    both = list(
        installed_as_checked.chart_source_exact(
            source({"tag": "1.0.0", "semver": "*", "digest": "sha256:0"})
        )
    )
    assert [one.keys[-1] for one in both] == ["semver", "digest"]
    for layer in ({}, None, LAYER | {"operation": "extract"}, LAYER | {"mediaType": "x"}):
        assert (
            len(list(installed_as_checked.chart_source_exact(source({"tag": "1.0.0"}, layer)))) == 1
        )


@pytest.mark.parametrize(
    "digest",
    [
        DIGEST.removeprefix("sha256:"),
        DIGEST[:-1],
        f"{DIGEST}0",
        DIGEST.upper().replace("SHA", "sha"),
        f"{DIGEST}\n",
        f"sha512:{'0f' * 64}",
        123,
    ],
)
def test_what_no_registry_has_as_a_digest(digest: Json) -> None:
    found = installed_as_checked.chart_source_exact(source({"tag": "1.0.0", "digest": digest}))
    assert [one.keys[-1] for one in found] == ["digest"]


def test_a_digest_in_the_tag_is_none() -> None:
    found = installed_as_checked.chart_source_exact(source({"tag": f"1.0.0@{DIGEST}"}))
    assert [one.keys[-1] for one in found] == ["tag"]


def test_a_digest_is_of_one_chart() -> None:
    def found(*sources: Json) -> list[str]:
        sync = ClusterSync("one", "flux", [Unit("unit", "overlays/none", list(sources))])
        return [one.name for one in installed_as_checked.one_chart_per_digest(sync)]

    pinned = {"tag": "1.0.0", "digest": DIGEST}
    one, other = source(pinned), source(pinned, url="oci://x/z")
    assert found(one, other) == ["z"]
    assert found(one, source({**pinned, "tag": "1.0.1"})) == ["y"]
    # Two releases of one chart; another digest; none.
    assert found(one, one, source({"tag": "1.0.0", "digest": f"sha256:{'1' * 64}"})) == []
    assert found(source({"tag": "1.0.0"}), source({"tag": "1.0.0"}, url="oci://x/z")) == []


def test_a_chart_pinned_by_tag_and_digest_is_a_release_of_that_version(copy: Repository) -> None:
    path = copy.root / "base/releases/loki.yaml"
    text = path.read_text()
    edited, count = re.subn(r"(  ref:\n    tag: .*\n)", rf"\1    digest: {DIGEST}\n", text)
    assert count == 1
    path.write_text(edited)
    assert validate(copy) == []
    releases = {(s.engine, r.name): r for s in copy.syncs if s.synced for r in s.releases}
    flux, argocd = releases["flux", "loki"], releases["argocd", "loki"]
    assert (flux.digest, argocd.digest) == (DIGEST, "")
    assert flux.version == argocd.version != ""


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
