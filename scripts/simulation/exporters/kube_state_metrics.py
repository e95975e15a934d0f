"""What kube-state-metrics shows of every object, and of itself.

Names and labels of kube-state-metrics 2.20 are those of its source (internal/store), for the
collectors that are on and without what the release's metricDenylist takes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import yaml

from scripts.core.yamlfile import Json
from scripts.simulation.exporters.defaults import Program
from scripts.simulation.exporters.kubernetes import digest
from scripts.simulation.exporters.series import ever, there
from scripts.simulation.model import (
    Array,
    Container,
    Exposed,
    SimulatedJob,
    SimulatedNode,
    SimulatedPod,
    SimulatedWorkload,
)
from scripts.simulation.state import GI, MI, Simulation

PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
# What a kubelet keeps back of a small machine: 6 % of the first core; a quarter of the first 4 GiB
# and a fifth of the next 4, and the eviction threshold.
_RESERVED_CPU = 0.06
_EVICTION = 100 * MI
# Of a container that the kernel killed, and of one that gave up.
_EXIT_CODES = {"OOMKilled": 137, "Error": 1}
# Metrics of each kind of workload, and the attribute that each of them shows.
_OF_WORKLOAD = {
    "Deployment": (
        ("metadata_generation", "generation"),
        ("spec_replicas", "wanted"),
        ("status_observed_generation", "generation"),
        ("status_replicas", "created"),
        ("status_replicas_available", "available"),
        ("status_replicas_updated", "created"),
    ),
    "StatefulSet": (
        ("metadata_generation", "generation"),
        ("replicas", "wanted"),
        ("status_observed_generation", "generation"),
        ("status_replicas", "created"),
        ("status_replicas_ready", "available"),
        ("status_replicas_updated", "created"),
    ),
    "DaemonSet": (
        ("status_current_number_scheduled", "created"),
        ("status_desired_number_scheduled", "wanted"),
        ("status_number_available", "available"),
        ("status_updated_number_scheduled", "created"),
    ),
}


def kube_state_metrics(sim: Simulation) -> Iterator[Exposed]:
    """Yield what kube-state-metrics shows of every object."""
    return ever(_objects(sim))


def kube_state_metrics_self(sim: Simulation) -> Iterator[Exposed]:
    """Yield the metrics on kube-state-metrics' second port."""
    yield "kube_state_metrics_shard_ordinal", {"shard_ordinal": "0"}, sim.clock.constant(0)


def allowed(sim: Simulation) -> Program:
    """Return the families of objects that the release's metricDenylist does not take away."""
    (template,) = (p for p in sim.cluster.pods if p.owner.name.endswith("-kube-state-metrics"))
    flag = "--metric-denylist="
    found = [a for a in template.spec["containers"][0]["args"] if a.startswith(flag)]
    denied = "|".join(found).replace(flag, "").replace(",", "|")
    return Program("kube-state-metrics", f"(?!({denied})$)kube_(?!state_metrics_).+")


def _objects(sim: Simulation) -> Iterator[Exposed]:
    for pod in sim.pods:
        yield from _pod(sim, pod)
        for container in pod.containers:
            yield from _container(sim, pod, container)
    for workload in sim.workloads:
        yield from _workload(workload)
    yield from _replica_sets(sim)
    for job in sim.jobs:
        yield from _job(sim, job)
    yield from _volumes(sim)
    yield from _namespaces(sim)
    for index, node in enumerate(sim.nodes):
        yield from _node(sim, node, index)
    yield from _custom_resources(sim)


def _each(
    prefix: str,
    labels: Mapping[str, str],
    values: Iterable[tuple[str, Array | float]],
    where: Array,
) -> Iterator[Exposed]:
    """Yield metrics of one object by the end of their names, while the object is there."""
    for metric, value in values:
        yield f"{prefix}_{metric}", labels, value * where


def _conditions(
    name: str, labels: Mapping[str, str], true: Array, where: Array, key: str = "status"
) -> Iterator[Exposed]:
    """Yield one series for each status of a condition."""
    for status, value in (("true", true), ("false", 1 - true), ("unknown", 0 * true)):
        yield name, {**labels, key: status}, value * where


