"""What is known of versions of Kubernetes: what they remove, and what is made for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.model import charts, kubernetes, schemas
from scripts.model.manifests import ClusterSync, Release, Repository
from scripts.model.rendered import Cluster

RELEASE = Release("a", "n", "c", "1", "r", {}, ("HelmRelease", "a"))


@pytest.mark.parametrize(
    ("api", "kind", "removed", "replacement"),
    [
        # https://kubernetes.io/docs/reference/using-api/deprecation-guide/
        ("policy/v1beta1", "PodDisruptionBudget", 25, "policy/v1"),
        ("policy/v1beta1", "PodSecurityPolicy", 25, ""),
        ("batch/v1beta1", "CronJob", 25, "batch/v1"),
        ("discovery.k8s.io/v1beta1", "EndpointSlice", 25, "discovery.k8s.io/v1"),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 26, "autoscaling/v2"),
        ("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema", 29, None),
        ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", 32, None),
        ("extensions/v1beta1", "Ingress", 22, "networking.k8s.io/v1"),
        ("networking.k8s.io/v1beta1", "Ingress", 22, "networking.k8s.io/v1"),
        ("resource.k8s.io/v1beta1", "ResourceClaim", 38, "resource.k8s.io/v1"),
        ("policy/v1", "PodDisruptionBudget", None, ""),
        ("apps/v1", "Deployment", None, ""),
        ("v1", "ConfigMap", None, ""),
        ("example.com/v1beta1", "Ingress", None, ""),
        ("metrics.k8s.io/v1beta1", "NodeMetrics", None, ""),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", None, ""),
    ],
)
def test_what_is_removed(api: str, kind: str, removed: int | None, replacement: str | None) -> None:
    found = kubernetes.lifecycle(api, kind)
    assert found.removed == removed
    assert replacement is None or found.replacement == replacement


def test_what_is_deprecated_and_for_longer_served() -> None:
    newest = kubernetes.minor(schemas.kubernetes_versions()[-1])
    ahead = {name: one for name, one in kubernetes._table().items() if (one.removed or 0) > newest}
    assert ahead
    assert all((one.deprecated or 0) < (one.removed or 0) for one in ahead.values())


@pytest.mark.parametrize(
    ("api", "kind", "served"),
    [
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease", True),
        ("helm.toolkit.fluxcd.io/v2beta1", "HelmRelease", False),
        ("example.com/v1", "Thing", True),
        ("apps/v1", "Deployment", True),
    ],
)
def test_what_a_crd_serves(api: str, kind: str, served: bool) -> None:
    assert kubernetes.served(api, kind) is served


def test_flux_supports_three_minor_versions() -> None:
    own = kubernetes.tested("flux")
    assert own.newest - own.oldest == 2


@pytest.mark.parametrize("engine", ["flux", "argocd"])
def test_what_an_engine_is_tested_with(engine: str) -> None:
    own = kubernetes.tested(engine)
    assert 30 < own.oldest < own.newest
    assert not kubernetes.outside(engine, own.newest)
    assert not kubernetes.outside(engine, own.oldest)
    assert kubernetes.outside(engine, own.newest + 1).endswith(f"1.{own.newest}")
    assert kubernetes.outside(engine, own.oldest - 1)


@pytest.mark.parametrize(
    ("constraint", "accepted", "refused"),
    [
        (">=1.36.0-0", 36, 35),
        (">= 1.25.0-0 < 1.37.0-0", 36, 37),
        ("^1.25.0-0", 37, 24),
        ("", 1, None),
    ],
)
def test_which_kubernetes_a_chart_asks_for(
    constraint: str, accepted: int, refused: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "metadata", lambda _: {"kubeVersion": constraint})
    assert not kubernetes.refuses(RELEASE, accepted)
    assert refused is None or kubernetes.refuses(RELEASE, refused) == constraint


def test_the_version_of_an_environment(tmp_path: Path) -> None:
    cluster = Cluster(Repository(tmp_path), ClusterSync("one", "flux", []), ())
    assert kubernetes.declared(cluster) is None
    files = {
        "clusters/one/flux/unit.yaml": "path: ./overlays/here/config\n",
        "overlays/here/budget.yaml": 'kubernetes: "1.36"\n',
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert kubernetes.declared(cluster) == 36
    (tmp_path / "overlays/here/budget.yaml").write_text("nodes: 1\n")
    assert kubernetes.declared(cluster) is None
