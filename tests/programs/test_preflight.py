"""What is said of a cluster before an install, by JSON as kubectl prints it."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.preflight import capacity, checklist, kubectl
from scripts.live.preflight.kubectl import Seen
from scripts.model import charts, requirements, schemas
from scripts.model.manifests import ENCRYPTED, Repository
from scripts.model.rendered import Cluster
from scripts.model.requirements import Stack
from tests.fixtures import CODE
from tests.programs import cluster_syncs

Lists = dict[str, list[Json]]
VALUE = "hunter2-is-nobodys-business"
FLUX = ("source-controller", "kustomize-controller", "helm-controller", "notification-controller")
ARGOCD = ("argocd-repo-server", "argocd-server")
NODES = ("10.0.10.12", "10.0.10.34")
SECRETS: Mapping[tuple[str, str], frozenset[str] | None] = {
    ("monitoring", "alertmanager-config"): frozenset({"alertmanager.yaml", "slack-url"}),
    ("monitoring", "alloy-pseudonym-salt"): frozenset({"salt"}),
    ("monitoring", "grafana-admin"): frozenset({"admin-password", "admin-user"}),
    ("monitoring-node", "alloy-pseudonym-salt"): frozenset({"salt"}),
}


# Clusters


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


def rule_crd(version: str = "0.93.1", **annotations: str) -> Json:
    every = {"operator.prometheus.io/version": version, **annotations}
    return crd("PrometheusRule", "prometheusrules", "monitoring.coreos.com", "v1", **every)


def of_helm(release: str, namespace: str = "monitoring") -> dict[str, str]:
    return {
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }


def workload(name: str, namespace: str, ready: int = 1) -> Json:
    return {"metadata": named(name, namespace), "spec": {}, "status": {"readyReplicas": ready}}


def daemonset(name: str, ready: int = 2) -> Json:
    status = {"desiredNumberScheduled": 2, "numberReady": ready}
    return {"metadata": named(name, "kube-system"), "spec": {}, "status": status}


def storage_class(name: str, default: bool = False, mode: str = "WaitForFirstConsumer") -> Json:
    annotations = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    return {"metadata": named(name, annotations=annotations), "volumeBindingMode": mode}


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


def namespace(name: str, phase: str = "Active", **labels: str) -> Json:
    return {"metadata": named(name, labels=labels), "status": {"phase": phase}}


def flux_crds(oci: str = "v1") -> list[Json]:
    return [
        crd("Kustomization", "kustomizations", "kustomize.toolkit.fluxcd.io", "v1"),
        crd("HelmRelease", "helmreleases", "helm.toolkit.fluxcd.io", "v2"),
        crd("HelmRepository", "helmrepositories", "source.toolkit.fluxcd.io", "v1"),
        crd("OCIRepository", "ocirepositories", "source.toolkit.fluxcd.io", oci),
    ]


def argocd_crds() -> list[Json]:
    return [
        crd("Application", "applications", "argoproj.io", "v1alpha1"),
        crd("AppProject", "appprojects", "argoproj.io", "v1alpha1"),
    ]


def argocd() -> Lists:
    return {
        "customresourcedefinitions": argocd_crds(),
        "deployments": [workload(name, "argocd") for name in ARGOCD],
        "statefulsets": [workload("argocd-application-controller", "argocd")],
    }


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


def kind() -> Lists:
    """One node of a laptop, with nothing but what `kind create cluster` makes."""
    return {
        **oke(),
        "nodes": [node("kind-control-plane", "8", "16Gi", "110", "amd64")],
        "pods": [pod("etcd", "kind-control-plane", "100m", namespace="kube-system")],
        "daemonsets": [daemonset("kindnet", 2), daemonset("kube-proxy", 2)],
        "storageclasses": [storage_class("standard", default=True)],
    }


def seen(lists: Lists | None = None, version: str = "v1.36.1", **changes: Json) -> Seen:
    """A cluster that is ready but for the changes to its lists."""
    return Seen(version, {**(lists or oke()), **changes}, SECRETS)


@pytest.fixture(scope="module")
def needed(repository: Repository) -> Stack:
    return requirements.read("oke-free", repository)


@pytest.fixture(scope="module")
def fitted(needed: Stack, rendered: list[Cluster]) -> Stack:
    """Where the charts are there, and so the pods are known."""
    assert rendered
    return needed


def judged(need: Stack, cluster: Seen, name: str) -> tuple[str, str]:
    """State of one point, and all that is said of it."""
    (verdict,) = (v for point, v in checklist.judge(need, cluster) if point.name == name)
    assert bool(verdict.fix) == (verdict.state != "ok")
    return str(verdict.state), f"{verdict.text}; {verdict.fix}"


def assert_is(need: Stack, cluster: Seen, name: str, state: str, pattern: str) -> None:
    found, text = judged(need, cluster, name)
    assert (found, bool(re.search(pattern, text))) == (state, True), f"{found}: {text}"


# The cluster


def test_two_arm_nodes_of_oke_are_ready(fitted: Stack) -> None:
    states = {point.name: str(verdict.state) for point, verdict in checklist.judge(fitted, seen())}
    assert set(states.values()) == {"ok"}, states


def test_a_kind_cluster_is_ready_for_the_laptop(
    repository: Repository, rendered: list[Cluster]
) -> None:
    laptop = requirements.read(rendered[0].sync.cluster, repository)
    assert laptop.name == "local"
    states = {p.name: str(v.state) for p, v in checklist.judge(laptop, seen(kind()))}
    assert set(states.values()) == {"ok"}, states


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("v1.34.9", "missing"),
        ("v1.35.0", "ok"),
        ("v1.36.2+k3s1", "ok"),
        ("v1.37.1-gke.1000", "ok"),
        ("v1.38.0", "warning"),
    ],
)
def test_kubernetes_is_one_that_manifests_are_validated_for(
    needed: Stack, version: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ["1.35.0", "1.36.0", "1.37.0"]
    monkeypatch.setattr(schemas, "kubernetes_versions", lambda: known)
    assert_is(needed, seen(version=version), "Kubernetes", state, r"1\.35 to 1\.37 are supported")


def test_an_x86_node_is_not_what_the_environment_is_for(fitted: Stack) -> None:
    mixed = seen(nodes=[node(NODES[0]), node(NODES[1], architecture="amd64")])
    assert_is(
        fitted,
        mixed,
        "architecture",
        "warning",
        "amd64 on 1 node, arm64 on 1 node, .*oke-free is for arm64",
    )


def test_a_node_on_which_an_image_does_not_run_is_named(fitted: Stack) -> None:
    odd = seen(nodes=[node(NODES[0], architecture="s390x"), node(NODES[1])])
    assert_is(fitted, odd, "architecture", "missing", rf"{NODES[0]}: s390x.*grafana/loki")
    lost = dataclasses.replace(fitted, images={**fitted.images, "docker.io/x86only": frozenset()})
    assert_is(lost, seen(), "architecture", "missing", r"arm64.*run there: docker\.io/x86only")


def test_flux_or_argo_cd_is_ready(needed: Stack) -> None:
    assert_is(needed, seen(), "GitOps engine", "ok", "^Flux, 3 controllers ready")
    assert_is(
        needed, seen({**oke(), **argocd()}), "GitOps engine", "ok", "^Argo CD, 2 controllers ready"
    )


def test_a_release_s_name_in_front_of_a_controller_s_is_known(needed: Stack) -> None:
    lists = argocd()
    for item in (*lists["deployments"], *lists["statefulsets"]):
        name = item["metadata"]["name"]
        item["metadata"] |= {"name": f"x-{name}", "labels": {"app.kubernetes.io/name": name}}
    assert_is(needed, seen({**oke(), **lists}), "GitOps engine", "ok", "^Argo CD")


def test_a_cluster_without_an_engine_is_not_ready(needed: Stack) -> None:
    none = seen(customresourcedefinitions=[], deployments=[])
    assert_is(needed, none, "GitOps engine", "missing", "neither Flux nor Argo CD.*install one")
    elsewhere = seen(deployments=[workload(name, "flux") for name in FLUX])
    assert_is(needed, elsewhere, "GitOps engine", "missing", "only CRDs of Flux, in flux-system")


def test_two_engines_are_one_too_many(needed: Stack) -> None:
    both = {key: [*oke()[key], *items] for key, items in argocd().items()}
    assert_is(
        needed, seen({**oke(), **both}), "GitOps engine", "missing", "Flux and Argo CD are both"
    )


def test_what_another_engine_left_behind_is_told(needed: Stack) -> None:
    left = seen(customresourcedefinitions=[*flux_crds(), *argocd_crds()])
    assert_is(needed, left, "GitOps engine", "warning", "Flux.*CRDs of Argo CD are left")


def test_a_controller_that_is_not_ready_is_named(needed: Stack) -> None:
    waiting = [workload(name, "flux-system", int(name != "helm-controller")) for name in FLUX]
    text = "Flux: not ready: helm-controller"
    assert_is(needed, seen(deployments=waiting), "GitOps engine", "missing", text)


def test_an_engine_too_old_for_our_kinds_is_found(needed: Stack) -> None:
    old = seen(customresourcedefinitions=flux_crds(oci="v1beta2"))
    text = r"does not know OCIRepository source\.toolkit\.fluxcd\.io/v1;.*upgrade Flux"
    assert_is(needed, old, "GitOps engine", "missing", text)


def fields(**known: Json) -> Json:
    """The schema of an object with these fields."""
    return {"type": "object", "properties": known}


@pytest.mark.parametrize(
    ("retry", "unknown"),
    [
        ({}, ""),
        (fields(limit={}, refresh={}, backoff=fields(duration={}, factor={}, maxDuration={})), ""),
        (fields(limit={}, refresh={}, backoff={"additionalProperties": True}), ""),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, ""),
        (
            fields(limit={}, backoff=fields(duration={}, factor={})),
            "Application spec.syncPolicy.retry.backoff.maxDuration, "
            "Application spec.syncPolicy.retry.refresh",
        ),
    ],
)
def test_an_engine_too_old_for_a_field_is_found(needed: Stack, retry: Json, unknown: str) -> None:
    lists = argocd()
    (version,) = lists["customresourcedefinitions"][0]["spec"]["versions"]
    policy = fields(automated={}, retry=retry, syncOptions={"items": {"type": "string"}})
    spec = fields(syncPolicy=policy, destination={}, project={}, source={})
    version["schema"] = {"openAPIV3Schema": fields(spec=spec)}
    state, text = ("missing", f"does not know {unknown};") if unknown else ("ok", "^Argo CD")
    assert_is(needed, seen({**oke(), **lists}), "GitOps engine", state, text)


@pytest.mark.parametrize("agent", ["calico-node", "cilium", "antrea-agent", "kindnet"])
def test_an_agent_that_enforces_network_policies_is_known(needed: Stack, agent: str) -> None:
    cluster = seen(daemonsets=[daemonset("kube-proxy"), daemonset(agent)])
    assert_is(needed, cluster, "network policies", "ok", f"enforced by {agent}")


def test_policies_are_inert_without_an_agent_in_the_readme_s_words(needed: Stack) -> None:
    cluster = seen(daemonsets=[daemonset("kube-flannel-ds"), daemonset("kube-proxy")])
    _, text = judged(needed, cluster, "network policies")
    assert_is(needed, cluster, "network policies", "warning", "inert, as with Flannel")
    words = "install Calico for policies, or trust what runs in the cluster"
    assert words in text
    assert words in (CODE / "README.md").read_text()


def test_an_agent_that_does_not_run_everywhere_is_told(needed: Stack) -> None:
    cluster = seen(daemonsets=[daemonset("calico-node", ready=1)])
    assert_is(needed, cluster, "network policies", "warning", "calico-node is ready on 1 of 2")
    k3s = seen(version="v1.36.1+k3s1", daemonsets=[])
    assert_is(needed, k3s, "network policies", "ok", "K3s")


def test_an_ingress_controller_that_is_retired_is_told(needed: Stack) -> None:
    assert_is(needed, seen(), "ingress", "ok", "no ingress-nginx")
    deployment, agent = workload("edge", "ingress"), daemonset("edge")
    for one in (deployment, agent):
        one["metadata"]["labels"] = {"app.kubernetes.io/name": "ingress-nginx"}
    text = "ingress/edge: ingress-nginx was retired .+ Traefik"
    assert_is(needed, seen(deployments=[deployment]), "ingress", "warning", text)
    text = "kube-system/edge: ingress-nginx was retired .+ Traefik"
    assert_is(needed, seen(daemonsets=[agent]), "ingress", "warning", text)


# Room


def busy(**requests: str) -> Seen:
    """Two nodes, each with one more pod."""
    more = [pod(f"busy-{name}", name, **requests) for name in NODES]
    return seen(pods=[*oke()["pods"], *more])


def test_what_is_needed_is_what_the_readme_says(fitted: Stack) -> None:
    # 2 x 940m, less 4 pods of 100m and one of 50m; the job that has ended takes nothing.
    assert_is(fitted, seen(), "CPU", "ok", "^475m needed, 1430m free on 2 nodes;")
    assert_is(fitted, seen(), "memory", "ok", "^1608Mi needed, 9536Mi free on 2 nodes;")
    assert_is(fitted, seen(), "pods", "ok", "^12 needed, 57 free on 2 nodes;")


def test_daemonsets_are_counted_for_each_node(fitted: Stack) -> None:
    three = seen(nodes=[*oke()["nodes"], node("10.0.10.56")])
    assert_is(fitted, three, "CPU", "ok", "^530m needed")
    assert_is(fitted, three, "pods", "ok", "^14 needed")


def test_a_full_cluster_has_no_room(fitted: Stack) -> None:
    full = busy(cpu="500m", memory="4Gi")
    assert_is(fitted, full, "CPU", "missing", "475m needed, 430m free on 2 nodes of 1880m")
    assert_is(fitted, full, "memory", "missing", "1608Mi needed, 1344Mi free on 2 nodes of 10176Mi")


def test_room_that_is_used_up_is_told(fitted: Stack) -> None:
    tight = busy(cpu="450m", memory="3700Mi")
    assert_is(fitted, tight, "CPU", "warning", "leaves 55m of 1880m.*a tenth free")
    assert_is(fitted, tight, "memory", "warning", "leaves 528Mi of 10176Mi")


@pytest.mark.parametrize(
    ("most", "state", "text"),
    [
        ("8", "missing", "12 needed, 11 free on 2 nodes of 16"),
        ("9", "warning", "leaves 1 of 18"),
        ("11", "ok", "12 needed, 17 free"),
    ],
)
def test_pods_are_as_many_as_a_node_takes(fitted: Stack, most: str, state: str, text: str) -> None:
    cluster = seen(nodes=[node(name, pods=most) for name in NODES])
    assert_is(fitted, cluster, "pods", state, text)


def test_a_node_without_room_for_the_daemonsets_is_named(fitted: Stack) -> None:
    one = seen(pods=[pod("greedy", NODES[1], "900m")])
    text = rf"DaemonSets need 55m of each node, {re.escape(NODES[1])} has 40m"
    assert_is(fitted, one, "CPU", "missing", text)


def test_room_in_pieces_too_small_for_a_pod_is_found(fitted: Stack) -> None:
    small = [node(f"small-{index}", "4", "500Mi") for index in range(9)]
    cluster = seen(nodes=small, pods=[])
    assert judged(fitted, cluster, "memory")[0] == "ok"
    text = r"no node has room for prometheus-kube-prometheus-stack \(105m, 424Mi\)"
    assert_is(fitted, cluster, "placement", "missing", text)


def test_a_pod_that_only_one_node_can_take_is_told(fitted: Stack) -> None:
    cluster = seen(pods=[pod("large", NODES[0], memory="4600Mi")])
    assert_is(fitted, cluster, "placement", "warning", "prometheus.* fits on 1 of 2 nodes")


def test_a_tainted_node_takes_daemonsets_only(fitted: Stack) -> None:
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    cluster = seen(nodes=[node("control-plane", taints=[taint]), node(NODES[1])], pods=[])
    assert_is(fitted, cluster, "CPU", "ok", "^420m needed, 940m free on 1 node;")
    full = seen(nodes=cluster.lists["nodes"], pods=[pod("etcd", "control-plane", "900m")])
    assert_is(fitted, full, "CPU", "missing", "55m of each node, control-plane has 40m")
    closed = seen(nodes=[node(name, taints=[taint]) for name in NODES])
    assert_is(fitted, closed, "CPU", "missing", "none of 2 nodes takes ordinary pods")
    assert_is(fitted, closed, "placement", "missing", "none of 2 nodes")


def test_a_daemonset_s_node_selector_is_respected(fitted: Stack) -> None:
    windows = node(NODES[1])
    windows["metadata"]["labels"] = {"kubernetes.io/os": "windows"}
    asked = capacity.demand(fitted, seen(nodes=[node(NODES[0]), windows]))
    assert [asked.daemons[name]["pods"] for name in NODES] == [2, 1]


def test_what_an_earlier_install_runs_is_not_counted_twice(fitted: Stack) -> None:
    (grafana,) = (p for p in fitted.pods if p.owner.name == "grafana")
    own = pod("grafana-7d9f-x", cpu="400m", namespace="monitoring", **grafana.labels)
    assert_is(fitted, seen(pods=[*oke()["pods"], own]), "CPU", "ok", "1430m free")
    own["metadata"]["namespace"] = "default"
    assert_is(fitted, seen(pods=[*oke()["pods"], own]), "CPU", "ok", "1030m free")


def test_a_quantity_that_is_not_understood_is_not_passed_over(fitted: Stack) -> None:
    odd = seen(pods=[pod("odd", memory="1gig")])
    assert_is(
        fitted, odd, "memory", "missing", "not checked: Pod default/odd: '1gig' is no quantity"
    )


# Volumes


def test_the_storage_class_of_the_overlay_exists(fitted: Stack) -> None:
    assert_is(fitted, seen(), "storage class", "ok", "oci-bv for 2 volumes of at least 50Gi")
    other = seen(storageclasses=[storage_class("standard", default=True)])
    assert_is(
        fitted, other, "storage class", "missing", "no storage class oci-bv; there is standard"
    )
    early = seen(storageclasses=[storage_class("oci-bv", mode="Immediate")])
    assert_is(fitted, early, "storage class", "warning", "before it is known where pods run")


def test_a_claim_without_a_class_needs_one_default(fitted: Stack) -> None:
    claims = tuple(dataclasses.replace(c, storage_class=None) for c in fitted.claims)
    unnamed = dataclasses.replace(fitted, claims=claims)
    assert_is(unnamed, seen(), "storage class", "ok", "oci-bv for 2 volumes of at least 50Gi")
    none = seen(storageclasses=[storage_class("oci-bv")])
    assert_is(unnamed, none, "storage class", "missing", "2 volumes of the default class")
    two = seen(storageclasses=[storage_class("a", default=True), storage_class("b", default=True)])
    assert_is(unnamed, two, "storage class", "warning", "a and b are both the default")


def test_volumes_and_boot_volumes_fill_the_free_tier(fitted: Stack) -> None:
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


def test_dapr_s_three_volumes_are_too_many(fitted: Stack) -> None:
    cluster = seen(persistentvolumes=dapr_volumes())
    text = "350Gi of the tier's 200Gi; 150Gi are of Dapr's scheduler.*inMemoryStorage=true"
    assert_is(fitted, cluster, "free tier", "missing", text)


def test_a_claim_that_waits_takes_the_smallest_volume_that_there_is(fitted: Stack) -> None:
    cluster = seen(persistentvolumeclaims=[claim("data", "default", "1Gi")])
    assert_is(fitted, cluster, "free tier", "missing", "50Gi of others")


def test_dapr_that_is_not_there_yet_is_told(fitted: Stack) -> None:
    assert_is(fitted, seen(pods=[]), "free tier", "warning", "would take 150Gi")


def test_what_is_no_block_volume_or_ours_already_takes_nothing(fitted: Stack) -> None:
    cluster = seen(
        persistentvolumes=[
            volume("storage-loki-0", "monitoring"),
            volume("cache", "default", local={"path": "/mnt"}),
            volume("files", "default", csi={"driver": "fss.csi.oraclecloud.com"}),
        ]
    )
    assert_is(fitted, cluster, "free tier", "ok", "100Gi needed, 0Gi of others")


def test_a_volume_that_is_released_is_still_paid_for(fitted: Stack) -> None:
    left = volume("storage-loki-0", "monitoring")
    left["status"]["phase"] = "Released"
    cluster = seen(persistentvolumes=[left, left])
    assert_is(fitted, cluster, "free tier", "missing", "100Gi needed, 100Gi of others")


# Before the first sync


def test_crds_are_none_or_ours(fitted: Stack) -> None:
    assert_is(fitted, seen(), "CRDs", "ok", "none yet, prometheus-operator-crds brings 8")
    ours = rule_crd(**of_helm("prometheus-operator-crds"))
    assert_is(fitted, crds(ours), "CRDs", "ok", "1 of prometheus-operator-crds, operator 0.93.1")
    tracked = {"argocd.argoproj.io/tracking-id": "prometheus-operator-crds:apiextensions/x"}
    assert_is(fitted, crds(rule_crd(**tracked)), "CRDs", "ok", "operator 0.93.1")


def crds(*items: Json) -> Seen:
    return seen(customresourcedefinitions=[*flux_crds(), *items])


def test_crds_of_another_helm_release_are_found(fitted: Stack) -> None:
    theirs = rule_crd(**of_helm("kps", "observability"))
    text = (
        r"1 of 8 belong to Helm release observability/kps;.*release-name=prometheus-operator-crds"
    )
    assert_is(fitted, crds(theirs), "CRDs", "missing", text)
    assert_is(fitted, crds(rule_crd()), "CRDs", "missing", "belong to nobody that says so")
    same = rule_crd(**of_helm("prometheus-operator-crds", "elsewhere"))
    assert_is(fitted, crds(same), "CRDs", "missing", "elsewhere/prometheus-operator-crds")


def test_another_operator_s_version_is_told(fitted: Stack) -> None:
    mine = of_helm("prometheus-operator-crds")
    older, newer = rule_crd("0.9.1", **mine), rule_crd("0.100.0", **mine)
    assert_is(
        fitted, crds(older), "CRDs", "warning", "operator 0.9.1, .* 0.93.1.*upgrade every other"
    )
    assert_is(fitted, crds(newer), "CRDs", "warning", "operator 0.100.0, .*would be lost")


def with_secret(namespace: str, name: str, keys: frozenset[str] | None) -> Seen:
    return dataclasses.replace(seen(), secrets={**SECRETS, (namespace, name): keys})


def test_a_secret_that_is_read_exists_with_its_keys(needed: Stack) -> None:
    assert_is(needed, seen(), "Secrets", "ok", "4 with every key")
    gone = with_secret("monitoring", "grafana-admin", None)
    text = "^monitoring/grafana-admin is not there;.*make secrets"
    assert_is(needed, gone, "Secrets", "missing", text)
    half = with_secret("monitoring", "grafana-admin", frozenset({"admin-user", "password"}))
    assert_is(needed, half, "Secrets", "missing", "^monitoring/grafana-admin lacks admin-password;")
    empty = with_secret("monitoring-node", "alloy-pseudonym-salt", frozenset())
    assert_is(
        needed, empty, "Secrets", "missing", "^monitoring-node/alloy-pseudonym-salt lacks salt"
    )


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


def test_nobody_is_told_of_alerts_without_the_optional_secret(needed: Stack) -> None:
    gone = with_secret("monitoring", "alertmanager-config", None)
    text = r"alertmanager-config is not there \(optional\);.*nobody is told"
    assert_is(needed, gone, "Secrets", "warning", text)


ENFORCE = "pod-security.kubernetes.io/enforce"


def namespaces(*items: Json) -> Seen:
    return seen(namespaces=[*oke()["namespaces"], *items])


def test_namespaces_let_the_stack_in(fitted: Stack) -> None:
    assert_is(fitted, seen(), "Pod Security", "ok", "0 of 2 exist")
    strict = namespaces(namespace("monitoring-node", **{ENFORCE: "baseline"}))
    text = f"enforces baseline, .* need privileged; kubectl label .*{ENFORCE}=privileged"
    assert_is(fitted, strict, "Pod Security", "missing", text)
    right = namespaces(
        namespace("monitoring", **{ENFORCE: "restricted"}), namespace("monitoring-node")
    )
    assert_is(
        fitted, right, "Pod Security", "ok", "2 of 2 exist; the sync sets monitoring restricted"
    )
    ending = namespaces(namespace("monitoring", phase="Terminating"))
    assert_is(fitted, ending, "Pod Security", "missing", "monitoring is being deleted")


def test_pods_of_others_in_our_namespace_are_told(fitted: Stack) -> None:
    lists = namespaces(namespace("monitoring")).lists
    other = pod("influxdb-0", namespace="monitoring")
    cluster = seen({**lists, "pods": [*lists["pods"], other]})
    text = "monitoring holds pods of others, such as influxdb-0; the sync enforces restricted"
    assert_is(fitted, cluster, "Pod Security", "warning", text)


# What could not be checked


@pytest.mark.parametrize("point", checklist.POINTS, ids=lambda point: point.name)
def test_what_may_not_be_read_is_missing(needed: Stack, point: checklist.Point) -> None:
    for resource in point.reads:
        cluster = dataclasses.replace(seen(), forbidden=frozenset({resource}))
        text = f"not checked: {resource} may not be read"
        assert_is(needed, cluster, point.name, "missing", text)


def test_a_secret_that_may_not_be_read_is_missing_even_if_it_is_optional(needed: Stack) -> None:
    name = "monitoring/alertmanager-config"
    gone = with_secret("monitoring", "alertmanager-config", None)
    cluster = dataclasses.replace(gone, forbidden=frozenset({f"secret {name}"}))
    assert_is(needed, cluster, "Secrets", "missing", f"not checked: {name} may not be read")


def test_without_a_chart_it_is_said_which_points_were_not_checked(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("chart loki 18.11.0", None, "nowhere", "put it there")
    monkeypatch.setattr(charts, "missing", lambda _: [finding])
    bare = requirements.read("oke-free", repository)
    found = {p.name: str(v.state) for p, v in checklist.judge(bare, seen())}
    unchecked = {name for name, state in found.items() if state == "missing"}
    assert unchecked == {
        *("architecture", "CPU", "memory", "pods", "placement"),
        *("storage class", "free tier", "CRDs", "Pod Security"),
    }
    assert_is(bare, seen(), "CPU", "missing", "not checked: no chart loki 18.11.0; put it there")


def test_a_cluster_that_is_not_of_this_repository_is_named(repository: Repository) -> None:
    with pytest.raises(RepositoryError, match=r"there is no cluster eks\n.*local, oke-free"):
        requirements.read("eks", repository)


# The command, with a kubectl that answers from files

STAND_IN = """#!{python} -IS
import pathlib, sys
folder = pathlib.Path({folder!r})
arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
options = dict(a.split("=") for a in sys.argv[1:] if "=" in a)
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
name = "-".join([*arguments[-2:], options.get("--namespace", "")]).strip("-")
path = folder / (name + ".json")
if (folder / (name + ".error")).exists():
    sys.exit((folder / (name + ".error")).read_text())
