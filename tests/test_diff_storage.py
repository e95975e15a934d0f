"""What `make diff` says of what is stored, deleted or cannot be changed."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import json
from typing import Any

import pytest

from scripts.diff.model import Flag
from scripts.diff.readers import (
    immutable,
    removal,
    retention,
    storage,
)
from scripts.manifests import Release
from scripts.rendered import Cluster, Item
from tests.diff_pairs import (
    CLAIM,
    DEPLOYMENT,
    STATEFUL,
    Json,
    cluster,
    manifest,
    pair,
    put,
    said,
)

SERVICE = manifest("Service", spec={"clusterIP": "None", "ports": [{"port": 80}]})
BINDING = manifest(
    "RoleBinding",
    api="rbac.authorization.k8s.io/v1",
    roleRef={"kind": "Role", "name": "r"},
    subjects=[{"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
)


@pytest.mark.parametrize(
    ("before", "path", "value", "fields"),
    [
        (STATEFUL, "spec/serviceName", "b", "spec.serviceName"),
        (STATEFUL, "spec/podManagementPolicy", "Parallel", "spec.podManagementPolicy"),
        (STATEFUL, "spec/selector/matchLabels/b", "b", "spec.selector.matchLabels.b"),
        # A label that is noise elsewhere: the API server compares it.
        (
            STATEFUL,
            "spec/volumeClaimTemplates/0/metadata/labels/helm.sh~chart",
            "a-1.0.1",
            "spec.volumeClaimTemplates[0].metadata.labels[helm.sh/chart]",
        ),
        (STATEFUL, "spec/volumeClaimTemplates/0/kind", "PersistentVolumeClaim", None),
        (STATEFUL, "spec/replicas", 3, None),
        (DEPLOYMENT, "spec/selector/matchLabels/a", "b", "spec.selector.matchLabels.a"),
        (DEPLOYMENT, "spec/template/metadata/labels/b", "b", None),
        (SERVICE, "spec/clusterIP", None, "spec.clusterIP"),
        (SERVICE, "spec/clusterIPs", ["10.0.0.1"], None),
        (SERVICE, "spec/type", "ClusterIP", None),
        (BINDING, "roleRef/name", "b", "roleRef.name"),
        (
            manifest("PersistentVolumeClaim", spec=CLAIM),
            "spec/storageClassName",
            "b",
            "spec.storageClassName",
        ),
        (manifest("StorageClass", provisioner="p"), "provisioner", "q", "provisioner"),
        (manifest("ConfigMap", immutable=True, data={"a": "1"}), "data/a", "2", "data"),
        (manifest("ConfigMap", data={"a": "1"}), "data/a", "2", None),
    ],
)
def test_a_field_that_cannot_change(
    before: Json, path: str, value: Any, fields: str | None
) -> None:
    after = copy.deepcopy(before)
    put(path, value)(after)
    found = list(immutable.read(pair(cluster(before), cluster(after))))
    if fields is None:
        assert found == []
    else:
        (flag,) = found
        assert isinstance(flag, Flag)
        assert flag.why.startswith(f"{fields} cannot be changed")


@pytest.mark.parametrize(
    ("before", "path", "value", "expected"),
    [
        (STATEFUL, "spec/volumeClaimTemplates", [], ["volume-removed: StatefulSet n/a, volume v"]),
        (
            STATEFUL,
            "spec/volumeClaimTemplates/0/spec/resources/requests/storage",
            "4096Mi",
            ["volume-shrunk: StatefulSet n/a, volume v"],
        ),
        (STATEFUL, "spec/volumeClaimTemplates/0/spec/resources/requests/storage", "5120Mi", []),
        (
            manifest("PersistentVolumeClaim", spec=CLAIM),
            "spec/resources/requests/storage",
            "1Gi",
            ["volume-shrunk: PersistentVolumeClaim n/a, its volume"],
        ),
        (
            manifest("PersistentVolumeClaim", spec=CLAIM),
            "spec/resources/requests/storage",
            "9Gi",
            [],
        ),
        (STATEFUL, None, None, []),
    ],
)
def test_volumes(before: Json, path: str | None, value: Any, expected: list[str]) -> None:
    assert said(storage.read, before, put(path, value) if path else None) == expected


def test_what_is_removed() -> None:
    kept = {"annotations": {"argocd.argoproj.io/sync-options": "Delete=false,Prune=false"}}
    assert said(removal.read, STATEFUL, None) == ["object-removed: StatefulSet n/a"]
    assert said(removal.read, manifest("Namespace"), None) == ["object-removed: Namespace n/a"]
    assert said(removal.read, manifest("ConfigMap"), None) == []
    before = pair(cluster(manifest("Namespace", metadata=kept)), cluster())
    (flag,) = removal.read(before)
    assert isinstance(flag, Flag)
    assert flag.why.startswith("It stays")


def test_a_release_in_another_namespace_and_one_by_another_name() -> None:
    def release(name: str, namespace: str = "n", chart: str = "c") -> Cluster:
        own = Release(name, namespace, chart, "1", "r", {}, ("HelmRelease", name))
        return cluster(releases=(own,))

    def names(before: Cluster, after: Cluster) -> list[str]:
        return [one.name for one in removal.read(pair(before, after)) if isinstance(one, Flag)]

    assert names(release("a"), release("a", "other")) == ["release-renamed"]
    assert names(release("a"), release("b")) == ["release-renamed"]
    assert names(release("a"), release("b", chart="other")) == ["release-removed"]
    assert names(release("a"), release("a")) == []
    own = cluster(manifest("ConfigMap"), releases=release("a").entry.releases)
    brought = dataclasses.replace(own, items=(Item(manifest("ConfigMap"), "a"), *own.items))
    (flag,) = removal.read(pair(brought, dataclasses.replace(release("b"), items=own.items)))
    assert isinstance(flag, Flag)
    assert "(1 object)" in flag.why


def configured(limits: Json, *, deletes: bool = True, periods: tuple[Json, ...] = ()) -> Json:
    compactor = f"compactor: {{retention_enabled: {json.dumps(deletes)}}}\n"
    schema = f"schema_config: {json.dumps({'configs': list(periods)})}\n"
    return manifest(
        "ConfigMap", data={"c.yaml": f"{compactor}limits_config: {json.dumps(limits)}\n{schema}"}
    )


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (configured({"retention_period": "7d"}), configured({"retention_period": "168h"}), 0),
        (configured({"retention_period": "7d"}), configured({"retention_period": "6d"}), 1),
        (configured({"retention_period": "0s"}), configured({"retention_period": "6d"}), 1),
        (configured({"retention_period": "7d"}), configured({}), 0),
        (
            configured({"retention_period": "7d"}, deletes=False),
            configured({"retention_period": "7d"}),
            1,
        ),
        (
            configured({"retention_period": "7d"}),
            configured(
                {
                    "retention_period": "7d",
                    "retention_stream": [{"selector": "{a}", "period": "1d"}],
                }
            ),
            1,
        ),
    ],
)
def test_retention(before: Json, after: Json, flags: int) -> None:
    found = list(retention.retention(pair(cluster(before), cluster(after))))
    assert sum(isinstance(one, Flag) for one in found) == flags


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (["2020-01-01"], ["2020-01-01"], 0),
        (["2020-01-01"], ["2020-01-01", "2030-06-02"], 0),
        (["2020-01-01"], ["2020-01-01", "2030-06-01"], 1),
        (["2020-01-01", "2025-01-01"], ["2020-01-01"], 1),
        # It has not begun, so nothing is stored by it.
        (["2020-01-01", "2030-07-01"], ["2020-01-01"], 0),
    ],
)
def test_periods_of_the_schema(before: list[str], after: list[str], flags: int) -> None:
    one, other = (
        configured({}, periods=tuple({"from": start} for start in side)) for side in (before, after)
    )
    today = datetime.date(2030, 6, 1)
    found = list(retention.schema(pair(cluster(one), cluster(other)), today))
    assert sum(isinstance(one, Flag) for one in found) == flags
