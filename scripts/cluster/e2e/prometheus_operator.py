"""prometheus-operator beside a synced cluster, and what it makes there."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from scripts.cluster.e2e.environment import Environment
from scripts.core.yamlfile import Json
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import KubernetesError, Object
from scripts.servers.processes import LOOPBACK, free_port

MONITORING = "monitoring"
PROGRAM = "prometheus-operator"
API_GROUP = "monitoring.coreos.com"


class DeployedProgram(NamedTuple):
    """A program as a Deployment of the cluster runs it.

    Attributes:
        container: Its container.
        pod: The specification of its pod.
        labels: What selects its pods.
        kubeconfig: File that leads to the API server as the pod's service account.
    """

    container: Json
    pod: Json
    labels: Mapping[str, str]
    kubeconfig: Path


def deployed(
    env: Environment, name: str, container: str, namespace: str = MONITORING
) -> DeployedProgram:
    """Return how a Deployment of the cluster runs one of its containers."""
    spec = env.client.get("apps/v1", "Deployment", name, namespace)["spec"]
    pod = spec["template"]["spec"]
    return DeployedProgram(
        next(one for one in pod["containers"] if one["name"] == container),
        pod,
        spec["selector"]["matchLabels"],
        control_plane.service_account_kubeconfig(
            env.processes, env.client, namespace, pod["serviceAccountName"]
        ),
    )


def without_flags(arguments: Sequence[str], *flags: str) -> list[str]:
    """Return arguments without some flags, which have other values here."""
    return [one for one in arguments if one.partition("=")[0].lstrip("-") not in flags]


def run_operator(env: Environment) -> tuple[int, Mapping[str, str]]:
    """Run the operator of a synced cluster, and wait until what it makes is ready.

    One that runs already ends: its permissions are bound to a service account that is there now.

    Returns:
        Its port on loopback, and the labels of the pod that it stands for.
    """
    program = deployed(env, "kube-prometheus-stack-operator", "kube-prometheus-stack")
    port = free_port()
    env.processes.kill(PROGRAM)
    env.processes.start(
        PROGRAM,
        *without_flags(program.container["args"], "web.listen-address"),
        f"--web.listen-address={LOOPBACK}:{port}",
        environment={"KUBECONFIG": str(program.kubeconfig)},
    )
    env.processes.wait(PROGRAM, f"http://{LOOPBACK}:{port}/healthz")
    wait_for_stateful_sets(env)
    return port, program.labels


def wait_for_stateful_sets(env: Environment) -> float:
    """Wait until what the operator makes is ready; return how long it took, in seconds."""

    def missing() -> str:
        for kind in ("Prometheus", "Alertmanager"):
            for item in env.client.all(f"{API_GROUP}/v1", kind):
                name = f"{kind.lower()}-{item['metadata']['name']}"
                try:
                    found = env.client.get("apps/v1", "StatefulSet", name, MONITORING)
                except KubernetesError as error:
                    return str(error)
                if found.get("status", {}).get("readyReplicas", 0) < found["spec"]["replicas"]:
                    return f"{name} is not ready"
        return ""

    return env.until(missing, "the operator makes no StatefulSets")


def generated(env: Environment, kind: str, suffix: str, key: str) -> tuple[Object, Json]:
    """Return the one object of a kind, and the configuration that the operator generates for it."""
    (item,) = env.client.all(f"{API_GROUP}/v1", kind)
    name = f"{kind.lower()}-{item['metadata']['name']}{suffix}"
    secret = env.client.get("v1", "Secret", name, MONITORING)
    return item, unpacked(secret, key)


def unpacked(secret: Object, key: str) -> Json:
    """Return a configuration that the operator has compressed into a Secret."""
    return yaml.safe_load(gzip.decompress(base64.b64decode(secret["data"][key])))
