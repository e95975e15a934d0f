"""Nothing is found in the frozen repository, where each cluster sync is checked by itself."""

from __future__ import annotations

from types import ModuleType

import pytest

from scripts.checks.static import (
    monitors,
    object_schemas,
    policies,
    provisioning,
    references,
    required_values,
    sync_order,
)
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import CLUSTERS, OPTIONS, holding, named

CHECKS = (monitors, object_schemas, policies, provisioning, references, required_values, sync_order)


@pytest.mark.parametrize("name", [*CLUSTERS, OPTIONS])
@pytest.mark.parametrize("module", CHECKS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_cluster_sync_has_no_findings(
    repository: Repository, module: ModuleType, name: str
) -> None:
    assert module.check(holding(repository, named(repository, name))) == []
