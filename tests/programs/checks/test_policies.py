"""What the repository promises of its objects and of its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.checks.static import policies
from scripts.model.manifests import BOOTSTRAP, CONFIGMAP_BYTES, Repository
from tests.programs.cluster_syncs import (
    ARGOCD,
    FLUX,
    Edit,
    added,
    assert_says,
    edited,
    holding,
    named,
)


@pytest.mark.parametrize(
    ("sync", "kind", "name", "edit", "says"),
    [
        (
            FLUX,
            "NetworkPolicy",
            "grafana-from-anywhere",
            lambda o: o["metadata"].update(namespace="default"),
            r"network-policies.yaml:\d+: .+: is created in the namespace default, which is not",
        ),
        (
            FLUX,
            "PodMonitor",
            "loki",
            lambda o: o["metadata"].pop("namespace"),
            r"stack.yaml:\d+: .+: is created in the namespace default, which is not ours",
        ),
        (
            FLUX,
            "HelmRelease",
            "alloy",
            lambda o: o["spec"]["values"]["rbac"]["rules"][0].update(verbs=["*"]),
            r"alloy.yaml:\d+: .+: spec.values.rbac.rules.0.verbs is a wildcard",
        ),
        (
            ARGOCD,
            "AppProject",
            "monitoring",
            lambda o: o["spec"]["clusterResourceWhitelist"].append({"group": "apps", "kind": "*"}),
            r"project.yaml:\d+: .+: clusterResourceWhitelist.\d.kind is a wildcard",
        ),
        (
            FLUX,
            "Namespace",
            "monitoring",
            lambda o: o["metadata"]["annotations"].pop("kustomize.toolkit.fluxcd.io/prune"),
            r"namespaces.yaml:\d+: Namespace monitoring: may be pruned",
        ),
        (
            FLUX,
            "Namespace",
            "monitoring-node",
            lambda o: o["metadata"]["annotations"].update(
                {"argocd.argoproj.io/sync-options": "Prune=false"}
            ),
            r"namespaces.yaml:\d+: Namespace monitoring-node: may be pruned",
        ),
        (
            FLUX,
            "Namespace",
            "monitoring",
            lambda o: o["metadata"].pop("labels"),
            r"namespaces.yaml:\d+: Namespace monitoring: has no Pod Security level",
        ),
        (
            FLUX,
            "Kustomization",
            "monitoring-config",
            lambda o: o["spec"].update(postBuild={"substitute": {"a": "b"}}),
            r"monitoring.yaml:\d+: Kustomization monitoring-config: postBuild is something that",
        ),
        (
            FLUX,
            "HelmRelease",
            "loki",
            lambda o: o["spec"].update(valuesFrom=[{"kind": "ConfigMap", "name": "loki"}]),
            r"loki.yaml:\d+: HelmRelease loki: valuesFrom is something that the other engine",
        ),
        (
            ARGOCD,
            "Application",
            "loki",
            lambda o: o["spec"].update(sources=[o["spec"]["source"]]),
            r"applications.yaml:\d+: Application loki: sources is something that the other",
        ),
        (
            ARGOCD,
            "Application",
            "loki",
            lambda o: o["spec"]["source"]["helm"].update(valueFiles=["$values/loki.yaml"]),
            r"applications.yaml:\d+: Application loki: valueFiles is something that the other",
        ),
        (
            ARGOCD,
            "Application",
            "monitoring-config",
            lambda o: o["spec"]["source"].update(kustomize={"namePrefix": "x-"}),
            r"applications.yaml:\d+: Application monitoring-config: kustomize is something that",
        ),
        (
            ARGOCD,
            "Application",
            "monitoring",
            lambda o: o["spec"]["source"]["kustomize"].update(namePrefix="x-"),
            r"applications.yaml:\d+: Application monitoring: kustomize is something that",
        ),
        (
            FLUX,
            "HelmRelease",
            "grafana",
            lambda o: o["spec"]["upgrade"].update(crds="CreateReplace"),
            r"grafana.yaml:\d+: HelmRelease grafana: upgrade.crds is not Skip",
        ),
        (
            FLUX,
            "HelmRelease",
            "grafana",
            lambda o: o["spec"]["values"].update(image={"tag": "latest"}),
            r"grafana.yaml:\d+: HelmRelease grafana: spec.values.image.tag is latest",
        ),
        (
            FLUX,
            "HelmRelease",
            "loki",
            lambda o: o["spec"]["values"].update(image="docker.io/grafana/loki:latest"),
            r"loki.yaml:\d+: HelmRelease loki: spec.values.image is docker.io/grafana/loki:latest",
        ),
        (
            ARGOCD,
            "Application",
            "monitoring",
            lambda o: o["spec"]["source"].update(targetRevision="HEAD"),
            r"applications.yaml:\d+: .+: follows whatever the repository's default branch is",
        ),
        (
            FLUX,
            "OCIRepository",
            "loki",
            lambda o: o["spec"]["ref"].update(tag="18.x"),
            r"loki.yaml:\d+: HelmRelease loki: '18.x' is no exact version of loki",
        ),
        (
            FLUX,
            "HelmRelease",
            "alloy-events",
            lambda o: o["spec"]["chart"]["spec"].update(version=">=1.11.1"),
            r"alloy-events.yaml:\d+: .+: '>=1.11.1' is no exact version of alloy",
        ),
        (
            FLUX,
            "ConfigMap",
            "alloy-logs",
            lambda o: o["data"].update(more="x" * CONFIGMAP_BYTES),
            r"ConfigMap alloy-logs: has \d+ bytes; 1048576 fit",
        ),
    ],
)
def test_a_broken_promise(
    repository: Repository, sync: str, kind: str, name: str, edit: Edit, says: str
) -> None:
    broken = edited(named(repository, sync), kind, name, edit)
    assert_says(policies.check(holding(repository, broken)), says)


def binding(role: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "x"},
        "roleRef": {"name": role},
    }


@pytest.mark.parametrize(("role", "count"), [("cluster-admin", 1), ("admin", 1), ("reader", 0)])
def test_a_role_that_may_do_anything(repository: Repository, role: str, count: int) -> None:
    sync = added(named(repository, FLUX), binding(role))
    findings = policies.check(holding(repository, sync))
    assert_says(findings, *[f"ClusterRoleBinding x: binds {role}"] * count)


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        (
            "clusters/oke-free/flux/more.yaml",
            "kind: ConfigMap\nmetadata: {name: x}\n",
            "flux/more.yaml:None: ConfigMap among Flux Kustomizations",
        ),
        (
            "clusters/oke-free/flux/more.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
            "flux/more.yaml:None: Kustomization among Flux Kustomizations",
        ),
        (
            "overlays/local/config/more.yaml",
            "kind: NetworkPolicy\nmetadata: {name: x}\nspec: {}\n",
            "config/more.yaml:None: changes a NetworkPolicy",
        ),
        (
            "overlays/local/releases/alloy.yaml",
            "kind: HelmRelease\nmetadata: {name: alloy}\nspec: {chart: {}, values: {}}\n",
            "releases/alloy.yaml:None: sets spec.chart of a HelmRelease",
        ),
        (
            "overlays/local/config/kustomization.yaml",
            "patches:\n  - target: {kind: Namespace}\n    patch: '[]'\n",
            "config/kustomization.yaml:None: changes a Namespace",
        ),
        (
            "overlays/local/config/kustomization.yaml",
            "patches:\n  - target: {kind: HTTPRoute}\n    patch: '[]'\n",
            "config/kustomization.yaml:None: changes a HTTPRoute",
        ),
        (
            "overlays/local/public/kustomization.yaml",
            "patches:\n  - target: {kind: Deployment}\n    patch: '[]'\n",
            "public/kustomization.yaml:None: changes a Deployment",
        ),
        (
            "overlays/local/config/kustomization.yaml",
            "patches:\n  - patch: |\n      kind: NetworkPolicy\n      metadata: {name: x}\n",
            "config/kustomization.yaml:None: changes a NetworkPolicy",
        ),
        (
            "base/releases/more.yaml",
            f"{policies.MODELINE}x\nkind: OCIRepository\nspec:\n  ref:\n    tag: 1.2.3\n",
            "releases/more.yaml:5: the version 1.2.3 is not quoted",
        ),
        (
            "base/config/rules/more.yaml",
            f"{policies.MODELINE}x\nkind: PrometheusRule\n---\nkind: PrometheusRule\n",
            "rules/more.yaml:4: an object without a schema for editors",
        ),
        (
            "base/optional/kafka/kustomization.yaml",
            "helmCharts:\n  - name: kafka\n",
            "kafka/kustomization.yaml:None: helmCharts: neither engine inflates a chart",
        ),
    ],
)
def test_a_file_that_does_not_belong(copy: Repository, path: str, text: str, says: str) -> None:
    (copy.root / path).parent.mkdir(exist_ok=True)
    (copy.root / path).write_text(text)
    assert_says(policies.check(holding(copy)), says)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "overlays/local/config/redpanda.yaml",
            "kind: ScrapeConfig\nmetadata: {name: redpanda}\nspec: {values: x}\n",
        ),
        (
            "overlays/local/public/kustomization.yaml",
            "patches:\n  - target: {kind: HTTPRoute}\n    patch: '[]'\n",
        ),
        (
            "overlays/local/config/kustomization.yaml",
            "patches:\n  - target: {kind: NetworkPolicy, name: grafana-from-gateway}\n"
            "    patch: '[]'\n",
        ),
        (
            "overlays/local/config/door.yaml",
            "kind: NetworkPolicy\nmetadata: {name: grafana-from-gateway}\nspec: {}\n",
        ),
        (
            "base/application/more.yaml",
            f"kind: ConfigMap\nmetadata:\n  annotations:\n    {policies.LOCAL_CONFIG}: 'true'\n",
        ),
        (f"clusters/oke-free/flux/{BOOTSTRAP}/gotk-components.yaml", "kind: Deployment\n"),
    ],
)
def test_a_file_that_belongs(copy: Repository, path: str, text: str) -> None:
    (copy.root / path).parent.mkdir(exist_ok=True)
    (copy.root / path).write_text(text)
    assert policies.check(holding(copy)) == []


def test_what_flux_bootstraps_is_not_ours_to_sync(copy: Repository) -> None:
    before = {sync.name: len(list(sync.objects())) for sync in Repository().syncs}
    folder = Path("clusters/oke-free/flux") / BOOTSTRAP
    (copy.root / folder).mkdir()
    (copy.root / folder / "gotk-sync.yaml").write_text("kind: GitRepository\nmetadata: {name: x}\n")
    (copy.root / "clusters/oke-free/secrets").mkdir()
    assert {sync.name: len(list(sync.objects())) for sync in copy.syncs} == before
