"""Argo CD in place of Flux: what it syncs in an environment, and the status of its Applications."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import yaml

from scripts.cluster.e2e import checks
from scripts.cluster.e2e.disruptions import dashboard_config_maps
from scripts.cluster.e2e.environment import Environment, set_mirror
from scripts.cluster.e2e.prometheus_operator import API_GROUP, MONITORING, run_operator
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.model.api_groups import ARGO_CD, TRACKING_ID
from scripts.model.manifests import Repository
from scripts.servers.git_remote import append_to_list
from scripts.servers.kubernetes.argocd import (
    NAMESPACE,
    VERSION,
    initial_objects,
    install,
    registry_credentials,
    start,
)
from scripts.servers.kubernetes.client import KubernetesError, Object, qualified_name
from scripts.servers.processes import LOOPBACK

# The Application that all others come from, and the project that they are in.
ROOT = "monitoring"
# The annotation that has it compare an Application with its source; it removes it when it has.
REFRESH = f"argocd.{ARGO_CD}/refresh"
OPERATOR = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "kube-prometheus-stack-operator", "namespace": MONITORING},
}


class ArgoCD:
    """Argo CD in an environment.

    Attributes:
        env: The environment.
    """

    def __init__(self, env: Environment) -> None:
        """Install it and commit what it is to sync; nothing is synced yet."""
        self.env = env
        self._operator_runs = False
        client, processes = env.client, env.processes
        host = env.registry.host.replace(LOOPBACK, "localhost")
        install(processes, client)
        env.apply(*initial_objects(), registry_credentials(host))
        env.wait_for_pods([NAMESPACE])
        start(processes, client)
        env.revision = env.remote.commit(
            "Take the Applications' charts and this repository from beside it",
            lambda tree: configure(tree, env.cluster, host, env.remote.url),
        )

    def declared(self) -> list[Object]:
        """Return what the cluster's folder is built to: the Applications, and what they mount."""
        return Repository(self.env.remote.tree).build(f"clusters/{self.env.cluster}/argocd")

    def bootstrap(self) -> None:
        """Apply the cluster's folder as a user does, and wait until all of it is synced."""
        for item in self.declared():
            self.env.client.apply(item, "kubectl")
        self.wait_for_sync(self._run_operator)

    def _run_operator(self) -> None:
        """Run the operator once its pod is there: a Prometheus is healthy when it says so.

        Raises:
            RepositoryError: If its CRDs are not there, as it looks for them only when it starts.
        """
        found = self.env.client.read(OPERATOR) or {}
        if self._operator_runs or not found.get("status", {}).get("readyReplicas"):
            return
        for kind in ("Alertmanager", "Prometheus"):
            try:
                self.env.client.resource(f"{API_GROUP}/v1", kind)
            except KubernetesError as error:
                place = f"{self.env.sync.name} {qualified_name(OPERATOR)}"
                text = f"runs before the CRD of {kind} is there, and would never make one"
                fix = "let nothing of its Application be applied before its custom resources can be"
                raise RepositoryError(Finding(place, None, text, fix)) from error
        run_operator(self.env)
        self._operator_runs = True

    def push(self, message: str, change: Callable[[Path], object]) -> None:
        """Commit a change, push it and have Argo CD fetch it."""
        self.env.revision = self.env.remote.commit(message, change)
        self.refresh_all()

    def revert(self) -> None:
        """Revert the last commit, push and have Argo CD fetch that."""
        self.env.revision = self.env.remote.revert()
        self.refresh_all()

    def refresh_all(self) -> None:
        """Have Argo CD fetch the remote now, as its webhook receiver does."""

        def refreshing() -> str:
            found = [i for i in self.applications() if REFRESH in i["metadata"]["annotations"]]
            return ", ".join(map(qualified_name, found))

        # During a refresh it would not see that another one is requested.
        self.env.until(refreshing, "Argo CD does not come to an end of an earlier look")
        for item in self.applications():
            if item["spec"]["source"]["repoURL"] == self.env.remote.url:
                self.refresh(item)

    def refresh(self, item: Object) -> None:
        """Have Argo CD compare an Application with its source now, as its Refresh button does."""
        self.env.client.patch(item, {"metadata": {"annotations": {REFRESH: "normal"}}})

    def applications(self) -> list[Object]:
        """Every Application that there is."""
        return self.env.client.all(VERSION, "Application", NAMESPACE)

    def wait_for_sync(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait until each Application is synced and healthy.

        Args:
            meanwhile: Called before each look at the Applications.

        Raises:
            RepositoryError: With the messages of those that are not.
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
            return "; ".join(f"{name}: {text}" for name, text in unready.items())

        self.env.until(missing, "Argo CD is not done")

    def unready(self, names: set[str]) -> dict[str, str]:
        """Return which Applications are not synced and healthy at the revision, and why.

        Args:
            names: Those that there should be.
        """
        found = {item["metadata"]["name"]: item for item in self.applications()}
        absent = dict.fromkeys(names - found.keys(), "is not there")
        surplus = dict.fromkeys(found.keys() - names, "is still there")
        reasons = {name: unready(item, self.env.revision) for name, item in found.items()}
        return absent | {name: text for name, text in reasons.items() if text} | surplus

    def wait_for_self_heal(self, expected: list[Object]) -> None:
        """Edit and delete by hand what is synced, and wait until it is healed.

        Args:
            expected: Every object as it should be, and as it is now.

        Raises:
            RepositoryError: With what is not healed.
        """
        client = self.env.client
        grafana = client.get("apps/v1", "Deployment", "grafana", MONITORING)
        client.patch(grafana, {"spec": {"replicas": 3}})
        client.delete(client.get("v1", "ConfigMap", dashboard_config_maps(self.env)[0], MONITORING))
        client.delete(client.get("v1", "Service", "loki", MONITORING))

        def drift() -> str:
            return "; ".join(map(str, checks.drifted(client, expected, self.env.sync.name)))

        self.env.until(drift, "what was done by hand stays")

    def commit_and_revert(self) -> None:
        """Commit what cannot be applied, wait until Argo CD reports it, and sync its revert.

        Raises:
            RepositoryError: If Argo CD does not report it, or does not sync the revert.
        """

        def unreported() -> str:
            found = [messages(item) for item in self.applications()]
            return "" if any("is not permitted in project" in one for one in found) else str(found)

        self.push("A kind that the project does not permit", add_forbidden_object)
        self.env.until(unreported, "Argo CD does not report the commit")
        self.revert()
        self.wait_for_sync()

    def remove(self) -> None:
        """Delete the root Application, as the README has it, and wait until all is gone.

        Raises:
            RepositoryError: With what stays, and Argo CD's messages, or with what is lost.
        """
        client = self.env.client
        data = checks.data_objects(client)
        client.delete(client.get(VERSION, "Application", ROOT, NAMESPACE))

        def remaining() -> str:
            if left := "; ".join(
                f"{qualified_name(i)}: {messages(i)}" for i in self.applications()
            ):
                return left
            return ", ".join(
                name
                for name, item in checks.objects_by_name(client)
                if TRACKING_ID in item["metadata"].get("annotations", {})
                and not checks.survives_removal(name)
            )

        self.env.until(remaining, "something stays")
        checks.check_data_kept(self.env, data)


def unready(item: Object, revision: str) -> str:
    """Say what an Application lacks to be synced and healthy; empty if nothing.

    Args:
        item: The Application.
        revision: The commit that those of a Git path should be at.
    """
    status, source = item.get("status") or {}, item["spec"]["source"]
    sync = status.get("sync") or {}
    if (sync.get("comparedTo") or {}).get("source") != source:
        return f"not looked at yet, {messages(item)}"
    if "path" in source and sync.get("revision") != revision:
        return f"still at {sync.get('revision')}, {messages(item)}"
    health = (status.get("health") or {}).get("status")
    phase = (status.get("operationState") or {}).get("phase")
    if (sync.get("status"), health, phase) == ("Synced", "Healthy", "Succeeded"):
        return ""
    return f"{sync.get('status')}, {health}, {phase}: {messages(item)}"


def untracked(item: Object) -> bool:
    """Say whether an Application waits for nothing but its next refresh.

    Argo CD does not watch CRDs: it sees only at its next refresh, which may be minutes later, that
    they are established.
    """
    status = item.get("status") or {}
    waiting = {
        one["kind"]
        for one in status.get("resources") or ()
        if (one.get("health") or {}).get("status", "Healthy") != "Healthy"
    }
    states = (status.get("sync") or {}).get("status"), (status.get("health") or {}).get("status")
    return waiting == {"CustomResourceDefinition"} and states == ("Synced", "Progressing")


def messages(item: Object) -> str:
    """Return what Argo CD reports of an Application: errors, the sync, then single objects."""
    status = item.get("status") or {}
    found = [condition["message"] for condition in status.get("conditions") or ()]
    if message := (status.get("operationState") or {}).get("message"):
        found.append(message)
    for one in status.get("resources") or ():
        health = one.get("health") or {}
        name = f"{one['kind']} {one['name']}"
        if one.get("status") != "Synced":
            found.append(f"{name} is {one.get('status')}")
        elif health.get("status", "Healthy") != "Healthy":
            found.append(f"{name}: {health.get('message') or health['status']}")
    return ", ".join(found)


def add_forbidden_object(tree: Path) -> None:
    """Add an object to the configuration of a kind that the project does not permit."""
    metadata = {"name": "forbidden", "namespace": MONITORING}
    item = {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": []}}
    (tree / "base/config/forbidden.yaml").write_text(yaml.safe_dump(item))
    append_to_list(tree / "base/config/kustomization.yaml", "resources", "forbidden.yaml")


def configure(tree: Path, cluster: str, host: str, url: str) -> None:
    """Have Argo CD take a cluster's charts from the overlay's mirror, and the rest from a remote.

    Args:
        tree: The repository.
        cluster: Which of `clusters/`.
        host: The registry by name: Argo CD finds no credentials for an address with a port.
        url: The remote's.
    """
    set_mirror(tree, host)
    folder = tree / f"clusters/{cluster}/argocd"
    append_to_list(
        folder / "kustomization.yaml", "components", "../../../base/optional/mirror/argocd"
    )
    path = folder / "applications.yaml"
    applications = list(yaml.safe_load_all(path.read_text()))
    for item in applications:
        if item["metadata"]["name"] == ROOT:
            item["spec"]["source"]["repoURL"] = url
    path.write_text(yaml.safe_dump_all(applications, sort_keys=False))