if path.exists():
    sys.stdout.write(path.read_text())
"""


@dataclasses.dataclass
class StandIn:
    """A folder of answers, and the environment in which they are kubectl's."""

    folder: Path
    environment: Mapping[str, str]

    def write(self, name: str, document: Json) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(document))

    def refuse(self, name: str, text: str) -> None:
        (self.folder / f"{name}.error").write_text(text)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.fixtures.run", "scripts.live.preflight", *arguments],
            cwd=CODE,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def stand_in(tmp_path: Path, rendered: list[Cluster]) -> StandIn:
    assert rendered
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    cluster = StandIn(tmp_path, os.environ | {"PATH": path})
    cluster.write("version", {"serverVersion": {"gitVersion": "v1.36.1"}})
    for resource, items in oke().items():
        cluster.write(f"get-{resource}", {"apiVersion": "v1", "kind": "List", "items": items})
    value = base64.b64encode(VALUE.encode()).decode()
    for (space, name), keys in SECRETS.items():
        data = dict.fromkeys(sorted(keys or ()), value)
        cluster.write(f"secret-{name}-{space}", {"kind": "Secret", "data": data})
    return cluster


def test_a_ready_cluster_passes_and_is_only_read(stand_in: StandIn) -> None:
    answer = stand_in.run()
    assert (answer.returncode, answer.stderr) == (0, "· reading the cluster\n")
    first, *_, last = answer.stdout.splitlines()
    assert first == "clusters/oke-free on 10.0.10.12, 10.0.10.34"
    assert "  ok       CPU               475m needed, 1430m free on 2 nodes\n" in answer.stdout
    assert last == "0 missing, 0 to look at"
    assert {call.split()[0] for call in stand_in.calls()} == {"get", "version"}
    assert all("--output=json" in call for call in stand_in.calls())
    assert "\x1b" not in answer.stdout


