"""Storage classes, and volumes against the free tier."""

from __future__ import annotations

import dataclasses

from scripts.core.yamlfile import Json
from scripts.model.requirements import Requirements
from tests.programs.live.preflight_cluster import assert_is, named, seen, storage_class

pytest_plugins = ("tests.programs.live.preflight_cluster",)


def volume(claim: str, namespace: str, size: str = "50Gi", **source: Json) -> Json:
    source = source or {"csi": {"driver": "blockvolume.csi.oraclecloud.com"}}
    reference = {"namespace": namespace, "name": claim}
    return {
        "metadata": named(f"csi-{claim}"),
        "spec": {"capacity": {"storage": size}, "claimRef": reference, **source},
        "status": {"phase": "Bound"},
    }


def claim(name: str, namespace: str, size: str = "1Gi") -> Json:
    resources = {"requests": {"storage": size}}
    return {
        "metadata": named(name, namespace),
        "spec": {"resources": resources},
        "status": {"phase": "Pending"},
    }


def dapr_volumes() -> list[Json]:
    name = "dapr-scheduler-data-dir-dapr-scheduler-server"
    return [volume(f"{name}-{index}", "dapr-system") for index in range(3)]


def test_the_storage_class_of_the_overlay_exists(fitted: Requirements) -> None:
    assert_is(fitted, seen(), "storage class", "ok", "oci-bv for 2 volumes of at least 50Gi")
    other = seen(storageclasses=[storage_class("standard", default=True)])
    assert_is(
        fitted, other, "storage class", "missing", "no storage class oci-bv; there is standard"
    )
    early = seen(storageclasses=[storage_class("oci-bv", mode="Immediate")])
    assert_is(fitted, early, "storage class", "warning", "before it is known where pods run")


def test_a_claim_without_a_class_needs_one_default(fitted: Requirements) -> None:
    claims = tuple(dataclasses.replace(c, storage_class=None) for c in fitted.claims)
    unnamed = dataclasses.replace(fitted, claims=claims)
    assert_is(unnamed, seen(), "storage class", "ok", "oci-bv for 2 volumes of at least 50Gi")
    none = seen(storageclasses=[storage_class("oci-bv")])
    assert_is(unnamed, none, "storage class", "missing", "2 volumes of the default class")
    two = seen(storageclasses=[storage_class("a", default=True), storage_class("b", default=True)])
    assert_is(unnamed, two, "storage class", "warning", "a and b are both the default")


def test_volumes_and_boot_volumes_fill_the_free_tier(fitted: Requirements) -> None:
    assert_is(
        fitted, seen(), "free tier", "ok", "100Gi to boot, 100Gi needed, 0Gi of others: 200Gi"
    )
    assert_is(
        fitted,
        seen(persistentvolumes=[volume("data-postgres-0", "default")]),
        "free tier",
        "missing",
        "50Gi of others: 250Gi of the tier's 200Gi; delete.* such as default/data-postgres-0",
    )


def test_dapr_s_three_volumes_are_too_many(fitted: Requirements) -> None:
    cluster = seen(persistentvolumes=dapr_volumes())
    text = "350Gi of the tier's 200Gi; 150Gi are of Dapr's scheduler.*inMemoryStorage=true"
    assert_is(fitted, cluster, "free tier", "missing", text)


def test_a_claim_that_waits_takes_the_smallest_volume_that_there_is(fitted: Requirements) -> None:
    cluster = seen(persistentvolumeclaims=[claim("data", "default", "1Gi")])
    assert_is(fitted, cluster, "free tier", "missing", "50Gi of others")


def test_dapr_that_is_not_there_yet_is_told(fitted: Requirements) -> None:
    assert_is(fitted, seen(pods=[]), "free tier", "warning", "would take 150Gi")


def test_what_is_no_block_volume_or_ours_already_takes_nothing(fitted: Requirements) -> None:
    cluster = seen(
        persistentvolumes=[
            volume("storage-loki-0", "monitoring"),
            volume("cache", "default", local={"path": "/mnt"}),
            volume("files", "default", csi={"driver": "fss.csi.oraclecloud.com"}),
        ]
    )
    assert_is(fitted, cluster, "free tier", "ok", "100Gi needed, 0Gi of others")


def test_a_volume_that_is_released_is_still_paid_for(fitted: Requirements) -> None:
    left = volume("storage-loki-0", "monitoring")
    left["status"]["phase"] = "Released"
    cluster = seen(persistentvolumes=[left, left])
    assert_is(fitted, cluster, "free tier", "missing", "100Gi needed, 100Gi of others")
