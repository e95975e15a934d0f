"""What the stack needs, as its objects say."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.core.findings import RepositoryError
from scripts.model import requirements
from scripts.model.manifests import ENCRYPTED, Repository
from tests.programs import cluster_syncs
from tests.programs.live.preflight_cluster import SECRETS


def test_keys_that_are_read_one_by_one_are_of_one_secret(repository: Repository) -> None:
    everything = dataclasses.replace(
        cluster_syncs.named(repository, cluster_syncs.OPTIONS), cluster="every"
    )
    found = requirements.read("every", cluster_syncs.holding(repository, everything)).secrets
    assert {s.keys for s in found if s.name == "redpanda-metrics"} == {
        frozenset({"username", "password"})
    }


def test_a_secret_that_the_sync_brings_need_not_be_there(copy: Repository) -> None:
    path = copy.root / "clusters/oke-free" / ENCRYPTED / "grafana-admin.yaml"
    path.parent.mkdir()
    path.write_text("kind: Secret\nmetadata: {name: grafana-admin, namespace: monitoring}\n")
    found = {str(secret) for secret in requirements.read("oke-free", copy).secrets}
    assert {"/".join(place) for place in SECRETS} - found == {"monitoring/grafana-admin"}


def test_a_cluster_that_is_not_of_this_repository_is_named(repository: Repository) -> None:
    with pytest.raises(RepositoryError, match=r"there is no cluster eks\n.*local, oke-free"):
        requirements.read("eks", repository)
