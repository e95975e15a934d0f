"""Each cluster has a name and an overlay of its own, and one name in all that it sends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.checks.static import clusters, engines, file_schemas
from scripts.core.findings import RepositoryError
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import assert_says

# A tree of two clusters, `blue` synced by both engines and `green` by Flux alone.
RELEASE = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {{name: {name}, namespace: monitoring}}
spec: {{url: oci://example.org/{name}, ref: {{tag: 1.0.0}}}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: monitoring}}
spec:
  chartRef: {{kind: OCIRepository, name: {name}}}
  values:
    {values}
"""
VALUES = {
    "kube-prometheus-stack": "prometheus: {prometheusSpec: {externalLabels: {cluster: copied}}}",
    "loki": "loki: {rulerConfig: {external_labels: {cluster: copied}}}",
    "alloy": "alloy: {extraEnv: [{name: OTHER, value: x}, {name: CLUSTER, value: copied}]}",
}
COMPONENT = """
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
replacements:
  - source: {kind: ConfigMap, name: cluster, fieldPath: data.NAME}
    targets:
      - select: {name: kube-prometheus-stack, kind: HelmRelease}
        fieldPaths: [spec.values.prometheus.prometheusSpec.externalLabels.cluster]
      - select: {name: loki, kind: HelmRelease}
        fieldPaths: [spec.values.loki.rulerConfig.external_labels.cluster]
      - select: {name: alloy, kind: HelmRelease}
        fieldPaths: ["spec.values.alloy.extraEnv.[name=CLUSTER].value"]
"""
NAME = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: cluster
  annotations: {{config.kubernetes.io/local-config: "true"}}
data:
  NAME: {name}
"""
FLUX = """
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {unit}, namespace: flux-system}}
spec:
  path: ./overlays/{overlay}/{unit}
"""
APPLICATION = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: config, namespace: argocd}}
spec:
  source:
    path: overlays/{overlay}/config
"""
RULES = """
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: rules, namespace: monitoring}
spec: {groups: []}
"""
RESOURCES = "kind: Kustomization\nresources:\n"

Edit = Callable[[Path], object]


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text.lstrip("\n"))