def _pod(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    where, none = there(pod.exists), sim.clock.constant(0)
    labels = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}
    kind, name = pod.owner
    template = sim.rendered.get((pod.namespace, pod.workload[1]))
    info = {
        "created_by_kind": kind,
        "created_by_name": name,
        "host_ip": pod.node.ip if pod.node else "",
        "host_network": str(pod.host_network).lower(),
        "node": pod.node.name if pod.node else "",
        "pod_ip": pod.ip,
        "priority_class": str((template.spec if template else {}).get("priorityClassName") or ""),
    }
    yield "kube_pod_info", {**labels, **info}, where
    owner = {"owner_kind": kind, "owner_name": name, "owner_is_controller": "true"}
    yield "kube_pod_owner", {**labels, **owner}, where
    for phase in PHASES:
        here = pod.phases.get(phase, none) * where
        yield "kube_pod_status_phase", {**labels, "phase": phase}, here
    if pod.node:
        yield from _conditions("kube_pod_status_ready", labels, pod.ready, where, "condition")
    else:
        # The scheduler has set its condition, and no kubelet any other.
        yield "kube_pod_status_unschedulable", labels, where


def _container(sim: Simulation, pod: SimulatedPod, container: Container) -> Iterator[Exposed]:
    where = there(pod.exists)
    labels = {
        "container": container.name,
        "namespace": pod.namespace,
        "pod": pod.name,
        "uid": pod.uid,
    }
    node = {"node": pod.node.name if pod.node else ""}
    for what, amounts in (("requests", container.requests), ("limits", container.limits)):
        for resource, amount in amounts.items():
            unit = {"resource": resource, "unit": "core" if resource == "cpu" else "byte"}
            metric = f"kube_pod_container_resource_{what}"
            yield metric, {**labels, **node, **unit}, amount * where
    if not pod.node:
        return
    prefix = "kube_pod_container_status"
    counts = ("ready", container.ready), ("restarts_total", container.restarts)
    yield from _each(prefix, labels, counts, where)
    for what, reasons in (("waiting", container.waiting), ("last_terminated", container.ended)):
        for reason, value in reasons.items():
            yield f"{prefix}_{what}_reason", {**labels, "reason": reason}, there(value) * where
    for reason, value in container.ended.items():
        code = _EXIT_CODES[reason] * there(value) * where
        yield f"{prefix}_last_terminated_exitcode", labels, code


def _workload(workload: SimulatedWorkload) -> Iterator[Exposed]:
    """Yield what is wanted of a Deployment, StatefulSet or DaemonSet, and what there is."""
    kind, name = workload.kind.lower(), workload.name
    where = there(np.maximum.accumulate((workload.wanted > 0).astype(float)))
    labels = {"namespace": workload.namespace, kind: name}
    for metric, attribute in _OF_WORKLOAD[workload.kind]:
        yield f"kube_{kind}_{metric}", labels, getattr(workload, attribute) * where
    if workload.kind == "DaemonSet":
        yield "kube_daemonset_status_number_misscheduled", labels, 0 * where
    if workload.kind == "StatefulSet":
        revision = {"revision": f"{name}-{digest(name)[:10]}"}
        for which in ("current", "update"):
            yield f"kube_statefulset_status_{which}_revision", {**labels, **revision}, where


def _replica_sets(sim: Simulation) -> Iterator[Exposed]:
    """Yield whose each ReplicaSet is; those of earlier revisions stay, without pods."""
    seen: dict[tuple[str, str, str], Array] = {}
    for pod in sim.pods:
        if pod.owner[0] == "ReplicaSet":
            key = (pod.namespace, pod.owner[1], pod.workload[1])
            exists = np.maximum.accumulate(pod.exists)
            seen[key] = np.maximum(seen.get(key, exists), exists)
    for (namespace, name, deployment), exists in seen.items():
        yield _owner("replicaset", {"namespace": namespace, "replicaset": name}, deployment, exists)


def _owner(kind: str, labels: Mapping[str, str], owner: str, exists: Array) -> Exposed:
    owners = {"replicaset": "Deployment", "job": "CronJob"}
    of = {"owner_kind": owners[kind], "owner_name": owner, "owner_is_controller": "true"}
    return f"kube_{kind}_owner", {**labels, **of}, there(exists)


def _job(sim: Simulation, job: SimulatedJob) -> Iterator[Exposed]:
    labels = {"job_name": job.name, "namespace": job.namespace}
    done = (sim.clock.time >= job.end).astype(float)
    yield _owner("job", labels, job.cron_job, job.exists)
    values = ("active", 1 - done), ("start_time", job.begin), ("succeeded", done)
    yield from _each("kube_job_status", labels, values, there(job.exists))


def _volumes(sim: Simulation) -> Iterator[Exposed]:
    one = sim.clock.constant(1)
    for volume in sim.volumes:
        name = f"csi-{digest(volume.claim)[:8]}-{digest(volume.namespace)[:12]}"
        claim = {"namespace": volume.namespace, "persistentvolumeclaim": volume.claim}
        mode = {"access_mode": "ReadWriteOnce"}
        yield "kube_persistentvolumeclaim_access_mode", {**claim, **mode}, one
        itself = {"persistentvolume": name}
        # Oracle's smallest; the filesystem takes a part of it.
        size = np.ceil(volume.capacity / (50 * GI)) * 50 * GI
        yield "kube_persistentvolume_capacity_bytes", itself, size * one
        for phase in ("Pending", "Available", "Bound", "Released", "Failed"):
            in_phase = {**itself, "phase": phase}
            yield "kube_persistentvolume_status_phase", in_phase, one * (phase == "Bound")


