"""What an owner commits to have a public address: the parts of `base/optional/public`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.model import clusters
from scripts.model.api_groups import KUSTOMIZE
from scripts.servers.git_remote import append_to_list, edit_yaml

PARTS = "base/optional/public"
STAGING, PRODUCTION = "certificate/staging", "certificate/production"
UNIT = "monitoring-public"
# Of the names that are nobody's (RFC 2606).
HOST = "grafana.example.org"
# Who may sign in, which only an owner knows.
_PEOPLE = {"grafana.ini": {"auth.github": {"allowed_organizations": "example"}}}


@dataclass(frozen=True)
class Combination:
    """Parts that are taken together, by the layer of the overlay that takes them.

    Attributes:
        name: What it is, in a few words.
        releases: Of `overlays/<environment>/releases`.
        config: Of `overlays/<environment>/config`.
        public: Of `overlays/<environment>/public`.
        argocd: Parts that have a component for Argo CD.
    """

    name: str
    releases: tuple[str, ...]
    config: tuple[str, ...]
    public: tuple[str, ...]
    argocd: tuple[str, ...] = ()


GATEWAY = Combination(
    "a Gateway of our own, with a load balancer",
    ("cert-manager", "grafana", "github", "traefik", "oci-load-balancer"),
    ("network-policies", "watch"),
    (STAGING, "route"),
    ("traefik", "cert-manager"),
)
INGRESS = Combination(
    "an Ingress controller that is there",
    ("cert-manager", "grafana", "github"),
    ("watch",),
    (PRODUCTION, "ingress"),
    ("cert-manager", "ingress"),
)
TUNNEL = Combination(
    "a tunnel, without a load balancer",
    ("grafana", "github"),
    ("network-policies", "watch"),
    ("cloudflared",),
)


def take(tree: Path, cluster: str, engine: str, parts: Combination, host: str = HOST) -> None:
    """Take parts into what a cluster syncs.

    Args:
        tree: The repository.
        cluster: Which of `clusters/`.
        engine: Flux or Argo CD.
        parts: Which.
        host: The public host.
    """
    set_host(tree, host)
    for environment in clusters.environments(tree, cluster):
        overlay = tree / "overlays" / environment
        _prepend(overlay / "releases/kustomization.yaml", parts.releases)
        _prepend(overlay / "config/kustomization.yaml", parts.config)
        if "github" in parts.releases:
            target = {"kind": "HelmRelease", "name": "grafana"}
            patch = {
                "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "kind": "HelmRelease",
                "metadata": {"name": "grafana"},
                "spec": {"values": _PEOPLE},
            }
            patches = {"target": target, "patch": yaml.safe_dump(patch)}
            append_to_list(overlay / "releases/kustomization.yaml", "patches", patches)
        (overlay / "public").mkdir(exist_ok=True)
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["../../../base/application"],
            "components": [f"../../../{PARTS}/{one}" for one in parts.public],
        }
        (overlay / "public/kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        if engine == "flux":
            path = tree / f"clusters/{cluster}/flux/public.yaml"
            path.write_text(yaml.safe_dump(_unit(environment)))
    if engine == "argocd":
        components = ("argocd", *(f"{one}/argocd" for one in parts.argocd))
        _prepend(tree / f"clusters/{cluster}/argocd/kustomization.yaml", components)


def set_host(tree: Path, host: str) -> None:
    """Change the one parameter that all parts follow."""
    path = tree / "base/application/application.yaml"
    edit_yaml(path, lambda content: content["data"].update(GRAFANA_URL=f"https://{host}"))


def trust(tree: Path, cluster: str) -> None:
    """Take the certificate of production in place of that of staging."""
    for environment in clusters.environments(tree, cluster):
        path = tree / "overlays" / environment / "public/kustomization.yaml"
        path.write_text(path.read_text().replace(STAGING, PRODUCTION))


def _prepend(path: Path, parts: tuple[str, ...]) -> None:
    """Take parts in before the components that are there: a mirror, and Argo CD's, come after."""

    def change(content: dict[str, list[str]]) -> None:
        there = content.get("components", [])
        content["components"] = [*(f"../../../{PARTS}/{one}" for one in parts), *there]

    edit_yaml(path, change)


def _unit(environment: str) -> dict[str, object]:
    """Return Flux's Kustomization of the parts that need CRDs of others."""
    return {
        "apiVersion": f"{KUSTOMIZE}/v1",
        "kind": "Kustomization",
        "metadata": {"name": UNIT, "namespace": "flux-system"},
        "spec": {
            "dependsOn": [{"name": "monitoring-releases"}],
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
            "path": f"./overlays/{environment}/public",
            "prune": True,
            "interval": "10m",
            "retryInterval": "30s",
            "timeout": "5m",
        },
    }
