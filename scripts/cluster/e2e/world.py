"""A cluster with nodes, Flux, a Git remote, a registry, and an application to watch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from scripts import tools
from scripts.cluster.e2e.background import APPLICATION, FLUX, NEIGHBOURS, watched
from scripts.cluster.e2e.machines import Machines
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import load
from scripts.model import clusters, credentials, requirements, secrets
from scripts.model.manifests import BOOTSTRAP, FLUX_GROUPS, ClusterSync, Repository, decrypts
from scripts.servers.api import ApiError as RefusedError
from scripts.servers.git_remote import BRANCH, Remote, edit, extend
from scripts.servers.kubernetes import control_plane, flux
from scripts.servers.kubernetes.client import ApiError, Object, condition, named, namespace
from scripts.servers.kubernetes.flux import bootstrapped
from scripts.servers.processes import Processes
from scripts.servers.registry import Registry

MIRROR = Path("base/optional/mirror")
# Seconds. A sync takes less than one minute; a retry of Flux comes within the next.
PATIENCE = 240.0
# Where pods find the API server; nobody listens there.
API_SERVER = "10.0.0.1:6443"
HELM, SOURCE, KUSTOMIZE = FLUX_GROUPS
# What a server that refuses, or does not answer in time, raises.
UNANSWERED = (ApiError, RefusedError, OSError)
# Every kind of Flux that this repository uses.
KINDS = (
    (f"{SOURCE}/v1", "GitRepository"),
    (f"{SOURCE}/v1", "OCIRepository"),
    (f"{SOURCE}/v1", "HelmRepository"),
    (f"{SOURCE}/v1", "HelmChart"),
    (f"{KUSTOMIZE}/v1", "Kustomization"),
    (f"{HELM}/v2", "HelmRelease"),
)


class World:
    """A cluster of its own, with what an engine needs to sync one of ours into it.

    Attributes:
        cluster: Which of `clusters/`.
        repository: Ours.
        client: The API.
        remote: What the engine pulls.
        registry: Where charts are.
        revision: The commit that the engine should be at.
        machines: The nodes, and what volumes there can be.
        engine_ports: Where each of Flux's controllers has its metrics, on loopback.
    """

    def __init__(
        self,
        processes: Processes,
        repository: Repository,
        sync: ClusterSync,
        revision: str = "HEAD",
    ) -> None:
        """Start everything but the sync.

        Args:
            processes: Where it runs.
            repository: Ours.
            sync: The cluster and its engine.
            revision: The commit that is synced first.
        """
        self.processes = processes
        self.repository = repository
        self.sync = sync
        self.cluster = sync.cluster
        self.engine_ports: dict[str, int] = {}
        self.machines = Machines(requirements.read(sync.cluster, repository))
        self.client = control_plane.api_server(processes, controlled=True)
        self.config = control_plane.kubeconfig(processes, self.client)
        control_plane.controllers(processes, self.client)
        self.registry = Registry(processes)
        self.registry.fill(sync.releases)
        self.remote = Remote(processes.folder("remote"), repository.root, revision)
        self.revision = self.remote.commit("Bootstrap, with the registry beside it", self.adopt)
        self.remote.up()
        self._prepare()

    def adopt(self, tree: Path) -> None:
        """Make of a revision what a user who bootstraps it with a mirror has."""
        mirrored(tree, self.cluster, self.registry.host)
        undeclared(tree, self.cluster)
        if self.sync.engine != "flux":
            return
        folder = tree / f"clusters/{self.cluster}/flux/{BOOTSTRAP}"
        # A user who has bootstrapped already has another address there, and Flux itself.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        items = bootstrapped(self.remote.url, self.cluster)
        (folder / "gotk-sync.yaml").write_text(yaml.safe_dump_all(items))

    def _prepare(self) -> None:
        """Make the cluster what an installed one is, and put what has to be there before a sync."""
        apply = self.apply
        apply(*self.machines.nodes(), *self.machines.storage_classes(), *endpoints())
        others = [*NEIGHBOURS, *APPLICATION, *(FLUX if self.sync.engine == "flux" else ())]
        others += watched(self.sync.objects(), others)
        spaces = {workload.namespace for workload in others}
        apply(*(namespace(name) for name in sorted(spaces)))
        apply(*(item for workload in others for item in workload.objects()))
        self.secrets()
        if self.sync.engine == "flux":
            flux.definitions(self.processes, self.client)
            for name in flux.CONTROLLERS:
                metrics = urlsplit(flux.start(self.processes, name, self.config))
                self.engine_ports[name] = metrics.port or 0
        self.settled(spaces)

    def secrets(self) -> None:
        """Run `make secrets`, which makes our namespaces, too; nobody here decrypts SOPS' files.

        Raises:
            RepositoryError: If it fails.
        """
        needed = [n for n in credentials.needed(self.sync, self.repository) if n.encrypted]
        made = secrets.plan(needed, dict.fromkeys((one.namespace, one.name) for one in needed)).make
        spaces = {one.namespace for one in needed}
        for item in self.sync.objects():
            if item["kind"] == "Namespace" and item["metadata"]["name"] in spaces:
                self.apply(item)
        self.apply(
            *(secrets.manifest(place, own) for place, own in secrets.values(made, {}).items())
        )
        run = self.ours("scripts.live.secrets", "--yes")
        if run.returncode:
            text = f"fails: {run.stdout}{run.stderr}"
            raise RepositoryError(Finding("make secrets", None, text, "correct what it says"))

    def ours(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this repository against this cluster, with kubectl; ask it nothing."""
        kubectl = tools.path("kubectl").parent
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.config),
            "PATH": f"{kubectl}{os.pathsep}{os.environ['PATH']}",
        }
        return subprocess.run(
            (sys.executable, "-m", module, f"--cluster={self.cluster}", *arguments),
            cwd=tools.ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def apply(self, *items: Object) -> None:
        """Apply objects as whoever runs the cluster."""
        for item in items:
            self.client.apply(item, "owner")
            if item["kind"] == "Node":
                self.client.apply(item, "owner", part="status")

    def settled(self, namespaces: Iterable[str]) -> None:
        """Wait until every pod of some namespaces is ready, and nobody has more to say of them.

        Raises:
            RepositoryError: With the scheduler's reason.
        """
        wanted = set(namespaces)

        def pending() -> str:
            pods = self.client.all("v1", "Pod")
            deployments = [
                d
                for d in self.client.all("apps/v1", "Deployment")
                if d["metadata"]["namespace"] in wanted
            ]
            if any(
                d.get("status", {}).get("readyReplicas", 0) < d["spec"]["replicas"]
                for d in deployments
            ):
                return "; ".join(waiting(pods)) or "pods are on their way"
            return ""

        self.until(pending, "its pods do not become ready")

    def until(self, missing: Callable[[], str], what: str, patience: float = PATIENCE) -> float:
        """Wait until nothing is missing any more; return how long it took, in seconds.

        A server that refuses once, or does not answer in time, is asked again.

        Raises:
            RepositoryError: If it takes too long, with `what` and what is missing; or if a program
                has ended.
        """
        began = time.monotonic()
        while said := _answer(missing):
            self.processes.alive()
            if time.monotonic() - began > patience:
                text = f"{what} within {patience:.0f} s: {said}"
                fix = "see the condition's message"
                raise RepositoryError(Finding(self.sync.name, None, text, fix))
            # Right to a twentieth: asking is work for the server, on the machine that syncs.
            time.sleep(min(max(0.1, (time.monotonic() - began) / 20), 1.0))
        return time.monotonic() - began

    def provision(self) -> None:
        """Make the volumes that the storage driver would make as they are claimed."""
        self.apply(*self.machines.volumes())

    def bootstrap(self) -> None:
        """Apply what `flux bootstrap` leaves: the repository, and a Kustomization of a folder."""
        self.provision()
        self.apply(*bootstrapped(self.remote.url, self.cluster))

    def push(self, message: str, change: Callable[[Path], object]) -> None:
        """Commit a change, push it and tell Flux, as its webhook receiver does."""
        self.revision = self.remote.commit(message, change)
        self.tell()

    def revert(self) -> None:
        """Revert the last commit, push and tell Flux."""
        self.revision = self.remote.revert()
        self.tell()

    def tell(self) -> None:
        """Have Flux fetch the remote now: what the webhook receiver, or `flux reconcile`, does."""
        self.reconcile(
            self.client.get(f"{SOURCE}/v1", "GitRepository", "flux-system", flux.NAMESPACE)
        )

    def reconcile(self, item: Object) -> None:
        """Have Flux look at one of its objects now, as `flux reconcile` does."""
        request = {"reconcile.fluxcd.io/requestedAt": str(time.time())}
        self.client.patch(item, {"metadata": {"annotations": request}})

    def objects(self) -> list[Object]:
        """Every object of Flux."""
        return [item for version, kind in KINDS for item in self.client.all(version, kind)]

    def unready(self, items: Iterable[Object] | None = None) -> dict[str, str]:
        """Return what of Flux is not ready, or not yet at the revision, and its words.

        Args:
            items: Flux's objects, where they are known already.
        """
        there = self.objects() if items is None else items
        return {named(item): said for item in there if (said := self._unready(item))}

    def _unready(self, item: Object) -> str:
        status = item.get("status") or {}
        ready = condition(item, "Ready")
        if is_address(item):
            return ""
        # The status' own observedGeneration stays behind while there is a failure.
        if ready.get("observedGeneration") != item["metadata"]["generation"]:
            return "not looked at yet"
        if ready.get("status") != "True":
            return str(ready.get("message") or "no word yet")
        at = {
            "GitRepository": (status.get("artifact") or {}).get("revision"),
            "Kustomization": status.get("lastAppliedRevision"),
        }.get(item["kind"], self.at)
        return "" if at == self.at else f"still at {at}"

    @property
    def at(self) -> str:
        """The revision in Flux's words."""
        return f"{BRANCH}@sha1:{self.revision}"

    def synced(self, patience: float = PATIENCE) -> float:
        """Wait until all of Flux is ready at the revision; return how long it took, in seconds.

        Raises:
            RepositoryError: With the words of what is not.
        """

        def missing() -> str:
            items = self.objects()
            unready = self.unready(items)
            if not unready and any(item["kind"] == "Kustomization" for item in items):
                return ""
            return "; ".join(f"{name}: {said}" for name, said in unready.items()) or "nothing there"

        return self.until(missing, "Flux is not ready", patience)


def _answer(question: Callable[[], str]) -> str:
    try:
        return question()
    except UNANSWERED as error:
        return str(error) or repr(error)


def is_address(item: Object) -> bool:
    """Say whether an object is only an address, of which Flux says nothing."""
    return bool(item["kind"] == "HelmRepository" and item["spec"].get("type") == "oci")


def waiting(pods: Iterable[Object]) -> Iterator[str]:
    """Say why pods wait: the scheduler's reason for each."""
    for pod in pods:
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            yield f"{pod['metadata']['name']}: {scheduled.get('message')}"


def mirrored(tree: Path, cluster: str, host: str) -> None:
    """Have a cluster take its charts from a registry that speaks plain HTTP.

    Args:
        tree: The repository.
        cluster: Which of `clusters/`.
        host: The registry's host and port.
    """
    named_mirror(tree, host)
    insecure = yaml.safe_dump([{"op": "add", "path": "/spec/insecure", "value": True}])
    patches = [
        {"target": {"kind": kind}, "patch": insecure}
        for kind in ("OCIRepository", "HelmRepository")
    ]
    for environment in clusters.environments(tree, cluster):
        path = tree / "overlays" / environment / "releases/kustomization.yaml"
        extend(path, "components", f"../../../{MIRROR}")
        extend(path, "patches", *patches)


def undeclared(tree: Path, cluster: str) -> None:
    """Have Flux leave a cluster's encrypted Secrets alone: their key is not here."""
    for path in (tree / f"clusters/{cluster}/flux").glob("*.yaml"):
        items = load(path, tree)
        kept = [i for i in items if not decrypts(cluster, (i.get("spec") or {}).get("path", ""))]
        if kept != items:
            path.write_text(yaml.safe_dump_all(kept, sort_keys=False))


def named_mirror(tree: Path, host: str) -> None:
    """Have the opt-in mirror name a registry; an older revision gets the mirror of this one.

    Args:
        tree: The repository.
        host: The registry's host and port.
    """
    shutil.copytree(tools.ROOT / MIRROR, tree / MIRROR, dirs_exist_ok=True)
    edit(tree / MIRROR / "mirror.yaml", lambda content: content["data"].update(HOST=host))


def endpoints() -> Iterator[Object]:
    """Yield the API server's endpoint: it does not publish a loopback address itself."""
    address, _, port = API_SERVER.partition(":")
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": int(port), "protocol": "TCP"}],
    }
