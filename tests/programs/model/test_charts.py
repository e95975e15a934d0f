"""Where charts come from: what is pulled is kept by its repository, what is put there is taken."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.model import charts
from scripts.model.manifests import Release

# Stands for Helm: the archive that it pulls holds where it was pulled from.
HELM = """#!/bin/sh
# pull <source> --version <version> -d <folder>
printf %s "$2" > "$6/$(basename "$2")-$4.tgz"
"""
# A registry of which one chart can be had by its digest: version 1.2.3.
HELM_BY_DIGEST = """#!/bin/sh
# pull <repository>/<chart>@<digest> -d <folder>
case "$2" in *@{digest}) cp {archive} "$4/chart.tgz"; exit;; esac
echo "Error: $2: not found" >&2
exit 1
"""
RELEASE = Release("grafana", "monitoring", "grafana", "1.2.3", "one.example/charts", {}, ("", ""))
OTHER = dataclasses.replace(RELEASE, repository="other.example/charts")
DIGEST = f"sha256:{'0f' * 32}"
PINNED = dataclasses.replace(RELEASE, digest=DIGEST)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The charts' folder of an empty cache, with a Helm that reaches every registry."""
    helm = tmp_path / "helm"
    helm.write_text(HELM)
    helm.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(charts.MIRROR, raising=False)
    monkeypatch.setattr(tools, "path", lambda _: helm)
    charts._archive.cache_clear()
    return tools.cache() / "charts"


def test_a_chart_of_another_repository_is_another_chart() -> None:
    for release in (RELEASE, OTHER):
        assert charts.archive(release).read_text() == f"oci://{release.repository}/grafana"
    # Both stay in the cache of the next run.
    charts._archive.cache_clear()
    tools.path("helm").unlink()
    assert charts.archive(RELEASE) != charts.archive(OTHER)
    assert charts.content_key(RELEASE) != charts.content_key(OTHER)


def test_an_archive_that_is_put_there_serves_every_repository(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "grafana-1.2.3.tgz").write_text("by hand")
    assert {charts.archive(release).read_text() for release in (RELEASE, OTHER)} == {"by hand"}


@pytest.mark.parametrize("repository", ["../../../evil", "..", "https://../evil"])
def test_no_repository_is_a_way_out_of_the_cache(folder: Path, repository: str) -> None:
    evil = dataclasses.replace(RELEASE, repository=f"oci://{repository}")
    assert charts.archive(evil).resolve().is_relative_to(folder.resolve())


def packed(folder: Path, files: Mapping[str, str]) -> Path:
    """An archive of files, by their paths in it."""
    path = folder / "pushed.tgz"
    with tarfile.open(path, "w:gz") as content:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            content.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """The archive that a registry has as DIGEST, in place of what Helm pulls."""
    files = {
        "grafana/charts/sub/Chart.yaml": "version: 9.9.9",
        "grafana/Chart.yaml": "version: 1.2.3",
    }
    path = packed(tmp_path, files)
    tools.path("helm").write_text(HELM_BY_DIGEST.format(digest=DIGEST, archive=path))
    return path


def refused(release: Release) -> str:
    """What is said of a chart that cannot be had."""
    charts._archive.cache_clear()
    with pytest.raises(RepositoryError) as error:
        charts.archive(release)
    return str(error.value)


def test_a_pinned_chart_is_pulled_by_its_digest_and_kept_by_it(
    registry: Path, folder: Path
) -> None:
    assert charts.archive(PINNED).read_bytes() == registry.read_bytes()
    # Neither a tag nor another digest of the same version gets what was pulled for this one.
    other = dataclasses.replace(PINNED, digest=f"sha256:{'1' * 64}")
    assert f"has it as {other.digest}: Error: oci://one.example" in refused(other)
    assert "neither the cache nor one.example/charts has it: " in refused(RELEASE)
    tools.path("helm").unlink()
    charts._archive.cache_clear()
    assert charts.archive(PINNED).read_bytes() == registry.read_bytes()
    # Nor does what somebody puts there later take its place.
    (folder / "grafana-1.2.3.tgz").write_text("by hand")
    charts._archive.cache_clear()
    assert charts.archive(PINNED).read_bytes() == registry.read_bytes()


def test_what_was_pulled_by_its_tag_is_not_taken_for_a_digest(registry: Path) -> None:
    by_digest = tools.path("helm").read_text()
    tools.path("helm").write_text(HELM)
    by_tag = charts.archive(RELEASE)
    tools.path("helm").write_text(by_digest)
    assert charts.archive(PINNED) != by_tag
    assert charts.archive(PINNED).read_bytes() == registry.read_bytes()


def test_a_digest_of_another_version_is_refused(registry: Path, folder: Path) -> None:
    assert registry.exists()
    text = refused(dataclasses.replace(PINNED, version="1.2.4"))
    assert f"chart grafana 1.2.4: {DIGEST} is version 1.2.3: Flux installs it" in text
    assert list(folder.rglob("*.tgz")) == []


def test_what_is_no_chart_is_refused(registry: Path) -> None:
    packed(registry.parent, {"grafana/values.yaml": "version: 1.2.3"})
    assert f"{DIGEST} is version none" in refused(PINNED)


@pytest.mark.usefixtures("registry")
def test_a_mirror_is_asked_for_the_same_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(charts.MIRROR, "oci://mirror.example/proxy")
    other = dataclasses.replace(PINNED, digest=f"sha256:{'1' * 64}")
    assert f"oci://mirror.example/proxy/grafana@{other.digest}: not found" in refused(other)


@pytest.mark.usefixtures("registry")
def test_of_an_archive_that_is_put_there_nobody_knows_the_digest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir(parents=True)
    (folder / "grafana-1.2.3.tgz").write_text("by hand")
    assert charts.archive(PINNED).read_text() == "by hand"
    assert f"whether it is {DIGEST}, nobody knows" in capsys.readouterr().err
    assert charts.archive(RELEASE).read_text() == "by hand"
    assert capsys.readouterr().err == ""


def test_the_checksum_of_an_archive_is_no_digest(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "grafana-1.2.3.tgz").write_text("by hand")
    checksum = hashlib.sha256(b"by hand").hexdigest()
    text = refused(dataclasses.replace(PINNED, digest=f"sha256:{checksum}"))
    assert f"sha256:{checksum} is the checksum of its archive" in text


def test_no_digest_is_a_way_out_of_the_cache(folder: Path, registry: Path) -> None:
    for digest in ("sha256:/../../evil", "../evil", "/evil"):
        by_digest = HELM_BY_DIGEST.format(digest=digest, archive=registry)
        tools.path("helm").write_text(by_digest)
        evil = charts.archive(dataclasses.replace(PINNED, digest=digest))
        assert evil.resolve().parent == folder / "one.example-charts"
