"""Argo CD in the place of Flux: installed, told of this repository, and asked how far it is.

Its repo-server and its application controller run with the release's settings, the latter as its
own service account. Nobody looks at it here, so argocd-server does not run.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from scripts import tools
from scripts.cluster.e2e import checks
from scripts.cluster.e2e.faults import dashboards, kept, unharmed
from scripts.cluster.e2e.stack import MONITORING, OPERATOR_GROUP, TRACKING, operator
from scripts.cluster.e2e.world import PATIENCE, World, named_mirror
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import load_all
from scripts.model.manifests import Repository
from scripts.servers.git_remote import extend
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import ApiError, Client, Object, named, namespace
from scripts.servers.processes import LOOPBACK, Processes, free_ports
from scripts.tools import sources

NAMESPACE = "argocd"
VERSION = "argoproj.io/v1alpha1"
# The Application that all others come from, and the project that they are in.
ROOT = "monitoring"
# What asks it to look at an Application, until it has.
REFRESH = "argocd.argoproj.io/refresh"
TOOL = "argocd"
CONTROLLER = "argocd-application-controller"
REPO_SERVER = "argocd-repo-server"
REDIS = "redis"
OPERATOR = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "kube-prometheus-stack-operator", "namespace": MONITORING},
}


class ArgoCD:
    """Argo CD in a cluster of its own.

    Attributes:
        world: The cluster.
    """

    def __init__(self, world: World) -> None:
        """Install it and commit what it is to sync; nothing is synced yet."""
        self.world = world
        self._operated = False
        client, processes = world.client, world.processes
        host = world.registry.host.replace(LOOPBACK, "localhost")
        install(processes, client)
        world.apply(*initialised(), plain_registry(host))
        world.settled([NAMESPACE])
        start(processes, client)
        world.revision = world.remote.commit(
            "Take the Applications' charts and this repository from beside it",
            lambda tree: adopted(tree, world.cluster, host, world.remote.url),
        )

    def declared(self) -> list[Object]:
        """Return what the cluster's folder is built to: the Applications, and what they mount."""
        return Repository(self.world.remote.tree).build(f"clusters/{self.world.cluster}/argocd")

    def bootstrap(self) -> float:
        """Apply the cluster's folder as a user does, and wait until all of it is synced.

        Returns:
            How long it took, in seconds.
        """
        began = time.monotonic()
        for item in self.declared():
            self.world.client.apply(item, "kubectl")
        self.synced(meanwhile=self._operate)
        return time.monotonic() - began

    def _operate(self) -> None:
        """Run the operator once its pod is there: a Prometheus is healthy when it says so.

        Raises:
            RepositoryError: If its CRDs are not there, as it looks for them only when it starts.
        """
        found = self.world.client.read(OPERATOR) or {}
        if self._operated or not found.get("status", {}).get("readyReplicas"):
            return
        for kind in ("Alertmanager", "Prometheus"):
            try:
                self.world.client.resource(f"{OPERATOR_GROUP}/v1", kind)
            except ApiError as error:
                place = f"{self.world.sync.name} {named(OPERATOR)}"
                text = f"runs before the CRD of {kind} is there, and would never make one"
                fix = "let nothing of its Application be applied before its custom resources can be"
                raise RepositoryError(Finding(place, None, text, fix)) from error
        operator(self.world)
        self._operated = True

    def push(self, message: str, change: Callable[[Path], object]) -> None:
        """Commit a change, push it and tell Argo CD, as its webhook receiver does."""
        self.world.revision = self.world.remote.commit(message, change)
        self.tell()

    def revert(self) -> None:
        """Revert the last commit, push and tell Argo CD."""
        self.world.revision = self.world.remote.revert()
        self.tell()

    def tell(self) -> None:
        """Have Argo CD fetch the remote now, for each Application that comes from it."""

        def looking() -> str:
            asked = [i for i in self.applications() if REFRESH in i["metadata"]["annotations"]]
            return ", ".join(map(named, asked))

        # While it looks, it would not see that it is asked again.
        self.world.until(looking, "Argo CD does not come to an end of an earlier look")
        for item in self.applications():
            if item["spec"]["source"]["repoURL"] == self.world.remote.url:
                self.refresh(item)

    def refresh(self, item: Object) -> None:
        """Have Argo CD compare an Application with its source now, as its Refresh button does."""
        self.world.client.patch(item, {"metadata": {"annotations": {REFRESH: "normal"}}})

    def applications(self) -> list[Object]:
        """Every Application that there is."""
        return self.world.client.all(VERSION, "Application", NAMESPACE)

    def synced(
        self, patience: float = PATIENCE, meanwhile: Callable[[], object] = lambda: None
    ) -> float:
        """Wait until each Application is synced and healthy; return how long it took, in seconds.

        Args:
            patience: Seconds.
            meanwhile: Called again and again.

        Raises:
            RepositoryError: With the words of what is not.
        """
        names = {o["metadata"]["name"] for o in self.declared() if o["kind"] == "Application"}
        began = time.monotonic()
        waiting: set[str] = set()

        def missing() -> str:
            meanwhile()
            for item in filter(untracked, self.applications()):
                self.refresh(item)
            unready = self.unready(names)
            for name in sorted(waiting - unready.keys()):
                progress(f"{name} is done after {time.monotonic() - began:.1f} s")
            waiting.clear()
            waiting.update(unready)
            return "; ".join(f"{name}: {said}" for name, said in unready.items())

        return self.world.until(missing, "Argo CD is not done", patience)

    def unready(self, names: set[str]) -> dict[str, str]:
        """Return which Applications are not synced and healthy at the revision, and why.

        Args:
            names: Those that there should be.
        """
        there = {item["metadata"]["name"]: item for item in self.applications()}
        absent = dict.fromkeys(names - there.keys(), "is not there")
        surplus = dict.fromkeys(there.keys() - names, "is still there")
        said = {name: unready(item, self.world.revision) for name, item in there.items()}
        return absent | {name: text for name, text in said.items() if text} | surplus

    def mended(self, expected: list[Object]) -> float:
        """Edit and delete by hand what is synced; return how long it is wrong, in seconds.

        Args:
            expected: Every object as it should be, and as it is now.

        Raises:
            RepositoryError: With what stays wrong.
        """
        client = self.world.client
        grafana = client.get("apps/v1", "Deployment", "grafana", MONITORING)
        client.patch(grafana, {"spec": {"replicas": 3}})
        client.delete(client.get("v1", "ConfigMap", dashboards(self.world)[0], MONITORING))
        client.delete(client.get("v1", "Service", "loki", MONITORING))

        def wrong() -> str:
            return "; ".join(map(str, checks.exact(client, expected, self.world.sync.name)))

        return self.world.until(wrong, "what was done by hand stays")

    def reverted(self) -> float:
        """Commit what cannot be applied, then its revert; return how long that takes, in seconds.

        Raises:
            RepositoryError: If nobody says what is wrong, or the revert has to wait for it.
        """

        def untold() -> str:
            said = [words(item) for item in self.applications()]
            return "" if any("is not permitted in project" in one for one in said) else str(said)

        self.push("A kind that the project does not permit", forbidden)
        self.world.until(untold, "the fault is not told")
        self.revert()
        return self.synced()

    def remove(self, patience: float = PATIENCE) -> float:
        """Delete the root Application, as the README has it; return how long it took, in seconds.

        Raises:
            RepositoryError: With what stays and should not, in Argo CD's words, or is lost.
        """
        client = self.world.client
        held = checks.held(client)
        client.delete(client.get(VERSION, "Application", ROOT, NAMESPACE))

        def left() -> str:
            if said := "; ".join(f"{named(i)}: {words(i)}" for i in self.applications()):
                return said
            return ", ".join(
                name
                for name, item in checks.everything(client)
                if TRACKING in item["metadata"].get("annotations", {}) and not kept(name)
            )

        took = self.world.until(left, "something stays", patience)
        unharmed(self.world, held)
        return took


