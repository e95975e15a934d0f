"""Fixtures that every test shares: the repository, built once, and copies of it to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts import tools
from scripts.manifests import Repository

PARTS = ("base", "clusters", "overlays", "dashboards_py", "tests/options", "tests/logs")


@pytest.fixture(scope="session")
def repository() -> Repository:
    """The real working tree; its builds are cached, so do not write to it."""
    return Repository()


@pytest.fixture
def copy(tmp_path: Path) -> Repository:
    """A copy of the tree that a test may break."""
    for part in PARTS:
        if (tools.ROOT / part).is_dir():
            shutil.copytree(tools.ROOT / part, tmp_path / part)
    return Repository(tmp_path)
