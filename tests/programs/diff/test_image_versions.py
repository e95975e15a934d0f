"""`make diff` names images whose major version moves, whatever the chart's own number does."""

from __future__ import annotations

import copy as copies
import dataclasses
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import image_versions, versions
from scripts.diff.model import Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model import charts, images
from scripts.model.image_registries import Found
from scripts.model.manifests import Release, Repository
from scripts.model.rendered import Cluster, Item
from tests.programs.diff.diff_pairs import DEPLOYMENT, cluster, pair
from tests.programs.image_registry import own_cache


def running(*names: str, name: str = "a", init: str = "") -> Json:
    """A Deployment whose containers run these images."""
    found = copies.deepcopy(DEPLOYMENT)
    found["metadata"]["name"] = name
    spec = found["spec"]["template"]["spec"]
    spec["containers"] = [{"name": f"c{at}", "image": image} for at, image in enumerate(names)]
    if init:
        spec["initContainers"] = [{"name": "init", "image": init}]
    return found


def compared(before: Json, after: Json) -> list[str]:
    found = image_versions.moves(pair(cluster(before), cluster(after)))
    return [str(move) for move in found]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        # grafana/helm-charts#2479, nextcloud/helm#564.
        ("grafana/grafana:9.5.5", "grafana/grafana:10.0.1", "grafana/grafana 9.5.5 → 10.0.1"),
        ("nextcloud:28.0.4-apache", "nextcloud:29.0.0-apache", "nextcloud 28.0.4-apache → 29.0.0"),
        ("q.io/p:v2.55.1", "q.io/p:v3.0.0-distroless", "q.io/p v2.55.1 → v3.0.0-distroless"),
        ("postgres:16", "postgres:17-alpine", "postgres 16 → 17-alpine"),
        ("a.io/x:v0.93.1", "a.io/x:v0.94.0", "a.io/x v0.93.1 → v0.94.0"),
        ("a.io/x:0.12.0", "a.io/x:1.0.0", "a.io/x 0.12.0 → 1.0.0"),
        ("a.io/x:2.0.0", "a.io/x:1.9.0", "a.io/x 2.0.0 → 1.9.0"),
        (f"a/x:2.8.5@sha256:{'0' * 64}", f"a/x:3.0.0@sha256:{'1' * 64}", "a/x 2.8.5 → 3.0.0"),
        # To another registry, and another version with it.
        ("docker.io/o/x:1.2", "ghcr.io/p/x:2.0", "docker.io/o/x 1.2 → ghcr.io/p/x:2.0"),
    ],
)
def test_another_major_version_is_told(before: str, after: str, says: str) -> None:
    (found,) = compared(running(before), running(after))
    assert found.startswith(says)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x:1.2.3", "x:1.9.0"),
        ("x:v12.4.3-ubuntu", "x:12.5.0"),
        ("x:3.5.0", "x:3.5.0-distroless"),
        ("x:0.93.0", "x:0.93.1"),
        ("x:0.0.10", "x:0.0.11"),
        ("eclipse-temurin:25.0.3_9-jre-alpine", "eclipse-temurin:25.0.4_1-jre-alpine"),
        # The same under another repository (BerriAI/litellm#34963).
        ("docker.io/bitnami/redis:7.2.4", "docker.io/bitnamilegacy/redis:7.2.4"),
        ("x:1.0", f"x:1.0@sha256:{'0' * 64}"),
        # Years, dates, branches, commits, and tags of no version.
        ("cloudflare/cloudflared:2026.8.2", "cloudflare/cloudflared:2027.1.0"),
        ("x:20251231", "x:20260131"),
        ("x:1.0.0", "x:20260131"),
        ("minio:RELEASE.2025-09-07T16-13-09Z", "minio:RELEASE.2026-01-31T00-00-00Z"),
        ("x:master", "x:2.0.0"),
        ("x:7d3f2c1", "x:8a1b2c3"),
        ("x:sha-1a2b3c4", "x:sha-2a2b3c4"),
        (f"x@sha256:{'0' * 64}", f"x@sha256:{'1' * 64}"),
        ("x", "x:2.0.0"),
        # Another program in the same container.
        ("nginx:1.27", "caddy:2.9"),
        ("grafana/grafana:11.0.0", "grafana/grafana-enterprise:12.0.0"),
    ],
)
def test_what_is_no_other_major_version_is_not(before: str, after: str) -> None:
    assert compared(running(before), running(after)) == []


