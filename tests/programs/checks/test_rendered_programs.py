"""Images have the versions of the tools that the tests run."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from scripts import tools
from scripts.checks.rendered import programs
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, load
from scripts.model import images
from scripts.model.rendered import Cluster, Item
from tests.programs.checks.rendered_edits import added, named

ELSE = "9.9.9"


def imaged(clusters: list[Cluster], repository: str, version: str) -> list[Cluster]:
    """The clusters with one image at another version."""
    result = []
    for cluster in clusters:
        items = []
        for item in cluster.items:
            text = json.dumps(item.manifest)
            text = re.sub(rf"{re.escape(repository)}:[\w.@:-]+", f"{repository}:{version}", text)
            items.append(Item(json.loads(text), item.release))
        result.append(dataclasses.replace(cluster, items=tuple(items)))
    return result


def described(
    clusters: list[Cluster], root: Path, edit: Callable[[dict[str, Json]], object]
) -> list[Cluster]:
    """The clusters with another `images.yaml`."""
    content = load(clusters[0].repository.root / images.IMAGES, clusters[0].repository.root)[0]
    edit(content)
    (root / images.IMAGES).parent.mkdir(exist_ok=True)
    (root / images.IMAGES).write_text(yaml.safe_dump(content))
    repository = copy.copy(clusters[0].repository)
    repository.root = root
    return [dataclasses.replace(cluster, repository=repository) for cluster in clusters]


def test_an_image_of_another_version_than_its_tool_is_found(rendered: list[Cluster]) -> None:
    loki = "docker.io/grafana/loki"
    same = imaged(rendered, loki, tools.released("loki"))
    assert [
        f
        for c in same
        for f in programs.same_version_as_clusters(c)
        if f.path == "scripts/tools/loki/go.mod"
    ] == []
    for cluster in imaged(rendered, loki, ELSE):
        messages = [
            f.message for f in programs.same_version_as_clusters(cluster) if "loki/" in f.path
        ]
        assert messages == [f"loki is {tools.released('loki')}, and {loki} is {ELSE}"]


def test_a_known_difference_holds_for_its_two_versions_only(
    rendered: list[Cluster], tmp_path: Path
) -> None:
    loki, built = "docker.io/grafana/loki", tools.released("loki")

    def differs(images: dict[str, Json]) -> None:
        one = {"tools": ["loki"], "built": built, "run": ELSE, "why": "a test"}
        images[loki]["differs"] = [*images[loki].get("differs", []), one]

    def ours(findings: Iterable[Finding]) -> list[str]:
        return [f.message for f in findings if re.search("^loki is|where loki is", f.message)]

    clusters = described(rendered, tmp_path, differs)
    known = imaged(clusters, loki, ELSE)
    assert [ours(programs.same_version_as_clusters(cluster)) for cluster in known] == [[]] * len(
        known
    )
    assert ours(programs.differences_still_exist(known)) == []
    gone = f"no cluster has {loki} {ELSE} where loki is {built}"
    assert ours(programs.differences_still_exist(imaged(clusters, loki, built))) == [gone]
    other = imaged(clusters, loki, "8.8.8")
    assert all(ours(programs.same_version_as_clusters(cluster)) for cluster in other)
    assert ours(programs.differences_still_exist(other)) == [gone]


def test_a_program_that_two_releases_bring_is_one_of_both(rendered: list[Cluster]) -> None:
    tool = "prometheus-config-reloader"
    image = f"quay.io/prometheus-operator/{tool}"
    cluster = imaged([named(rendered)], image, ELSE)[0]
    assert any(tool in finding.path for finding in programs.same_version_as_clusters(cluster))
    spec = {"containers": [{"name": "a", "image": f"{image}:v{tools.released(tool)}"}]}
    both = added(cluster, "Pod", spec=spec)
    assert not any(tool in finding.path for finding in programs.same_version_as_clusters(both))