def unready(item: Object, revision: str) -> str:
    """Say what an Application lacks to be synced and healthy; empty if nothing.

    Args:
        item: The Application.
        revision: The commit that those of a Git path should be at.
    """
    status, source = item.get("status") or {}, item["spec"]["source"]
    sync = status.get("sync") or {}
    if (sync.get("comparedTo") or {}).get("source") != source:
        return f"not looked at yet, {words(item)}"
    if "path" in source and sync.get("revision") != revision:
        return f"still at {sync.get('revision')}, {words(item)}"
    health = (status.get("health") or {}).get("status")
    phase = (status.get("operationState") or {}).get("phase")
    if (sync.get("status"), health, phase) == ("Synced", "Healthy", "Succeeded"):
        return ""
    return f"{sync.get('status')}, {health}, {phase}: {words(item)}"


def untracked(item: Object) -> bool:
    """Say whether an Application waits for nothing but to be looked at again.

    Argo CD does not track CRDs: it sees only at its next look, which may be minutes later, that
    they are established.
    """
    status = item.get("status") or {}
    kinds = {one["kind"] for one in status.get("resources") or ()}
    states = (status.get("sync") or {}).get("status"), (status.get("health") or {}).get("status")
    return kinds == {"CustomResourceDefinition"} and states == ("Synced", "Progressing")


