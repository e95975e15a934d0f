"""The environment of a run: Kubernetes, an engine, a Git remote, a registry and other workloads."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from scripts import tools
from scripts.cluster.e2e.background_workloads import (
    APPLICATION,
    FLUX_CONTROLLERS,
    SYSTEM,
    monitored_everywhere,
)
from scripts.cluster.e2e.infrastructure import Infrastructure
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import load
from scripts.model import clusters, credentials, requirements, secrets
from scripts.model.api_groups import HELM, KUSTOMIZE, SOURCE
from scripts.model.credentials import NeededSecret
from scripts.model.manifests import BOOTSTRAP, ClusterSync, Repository, decrypts
from scripts.servers.api import ApiError
from scripts.servers.git_remote import BRANCH, GitRemote, append_to_list, edit_yaml
from scripts.servers.kubernetes import control_plane, flux
from scripts.servers.kubernetes.client import (
    KubernetesError,
    Object,
    condition,
    namespace,
    qualified_name,
)
from scripts.servers.kubernetes.flux import gotk_sync
from scripts.servers.polling import poll
from scripts.servers.processes import Processes
from scripts.servers.registry import Registry

MIRROR = Path("base/optional/mirror")
# Seconds. A sync takes less than one minute; a retry of Flux comes within the next.
TIMEOUT = 240.0
# In place of values that only the owner has; any other is the text "given". Nothing of them is read
# here but the bucket's name: the S3 server is on this machine.
GIVEN = {
    "objstore.yml": "{type: S3, config: {bucket: metrics, endpoint: storage.example.com}}",
}
# Where pods find the API server; nobody listens there.
API_SERVER = "10.0.0.1:6443"
# Every kind of Flux that this repository uses.
FLUX_KINDS = (
    (f"{SOURCE}/v1", "GitRepository"),
    (f"{SOURCE}/v1", "OCIRepository"),
    (f"{SOURCE}/v1", "HelmRepository"),
    (f"{SOURCE}/v1", "HelmChart"),
    (f"{KUSTOMIZE}/v1", "Kustomization"),
    (f"{HELM}/v2", "HelmRelease"),
)


class Environment:
    """A Kubernetes of its own, with what an engine needs to sync one of our clusters into it.

    Attributes:
        cluster: Which of `clusters/`.
        repository: Ours.
        client: The API.
        remote: The Git repository that the engine pulls.
        registry: Where it pulls charts from.
        revision: The commit that the engine should be at.
        infrastructure: Nodes, storage classes and volumes.
        components: Opt-ins that its overlay takes in besides its own.
        flux_metrics_ports: The port on loopback of the metrics of each of Flux's controllers.
    """

    def __init__(
        self,
        processes: Processes,
        repository: Repository,
        sync: ClusterSync,
        revision: str = "HEAD",
        components: Sequence[str] = (),
    ) -> None:
        """Start everything but the sync.

        Args:
            processes: Where it runs.
            repository: Ours.
            sync: The cluster and its engine.
            revision: The commit that is synced first.
            components: Folders of opt-ins that the overlay takes in besides its own.
        """
        self.components = components
        self.processes = processes
        self.repository = repository
        self.sync = sync
        self.cluster = sync.cluster
        self.flux_metrics_ports: dict[str, int] = {}
        self.infrastructure = Infrastructure(requirements.read(sync.cluster, repository))
        self.client = control_plane.api_server(processes, controlled=True)
        self.config = control_plane.kubeconfig(processes, self.client)
        control_plane.controllers(processes, self.client)
        self.registry = Registry(processes)
        self.registry.fill(sync.releases)
        self.remote = GitRemote(processes.folder("remote"), repository.root, revision)
        self.revision = self.remote.commit("Bootstrap, with the registry beside it", self.configure)
        self.remote.up()
        self._populate()

    def configure(self, tree: Path) -> None:
        """Change a revision as a user does who bootstraps it with a mirror."""
        use_mirror(tree, self.cluster, self.registry.host)
        for environment in clusters.environments(tree, self.cluster):
            path = tree / "overlays" / environment / "releases/kustomization.yaml"
            append_to_list(path, "components", *(f"../../../{one}" for one in self.components))
        exclude_encrypted(tree, self.cluster)
        if self.sync.engine != "flux":
            return
        folder = tree / f"clusters/{self.cluster}/flux/{BOOTSTRAP}"
        # A user who has bootstrapped already has another address there, and Flux itself.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        items = gotk_sync(self.remote.url, self.cluster)
        (folder / "gotk-sync.yaml").write_text(yaml.safe_dump_all(items))

    def _populate(self) -> None:
        """Apply what is there before a sync: nodes, other workloads, Secrets and the engine."""
        apply = self.apply
        apply(
            *self.infrastructure.nodes(),
            *self.infrastructure.storage_classes(),
            *api_server_endpoints(),
        )
        others = [*SYSTEM, *APPLICATION, *(FLUX_CONTROLLERS if self.sync.engine == "flux" else ())]
        others += monitored_everywhere(self.sync.objects(), others)
        namespaces = {workload.namespace for workload in others}
        apply(*(namespace(name) for name in sorted(namespaces)))
        apply(*(item for workload in others for item in workload.objects()))
        self.make_secrets()
        if self.sync.engine == "flux":
            flux.apply_crds(self.processes, self.client)
            for name in flux.CONTROLLERS:
                metrics = urlsplit(flux.start(self.processes, name, self.config))
                self.flux_metrics_ports[name] = metrics.port or 0
        self.wait_for_pods(namespaces)

    def make_secrets(self) -> None:
        """Give what only the owner has, then run `make secrets`, which makes our namespaces, too.

        Nobody here decrypts SOPS' files, so that their Secrets are made here as well.

        Raises:
            RepositoryError: If it fails.
        """
        needed = credentials.needed_secrets(self.sync, self.repository)
        encrypted = [one for one in needed if one.encrypted]
        missing = dict.fromkeys((one.namespace, one.name) for one in encrypted)
        made = secrets.values(secrets.plan(encrypted, missing).make, {})
        contents = {**made, **given(needed)}
        namespaces = {namespace for namespace, _ in contents}
        for item in self.sync.objects():
            if item["kind"] == "Namespace" and item["metadata"]["name"] in namespaces:
                self.apply(item)
        self.apply(*(secrets.manifest(place, own) for place, own in contents.items()))
        run = self.run_command("scripts.live.secrets", f"--cluster={self.cluster}", "--yes")
        if run.returncode:
            text = f"fails: {run.stdout}{run.stderr}"
            raise RepositoryError(Finding("make secrets", None, text, "correct what it says"))

    def pod_addresses(self, labels: Mapping[str, str]) -> list[str]:
        """Return the addresses of the pods that have some labels, in every namespace."""
        return [
            str(pod["status"]["podIP"])
            for pod in self.client.all("v1", "Pod")
            if labels.items() <= pod["metadata"].get("labels", {}).items()
        ]

    def run_command(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this repository against this cluster, with kubectl; ask it nothing."""
        kubectl = tools.path("kubectl").parent
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.config),
            "PATH": f"{kubectl}{os.pathsep}{os.environ['PATH']}",
        }
        return subprocess.run(
            (sys.executable, "-m", module, *arguments),
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

    def wait_for_pods(self, namespaces: Iterable[str]) -> None:
        """Wait until every Deployment of some namespaces is ready.

        Raises:
            RepositoryError: With the scheduler's reason.
        """
        wanted = set(namespaces)

        def missing() -> str:
            pods = self.client.all("v1", "Pod")
            if all(
                one.get("status", {}).get("readyReplicas", 0) >= one["spec"]["replicas"]
                for one in self.client.all("apps/v1", "Deployment")
                if one["metadata"]["namespace"] in wanted
            ):
                return ""
            return "; ".join(scheduling_failures(pods)) or "pods are on their way"

        self.until(missing, "its pods do not become ready")

    def until(self, missing: Callable[[], str], what: str, timeout: float = TIMEOUT) -> float:
        """Wait until nothing is missing any more; return how long it took, in seconds.

        Args:
            missing: Says what is missing; empty if nothing is.
            what: What it means that something is missing, for the message.
            timeout: In seconds.

        Raises:
            RepositoryError: If the timeout is over, with the pods that no node takes, or a program
                has ended.
        """
        began = time.monotonic()
        if answer := poll(missing, timeout, self.processes.check_running):
            pending: list[str] = []
            # What does not answer is what was waited for.
            with contextlib.suppress(KubernetesError, ApiError, OSError):
                pending = list(scheduling_failures(self.client.all("v1", "Pod")))
            waiting = "; ".join(text for text in pending if text not in answer)
            text = f"{what} within {timeout:.0f} s: {answer}"
            text += f"; no node takes {waiting}" if waiting else ""
            fix = "see the condition's message"
            raise RepositoryError(Finding(self.sync.name, None, text, fix))
        return time.monotonic() - began

    def provision_volumes(self) -> None:
        """Apply the volumes that the storage driver would make as they are claimed."""
        self.apply(*self.infrastructure.volumes())

    def bootstrap(self) -> None:
        """Apply what `flux bootstrap` does: a GitRepository, and a Kustomization of a folder."""
        self.provision_volumes()
        self.apply(*gotk_sync(self.remote.url, self.cluster))

    def push(self, message: str, change: Callable[[Path], object]) -> None:
        """Commit a change, push it and have Flux fetch it."""
        self.revision = self.remote.commit(message, change)
        self.reconcile_source()

    def revert(self) -> None:
        """Revert the last commit, push and have Flux fetch that."""
        self.revision = self.remote.revert()
        self.reconcile_source()

    def reconcile_source(self) -> None:
        """Have Flux fetch the remote now, as its webhook receiver does."""
        self.reconcile(
            self.client.get(f"{SOURCE}/v1", "GitRepository", "flux-system", flux.NAMESPACE)
        )

    def reconcile(self, item: Object) -> None:
        """Have Flux reconcile one of its objects now, as `flux reconcile` does."""
        request = {"reconcile.fluxcd.io/requestedAt": str(time.time())}
        self.client.patch(item, {"metadata": {"annotations": request}})

    def objects(self) -> list[Object]:
        """Every object of Flux."""
        return [item for version, kind in FLUX_KINDS for item in self.client.all(version, kind)]

    def unready(self, items: Iterable[Object] | None = None) -> dict[str, str]:
        """Return which of Flux's objects are not ready or not at the revision, with the message.

        Args:
            items: Flux's objects, where they are known already.
        """
        objects = self.objects() if items is None else items
        return {qualified_name(o): message for o in objects if (message := self._unready(o))}

    def _unready(self, item: Object) -> str:
        status = item.get("status") or {}
        ready = condition(item, "Ready")
        if is_oci_helm_repository(item):
            return ""
        # The status' own observedGeneration stays behind while there is a failure.
        if ready.get("observedGeneration") != item["metadata"]["generation"]:
            return "not looked at yet"
        if ready.get("status") != "True":
            return str(ready.get("message") or "no word yet")
        at = {
            "GitRepository": (status.get("artifact") or {}).get("revision"),
            "Kustomization": status.get("lastAppliedRevision"),
        }.get(item["kind"], self.flux_revision)
        return "" if at == self.flux_revision else f"still at {at}"

    @property
    def flux_revision(self) -> str:
        """The revision as Flux writes it."""
        return f"{BRANCH}@sha1:{self.revision}"

    def wait_for_sync(self, timeout: float = TIMEOUT) -> float:
        """Wait until all of Flux is ready at the revision; return how long it took, in seconds.

        Raises:
            RepositoryError: With the message of each object that is not.
        """

        def missing() -> str:
            items = self.objects()
            unready = self.unready(items)
            if not unready and any(item["kind"] == "Kustomization" for item in items):
                return ""
            return "; ".join(f"{name}: {text}" for name, text in unready.items()) or "nothing there"

        return self.until(missing, "Flux is not ready", timeout)


def given(needed: Iterable[NeededSecret]) -> dict[secrets.Place, secrets.Values]:
    """Return values of the Secrets that something waits for and only the owner has.

    Args:
        needed: What the cluster reads.
    """
    return {
        (one.namespace, one.name): {
            key.name: (key.make() if not key.given else GIVEN.get(key.name, "given")).encode()
            for key in one.declared.keys
        }
        for one in needed
        if one.declared and one.declared.given and not one.declared.optional
    }


def is_oci_helm_repository(item: Object) -> bool:
    """Say whether an object is a HelmRepository of type oci, which has no status."""
    return bool(item["kind"] == "HelmRepository" and item["spec"].get("type") == "oci")


def scheduling_failures(pods: Iterable[Object]) -> Iterator[str]:
    """Yield why pods wait: the scheduler's message for each."""
    for pod in pods:
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            yield f"{pod['metadata']['name']}: {scheduled.get('message')}"


def use_mirror(tree: Path, cluster: str, host: str) -> None:
    """Have a cluster take its charts from a registry that speaks plain HTTP, by their tags.

    Digests are those of the charts' own registries: what is pushed to another one has others.

    Args:
        tree: The repository.
        cluster: Which of `clusters/`.
        host: The registry's host and port.
    """
    set_mirror(tree, host)
    insecure = yaml.safe_dump([{"op": "add", "path": "/spec/insecure", "value": True}])
    patches = [
        {"target": {"kind": kind}, "patch": insecure}
        for kind in ("OCIRepository", "HelmRepository")
    ]
    source = {"apiVersion": f"{SOURCE}/v1", "kind": "OCIRepository", "metadata": {"name": "any"}}
    by_tag = yaml.safe_dump({**source, "spec": {"ref": {"digest": None}}})
    patches.append({"target": {"kind": "OCIRepository"}, "patch": by_tag})
    for environment in clusters.environments(tree, cluster):
        path = tree / "overlays" / environment / "releases/kustomization.yaml"
        append_to_list(path, "components", f"../../../{MIRROR}")
        append_to_list(path, "patches", *patches)


def exclude_encrypted(tree: Path, cluster: str) -> None:
    """Have Flux leave a cluster's encrypted Secrets alone: their key is not here."""
    for path in (tree / f"clusters/{cluster}/flux").glob("*.yaml"):
        items = load(path, tree)
        kept = [i for i in items if not decrypts(cluster, (i.get("spec") or {}).get("path", ""))]
        if kept != items:
            path.write_text(yaml.safe_dump_all(kept, sort_keys=False))


def set_mirror(tree: Path, host: str) -> None:
    """Have the opt-in mirror name a registry; an older revision gets the mirror of this one.

    Args:
        tree: The repository.
        host: The registry's host and port.
    """
    shutil.copytree(tools.ROOT / MIRROR, tree / MIRROR, dirs_exist_ok=True)
    edit_yaml(tree / MIRROR / "mirror.yaml", lambda content: content["data"].update(HOST=host))


def api_server_endpoints() -> Iterator[Object]:
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
