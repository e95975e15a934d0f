"""Each check of `make preflight`: version, architecture, engine, network, CRDs, Secrets, rights."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.live.preflight import checks
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model import charts, requirements, schemas
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from scripts.model.requirements import Requirements
from tests.fixtures import CODE
from tests.programs.live.preflight_cluster import (
    FLUX,
    NODES,
    SECRETS,
    Lists,
    assert_is,
    crd,
    daemonset,
    flux_crds,
    judged,
    namespace,
    node,
    oke,
    pod,
    seen,
    storage_class,
    workload,
)

pytest_plugins = ("tests.programs.live.preflight_cluster",)
ARGOCD = ("argocd-repo-server", "argocd-server")


def rule_crd(version: str = "0.93.1", **annotations: str) -> Json:
    every = {"operator.prometheus.io/version": version, **annotations}
    return crd("PrometheusRule", "prometheusrules", "monitoring.coreos.com", "v1", **every)


def of_helm(release: str, namespace: str = "monitoring") -> dict[str, str]:
    return {
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }


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


def kind() -> Lists:
    """One node of a laptop, with nothing but what `kind create cluster` makes."""
    return {
        **oke(),
        "nodes": [node("kind-control-plane", "8", "16Gi", "110", "amd64")],
        "pods": [pod("etcd", "kind-control-plane", "100m", namespace="kube-system")],
        "daemonsets": [daemonset("kindnet", 2), daemonset("kube-proxy", 2)],
        "storageclasses": [storage_class("standard", default=True)],
    }


def test_two_arm_nodes_of_oke_are_ready(fitted: Requirements) -> None:
    states = {check.name: str(result.status) for check, result in checks.run(fitted, seen())}
    assert set(states.values()) == {"ok"}, states


def test_a_kind_cluster_is_ready_for_the_laptop(
    repository: Repository, rendered: list[Cluster]
) -> None:
    laptop = requirements.read(rendered[0].sync.cluster, repository)
    assert laptop.name == "local"
    states = {p.name: str(v.status) for p, v in checks.run(laptop, seen(kind()))}
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
    needed: Requirements, version: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ["1.35.0", "1.36.0", "1.37.0"]
    monkeypatch.setattr(schemas, "kubernetes_versions", lambda: known)
    any_of_them = dataclasses.replace(needed, limits={**needed.limits, "kubernetes": None})
    says = r"1\.35 to 1\.37 are supported"
    assert_is(any_of_them, seen(version=version), "Kubernetes", state, says)


@pytest.mark.parametrize(("version", "state"), [("v1.36.2", "ok"), ("v1.35.0", "warning")])
def test_kubernetes_is_the_one_that_the_environment_declares(
    needed: Requirements, version: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "kubernetes_versions", lambda: ["1.35.0", "1.36.0", "1.37.0"])
    planned = dataclasses.replace(needed, limits={**needed.limits, "kubernetes": "1.36"})
    says = "" if state == "ok" else r"overlays/.*/budget\.yaml says 1\.36"
    assert_is(planned, seen(version=version), "Kubernetes", state, says)


def test_an_x86_node_is_not_what_the_environment_is_for(fitted: Requirements) -> None:
    mixed = seen(nodes=[node(NODES[0]), node(NODES[1], architecture="amd64")])
    assert_is(
        fitted,
        mixed,
        "architecture",
        "warning",
        "amd64 on 1 node, arm64 on 1 node, .*oke-free is for arm64",
    )


def test_a_node_on_which_an_image_does_not_run_is_named(fitted: Requirements) -> None:
    odd = seen(nodes=[node(NODES[0], architecture="s390x"), node(NODES[1])])
    assert_is(fitted, odd, "architecture", "missing", rf"{NODES[0]}: s390x.*grafana/loki")
    lost = dataclasses.replace(fitted, images={**fitted.images, "docker.io/x86only": frozenset()})
    assert_is(lost, seen(), "architecture", "missing", r"arm64.*run there: docker\.io/x86only")


def test_flux_or_argo_cd_is_ready(needed: Requirements) -> None:
    assert_is(needed, seen(), "GitOps engine", "ok", "^Flux, 3 controllers ready")
    assert_is(
        needed, seen({**oke(), **argocd()}), "GitOps engine", "ok", "^Argo CD, 2 controllers ready"
    )


def test_a_release_s_name_in_front_of_a_controller_s_is_known(needed: Requirements) -> None:
    lists = argocd()
    for item in (*lists["deployments"], *lists["statefulsets"]):
        name = item["metadata"]["name"]
        item["metadata"] |= {"name": f"x-{name}", "labels": {"app.kubernetes.io/name": name}}
    assert_is(needed, seen({**oke(), **lists}), "GitOps engine", "ok", "^Argo CD")


def test_a_cluster_without_an_engine_is_not_ready(needed: Requirements) -> None:
    none = seen(customresourcedefinitions=[], deployments=[])
    assert_is(needed, none, "GitOps engine", "missing", "neither Flux nor Argo CD.*install one")
    elsewhere = seen(deployments=[workload(name, "flux") for name in FLUX])
    assert_is(needed, elsewhere, "GitOps engine", "missing", "only CRDs of Flux, in flux-system")


def test_two_engines_are_one_too_many(needed: Requirements) -> None:
    both = {key: [*oke()[key], *items] for key, items in argocd().items()}
    assert_is(
        needed, seen({**oke(), **both}), "GitOps engine", "missing", "Flux and Argo CD are both"
    )


def test_what_another_engine_left_behind_is_told(needed: Requirements) -> None:
    left = seen(customresourcedefinitions=[*flux_crds(), *argocd_crds()])
    assert_is(needed, left, "GitOps engine", "warning", "Flux.*CRDs of Argo CD are left")


def test_a_controller_that_is_not_ready_is_named(needed: Requirements) -> None:
    waiting = [workload(name, "flux-system", int(name != "helm-controller")) for name in FLUX]
    text = "Flux: not ready: helm-controller"
    assert_is(needed, seen(deployments=waiting), "GitOps engine", "missing", text)


def test_an_engine_too_old_for_our_kinds_is_found(needed: Requirements) -> None:
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
def test_an_engine_too_old_for_a_field_is_found(
    needed: Requirements, retry: Json, unknown: str
) -> None:
    lists = argocd()
    (version,) = lists["customresourcedefinitions"][0]["spec"]["versions"]
    policy = fields(automated={}, retry=retry, syncOptions={"items": {"type": "string"}})
    spec = fields(syncPolicy=policy, destination={}, project={}, source={})
    version["schema"] = {"openAPIV3Schema": fields(spec=spec)}
    state, text = ("missing", f"does not know {unknown};") if unknown else ("ok", "^Argo CD")
    assert_is(needed, seen({**oke(), **lists}), "GitOps engine", state, text)


@pytest.mark.parametrize("agent", ["calico-node", "cilium", "antrea-agent", "kindnet"])
def test_an_agent_that_enforces_network_policies_is_known(needed: Requirements, agent: str) -> None:
    cluster = seen(daemonsets=[daemonset("kube-proxy"), daemonset(agent)])
    assert_is(needed, cluster, "network policies", "ok", f"enforced by {agent}")


def test_policies_are_inert_without_an_agent_in_the_readme_s_words(needed: Requirements) -> None:
    cluster = seen(daemonsets=[daemonset("kube-flannel-ds"), daemonset("kube-proxy")])
    _, text = judged(needed, cluster, "network policies")
    assert_is(needed, cluster, "network policies", "warning", "inert, as with Flannel")
    words = "install Calico for policies, or trust what runs in the cluster"
    assert words in text
    assert words in (CODE / "README.md").read_text()


def test_an_agent_that_does_not_run_everywhere_is_told(needed: Requirements) -> None:
    cluster = seen(daemonsets=[daemonset("calico-node", ready=1)])
    assert_is(needed, cluster, "network policies", "warning", "calico-node is ready on 1 of 2")
    k3s = seen(version="v1.36.1+k3s1", daemonsets=[])
    assert_is(needed, k3s, "network policies", "ok", "K3s")


def test_an_ingress_controller_that_is_retired_is_told(needed: Requirements) -> None:
    assert_is(needed, seen(), "ingress", "ok", "no ingress-nginx")
    deployment, agent = workload("edge", "ingress"), daemonset("edge")
    for one in (deployment, agent):
        one["metadata"]["labels"] = {"app.kubernetes.io/name": "ingress-nginx"}
    text = "ingress/edge: ingress-nginx was retired .+ Traefik"
    assert_is(needed, seen(deployments=[deployment]), "ingress", "warning", text)
    text = "kube-system/edge: ingress-nginx was retired .+ Traefik"
    assert_is(needed, seen(daemonsets=[agent]), "ingress", "warning", text)


def test_crds_are_none_or_ours(fitted: Requirements) -> None:
    assert_is(fitted, seen(), "CRDs", "ok", "none yet, prometheus-operator-crds brings 8")
    ours = rule_crd(**of_helm("prometheus-operator-crds"))
    assert_is(fitted, crds(ours), "CRDs", "ok", "1 of prometheus-operator-crds, operator 0.93.1")
    tracked = {"argocd.argoproj.io/tracking-id": "prometheus-operator-crds:apiextensions/x"}
    assert_is(fitted, crds(rule_crd(**tracked)), "CRDs", "ok", "operator 0.93.1")


def crds(*items: Json) -> ClusterState:
    return seen(customresourcedefinitions=[*flux_crds(), *items])


def test_crds_of_another_helm_release_are_found(fitted: Requirements) -> None:
    theirs = rule_crd(**of_helm("kps", "observability"))
    text = (
        r"1 of 8 belong to Helm release observability/kps;.*release-name=prometheus-operator-crds"
    )
    assert_is(fitted, crds(theirs), "CRDs", "missing", text)
    assert_is(fitted, crds(rule_crd()), "CRDs", "missing", "belong to nobody that says so")
    same = rule_crd(**of_helm("prometheus-operator-crds", "elsewhere"))
    assert_is(fitted, crds(same), "CRDs", "missing", "elsewhere/prometheus-operator-crds")


def test_another_operator_s_version_is_told(fitted: Requirements) -> None:
    mine = of_helm("prometheus-operator-crds")
    older, newer = rule_crd("0.9.1", **mine), rule_crd("0.100.0", **mine)
    assert_is(
        fitted, crds(older), "CRDs", "warning", "operator 0.9.1, .* 0.93.1.*upgrade every other"
    )
    assert_is(fitted, crds(newer), "CRDs", "warning", "operator 0.100.0, .*would be lost")


def with_secret(namespace: str, name: str, keys: frozenset[str] | None) -> ClusterState:
    return dataclasses.replace(seen(), secrets={**SECRETS, (namespace, name): keys})


def test_a_secret_that_is_read_exists_with_its_keys(needed: Requirements) -> None:
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


def test_nobody_is_told_of_alerts_without_the_optional_secret(needed: Requirements) -> None:
    gone = with_secret("monitoring", "alertmanager-config", None)
    text = r"alertmanager-config is not there \(optional\);.*nobody is told"
    assert_is(needed, gone, "Secrets", "warning", text)


ENFORCE = "pod-security.kubernetes.io/enforce"


def namespaces(*items: Json) -> ClusterState:
    return seen(namespaces=[*oke()["namespaces"], *items])


def test_namespaces_let_the_stack_in(fitted: Requirements) -> None:
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


def test_pods_of_others_in_our_namespace_are_told(fitted: Requirements) -> None:
    lists = namespaces(namespace("monitoring")).lists
    other = pod("influxdb-0", namespace="monitoring")
    cluster = seen({**lists, "pods": [*lists["pods"], other]})
    text = "monitoring holds pods of others, such as influxdb-0; the sync enforces restricted"
    assert_is(fitted, cluster, "Pod Security", "warning", text)


@pytest.mark.parametrize(
    "check",
    [check for check in checks.CHECKS if check.applies is checks.PreflightCheck.applies],
    ids=lambda check: check.name,
)
def test_what_may_not_be_read_is_missing(
    needed: Requirements, check: checks.PreflightCheck
) -> None:
    for resource in check.reads:
        cluster = dataclasses.replace(seen(), forbidden=frozenset({resource}))
        text = f"not checked: {resource} may not be read"
        assert_is(needed, cluster, check.name, "missing", text)


def test_a_secret_that_may_not_be_read_is_missing_even_if_it_is_optional(
    needed: Requirements,
) -> None:
    name = "monitoring/alertmanager-config"
    gone = with_secret("monitoring", "alertmanager-config", None)
    cluster = dataclasses.replace(gone, forbidden=frozenset({f"secret {name}"}))
    assert_is(needed, cluster, "Secrets", "missing", f"not checked: {name} may not be read")


def test_without_a_chart_it_is_said_which_checks_were_not_checked(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("chart loki 18.11.0", None, "nowhere", "put it there")
    monkeypatch.setattr(charts, "missing", lambda _: [finding])
    bare = requirements.read("oke-free", repository)
    found = {p.name: str(v.status) for p, v in checks.run(bare, seen())}
    unchecked = {name for name, state in found.items() if state == "missing"}
    assert unchecked == {
        *("architecture", "CPU", "memory", "pods", "placement"),
        *("storage class", "free tier", "CRDs", "Pod Security"),
    }
    assert_is(bare, seen(), "CPU", "missing", "not checked: no chart loki 18.11.0; put it there")
