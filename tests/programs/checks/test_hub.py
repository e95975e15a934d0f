"""A member of a hub, on components that do what the check looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.static import hub
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import assert_says, take

COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
MEMBER = f"""{COMPONENT}\
patches:
  - target:
      kind: HelmRelease
      name: grafana|loki
    patch: |
      - op: add
        path: /metadata/annotations
        value: {{config.kubernetes.io/local-config: "true"}}
  - target:
      kind: HelmRelease
      name: kube-prometheus-stack
    patch: |
      - op: add
        path: /spec/values/prometheus/prometheusSpec/thanos
        value: {{}}
      - op: add
        path: /spec/values/prometheus/prometheusSpec/remoteWrite
        value: [{{url: https://hub.example.com}}]
"""
ARGOCD = f"""{COMPONENT}\
patches:
  - target:
      kind: Application
      name: grafana|loki
    patch: |
      $patch: delete
      apiVersion: argoproj.io/v1alpha1
      kind: Application
      metadata:
        name: any
"""
# kustomize takes none that does nothing.
OTHER = f"{COMPONENT}configMapGenerator: [{{name: added, literals: [key=value]}}]\n"
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: hub
data:
  URL: {url}
"""
RELEASES = "overlays/oke-free/releases/kustomization.yaml"
APPLICATIONS = "clusters/oke-free/argocd/kustomization.yaml"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def member(copy: Repository) -> Path:
    """The root of a tree in which oke-free is a member, by either engine."""
    folder = copy.root / "base/optional/scale/member"
    write(folder / "kustomization.yaml", MEMBER)
    write(folder / "argocd/kustomization.yaml", ARGOCD)
    releases = copy.root / RELEASES
    releases.write_text(releases.read_text().replace("resources:\n", "resources:\n  - hub.yaml\n"))
    write(releases.with_name("hub.yaml"), CONFIG.format(url="https://hub.example.com"))
    take(releases, "scale/member")
    take(copy.root / APPLICATIONS, "scale/member/argocd")
    return copy.root


def test_a_member(member: Path) -> None:
    assert hub.check(Repository(member)) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://hub.example.com", "URL is no https URL"),
        ('""', "URL is no https URL, and lines go with a password: it is empty"),
        ("https://hub.example.com/loki", "URL has a path"),
        ("https://me:hidden@hub.example.com", "URL has a password in it"),
        ('"https://[hub"', "URL is no URL"),
    ],
)
def test_an_address_that_no_line_reaches(member: Path, url: str, says: str) -> None:
    write(member / "overlays/oke-free/releases/hub.yaml", CONFIG.format(url=url))
    findings = hub.check(Repository(member))
    assert_says(findings, f"overlays/oke-free/releases/hub.yaml:6: {says}")
    assert "hidden" not in f"{findings}"


def test_a_member_that_has_what_its_hub_has(member: Path) -> None:
    path = member / APPLICATIONS
    text = "- ../../../base/optional/scale/member/argocd\n"
    assert text in path.read_text()
    path.write_text(path.read_text().replace(text, ""))
    says = rf"{RELEASES}:\d+: oke-free/argocd has grafana and loki still"
    assert_says(hub.check(Repository(member)), says)


def test_a_member_whose_metrics_nobody_sees(member: Path) -> None:
    path = member / "base/optional/scale/member/kustomization.yaml"
    path.write_text(
        MEMBER.partition("      - op: add\n        path: /spec")[0].rpartition("  - t")[0]
    )
    says = rf"{RELEASES}:\d+: its metrics stay in the cluster"
    assert_says(hub.check(Repository(member)), says)


def test_a_member_that_is_a_hub(member: Path) -> None:
    write(member / "base/optional/scale/hub/kustomization.yaml", OTHER)
    take(member / RELEASES, "scale/hub")
    assert_says(hub.check(Repository(member)), rf"{RELEASES}:\d+: is a hub as well")


def test_a_way_to_a_loki_that_asks_nobody(copy: Repository) -> None:
    write(copy.root / "base/optional/scale/hub/route/kustomization.yaml", OTHER)
    take(copy.root / RELEASES, "scale/hub/route")
    assert_says(hub.check(Repository(copy.root)), rf"{RELEASES}:\d+: the way to the hub's Loki")
