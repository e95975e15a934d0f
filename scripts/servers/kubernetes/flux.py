"""Flux: its CRDs and its controllers, with the settings that they have in a cluster."""

from __future__ import annotations

from pathlib import Path

from scripts import tools
from scripts.model.api_groups import KUSTOMIZE, SOURCE
from scripts.servers.git_remote import BRANCH
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Client, Object
from scripts.servers.processes import LOOPBACK, Processes, free_ports
from scripts.tools import sources

CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")
NAMESPACE = "flux-system"


def apply_crds(processes: Processes, client: Client) -> None:
    """Create Flux's CRDs."""
    folders = [
        sources.module(f"github.com/fluxcd/{name}", tools.version(name)) / "config/crd/bases"
        for name in CONTROLLERS
    ]
    control_plane.apply_crds(processes, client, *folders)


def start(processes: Processes, name: str, config: Path) -> str:
    """Start one of the controllers; the others need not run.

    Args:
        processes: Where it runs.
        name: Of CONTROLLERS.
        config: A kubeconfig.

    Returns:
        Where its metrics are.
    """
    metrics, health, storage = free_ports(3)
    arguments = [
        f"--metrics-addr={LOOPBACK}:{metrics}",
        f"--health-addr={LOOPBACK}:{health}",
        "--events-addr=",
        "--enable-leader-election=false",
        "--log-encoding=json",
    ]
    if name == "source-controller":
        arguments += [
            f"--storage-path={processes.folder('storage')}",
            f"--storage-addr={LOOPBACK}:{storage}",
            f"--storage-adv-addr={LOOPBACK}:{storage}",
        ]
    # As in the manifests that `flux bootstrap` writes; the cluster's own name resolves to nothing.
    environment = {"KUBECONFIG": str(config), "RUNTIME_NAMESPACE": NAMESPACE}
    processes.start(name, *arguments, environment=environment)
    url = f"http://{LOOPBACK}:{metrics}/metrics"
    processes.wait(name, url)
    return url


def gotk_sync(url: str, cluster: str) -> list[Object]:
    """Return the two objects of the file `gotk-sync.yaml` that `flux bootstrap` writes."""
    metadata = {"name": "flux-system", "namespace": NAMESPACE}
    return [
        {
            "apiVersion": f"{SOURCE}/v1",
            "kind": "GitRepository",
            "metadata": metadata,
            "spec": {"interval": "1m0s", "ref": {"branch": BRANCH}, "url": url},
        },
        {
            "apiVersion": f"{KUSTOMIZE}/v1",
            "kind": "Kustomization",
            "metadata": metadata,
            "spec": {
                "interval": "10m0s",
                "path": f"./clusters/{cluster}/flux",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
            },
        },
    ]
