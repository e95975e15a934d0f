"""Nodes are drained as for an upgrade: by the eviction API, which asks PodDisruptionBudgets.

Volumes are where they were made: a provider's disk is of one zone, and a pod follows it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts import tools
from scripts.cluster.e2e.environment import Environment, scheduling_failures
from scripts.cluster.e2e.infrastructure import ZONE
from scripts.core.findings import Finding, counted, progress
from scripts.core.yamlfile import Json
from scripts.model.manifests import NAMESPACES
from scripts.servers.kubernetes.client import Object, condition, qualified_name

# Seconds. kubectl asks again after five for a pod that may not be evicted. A pod that is back under
# its name before the disruption controller has seen it go, as pods do here, counts as evicted for
# two minutes (DeletionTimeout in Kubernetes' pkg/controller/disruption).
_ALONE, _AT_ONCE = 150, 12
_REFUSED = re.compile(r'error when evicting pods/"([^"]+)"')


@dataclass(frozen=True)
class ReplicatedWorkload:
    """A Deployment or StatefulSet of several pods.

    Attributes:
        name: Kind, namespace and name.
        namespace: Where it is.
        labels: What selects its pods.
        replicas: How many there are to be.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    replicas: int

    def pods(self, pods: Sequence[Object]) -> list[Object]:
        """Return those that are its own."""
        return [
            pod
            for pod in pods
            if pod["metadata"]["namespace"] == self.namespace
            and self.labels.items() <= pod["metadata"].get("labels", {}).items()
        ]

    def ready(self, pods: Sequence[Object]) -> int:
        """Return how many of its pods are ready and not about to end."""
        return sum(
            condition(pod, "Ready").get("status") == "True"
            and "deletionTimestamp" not in pod["metadata"]
            for pod in self.pods(pods)
        )


def replicated(env: Environment) -> list[ReplicatedWorkload]:
    """Return every workload of ours that has more than one pod, wherever it may be."""
    return [
        ReplicatedWorkload(
            qualified_name(item),
            item["metadata"]["namespace"],
            item["spec"]["selector"]["matchLabels"],
            item["spec"]["replicas"],
        )
        for kind in ("Deployment", "StatefulSet")
        for namespace in sorted(NAMESPACES)
        for item in env.client.all("apps/v1", kind, namespace)
        if item["spec"]["replicas"] > 1
    ]


def check_spread(env: Environment) -> list[Finding]:
    """Check that no two pods of a workload are on one node, or in one zone while one is without.

    Returns:
        A finding for each workload with pods together that could be apart.
    """
    zones = _zones(env)
    pods = env.client.all("v1", "Pod")
    return [
        finding
        for workload in replicated(env)
        for finding in spread_findings(env.sync.name, workload, pods, zones)
    ]


