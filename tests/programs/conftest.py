"""The programs are tested on a repository of their own, which never changes with the manifests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts import tools
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from tests.fixtures import FROZEN
from tests.fixtures.rendering import render

# Test files load the fixtures of these by `pytest_plugins`.
pytest.register_assert_rewrite(
    "tests.programs.image_registry",
    "tests.programs.live.discover_manifests",
    "tests.programs.live.grafana_server",
    "tests.programs.live.preflight_cluster",
    "tests.programs.live.triage_cluster",
    "tests.programs.small_day_servers",
    "tests.programs.live.verify_cluster",
)


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that take this repository for theirs take the frozen one."""
    monkeypatch.setattr(tools, "ROOT", FROZEN)


@pytest.fixture(scope="session")
def repository() -> Repository:
    """The frozen repository; its builds are cached, so do not write to it."""
    return Repository(FROZEN)


@pytest.fixture(scope="session")
def rendered(repository: Repository) -> list[Cluster]:
    """Every cluster with its charts rendered.

    Not shared with the other folder, whose clusters pytest would give to whoever asks later.
    """
    return render(repository)


@pytest.fixture
def copy(tmp_path: Path) -> Repository:
    """A copy of the frozen repository that a test may break."""
    return Repository(shutil.copytree(FROZEN, tmp_path, dirs_exist_ok=True))