def words(item: Object) -> str:
    """Return what Argo CD says of an Application: errors, the sync, then single objects."""
    status = item.get("status") or {}
    said = [condition["message"] for condition in status.get("conditions") or ()]
    if message := (status.get("operationState") or {}).get("message"):
        said.append(message)
    for one in status.get("resources") or ():
        health = one.get("health") or {}
        name = f"{one['kind']} {one['name']}"
        if one.get("status") != "Synced":
            said.append(f"{name} is {one.get('status')}")
        elif health.get("status", "Healthy") != "Healthy":
            said.append(f"{name}: {health.get('message') or health['status']}")
    return ", ".join(said)


def module() -> Path:
    """Return Argo CD's source, which has its manifests."""
    return sources.module("github.com/argoproj/argo-cd/v3", tools.version(TOOL))


def install(processes: Processes, client: Client) -> None:
    """Apply the release's manifests, as its documentation has a user do."""
    folder = module() / "manifests"
    control_plane.define(processes, client, folder / "crds")
    client.apply(namespace(NAMESPACE), "owner")
    path = folder / "install.yaml"
    for item in load_all(path.read_text(encoding="utf-8"), path.name):
        if item["kind"] == "CustomResourceDefinition":
            continue
        if client.resource(item["apiVersion"], item["kind"]).namespaced:
            item["metadata"]["namespace"] = NAMESPACE
        client.apply(item, "owner")


def initialised() -> Iterator[Object]:
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


def plain_registry(host: str) -> Object:
    """Return the Secret that has Argo CD speak plain HTTP with a registry."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "registry",
            "namespace": NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "repo-creds"},
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
    processes.until(REDIS, lambda: _connects(redis))
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
            "PATH": f"{_programs(processes)}{os.pathsep}{os.environ['PATH']}",
        },
    )
    processes.wait(REPO_SERVER, f"http://{LOOPBACK}:{health}/healthz?full=true")
    config = control_plane.account(processes, client, NAMESPACE, CONTROLLER)
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


def _programs(processes: Processes) -> Path:
    """Return a folder with what the repo-server's image has on its PATH, besides Git."""
    folder = processes.folder("argocd-programs")
    for name in ("helm", "kustomize"):
        (folder / name).symlink_to(tools.path(name))
    # Run for each commit, whether a signature is asked for or not.
    wrapper = folder / "git-verify-wrapper.sh"
    wrapper.write_bytes((module() / "hack" / wrapper.name).read_bytes())
    wrapper.chmod(0o755)
    return folder


def _connects(port: int) -> str:
    socket.create_connection((LOOPBACK, port), timeout=1).close()
    return ""


def forbidden(tree: Path) -> None:
    """Add an object to the configuration that its project lets nobody apply."""
    metadata = {"name": "forbidden", "namespace": MONITORING}
    item = {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": []}}
    (tree / "base/config/forbidden.yaml").write_text(yaml.safe_dump(item))
    extend(tree / "base/config/kustomization.yaml", "resources", "forbidden.yaml")


def adopted(tree: Path, cluster: str, host: str, url: str) -> None:
    """Have Argo CD take a cluster's charts from the overlay's mirror, and the rest from a remote.

    Args:
        tree: The repository.
        cluster: Which of `clusters/`.
        host: The registry by name: Argo CD finds no credentials for an address with a port.
        url: The remote's.
    """
    named_mirror(tree, host)
    folder = tree / f"clusters/{cluster}/argocd"
    extend(folder / "kustomization.yaml", "components", "../../../base/optional/mirror/argocd")
    path = folder / "applications.yaml"
    applications = list(yaml.safe_load_all(path.read_text()))
    for item in applications:
        if item["metadata"]["name"] == ROOT:
            item["spec"]["source"]["repoURL"] = url
    path.write_text(yaml.safe_dump_all(applications, sort_keys=False))
