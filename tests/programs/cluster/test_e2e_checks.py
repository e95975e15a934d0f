"""What `make e2e` takes for right and for wrong."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.cluster.e2e import checks, disruptions
from scripts.cluster.e2e.environment import Environment
from scripts.core.findings import RepositoryError
from scripts.servers.kubernetes.client import Client, without_server_fields


def labelled(value: str) -> dict[str, Any]:
    labels = {"helm.sh/chart": value, "app": value}
    return {"metadata": {"labels": labels}, "spec": {"template": {"metadata": {"labels": labels}}}}


def test_only_a_digest_that_flux_appends_is_taken_over() -> None:
    live = labelled("loki-1.2.3_0123456789ab")
    taken = checks.with_digests(labelled("loki-1.2.3"), live)
    for part in (taken, taken["spec"]["template"]):
        assert part["metadata"]["labels"] == {
            "helm.sh/chart": "loki-1.2.3_0123456789ab",
            "app": "loki-1.2.3",
        }
    other = labelled("loki-1.2.4_0123456789ab")
    assert checks.with_digests(labelled("loki-1.2.3"), other) == labelled("loki-1.2.3")
    longer = labelled("loki-1.2.3-beta")
    assert checks.with_digests(labelled("loki-1.2.3"), longer) == labelled("loki-1.2.3")
    lettered = labelled("cert-manager-1.2.3_0123456789ab")
    taken = checks.with_digests(labelled("cert-manager-v1.2.3"), lettered)
    assert taken["metadata"]["labels"]["helm.sh/chart"] == "cert-manager-1.2.3_0123456789ab"
    other = labelled("env-1.2.3_0123456789ab")
    assert checks.with_digests(labelled("envv1.2.3"), other) == labelled("envv1.2.3")


def test_only_the_end_of_a_text_may_be_trimmed() -> None:
    rendered = {"data": {"config.yaml": "a: 1\nb: 2\n"}}
    trimmed = {"data": {"config.yaml": "a: 1\nb: 2"}}
    assert checks.with_digests(rendered, trimmed) == trimmed
    for live in ("a: 1", "a: 1\nb: 2\n\n", "a: 1\nb: 3"):
        assert checks.with_digests(rendered, {"data": {"config.yaml": live}}) == rendered


def test_what_the_server_writes_is_not_stated() -> None:
    metadata = {"name": "a", "uid": "1", "resourceVersion": "2", "managedFields": []}
    item = {"metadata": metadata, "spec": {}, "status": {"a": 1}}
    assert without_server_fields(item) == {"metadata": {"name": "a"}, "spec": {}}


@pytest.mark.parametrize(
    ("name", "explained"),
    [
        ("Secret monitoring/sh.helm.release.v1.grafana.v1", True),
        ("Secret monitoring/grafana-admin", False),
        ("Secret gateway/letsencrypt-staging", True),
        ("Secret gateway/letsencrypt", False),
        ("ConfigMap monitoring/kube-root-ca.crt", True),
        ("ConfigMap monitoring/stray", False),
        ("Service kube-system/kube-prometheus-stack-kubelet", True),
        ("Service monitoring/stray", False),
        ("GitRepository.source.toolkit.fluxcd.io flux-system/flux-system", True),
        ("Kustomization.kustomize.toolkit.fluxcd.io flux-system/stray", False),
        ("PersistentVolume stray", False),
        ("ClusterRole.rbac.authorization.k8s.io stray", False),
    ],
)
def test_only_what_has_a_reason_may_be_there_besides(name: str, explained: bool) -> None:
    assert checks.is_ignored_orphan(name) is explained


class Stored:
    """An API server's answers, of what it is made with."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = items

    def all(self, _: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        return [
            item
            for item in self.items
            if item["kind"] == kind and namespace in ("", item["metadata"].get("namespace"))
        ]

    def read(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        metadata = wanted["metadata"]
        found = self.all("", wanted["kind"], metadata.get("namespace", ""))
        return next((i for i in found if i["metadata"]["name"] == metadata["name"]), None)


def warning(reason: str, note: str, kind: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "type": "Warning",
        "metadata": {"name": f"{name}.1", "namespace": "monitoring"},
        "regarding": {"kind": kind, "name": name, "namespace": "monitoring"},
        "reason": reason,
        "note": note,
    }


def unallocated() -> list[dict[str, Any]]:
    """Return a warning that a Service has no address, its address, and the Service."""
    note = "Cluster IP [IPv4]: 10.96.0.7 is not allocated; repairing"
    loki = {"name": "loki", "namespace": "monitoring"}
    address = {
        "kind": "IPAddress",
        "metadata": {"name": "10.96.0.7"},
        "spec": {"parentRef": {"resource": "services", **loki}},
    }
    service = {"kind": "Service", "metadata": loki, "spec": {"clusterIPs": ["10.96.0.7"]}}
    return [warning("ClusterIPNotAllocated", note, "Service", "loki"), address, service]


def unclaimed() -> list[dict[str, Any]]:
    """Return a warning that a pod's claim is not there, the claim, and the pod."""
    note = '0/2 nodes are available: persistentvolumeclaim "data-loki-0" not found. not found'
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-loki-0", "namespace": "monitoring"},
        "status": {"phase": "Bound"},
    }
    pod = {
        "kind": "Pod",
        "metadata": {"name": "loki-0", "namespace": "monitoring"},
        "spec": {"nodeName": "node-1"},
    }
    return [warning("FailedScheduling", note, "Pod", "loki-0"), claim, pod]


def unsourced() -> list[dict[str, Any]]:
    """Return a warning that a HelmChart's repository is not there, the chart, and nothing else."""
    note = 'failed to get source: HelmRepository "grafana" not found'
    chart = {
        "kind": "HelmChart",
        "metadata": {"name": "monitoring-alloy", "namespace": "monitoring"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    return [
        warning("SourceUnavailable", note, "HelmChart", "monitoring-alloy"),
        chart,
        {"kind": ""},
    ]


Edit = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]


def warned(items: list[dict[str, Any]], edit: Edit = lambda *_: None) -> list[str]:
    """Return what a warning is found to be beside what it missed, both edited."""
    edit(*items)
    client = cast(Client, Stored(*items))
    return [str(finding) for finding in checks.warnings(client, {}, "local/flux")]


@pytest.mark.parametrize(
    "edit",
    [
        lambda event, *_: event.update(reason="FailedScheduling"),
        lambda event, *_: event["regarding"].update(name="gone"),
        lambda _, address, __: address["metadata"].update(name="10.96.0.8"),
        lambda _, address, __: address["spec"]["parentRef"].update(name="grafana"),
        lambda _, address, __: address["spec"]["parentRef"].update(group="gateway.example.org"),
    ],
)
def test_a_missing_address_is_a_finding(edit: Edit) -> None:
    assert warned(unallocated(), edit)


@pytest.mark.parametrize(
    "edit",
    [
        lambda event, *_: event.update(reason="FailedCreate"),
        lambda event, *_: event.update(note="0/2 nodes are available: 2 Insufficient memory."),
        lambda event, *_: event["regarding"].update(name="loki-1"),
        lambda _, claim, __: claim["metadata"].update(name="data-loki-1"),
        lambda _, claim, __: claim["metadata"].update(namespace="todo"),
        lambda _, claim, __: claim["status"].update(phase="Pending"),
        lambda _, __, pod: pod["spec"].pop("nodeName"),
    ],
)
def test_a_missing_claim_is_a_finding(edit: Edit) -> None:
    assert warned(unclaimed(), edit)


@pytest.mark.parametrize(
    "edit",
    [
        lambda event, *_: event["regarding"].update(kind="HelmRelease"),
        lambda event, *_: event["regarding"].update(name="monitoring-loki"),
        lambda event, *_: event.update(reason="ChartPullError"),
        lambda _, chart, __: chart["status"]["conditions"][0].update(status="False"),
    ],
)
def test_a_missing_source_is_a_finding(edit: Edit) -> None:
    assert warned(unsourced(), edit)


@pytest.mark.parametrize("items", [unallocated, unclaimed, unsourced])
def test_a_warning_of_what_is_there_is_none(items: Callable[[], list[dict[str, Any]]]) -> None:
    assert warned(items()) == []


def test_what_is_normal_is_no_warning() -> None:
    assert warned(unclaimed(), lambda event, *_: event.update(type="Normal", note="any")) == []


def pod(name: str, **metadata: str) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "monitoring", "uid": name, **metadata},
        "status": {"phase": "Running"},
    }