def _namespaces(sim: Simulation) -> Iterator[Exposed]:
    one = sim.clock.constant(1)
    of_cluster = {"default", "kube-node-lease", "kube-public", "kube-system"}
    for namespace in sorted({p.namespace for p in sim.pods} | of_cluster):
        for phase in ("Active", "Terminating"):
            labels = {"namespace": namespace, "phase": phase}
            yield "kube_namespace_status_phase", labels, one * (phase == "Active")


def _node(sim: Simulation, node: SimulatedNode, index: int) -> Iterator[Exposed]:
    one = sim.clock.constant(1)
    labels = {"node": node.name}
    info = {
        "container_runtime_version": "cri-o://1.34.1",
        "internal_ip": node.ip,
        "kernel_version": "5.15.0-312.187.5.3.el8uek.aarch64",
        "kubelet_version": "v1.34.1",
        "kubeproxy_version": "deprecated",
        "os_image": "Oracle Linux Server 8.10",
        "pod_cidr": f"10.244.{index}.0/25",
        "provider_id": f"ocid1.instance.oc1..{digest(node.name)[:60]}",
        "system_uuid": digest(f"system {node.name}")[:32],
    }
    yield "kube_node_info", {**labels, **info}, one
    yield "kube_node_spec_unschedulable", labels, 0 * one
    memory = node.memory
    reserved = 0.25 * min(memory, 4 * GI) + 0.2 * min(max(0.0, memory - 4 * GI), 4 * GI)
    for resource, unit, capacity, allocatable in (
        ("cpu", "core", node.cpu, node.cpu - _RESERVED_CPU),
        ("memory", "byte", memory, np.floor(memory - reserved - _EVICTION)),
        ("ephemeral_storage", "byte", node.disk, np.floor(0.9 * node.disk)),
        ("pods", "integer", 110, 110),
    ):
        named = {**labels, "resource": resource, "unit": unit}
        yield "kube_node_status_capacity", named, capacity * one
        yield "kube_node_status_allocatable", named, allocatable * one
    for condition, true in (
        ("MemoryPressure", node.pressure),
        ("DiskPressure", 0 * one),
        ("PIDPressure", 0 * one),
        ("Ready", one),
    ):
        named = {**labels, "condition": condition}
        yield from _conditions("kube_node_status_condition", named, true, one)


def _custom_resources(sim: Simulation) -> Iterator[Exposed]:
    """Yield what the release's customResourceState says of other kinds' objects."""
    texts = (
        item.manifest["data"]["config.yaml"]
        for item in sim.cluster.of("ConfigMap")
        if item.name.endswith("-customresourcestate-config")
    )
    resources = [r for text in texts for r in yaml.safe_load(text)["spec"]["resources"]]
    for resource in resources:
        which = resource["groupVersionKind"]
        version = f"{which['group']}/{which['version']}"
        for item in sim.synced:
            if (item["apiVersion"], item["kind"]) == (version, which["kind"]):
                yield from _custom_resource(sim, resource, item)


def _custom_resource(
    sim: Simulation, resource: Json, item: Mapping[str, Json]
) -> Iterator[Exposed]:
    group = {f"customresource_{key}": value for key, value in resource["groupVersionKind"].items()}
    failing = item["kind"] == "HelmRelease" and item["metadata"]["name"] == "grafana"
    fails = sim.during("sync fails") * failing
    for status, holds in (("True", 1 - fails), ("False", fails)):
        shown = {**item, "status": {"conditions": [{"type": "Ready", "status": status}]}}
        for metric in resource["metrics"]:
            name = f"{resource['metricNamePrefix']}_{metric['name']}"
            paths = metric["labelsFromPath"] | metric["each"]["info"]["labelsFromPath"]
            found = {label: _at(shown, path) for label, path in paths.items()}
            labels = {label: str(value) for label, value in found.items() if value}
            yield name, {**group, **labels}, there(holds)


def _at(value: Json, path: list[str]) -> Json:
    """Return what is at a path in an object; `[key=value]` picks an element of a list."""
    for step in path:
        if step.startswith("["):
            key, _, wanted = step.strip("[]").partition("=")
            value = next((one for one in value or () if one.get(key) == wanted), None)
        else:
            value = (value or {}).get(step)
    return value
