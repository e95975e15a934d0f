"""What Loki renders in three and on a bucket keeps every line, as real processes."""

from __future__ import annotations

import pytest

from scripts.core.findings import RepositoryError
from scripts.lab.scale.logs import migration, replica_loss
from scripts.lab.scale.logs.variants import BUCKET, NEW, REPLICAS, variant
from scripts.model.rendered import Cluster
from scripts.servers.monitoring import Override

pytestmark = pytest.mark.prove
FACTOR_ONE = Override("common.replication_factor", 1, "each line is in one place only")


@pytest.fixture(scope="module")
def three() -> Cluster:
    try:
        return variant(BUCKET, NEW, REPLICAS)
    except RepositoryError as error:
        pytest.skip(str(error))


def test_no_line_is_lost_with_a_replica_and_with_one_copy_some_are(three: Cluster) -> None:
    outcome = replica_loss.prove(three, seconds=3)
    assert not outcome.findings
    assert all(phase.written == phase.found > 0 for phase in outcome.phases)
    lost = replica_loss.prove(three, 5, (FACTOR_ONE,), lose_volume=True)
    assert any("lines are lost" in finding.message for finding in lost.findings)


@pytest.mark.usefixtures("three")
def test_no_line_is_lost_from_a_volume_to_three_on_a_bucket() -> None:
    results, findings = migration.prove(migration.SCENARIOS[0][:4])
    assert not findings
    assert results[-1].written
