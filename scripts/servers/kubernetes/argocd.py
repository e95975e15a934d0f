"""Argo CD: its manifests and its controllers, with the settings that they have in a cluster.

argocd-server does not run: nobody looks at it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from scripts import tools
from scripts.core.yamlfile import load_all
from scripts.model.api_groups import ARGO_CD
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Client, Object, namespace
from scripts.servers.processes import LOOPBACK, Processes, free_ports
from scripts.tools import sources

NAMESPACE = "argocd"
VERSION = f"{ARGO_CD}/v1alpha1"
TOOL = "argocd"
CONTROLLER = "argocd-application-controller"
REPO_SERVER = "argocd-repo-server"
REDIS = "redis"


def _module() -> Path:
    """Return Argo CD's source, which has its manifests."""
    return sources.module("github.com/argoproj/argo-cd/v3", tools.version(TOOL))


def install(processes: Processes, client: Client) -> None:
    """Apply the release's manifests, as its documentation has a user do."""
    folder = _module() / "manifests"
    control_plane.apply_crds(processes, client, folder / "crds")
    client.apply(namespace(NAMESPACE), "owner")
    path = folder / "install.yaml"
    for item in load_all(path.read_text(encoding="utf-8"), path.name):
        if item["kind"] == "CustomResourceDefinition":
            continue
        if client.resource(item["apiVersion"], item["kind"]).namespaced:
            item["metadata"]["namespace"] = NAMESPACE
        client.apply(item, "owner")


def initial_objects() -> Iterator[Object]:
    """Yield what argocd-server makes when it first starts."""
    yield {
        "apiVersion": VERSION,
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "argocd-secret", "namespace": NAMESPACE},
        "stringData": {"server.secretkey": "only-here"},
    }


def registry_credentials(host: str) -> Object:
    """Return the Secret that has Argo CD speak plain HTTP with a registry."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "registry",
            "namespace": NAMESPACE,
            "labels": {f"argocd.{ARGO_CD}/secret-type": "repo-creds"},
        },
        "stringData": {
            "type": "helm",
            "url": host,
            "enableOCI": "true",
            "insecureOCIForceHttp": "true",
        },
    }


def start(processes: Processes, client: Client) -> None:
    """Start Redis, the repo-server and the application controller."""
    redis, port, health, metrics = free_ports(4)
    processes.start(REDIS, f"--address={LOOPBACK}:{redis}")
    processes.until(REDIS, lambda: _refuses_connections(redis))
    folder = processes.folder(REPO_SERVER)
    processes.start(
        REPO_SERVER,
        f"--address={LOOPBACK}",
        f"--port={port}",
        f"--metrics-address={LOOPBACK}",
        f"--metrics-port={health}",
        f"--redis={LOOPBACK}:{redis}",
        tool=TOOL,
        environment={
            "ARGOCD_BINARY_NAME": REPO_SERVER,
            "ARGOCD_GPG_ENABLED": "false",
            # Their defaults are paths of a container, or the same for all programs of a machine.
            "ARGOCD_ASK_PASS_SOCK": str(folder / "sock"),
            "ARGOCD_PLUGINSOCKFILEPATH": str(folder),
            "TMPDIR": str(folder),
            # A user's settings of Git and Helm are not for it.
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "NO_PROXY": f"{LOOPBACK},localhost",
            "PATH": f"{_path_of_repo_server(processes)}{os.pathsep}{os.environ['PATH']}",
        },
    )
    processes.wait(REPO_SERVER, f"http://{LOOPBACK}:{health}/healthz?full=true")
    config = control_plane.service_account_kubeconfig(processes, client, NAMESPACE, CONTROLLER)
    processes.start(
        CONTROLLER,
        f"--kubeconfig={config}",
        f"--namespace={NAMESPACE}",
        f"--repo-server={LOOPBACK}:{port}",
        f"--redis={LOOPBACK}:{redis}",
        # Open to the network for as long as it runs: there is no flag for its address.
        f"--metrics-port={metrics}",
        # So that an Application says which of its objects it waits for.
        "--persist-resource-health",
        tool=TOOL,
        environment={
            "ARGOCD_BINARY_NAME": CONTROLLER,
            "ARGOCD_GPG_ENABLED": "false",
            # https://kubernetes.default.svc is the server of this file.
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "KUBECONFIG": str(config),
        },
    )
    processes.wait(CONTROLLER, f"http://{LOOPBACK}:{metrics}/healthz")


def _path_of_repo_server(processes: Processes) -> Path:
    """Return a folder with what the repo-server's image has on its PATH, besides Git."""
    folder = processes.folder("argocd-programs")
    for name in ("helm", "kustomize"):
        (folder / name).symlink_to(tools.path(name))
    # Run for each commit, whether a signature is asked for or not.
    wrapper = folder / "git-verify-wrapper.sh"
    wrapper.write_bytes((_module() / "hack" / wrapper.name).read_bytes())
    wrapper.chmod(0o755)
    return folder


def _refuses_connections(port: int) -> str:
    """Say nothing if a port takes connections."""
    socket.create_connection((LOOPBACK, port), timeout=1).close()
    return ""
