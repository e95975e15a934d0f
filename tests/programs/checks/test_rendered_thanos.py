"""Thanos and its pair of Prometheis; what a single edit breaks is in `bad_changes`, too."""

from __future__ import annotations

import pytest

from scripts.checks.rendered import thanos
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    STACK,
    Check,
    Edit,
    argument,
    container,
    edited,
    named,
    pod,
)

COMPACT, QUERY, STORE = "thanos-compact", "thanos-query", "thanos-store-gateway"
PROMETHEUS = ("Prometheus", STACK)


@pytest.fixture(scope="module")
def scaled(rendered: list[Cluster]) -> Cluster:
    return named(rendered, "options/scale/flux")


@pytest.fixture(scope="module")
def pair(scaled: Cluster) -> Cluster:
    """The same with two Prometheis."""
    return edited(scaled, *PROMETHEUS, replicas(2))


def replicas(count: int) -> Edit:
    return lambda manifest: manifest["spec"].update(replicas=count)


def thanos_of(**change: Json) -> Edit:
    return lambda manifest: manifest["spec"]["thanos"].update(change)


def says(cluster: Cluster, check: Check) -> list[str]:
    return [finding.message for finding in check(cluster)]


def image(tag: str) -> Edit:
    return lambda manifest: container(manifest).update(image=f"quay.io/thanos/thanos:{tag}")


def secret(name: str) -> Edit:
    return lambda manifest: pod(manifest)["volumes"][0]["secret"].update(secretName=name)


@pytest.mark.parametrize(
    ("expected", "check", "kind", "name", "edit"),
    [
        ("2 compactors for one bucket", thanos.one_compactor, "StatefulSet", COMPACT, replicas(2)),
        (
            "same external labels: the compactor halts",
            thanos.replicas_told_apart,
            *PROMETHEUS,
            lambda m: m["spec"].update(replicaExternalLabelName=""),
        ),
        (
            "does not know the replica label prometheus_replica: every series is shown 2 times",
            thanos.replicas_told_apart,
            "Deployment",
            QUERY,
            argument("replica-label=prometheus_replica", "replica-label=replica"),
        ),
        (
            "does not know the replica label pod",
            thanos.replicas_told_apart,
            *PROMETHEUS,
            lambda m: m["spec"].update(replicaExternalLabelName="pod"),
        ),
        (
            "keeps 5h",
            thanos.blocks_shipped_in_time,
            *PROMETHEUS,
            lambda m: m["spec"].update(retention="5h"),
        ),
        (
            "store is Thanos 0.41.0, and the sidecar 0.42.5",
            thanos.one_version,
            "StatefulSet",
            STORE,
            image("v0.41.0"),
        ),
        (
            "query-frontend is Thanos 0.42.5, and the sidecar 0.43.0",
            thanos.one_version,
            *PROMETHEUS,
            thanos_of(image="quay.io/thanos/thanos:v0.43.0"),
        ),
        (
            "raw=39h: data of 5m are made of those that are 40h old",
            thanos.downsampled_in_time,
            "StatefulSet",
            COMPACT,
            argument("resolution-raw=60d", "resolution-raw=39h"),
        ),
        (
            "5m=9d: data of 1h are made of those that are 10d old",
            thanos.downsampled_in_time,
            "StatefulSet",
            COMPACT,
            argument("resolution-5m=180d", "resolution-5m=9d"),
        ),
        (
            "raw=soon: 'soon' is no duration",
            thanos.downsampled_in_time,
            "StatefulSet",
            COMPACT,
            argument("resolution-raw=60d", "resolution-raw=soon"),
        ),
        (
            "store reads the bucket of the Secret other, and the sidecar ships to that of thanos-",
            thanos.one_bucket,
            "StatefulSet",
            STORE,
            secret("other"),
        ),
        (
            "compact reads the bucket of the Secret thanos-object-storage, and the sidecar ships",
            thanos.one_bucket,
            *PROMETHEUS,
            thanos_of(objectStorageConfig={"name": "other", "key": "objstore.yml"}),
        ),
    ],
)
def test_a_fault_is_found(
    pair: Cluster, expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    assert says(pair, check) == []
    found = says(edited(pair, kind, name, edit), check)
    assert any(expected in message for message in found), found


@pytest.mark.parametrize("kept", ["0d", "40h", "60d"])
def test_raw_data_that_are_kept_long_enough(scaled: Cluster, kept: str) -> None:
    edit = argument("resolution-raw=60d", f"resolution-raw={kept}")
    longer = edited(scaled, "StatefulSet", COMPACT, edit)
    assert says(longer, thanos.downsampled_in_time) == []


def test_one_prometheus_needs_no_label_of_its_replicas(scaled: Cluster) -> None:
    one = edited(scaled, *PROMETHEUS, lambda m: m["spec"].update(replicaExternalLabelName=""))
    assert says(one, thanos.replicas_told_apart) == []


def test_who_ships_nothing_may_keep_hours(rendered: list[Cluster]) -> None:
    hours = edited(named(rendered), *PROMETHEUS, lambda m: m["spec"].update(retention="2h"))
    assert says(hours, thanos.blocks_shipped_in_time) == []


def test_one_of_a_pair_that_is_asked(rendered: list[Cluster], pair: Cluster) -> None:
    """Grafana asks both through Thanos, or one of them by the Service of both."""
    own = named(rendered)
    assert says(own, thanos.pairs_asked_through_thanos) == []
    assert says(pair, thanos.pairs_asked_through_thanos) == []
    (text,) = says(edited(own, *PROMETHEUS, replicas(2)), thanos.pairs_asked_through_thanos)
    assert "which is one of 2 Prometheis at a time" in text