def test_an_init_container_counts_and_containers_are_told_apart() -> None:
    before = running("x:1.0", "x:2.0", init="y:1.0")
    assert compared(before, running("x:1.1", "x:2.1", init="y:2.0")) == ["y 1.0 → 2.0"]
    # One of two containers is taken out, of the same image.
    assert compared(before, running("x:1.0", init="y:1.0")) == []
    # It moves to a version that another container runs already.
    assert compared(before, running("x:2.0", "x:2.0", init="y:1.0")) == ["x 1.0 → 2.0"]


def test_a_workload_by_another_name_runs_the_same_image() -> None:
    assert compared(running("x:1.0"), running("x:2.0", name="b")) == ["x 1.0 → 2.0"]
    assert compared(running("x:1.0"), running("x:1.0", name="b")) == []
    # From which of two it comes nobody can say.
    assert compared(running("x:1.0", "x:2.0"), running("x:3.0", name="b")) == []


def flags(before: Json, after: Json) -> list[Flag]:
    found = versions.analyze(pair(cluster(before), cluster(after)))
    return [one for one in found if isinstance(one, Flag)]


def test_what_no_release_brings_is_flagged_by_its_object() -> None:
    (flag,) = flags(running("x:1.0", "y:3.0"), running("x:2.0", "y:4.0"))
    assert (flag.name, flag.where) == (Danger.MAJOR_VERSION, "Deployment n/a")
    assert flag.why == "x 1.0 → 2.0, y 3.0 → 4.0: a major version may break."
    assert flag.fix == "Read the notes of x 1.0 → 2.0, y 3.0 → 4.0."


def test_before_1_0_and_backwards_are_said_so() -> None:
    (initial,) = flags(running("x:0.1"), running("x:0.2"))
    assert initial.why.endswith(": before 1.0, each minor version may break.")
    (back,) = flags(running("x:2.0"), running("x:1.0"))
    assert back.why.endswith("and an older one may not read what a newer one has written.")


@pytest.fixture
def own_charts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache in which charts can be put."""
    own_cache(tmp_path, monkeypatch, "charts")
    # Nothing listens there: what is not in the cache cannot be had.
    monkeypatch.setenv(charts.MIRROR, "oci://127.0.0.1:1/charts")


def of_version(tmp_path: Path, version: str) -> Release:
    """A release from a repository of this test's own, as archives are looked for once a run."""
    repository = f"registry.example.com/{tmp_path.name}"
    return Release("r", "n", "app", version, repository, {}, ("HelmRelease", "r"))


def published(tmp_path: Path, version: str, readme: str = "", **metadata: Json) -> Release:
    """A release of a chart of this version, which is put into the cache."""
    release = of_version(tmp_path, version)
    folder = tmp_path / version / "app"
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"version": version, **metadata}))
    (folder / "README.md").write_text(readme)
    (folder / "values.yaml").write_text("{}")
    archive = next((tmp_path / "cache").iterdir()) / f"charts/app-{version}.tgz"
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "app")
    return release


def released(release: Release, manifest: Json, root: Path) -> Cluster:
    bare = cluster(releases=[release])
    return dataclasses.replace(
        bare, repository=Repository(root), items=(Item(manifest, release.name),)
    )


def major(
    old: Release,
    new: Release,
    before: Json,
    after: Json,
    root: Path,
    answers: Mapping[str, Found] | None = None,
) -> list[Flag]:
    one = pair(released(old, before, root), released(new, after, root))
    found = versions.analyze(dataclasses.replace(one, answers=answers or {}))
    return [flag for flag in found if isinstance(flag, Flag)]


@pytest.mark.usefixtures("own_charts")
def test_a_patch_of_a_chart_with_a_major_version_inside(tmp_path: Path) -> None:
    old, new = published(tmp_path, "5.0.1"), published(tmp_path, "5.0.2")
    (flag,) = major(old, new, running("x:1.0"), running("x:2.0"), tmp_path)
    assert (flag.name, flag.where) == (Danger.MAJOR_VERSION, "release r")
    assert flag.why == "x 1.0 → 2.0 within app 5.0.1 → 5.0.2: a major version may break."
    assert major(old, new, running("x:1.0"), running("x:1.1"), tmp_path) == []


