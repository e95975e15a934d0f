"""Clusters as `kubectl get` lists them, and what `make preflight` says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest

from scripts.core.yamlfile import Json
from scripts.live.preflight import checks
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model import requirements
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from scripts.model.requirements import Requirements

Lists = dict[str, list[Json]]
FLUX = ("source-controller", "kustomize-controller", "helm-controller", "notification-controller")
NODES = ("10.0.10.12", "10.0.10.34")
SECRETS: Mapping[tuple[str, str], frozenset[str] | None] = {
    ("monitoring", "alertmanager-config"): frozenset({"alertmanager.yaml", "slack-url"}),
    ("monitoring", "alloy-pseudonym-salt"): frozenset({"salt"}),
    ("monitoring", "grafana-admin"): frozenset({"admin-password", "admin-user"}),
    ("monitoring-node", "alloy-pseudonym-salt"): frozenset({"salt"}),
}


def named(name: str, namespace: str = "", **metadata: Json) -> Json:
    return {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}


def node(
    name: str,
    cpu: str = "940m",
    memory: str = "5210112Ki",
    pods: str = "31",
    architecture: str = "arm64",
    taints: Sequence[Json] = (),
) -> Json:
    return {
        "metadata": named(name, labels={"kubernetes.io/os": "linux"}),
        "spec": {"taints": list(taints)} if taints else {},
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods},
            "nodeInfo": {"architecture": architecture, "kubeletVersion": "v1.36.1"},
        },
    }


def pod(
    name: str,
    at: str = NODES[0],
    cpu: str = "50m",
    memory: str = "128Mi",
    namespace: str = "default",
    phase: str = "Running",
    **labels: str,
) -> Json:
    requests = {"cpu": cpu, "memory": memory}
    return {
        "metadata": named(name, namespace, labels=labels),
        "spec": {
            "nodeName": at,
            "containers": [{"name": "main", "resources": {"requests": requests}}],
        },
        "status": {"phase": phase},
    }


def crd(kind: str, plural: str, group: str, version: str, **annotations: str) -> Json:
    return {
        "metadata": named(f"{plural}.{group}", annotations=annotations),
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": True}],
        },
    }


def workload(name: str, namespace: str, ready: int = 1) -> Json:
    return {"metadata": named(name, namespace), "spec": {}, "status": {"readyReplicas": ready}}


def daemonset(name: str, ready: int = 2) -> Json:
    status = {"desiredNumberScheduled": 2, "numberReady": ready}
    return {"metadata": named(name, "kube-system"), "spec": {}, "status": status}


def storage_class(name: str, default: bool = False, mode: str = "WaitForFirstConsumer") -> Json:
    annotations = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    return {"metadata": named(name, annotations=annotations), "volumeBindingMode": mode}


def namespace(name: str, phase: str = "Active", **labels: str) -> Json:
    return {"metadata": named(name, labels=labels), "status": {"phase": phase}}


def flux_crds(oci: str = "v1") -> list[Json]:
    return [
        crd("Kustomization", "kustomizations", "kustomize.toolkit.fluxcd.io", "v1"),
        crd("HelmRelease", "helmreleases", "helm.toolkit.fluxcd.io", "v2"),
        crd("HelmRepository", "helmrepositories", "source.toolkit.fluxcd.io", "v1"),
        crd("OCIRepository", "ocirepositories", "source.toolkit.fluxcd.io", oci),
    ]


def oke() -> Lists:
    """Two VM.Standard.A1.Flex of 1 OCPU and 6 GB, Flux, Calico, and Dapr without volumes."""
    system = [pod(f"calico-node-{n}", n, "100m", namespace="kube-system") for n in NODES]
    system += [pod(f"coredns-{n}", n, "100m", namespace="kube-system") for n in NODES]
    scheduler = pod("dapr-scheduler-server-0", namespace="dapr-system", app="dapr-scheduler-server")
    return {
        "nodes": [node(name) for name in NODES],
        "pods": [*system, scheduler, pod("migration", cpu="2", phase="Succeeded")],
        "customresourcedefinitions": flux_crds(),
        "daemonsets": [daemonset("calico-node")],
        "deployments": [workload(name, "flux-system") for name in FLUX],
        "statefulsets": [],
        "namespaces": [namespace("default"), namespace("kube-system")],
        "persistentvolumes": [],
        "persistentvolumeclaims": [],
        "storageclasses": [storage_class("oci"), storage_class("oci-bv", default=True)],
    }


def seen(lists: Lists | None = None, version: str = "v1.36.1", **changes: Json) -> ClusterState:
    """A cluster that is ready but for the changes to its lists."""
    return ClusterState(version, {**(lists or oke()), **changes}, SECRETS)


@pytest.fixture(scope="module")
def needed(repository: Repository) -> Requirements:
    return requirements.read("oke-free", repository)


@pytest.fixture(scope="module")
def fitted(needed: Requirements, rendered: list[Cluster]) -> Requirements:
    """Where the charts are there, and so the pods are known."""
    assert rendered
    return needed


def judged(need: Requirements, cluster: ClusterState, name: str) -> tuple[str, str]:
    """State of one check, and all that is said of it."""
    (result,) = (v for check, v in checks.run(need, cluster) if check.name == name)
    assert bool(result.fix) == (result.status != "ok")
    return str(result.status), f"{result.text}; {result.fix}"


def assert_is(
    need: Requirements, cluster: ClusterState, name: str, state: str, pattern: str
) -> None:
    found, text = judged(need, cluster, name)
    assert (found, bool(re.search(pattern, text))) == (state, True), f"{found}: {text}"