def spread_findings(
    place: str, workload: ReplicatedWorkload, pods: Sequence[Object], zones: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield a finding for the nodes, and one for the zones, that a workload does not use.

    Args:
        place: The cluster.
        workload: The workload.
        pods: Every pod.
        zones: The zone of each node.
    """
    own = [pod["spec"].get("nodeName", "") for pod in workload.pods(pods)]
    used = [node for node in own if node]
    for what, there, all_ in (
        ("node", set(used), set(zones)),
        ("zone", {zones[node] for node in used}, set(zones.values())),
    ):
        possible = min(workload.replicas, len(all_))
        if len(there) < possible:
            text = f"has {workload.replicas} pods on {counted(len(there), what)}, {sorted(there)}"
            fix = f"give it a topologySpreadConstraint or an anti-affinity by {what}"
            yield Finding(f"{place} {workload.name}", None, text, fix)


def check(env: Environment) -> list[Finding]:
    """Drain each node: first all of them at once, then one after another.

    Returns:
        A finding for each workload that loses two pods at once, each node that cannot be drained by
        itself, and each workload that does not do without one node.
    """
    nodes = sorted(_zones(env))
    bind_volumes_to_zones(env)
    findings = _drained_at_once(env, nodes)
    for node in nodes:
        findings += _drained_alone(env, node)
    return findings


def _drained_at_once(env: Environment, nodes: Sequence[str]) -> list[Finding]:
    """Drain every node while no pod that replaces another becomes ready, as no node takes it."""
    for node in nodes:
        _kubectl(env, "cordon", node)
    with ThreadPoolExecutor() as pool:
        drained = pool.map(lambda node: _kubectl(env, "drain", node, seconds=_AT_ONCE), nodes)
    findings = []
    for node, run in zip(nodes, drained, strict=True):
        kept = ", ".join(sorted(set(_REFUSED.findall(run.stderr))))
        if run.returncode and not kept:
            findings.append(_undrained(env, node, run.stderr))
        progress(f"drained with all others, {node} keeps {kept or 'no pod'}")
    pods = env.client.all("v1", "Pod")
    when, fix = "while all nodes are drained", "give it a PodDisruptionBudget of maxUnavailable 1"
    findings += lost_findings(env.sync.name, replicated(env), pods, when, fix)
    for node in nodes:
        _kubectl(env, "uncordon", node)
    _wait_for_pods(env)
    return findings


def lost_findings(
    place: str, workloads: Sequence[ReplicatedWorkload], pods: Sequence[Object], when: str, fix: str
) -> list[Finding]:
    """Return a finding for each workload that has lost more than one pod.

    Args:
        place: The cluster.
        workloads: The workloads.
        pods: Every pod.
        when: What is done to the nodes.
        fix: What would keep the pods.
    """
    return [
        Finding(
            f"{place} {workload.name}",
            None,
            f"{ready} of {workload.replicas} pods are ready {when}",
            fix,
        )
        for workload in workloads
        if workload.replicas - (ready := workload.ready(pods)) > 1
    ]


def _drained_alone(env: Environment, node: str) -> list[Finding]:
    """Drain a node while all others take pods, and let it take pods again."""
    run = _kubectl(env, "drain", node, seconds=_ALONE)
    findings = [_undrained(env, node, run.stderr)] if run.returncode else []
    settled = _Settled(env)
    env.until(settled.missing, f"pods neither run nor wait while {node} is drained")
    for text in settled.waiting:
        progress(f"without {node}, {text.partition('. ')[0]}")
    when, fix = f"while {node} is drained", "let each of its pods have a node of its own"
    pods = env.client.all("v1", "Pod")
    findings += lost_findings(env.sync.name, replicated(env), pods, when, fix)
    _kubectl(env, "uncordon", node)
    _wait_for_pods(env)
    return findings


class _Settled:
    """Waits until each pod of ours is ready, or the scheduler has said why it is not.

    Attributes:
        waiting: What it says of each pod that waits.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.waiting: list[str] = []

    def missing(self) -> str:
        pods = [p for name in NAMESPACES for p in self._env.client.all("v1", "Pod", name)]
        unready = [p for p in pods if condition(p, "Ready").get("status") != "True"]
        self.waiting = list(scheduling_failures(unready))
        short = [
            workload.name
            for workload in replicated(self._env)
            if len(workload.pods(pods)) < workload.replicas
        ]
        unsaid = len(unready) - len(self.waiting)
        return f"{unsaid} pods, {short} without theirs" if unsaid or short else ""


def bind_volumes_to_zones(env: Environment) -> None:
    """Say of each volume in use in which zone it is: where its pod is, as its driver would."""
    zones = _zones(env)
    where = {
        (pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"]): zones[node]
        for pod in env.client.all("v1", "Pod")
        if (node := pod["spec"].get("nodeName"))
        for volume in pod["spec"].get("volumes") or ()
        if "persistentVolumeClaim" in volume
    }
    for volume in env.client.all("v1", "PersistentVolume"):
        claim = volume["spec"].get("claimRef") or {}
        zone = where.get((claim.get("namespace"), claim.get("name")))
        if zone and "nodeAffinity" not in volume["spec"]:
            expression = {"key": ZONE, "operator": "In", "values": [zone]}
            terms: Json = [{"matchExpressions": [expression]}]
            change = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
            env.client.patch(volume, {"spec": change})


def _zones(env: Environment) -> dict[str, str]:
    """Return the zone of each node, by its name."""
    nodes = (item["metadata"] for item in env.client.all("v1", "Node"))
    return {own["name"]: own["labels"][ZONE] for own in nodes}


def _kubectl(
    env: Environment, verb: str, node: str, *, seconds: int = 0
) -> subprocess.CompletedProcess[str]:
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={seconds}s")
    return subprocess.run(
        (
            str(tools.path("kubectl")),
            f"--kubeconfig={env.config}",
            verb,
            node,
            *(flags if verb == "drain" else ()),
        ),
        capture_output=True,
        text=True,
        check=False,
    )


def _wait_for_pods(env: Environment) -> None:
    """Wait until every pod is ready, as before a drain.

    Raises:
        RepositoryError: With the scheduler's reasons.
    """

    def missing() -> str:
        pods = env.client.all("v1", "Pod")
        unready = [p for p in pods if condition(p, "Ready").get("status") != "True"]
        names = ", ".join(pod["metadata"]["name"] for pod in unready)
        short = [w.name for w in replicated(env) if w.ready(pods) < w.replicas]
        return "; ".join(scheduling_failures(unready)) or names or ", ".join(short)

    env.until(missing, "pods do not come back after a drain")


def _undrained(env: Environment, node: str, text: str) -> Finding:
    said = " ".join(text.split()[-60:])
    fix = "let its PodDisruptionBudgets give one pod away"
    return Finding(f"{env.sync.name} {node}", None, f"cannot be drained: {said}", fix)
