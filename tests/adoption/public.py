"""A public address: what its page tells an owner to write, in any environment, and to take out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.model.files import INVENTORY
from tests.adoption import edits

HOST = "grafana.acme.test"
# Parts that have another one for Argo CD.
FOR_ARGOCD = ("traefik", "cert-manager", "ingress")
PARTS = "../../../base/optional/public"
# By the folder of overlays/<environment>: parts of `base/optional/public`.
DOOR: Mapping[str, tuple[str, ...]] = {
    "releases": ("cert-manager", "traefik", "oci-load-balancer", "grafana", "github"),
    "config": ("network-policies",),
    "public": ("certificate/staging", "route"),
}
NETWORK_LOAD_BALANCER: Mapping[str, tuple[str, ...]] = {
    "releases": ("cert-manager", "traefik", "oci-network-load-balancer", "grafana", "github"),
    "config": ("network-policies",),
    "public": ("certificate/production", "route"),
}
INGRESS: Mapping[str, tuple[str, ...]] = {
    "releases": ("cert-manager", "grafana", "github"),
    "public": ("certificate/production", "ingress"),
}
TUNNEL: Mapping[str, tuple[str, ...]] = {
    "releases": ("grafana", "github"),
    "public": ("cloudflared",),
}
# Each combination that the page names.
WAYS = {
    "door": DOOR,
    "network load balancer": NETWORK_LOAD_BALANCER,
    "ingress": INGRESS,
    "tunnel": TUNNEL,
}
FLUX = """\
# yaml-language-server: $schema=https://raw.githubusercontent.com/fluxcd-community/flux2-schemas/main/kustomization-kustomize-v1.json
# The public address. It needs CRDs that may be missing, and nothing waits for it.
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: monitoring-public
  namespace: flux-system
spec:
  dependsOn:
    - name: monitoring-releases
  sourceRef:
    kind: GitRepository
    name: flux-system
  path: ./overlays/{environment}/public
  prune: true
  interval: 10m
  retryInterval: 30s
  timeout: 5m
"""
WHO = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: grafana
  namespace: monitoring
spec:
  values:
    grafana.ini:
      auth.github:
        role_attribute_path: contains(['octocat', 'hubot'], login) && 'Viewer'
"""


def taken(
    root: Path, environment: str, parts: Mapping[str, Iterable[str]] = DOOR, host: str = HOST
) -> None:
    """Take parts into an environment and each cluster that syncs it.

    Raises:
        AbsentError: If the tree has no such environment.
    """
    edits.put(root / INVENTORY, "data.GRAFANA_URL", f"https://{host}")
    overlay = root / "overlays" / environment
    for folder, names in parts.items():
        own = [f"{PARTS}/{name}" for name in names]
        path = overlay / folder / "kustomization.yaml"
        if folder == "public":
            path.parent.mkdir()
            content: dict[str, Any] = {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": ["../../../base/application"],
            }
        else:
            content = yaml.safe_load(edits.read(path))
        content["components"] = [*content.get("components", []), *own]
        if "github" in names:
            content.setdefault("patches", []).append({"path": "public.yaml"})
            (path.parent / "public.yaml").write_text(WHO)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    # Plain http on a laptop needs it off; https does not.
    laptop = overlay / "releases/grafana.yaml"
    if laptop.is_file() and "cookie_secure: false" in laptop.read_text():
        laptop.unlink()
        edits.drop(overlay / "releases/kustomization.yaml", "patches.0")
    for cluster in sorted(root.glob("clusters/*")):
        if f"overlays/{environment}/" in "".join(p.read_text() for p in cluster.rglob("*.yaml")):
            _synced(cluster, environment, [part for names in parts.values() for part in names])


def _synced(cluster: Path, environment: str, parts: Iterable[str]) -> None:
    if (cluster / "flux").is_dir():
        (cluster / "flux/public.yaml").write_text(FLUX.format(environment=environment))
    path = cluster / "argocd/kustomization.yaml"
    if path.is_file():
        content = yaml.safe_load(path.read_text())
        own = [f"{PARTS}/argocd"]
        own += [f"{PARTS}/{name}/argocd" for name in FOR_ARGOCD if name in parts]
        content["components"] = [*own, *content["components"]]
        path.write_text(yaml.safe_dump(content, sort_keys=False))
