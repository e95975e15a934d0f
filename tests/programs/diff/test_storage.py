"""What `make diff` says of what is stored, and of what cannot be changed."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import immutable, storage
from scripts.diff.model import Flag
from scripts.model.rendered import Item
from tests.programs.diff.diff_pairs import (
    BINDING,
    CLAIM,
    DEPLOYMENT,
    STATEFUL,
    analyzed,
    cluster,
    manifest,
    pair,
    put,
)

SERVICE = manifest("Service", spec={"clusterIP": "None", "ports": [{"port": 80}]})
SIZE = "spec/volumeClaimTemplates/0/spec/resources/requests/storage"
POLICY = "spec/persistentVolumeClaimRetentionPolicy"
EMPTIED = copy.deepcopy(STATEFUL)
put(POLICY, {"whenDeleted": "Delete"})(EMPTIED)
PVC = manifest("PersistentVolumeClaim", spec=CLAIM)
CRD = manifest("CustomResourceDefinition", spec={"scope": "Cluster"})
PROMETHEUS = manifest(
    "Prometheus",
    api="monitoring.coreos.com/v1",
    spec={"storage": {"volumeClaimTemplate": {"spec": CLAIM}}},
)
EMPTIED_PROMETHEUS = copy.deepcopy(PROMETHEUS)
put(POLICY, {"whenDeleted": "Delete"})(EMPTIED_PROMETHEUS)
OWN_SIZE = "spec/storage/volumeClaimTemplate/spec/resources/requests/storage"
OPERATED = "StatefulSet n/prometheus-a, its volume"


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
        (STATEFUL, "spec/volumeClaimTemplates/0/spec/volumeMode", "Filesystem", None),
        (STATEFUL, SIZE, "5120Mi", None),
        (STATEFUL, SIZE, "6Gi", "spec.volumeClaimTemplates[0].spec.resources.requests.storage"),
        (STATEFUL, "spec/replicas", 3, None),
        (DEPLOYMENT, "spec/selector/matchLabels/a", "b", "spec.selector.matchLabels.a"),
        (DEPLOYMENT, "spec/template/metadata/labels/b", "b", None),
        (SERVICE, "spec/clusterIP", None, "spec.clusterIP"),
        (SERVICE, "spec/clusterIPs", ["10.0.0.1"], None),
        (SERVICE, "spec/type", "ClusterIP", None),
        (BINDING, "roleRef/name", "b", "roleRef.name"),
        (PVC, "spec/storageClassName", "b", "spec.storageClassName"),
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
    found = list(immutable.analyze(pair(cluster(before), cluster(after))))
    if fields is None:
        assert found == []
    else:
        (flag,) = found
        assert isinstance(flag, Flag)
        assert flag.why.startswith(f"{fields} cannot be changed")


@pytest.mark.parametrize(
    ("before", "path", "value", "lost"),
    [
        (STATEFUL, "spec/serviceName", "b", None),
        (EMPTIED, "spec/serviceName", "b", "what its volumes hold"),
        (PVC, "spec/storageClassName", "b", "what its volume holds"),
        (CRD, "spec/scope", "Namespaced", "every object of its kind"),
    ],
)
def test_what_is_deleted_with_an_object_to_change_it(
    before: Json, path: str, value: str, lost: str | None
) -> None:
    after = copy.deepcopy(before)
    put(path, value)(after)
    forced = copy.deepcopy(after)
    put("metadata/annotations", {"kustomize.toolkit.fluxcd.io/force": "enabled"})(forced)
    kustomization = manifest("Kustomization", metadata={"name": "unit"}, spec={"force": True})

    def flag(*objects: Json, engine: str = "flux") -> Flag:
        one, other = cluster(before), cluster(*objects)
        other = dataclasses.replace(other, sync=dataclasses.replace(other.sync, engine=engine))
        (found,) = immutable.analyze(pair(one, other))
        assert isinstance(found, Flag)
        return found

    one, other = (
        dataclasses.replace(cluster(), items=(Item(m, "release"),)) for m in (before, forced)
    )
    (released,) = (f for f in immutable.analyze(pair(one, other)) if isinstance(f, Flag))
    for refused in (flag(after), flag(forced, engine="argocd"), released):
        assert refused.why.endswith("the API server refuses the object.")
        assert refused.fix.endswith(f"deletes {lost}, too." if lost else "stops meanwhile.")
    for deleted in (flag(after, kustomization), flag(forced)):
        what = f" and {lost}" if lost else ""
        assert deleted.why.endswith(f"Flux deletes the object{what}, to make it anew.")


@pytest.mark.parametrize(
    ("before", "path", "value", "expected"),
    [
        (STATEFUL, "spec/volumeClaimTemplates", [], ["volume-removed: StatefulSet n/a, volume v"]),
        (
            STATEFUL,
            SIZE,
            "4096Mi",
            ["volume-shrunk: StatefulSet n/a, volume v"],
        ),
        (STATEFUL, SIZE, "5120Mi", []),
        (
            PVC,
            "spec/resources/requests/storage",
            "1Gi",
            ["volume-shrunk: PersistentVolumeClaim n/a, its volume"],
        ),
        (
            PVC,
            "spec/resources/requests/storage",
            "9Gi",
            [],
        ),
        (STATEFUL, None, None, []),
        (PROMETHEUS, OWN_SIZE, "9Gi", [f"volume-grown: {OPERATED}"]),
        (PROMETHEUS, OWN_SIZE, "5120Mi", []),
        (STATEFUL, POLICY, {"whenDeleted": "Delete"}, ["volume-deletion: StatefulSet n/a"]),
        (STATEFUL, POLICY, {"whenScaled": "Delete"}, ["volume-deletion: StatefulSet n/a"]),
        (STATEFUL, POLICY, {"whenDeleted": "Retain", "whenScaled": "Retain"}, []),
        (PROMETHEUS, POLICY, {"whenDeleted": "Delete"}, ["volume-deletion: Prometheus n/a"]),
        (EMPTIED, POLICY, None, []),
        (EMPTIED, "spec/replicas", 1, []),
    ],
)
def test_volumes(before: Json, path: str | None, value: Any, expected: list[str]) -> None:
    assert analyzed(storage.analyze, before, put(path, value) if path else None) == expected


@pytest.mark.parametrize(
    ("before", "path", "value", "deleted"),
    [
        (STATEFUL, "spec/volumeClaimTemplates", [], False),
        (EMPTIED, "spec/volumeClaimTemplates", [], True),
        # The API server refuses it, so nothing is deleted yet.
        (EMPTIED, "spec/volumeClaimTemplates/0/spec/storageClassName", "slow", None),
        (PROMETHEUS, "spec/storage", None, False),
        (EMPTIED_PROMETHEUS, "spec/storage", None, True),
        (EMPTIED_PROMETHEUS, OWN_SIZE, "9Gi", True),
        (EMPTIED_PROMETHEUS, OWN_SIZE, "5120Mi", None),
    ],
)
def test_a_claim_that_goes_with_its_statefulset(
    before: Json, path: str, value: Any, deleted: bool | None
) -> None:
    after = copy.deepcopy(before)
    put(path, value)(after)
    found = storage.analyze(pair(cluster(before), cluster(after)))
    told = ["deleted first" in one.why for one in found if isinstance(one, Flag)]
    assert told == ([] if deleted is None else [deleted])