def test_a_pod_on_its_way_out_does_not_run() -> None:
    there = Stored(pod("loki-0"), pod("grafana", deletionTimestamp="2026-01-01T00:00:00Z"))
    seen = cast(Environment, SimpleNamespace(client=there))
    assert disruptions.running_pods(seen) == {"loki-0": "loki-0"}


def held(name: str, uid: str, kind: str = "PersistentVolumeClaim") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "monitoring", "uid": uid}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def everything(*items: dict[str, Any]) -> Client:
    return cast(Client, SimpleNamespace(everything=lambda: iter(items)))


def test_what_holds_data_and_is_gone_or_made_anew_is_lost() -> None:
    before = checks.data_objects(
        everything(held("a", "1"), held("b", "2"), held("c", "3", "ConfigMap"))
    )
    assert checks.lost_data(everything(held("a", "1"), held("b", "2")), before) == ""
    assert checks.lost_data(everything(held("a", "1")), before) == (
        "PersistentVolumeClaim monitoring/b is gone"
    )
    assert "monitoring/b" in checks.lost_data(everything(held("a", "1"), held("b", "9")), before)
    with pytest.raises(RepositoryError, match="monitoring/a"):
        checks.check_data_kept(
            cast(
                Environment, SimpleNamespace(client=everything(), sync=SimpleNamespace(name="one"))
            ),
            before,
        )


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("PersistentVolumeClaim monitoring/storage-loki-0", True),
        ("CustomResourceDefinition.apiextensions.k8s.io probes.monitoring.coreos.com", True),
        ("APIService.apiregistration.k8s.io v1.monitoring.coreos.com", True),
        ("ConfigMap monitoring/stray", False),
    ],
)
def test_only_what_holds_data_stays(name: str, stays: bool) -> None:
    assert checks.survives_removal(name) is stays
