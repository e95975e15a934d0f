"""Where charts come from: what is pulled is kept by its repository, what is put there is taken."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts import tools
from scripts.model import charts
from scripts.model.manifests import Release

# Stands for Helm: the archive that it pulls holds where it was pulled from.
HELM = """#!/bin/sh
# pull <source> --version <version> -d <folder>
printf %s "$2" > "$6/$(basename "$2")-$4.tgz"
"""
RELEASE = Release("grafana", "monitoring", "grafana", "1.2.3", "one.example/charts", {}, ("", ""))
OTHER = dataclasses.replace(RELEASE, repository="other.example/charts")


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