def test_no_value_of_a_secret_is_shown_or_kept(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.write("secret-grafana-admin-monitoring", {"data": {"admin-user": VALUE}})
    broken = stand_in.folder / "secret-alloy-pseudonym-salt-monitoring.json"
    answer = stand_in.run()
    monkeypatch.setenv("PATH", stand_in.environment["PATH"])
    kept = repr(dataclasses.asdict(kubectl.read(SECRETS)))
    assert "monitoring/grafana-admin lacks admin-password" in answer.stdout
    broken.write_text(f'{{"data": {{"salt": "{VALUE}"')
    cut = stand_in.run()
    assert (answer.returncode, cut.returncode) == (1, 1)
    assert "its answer is not JSON" in cut.stderr
    for text in (answer.stdout, answer.stderr, cut.stdout, cut.stderr, kept):
        assert VALUE not in text
        assert base64.b64encode(VALUE.encode()).decode() not in text


def test_a_warning_passes_and_what_is_missing_does_not(stand_in: StandIn) -> None:
    (stand_in.folder / "secret-alertmanager-config-monitoring.json").unlink()
    answer = stand_in.run()
    assert answer.returncode == 0
    assert re.search(r"^  warning  Secrets +monitoring/alertmanager-config", answer.stdout, re.M)
    assert re.search(r"^ +fix: until it is created, .*nobody is told", answer.stdout, re.M)
    forbidden = 'Error from server (Forbidden): nodes is forbidden: User "me" cannot list'
    stand_in.refuse("get-nodes", forbidden)
    answer = stand_in.run()
    assert answer.returncode == 1
    assert re.search(r"^  missing  CPU +not checked: nodes may not be read$", answer.stdout, re.M)
    assert answer.stdout.startswith("clusters/oke-free on nodes that may not be read\n")
    assert "Traceback" not in answer.stderr


def test_no_access_is_one_clear_message(stand_in: StandIn, tmp_path: Path) -> None:
    refused = "E1 memcache.go\nThe connection to the server localhost:8080 was refused"
    stand_in.refuse("version", refused)
    answer = stand_in.run()
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[1:] == [
        "kubectl version: The connection to the server localhost:8080 was refused",
        "    fix: choose a context that reaches the cluster: `kubectl config get-contexts`",
    ]
    answer = stand_in.run(PATH=str(tmp_path))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "kubectl: is not on PATH\n    fix: install it: https://" in answer.stderr