@pytest.mark.usefixtures("own_charts")
def test_a_chart_and_its_image_are_one_flag(tmp_path: Path) -> None:
    readme = "# app\n## Upgrading\n### To 7.0.0\n### From 5.x to 6.0.0 ([#1](https://x))\n"
    readme += "### To 5.0.0\n### To 8.0.0\n### What to do\n"
    old = published(tmp_path, "5.0.1")
    new = published(tmp_path, "7.1.0", readme, sources=["https://github.com/owner/charts"])
    (flag,) = major(old, new, running("x:1.0"), running("x:2.0"), tmp_path)
    assert flag.why == "app 5.0.1 → 7.1.0, and with it x 1.0 → 2.0: a major version may break."
    assert flag.fix == "Read “From 5.x to 6.0.0”, “To 7.0.0” in the chart's README.md."
    # The other way there is nothing to read but what was said before.
    (back,) = major(new, old, running("x:1.0"), running("x:1.0"), tmp_path)
    assert back.why == "app 7.1.0 → 5.0.1: a major version may break."
    assert back.fix == f"Read the notes of app at {old.repository}."


@pytest.mark.usefixtures("own_charts")
def test_a_chart_whose_versions_are_dates(tmp_path: Path) -> None:
    # goauthentik/helm#362: its database moved two major versions.
    old, new = published(tmp_path, "2025.4.1"), published(tmp_path, "2025.6.1")
    before, after = running("bitnami/postgresql:15.8.0-r18"), running("bitnami/postgresql:17.5.0")
    (flag,) = major(old, new, before, after, tmp_path)
    moved = "bitnami/postgresql 15.8.0-r18 → 17.5.0 within app 2025.4.1 → 2025.6.1"
    assert flag.why == f"{moved}: a major version may break."
    assert major(old, new, before, before, tmp_path) == []
    assert major(old, published(tmp_path, "2026.1.0"), before, before, tmp_path) == []


@pytest.mark.usefixtures("own_charts")
def test_a_link_for_several_major_versions_says_so(tmp_path: Path) -> None:
    link = "https://example.com/UPGRADE.md"
    old, near = published(tmp_path, "88.5.3"), published(tmp_path, "89.0.0", f"See {link}\n")
    far = published(tmp_path, "91.0.0", f"See [it]({link})\n")
    pod = running("x:1.0")
    (one,), (several,) = (major(old, new, pod, pod, tmp_path) for new in (near, far))
    assert one.fix == f"Read {link}."
    assert several.fix == f"Read {link}, of each major version after 88."


@pytest.mark.usefixtures("own_charts")
@pytest.mark.parametrize(
    ("sources", "listed", "label", "links"),
    [
        (["https://github.com/owner/x", "https://github.com/owner/charts"], "", "", "owner/x"),
        (["https://github.com/owner/x.git"], "", "", "owner/x"),
        (["https://github.com/owner/charts/tree/main/charts/x"], "", "", ""),
        (["https://gitlab.com/owner/x", "https://example.com"], "", "", ""),
        ([], "github.com/owner/x/v3", "", "owner/x"),
        (["https://github.com/other/x"], "github.com/owner/program/v3", "", "owner/program"),
        ([], "k8s.io/x/v2", "", ""),
        ([], "", "https://github.com/owner/labelled", "owner/labelled"),
        ([], "", "https://evil.example/github.com/owner/x", ""),
        ([], "", "", ""),
    ],
)
def test_only_a_page_that_somebody_has_named_is_linked(
    tmp_path: Path, sources: list[str], listed: str, label: str, links: str
) -> None:
    (tmp_path / images.IMAGES).parent.mkdir()
    known = {"x": {"arm64": True, "module": listed or None}}
    (tmp_path / images.IMAGES).write_text(yaml.safe_dump(known))
    old, new = published(tmp_path, "5.0.1"), published(tmp_path, "5.0.2", sources=sources)
    answers = {"x:2.0": Found("sha256:0", source=label)}
    (flag,) = major(old, new, running("x:1.0"), running("x:2.0"), tmp_path, answers)
    page = f"https://github.com/{links}/releases"
    notes = "the notes of x 1.0 → 2.0 within app 5.0.1 → 5.0.2"
    assert flag.fix == f"Read {page if links else notes}."


@pytest.mark.usefixtures("own_charts")
def test_the_application_s_version_is_beside_the_chart_s(tmp_path: Path) -> None:
    old = published(tmp_path, "5.0.1", appVersion="6.7.3")
    new = published(tmp_path, "5.1.0", appVersion="7.0.0")
    gone = of_version(tmp_path, "9.9.9")
    pod = running("x:1.0")
    for after, said in ((new, "7.0.0"), (gone, "")):
        one: ClusterPair = pair(released(old, pod, tmp_path), released(after, pod, tmp_path))
        (bump,) = versions.bumps([one])
        assert (bump.application_before, bump.application_after) == ("6.7.3", said)
