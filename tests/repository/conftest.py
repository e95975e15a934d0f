"""Promises: what holds of this tree, whatever it has become."""

from __future__ import annotations

import pytest

from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from tests.fixtures.rendering import render

# Its function `check` asserts.
pytest.register_assert_rewrite("tests.repository.log_pipeline")


@pytest.fixture(scope="session")
def repository() -> Repository:
    """The real working tree; its builds are cached, so do not write to it."""
    return Repository()


@pytest.fixture(scope="session")
def rendered(repository: Repository) -> list[Cluster]:
    """Every cluster with its charts rendered.

    Not shared with the other folder, whose clusters pytest would give to whoever asks later.
    """
    return render(repository)