def replace(path: str, old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return edit


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, values in VALUES.items():
        write(tmp_path, f"base/releases/{name}.yaml", RELEASE.format(name=name, values=values))
    listed = "".join(f"  - {name}.yaml\n" for name in VALUES)
    write(tmp_path, "base/releases/kustomization.yaml", RESOURCES + listed)
    write(tmp_path, "base/cluster/kustomization.yaml", COMPONENT)
    for name in ("blue", "green"):
        overlay = f"overlays/{name}"
        write(tmp_path, f"{overlay}/releases/cluster.yaml", NAME.format(name=name))
        resources = f"{RESOURCES}  - ../../../base/releases\n  - cluster.yaml\n"
        components = "components:\n  - ../../../base/cluster\n"
        write(tmp_path, f"{overlay}/releases/kustomization.yaml", resources + components)
        write(tmp_path, f"{overlay}/config/kustomization.yaml", f"{RESOURCES}  - rules.yaml\n")
        write(tmp_path, f"{overlay}/config/rules.yaml", RULES)
        synced = [FLUX.format(unit=unit, overlay=name) for unit in ("releases", "config")]
        write(tmp_path, f"clusters/{name}/flux/monitoring.yaml", "---".join(synced))
    listed = f"{RESOURCES}  - applications.yaml\n  - ../../../overlays/blue/releases\n"
    write(tmp_path, "clusters/blue/argocd/kustomization.yaml", listed)
    write(tmp_path, "clusters/blue/argocd/applications.yaml", APPLICATION.format(overlay="blue"))
    return tmp_path


def third(root: Path, *, overlay: str, name: str = "red") -> None:
    """A third cluster, as the README says: copies of another's folders."""
    shutil.copytree(root / "clusters/blue", root / "clusters/red")
    shutil.copytree(root / "overlays/blue", root / "overlays/red")
    for path in (root / "clusters/red").rglob("*.yaml"):
        path.write_text(path.read_text().replace("overlays/blue", f"overlays/{overlay}"))
    path = root / "overlays/red/releases/cluster.yaml"
    path.write_text(path.read_text().replace("blue", name))


def test_clusters_with_names_and_overlays_of_their_own(tree: Path) -> None:
    third(tree, overlay="red")
    repository = Repository(tree)
    assert {sync.cluster for sync in repository.syncs} == {"blue", "green", "red"}
    assert clusters.check(repository) == []


def test_a_copy_that_keeps_the_name_is_refused(tree: Path) -> None:
    third(tree, overlay="red", name="blue")
    says = (
        "overlays/red/releases/cluster.yaml:7: the cluster red has the name 'blue', as the .*blue"
    )
    assert_says(clusters.check(Repository(tree)), says)


def test_two_clusters_of_one_overlay_are_refused(tree: Path) -> None:
    third(tree, overlay="blue")
    says = "the cluster red syncs overlays/blue, as the cluster blue"
    assert_says(
        clusters.check(Repository(tree)),
        f"clusters/red/argocd/kustomization.yaml:4: {says}",
        f"clusters/red/flux/monitoring.yaml:5: {says}",
    )


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            replace("clusters/green/flux/monitoring.yaml", "green/config", "blue/config"),
            "green/flux/monitoring.yaml:11: green/flux syncs overlays/blue besides overlays/green",
        ),
        (
            replace("clusters/blue/argocd/applications.yaml", "blue/config", "green/config"),
            "argocd/applications.yaml:6: blue/argocd syncs overlays/green besides overlays/blue",
        ),
    ],
)
def test_a_cluster_of_two_overlays_is_refused(tree: Path, edit: Edit, says: str) -> None:
    edit(tree)
    found = clusters.check(Repository(tree))
    assert_says([finding for finding in found if "besides" in finding.message], says)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            replace("base/releases/alloy.yaml", "CLUSTER", "CLUSTERS"),
            "alloy.yaml:.*does not carry the cluster's name: alloy.extraEnv is not set",
        ),
        (
            replace("base/releases/alloy.yaml", VALUES["alloy"], "alloy: {}"),
            "alloy.yaml:.*does not carry the cluster's name: alloy.extraEnv is not set",
        ),
        (
            replace("base/releases/loki.yaml", "external_labels: {cluster: copied}", "x: y"),
            "loki.yaml:.*: loki.rulerConfig.external_labels.cluster is not set",
        ),
        (
            replace("base/releases/loki.yaml", "copied", "grey"),
            "loki.yaml:.*calls the cluster 'grey', and Prometheus calls it 'blue'",
        ),
    ],
)
def test_what_carries_no_name_or_another(tree: Path, edit: Edit, says: str) -> None:
    shutil.rmtree(tree / "clusters/green")
    # So that a change of the base is not undone.
    parts = COMPONENT.partition("      - select: {name: loki")
    if "loki" in says or "alloy" in says:
        write(tree, "base/cluster/kustomization.yaml", parts[0])
    edit(tree)
    # The others are still placeholders, which another check finds.
    assert_says(clusters.check(Repository(tree)), says)


def test_an_overlay_that_fills_in_no_name_is_found(tree: Path) -> None:
    replace("overlays/green/releases/kustomization.yaml", "components:\n  - ../", "#")(tree)
    repository = Repository(tree)
    assert clusters.check(repository) == []
    found = [finding.message for finding in engines.check(repository)]
    unfilled = [message for message in found if "is still 'copied'" in message]
    assert len(unfilled) == len(VALUES)


def test_an_overlay_without_a_name_does_not_build(tree: Path) -> None:
    replace("overlays/green/releases/kustomization.yaml", "  - cluster.yaml\n", "")(tree)
    with pytest.raises(RepositoryError) as refused:
        _ = Repository(tree).syncs
    (finding,) = refused.value.findings
    assert finding.path == "overlays/green/releases/kustomization.yaml"
    assert "nothing selected by ConfigMap" in finding.message


@pytest.mark.parametrize("name", ["Blue", "1", "on", "a b", "''", "-a", "a" * 64])
def test_a_name_is_a_label_of_dns(tree: Path, name: str) -> None:
    replace("overlays/green/releases/cluster.yaml", "green", name)(tree)
    (finding,) = file_schemas.check(Repository(tree))
    assert finding.path == "overlays/green/releases/cluster.yaml"
    assert finding.message.startswith("data.NAME: ")


def test_a_name_that_would_be_applied_is_refused(tree: Path) -> None:
    replace("overlays/green/releases/cluster.yaml", '"true"', '"no"')(tree)
    (finding,) = file_schemas.check(Repository(tree))
    assert finding.message.startswith("metadata: ")
