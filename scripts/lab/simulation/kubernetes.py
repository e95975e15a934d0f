"""What the cluster's own parts expose: kube-state-metrics, the API server, and each machine's.

Names and labels of kube-state-metrics 2.20 are those of its source (internal/store), for the
collectors that are on and without what the release's metricDenylist takes away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import yaml

from scripts.core.yamlfile import Json
from scripts.lab.simulation.model import (
    Array,
    Container,
    CronJob,
    Exposed,
    Job,
    Node,
    Pod,
    Workload,
    histogram,
)
from scripts.lab.simulation.node import (
    AGE,
    KERNEL,
    OS_IMAGE,
    RUNTIME,
    VERSION,
    build_info,
    cadvisor,
    client,
    digest,
    ever,
    finished,
    instances,
    kubelet,
    node_exporter,
    process,
)
from scripts.lab.simulation.world import GI, MI, World

__all__ = ["api_server", "cadvisor", "kube_state_metrics", "kubelet", "node_exporter"]

PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
EXIT_CODES = {"Completed": 0.0, "OOMKilled": 137.0}
_POD_REASONS = ("Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError")
_ISSUED = 30 * 86400.0  # Seconds since the cluster was made, at the day's start.
# What a kubelet keeps back of a small machine: 6 % of the first core; a quarter of the first 4 GiB
# and a fifth of the next 4, and the eviction threshold.
_RESERVED_CPU = 0.06
_EVICTION = 100 * MI
_PROGRESS_DEADLINE = 600.0


def kube_state_metrics(world: World) -> Iterator[Exposed]:
    """Yield what kube-state-metrics shows of every object."""
    return ever(_objects(world))


def _objects(world: World) -> Iterator[Exposed]:
    for pod in world.pods:
        yield from _pod(world, pod)
        for container in pod.containers:
            yield from _container(world, pod, container)
    of_kind = {"Deployment": _deployment, "StatefulSet": _stateful_set, "DaemonSet": _daemon_set}
    for workload in world.workloads:
        yield from of_kind[workload.kind](world, workload)
    yield from _replica_sets(world)
    for job in world.jobs:
        yield from _job(world, job)
    for cron_job in world.cron_jobs:
        yield from _cron_job(world, cron_job)
    yield from _scalers(world)
    yield from _volumes(world)
    yield from _namespaces(world)
    for index, node in enumerate(world.nodes):
        yield from _node(world, node, index)
    yield from _custom_resources(world)


def _there(mask: Array) -> Array:
    """Return 1 where the mask is set, NaN elsewhere: a series that is there or not."""
    return np.where(mask > 0, 1.0, np.nan)


def _conditions(
    name: str, labels: Mapping[str, str], true: Array, there: Array, key: str = "status"
) -> Iterator[Exposed]:
    """Yield one series for each status of a condition."""
    for status, value in (("true", true), ("false", 1 - true), ("unknown", 0 * true)):
        yield name, {**labels, key: status}, value * there


def _since(world: World, state: Array, before: float) -> Array:
    """Return when a state last changed; `before` where it has not this day."""
    changed = np.flatnonzero(np.diff(np.nan_to_num(state))) + 1
    since = world.clock.constant(before)
    for step in changed:
        since[step:] = world.clock.start + step * world.clock.step
    return since


def _spec(world: World, namespace: str, workload: str) -> Mapping[str, Json]:
    template = world.rendered.get((namespace, workload))
    return template.spec if template else {}


def _pod(world: World, pod: Pod) -> Iterator[Exposed]:
    there = _there(pod.exists)
    labels = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}
    kind, name = pod.owner
    ended = finished(pod)
    constants: list[tuple[str, Mapping[str, str], float]] = [
        ("kube_pod_created", {}, pod.created),
        (
            "kube_pod_info",
            {
                "created_by_kind": kind,
                "created_by_name": name,
                "host_ip": pod.node.ip if pod.node else "",
                "host_network": str(pod.host_network).lower(),
                "node": pod.node.name if pod.node else "",
                "pod_ip": pod.ip,
                "priority_class": str(
                    _spec(world, pod.namespace, pod.workload[1]).get("priorityClassName") or ""
                ),
            },
            1,
        ),
        (
            "kube_pod_owner",
            {"owner_kind": kind, "owner_name": name, "owner_is_controller": "true"},
            1,
        ),
        *(("kube_pod_status_reason", {"reason": reason}, 0) for reason in _POD_REASONS),
    ]
    if pod.node:
        constants += [
            ("kube_pod_start_time", {}, pod.created),
            ("kube_pod_status_initialized_time", {}, pod.created + 1),
        ]
    else:
        # The scheduler has set its condition, and no kubelet any other.
        constants += [
            ("kube_pod_status_unschedulable", {}, 1),
            ("kube_pod_status_unscheduled_time", {}, pod.created),
        ]
    for metric, more, value in constants:
        yield metric, {**labels, **more}, value * there
    none = world.clock.constant(0)
    for phase in PHASES:
        here = pod.phases.get(phase, none)
        yield "kube_pod_status_phase", {**labels, "phase": phase}, here * there
    if pod.node:
        yield from _conditions("kube_pod_status_ready", labels, pod.ready, there, "condition")
        ready = there * _there(pod.ready) * _there(1 - ended)
        since = _since(world, pod.ready * pod.exists, pod.created + 15)
        yield "kube_pod_status_ready_time", labels, since * ready
        yield "kube_pod_status_container_ready_time", labels, since * ready


def _container(world: World, pod: Pod, container: Container) -> Iterator[Exposed]:
    there = _there(pod.exists)
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
            yield metric, {**labels, **node, **unit}, amount * there
    if not pod.node:
        return
    ended = finished(pod)
    running = np.where(np.isnan(container.cpu), 0.0, 1.0)
    waits = np.minimum(1, sum(container.waiting.values(), start=world.clock.constant(0)))
    for state, value in (
        ("running", running * (1 - waits)),
        ("terminated", ended),
        ("waiting", waits),
        ("ready", container.ready),
    ):
        yield f"kube_pod_container_status_{state}", labels, value * there
    yield "kube_pod_container_status_restarts_total", labels, container.restarts * there
    for reason, value in container.waiting.items():
        named = {**labels, "reason": reason}
        yield "kube_pod_container_status_waiting_reason", named, _there(value) * there
    if ended.any():
        named = {**labels, "reason": "Completed"}
        yield "kube_pod_container_status_terminated_reason", named, _there(ended) * there
    started = world.clock.constant(0)
    for instance in instances(world, pod, container):
        started[instance.steps] = instance.started
        present = world.clock.constant(np.nan)
        present[instance.steps] = 1
        image = container.image
        named = {
            **labels,
            "container_id": f"cri-o://{instance.id}",
            "image": image,
            "image_id": f"{image.rpartition(':')[0]}@sha256:{digest(image)}",
            "image_spec": image,
        }
        yield "kube_pod_container_info", named, present
    yield "kube_pod_container_state_started", labels, started * there * _there(running)
    if not container.ended:
        return
    prefix = "kube_pod_container_status_last_terminated"
    code = world.clock.constant(np.nan)
    for reason, value in container.ended.items():
        yield f"{prefix}_reason", {**labels, "reason": reason}, _there(value) * there
        code = np.where(value > 0, EXIT_CODES.get(reason, 1.0), code)
    # One that waits has ended since; any other has started since.
    last = np.where(waits > 0, _since(world, waits, pod.created), started - 1)
    yield f"{prefix}_exitcode", labels, code * there
    yield f"{prefix}_timestamp", labels, np.where(np.isnan(code), np.nan, last) * there


def _workload(world: World, workload: Workload) -> tuple[Array, Mapping[str, str], float]:
    """Return where a workload exists, its labels, and when it was made."""
    wanted = workload.wanted > 0
    exists = _there(np.maximum.accumulate(wanted.astype(float)))
    labels = {"namespace": workload.namespace, workload.kind.lower(): workload.name}
    first = int(np.argmax(wanted))
    created = world.clock.start + first * world.clock.step if first else world.clock.start - _ISSUED
    return exists, labels, created


def _deployment(world: World, workload: Workload) -> Iterator[Exposed]:
    there, labels, created = _workload(world, workload)
    wanted, available = workload.wanted, workload.available
    template = world.rendered.get((workload.namespace, workload.name))
    strategy = template.owner.spec.get("strategy") or {} if template else {}
    for metric, value in (
        ("created", created),
        ("metadata_generation", workload.generation),
        ("spec_paused", 0.0),
        ("spec_replicas", wanted),
        ("status_observed_generation", workload.generation),
        ("status_replicas", workload.created),
        ("status_replicas_available", available),
        ("status_replicas_ready", available),
        ("status_replicas_unavailable", np.maximum(0, wanted - available)),
        ("status_replicas_updated", workload.created),
    ):
        yield f"kube_deployment_{metric}", labels, value * there
    owner = {"owner_kind": "", "owner_name": ""}
    yield "kube_deployment_owner", {**labels, **owner}, 1 * there
    less = np.floor(0.25 * wanted)
    if strategy.get("type") != "Recreate":
        rolling = "kube_deployment_spec_strategy_rollingupdate"
        yield f"{rolling}_max_unavailable", labels, less * there
        yield f"{rolling}_max_surge", labels, np.ceil(0.25 * wanted) * there
    for condition, status, reason in _deployment_conditions(world, workload, available, less):
        named = {**labels, "condition": condition, "reason": reason}
        yield from _conditions("kube_deployment_status_condition", named, status, there)


def _deployment_conditions(
    world: World, workload: Workload, available: Array, less: Array
) -> Iterator[tuple[str, Array, str]]:
    """Yield conditions: their status, NaN while they have another reason, and their reason."""
    enough = available >= workload.wanted - less
    yield "Available", np.where(enough, 1.0, np.nan), "MinimumReplicasAvailable"
    if not enough.all():
        yield "Available", np.where(enough, np.nan, 0.0), "MinimumReplicasUnavailable"
    # Progress is the rollout's: once it was complete, replicas that fail do not undo it.
    complete = np.maximum.accumulate(enough & (workload.wanted > 0))
    yield "Progressing", np.where(complete, 1.0, np.nan), "NewReplicaSetAvailable"
    if complete.all():
        return
    rolling = ~complete & (workload.wanted > 0)
    late = np.cumsum(rolling) * world.clock.step > _PROGRESS_DEADLINE
    yield "Progressing", np.where(rolling & ~late, 1.0, np.nan), "ReplicaSetUpdated"
    yield "Progressing", np.where(rolling & late, 0.0, np.nan), "ProgressDeadlineExceeded"
    rejected = workload.created < workload.wanted
    if rejected.any():
        # kube-state-metrics does not know the reason, FailedCreate.
        yield "ReplicaFailure", np.where(rejected, 1.0, np.nan), "unknown"


def _stateful_set(world: World, workload: Workload) -> Iterator[Exposed]:
    there, labels, created = _workload(world, workload)
    for metric, value in (
        ("created", created),
        ("metadata_generation", workload.generation),
        ("replicas", workload.wanted),
        ("status_observed_generation", workload.generation),
        ("status_replicas", workload.created),
        ("status_replicas_available", workload.available),
        ("status_replicas_current", workload.created),
        ("status_replicas_ready", workload.available),
        ("status_replicas_updated", workload.created),
    ):
        yield f"kube_statefulset_{metric}", labels, value * there
    revision = {"revision": f"{workload.name}-{digest(workload.name)[:10]}"}
    yield "kube_statefulset_status_current_revision", {**labels, **revision}, 1 * there
    yield "kube_statefulset_status_update_revision", {**labels, **revision}, 1 * there
    kept = {"when_deleted": "Retain", "when_scaled": "Retain"}
    metric = "kube_statefulset_persistentvolumeclaim_retention_policy"
    yield metric, {**labels, **kept}, 1 * there


def _daemon_set(world: World, workload: Workload) -> Iterator[Exposed]:
    there, labels, created = _workload(world, workload)
    for metric, value in (
        ("created", created),
        ("metadata_generation", workload.generation),
        ("status_current_number_scheduled", workload.created),
        ("status_desired_number_scheduled", workload.wanted),
        ("status_number_available", workload.available),
        ("status_number_misscheduled", 0.0),
        ("status_number_ready", workload.available),
        ("status_number_unavailable", np.maximum(0, workload.wanted - workload.available)),
        ("status_observed_generation", workload.generation),
        ("status_updated_number_scheduled", workload.created),
    ):
        yield f"kube_daemonset_{metric}", labels, value * there


def _replica_sets(world: World) -> Iterator[Exposed]:
    """Yield whose each ReplicaSet is; those of earlier revisions stay, without pods."""
    seen: dict[tuple[str, str], tuple[str, Array]] = {}
    for pod in world.pods:
        if pod.owner[0] == "ReplicaSet":
            exists = np.maximum.accumulate(pod.exists)
            key = (pod.namespace, pod.owner[1])
            known = seen.get(key, (pod.workload[1], exists))[1]
            seen[key] = (pod.workload[1], np.maximum(known, exists))
    made = {(namespace, deployment) for (namespace, _), (deployment, _) in seen.items()}
    for workload in world.workloads:
        # One that may not create a pod.
        if workload.kind == "Deployment" and (workload.namespace, workload.name) not in made:
            name = f"{workload.name}-{digest(workload.name)[:9]}"
            exists = np.maximum.accumulate(workload.wanted)
            seen[workload.namespace, name] = (workload.name, exists)
    for (namespace, name), (deployment, exists) in seen.items():
        labels = {"namespace": namespace, "replicaset": name}
        owner = {
            "owner_kind": "Deployment",
            "owner_name": deployment,
            "owner_is_controller": "true",
        }
        yield "kube_replicaset_owner", {**labels, **owner}, _there(exists)


def _job(world: World, job: Job) -> Iterator[Exposed]:
    there = _there(job.exists)
    labels = {"job_name": job.name, "namespace": job.namespace}
    done = (world.clock.time >= job.end).astype(float)
    owner = {"owner_kind": "CronJob", "owner_name": job.cron_job, "owner_is_controller": "true"}
    yield "kube_job_owner", {**labels, **owner}, 1 * there
    for metric, value in (
        ("info", 1.0),
        ("created", job.begin),
        ("spec_completions", 1.0),
        ("spec_parallelism", 1.0),
        ("status_active", 1 - done),
        ("status_failed", 0.0),
        ("status_ready", 1 - done),
        ("status_start_time", job.begin),
        ("status_succeeded", done),
        ("status_completion_time", job.end * _there(done)),
    ):
        yield f"kube_job_{metric}", labels, value * there
    complete = there * _there(done)
    yield from _conditions("kube_job_complete", labels, done, complete, "condition")


def _cron_job(world: World, cron_job: CronJob) -> Iterator[Exposed]:
    clock, one = world.clock, world.clock.constant(1)
    labels = {"cronjob": cron_job.name, "namespace": cron_job.namespace}
    info = {"concurrency_policy": "Forbid", "schedule": cron_job.schedule, "timezone": ""}
    yield "kube_cronjob_info", {**labels, **info}, one
    name = (cron_job.namespace, cron_job.name)
    own = [job for job in world.jobs if (job.namespace, job.cron_job) == name]
    begun, ended, active = clock.constant(0), clock.constant(0), clock.constant(0)
    for job in own:
        begun = np.where(clock.time >= job.begin, job.begin, begun)
        ended = np.where(clock.time >= job.end, job.end, ended)
        active = active + ((clock.time >= job.begin) & (clock.time < job.end))
    for metric, value in (
        ("created", clock.start - _ISSUED),
        ("next_schedule_time", begun + cron_job.every),
        ("spec_failed_job_history_limit", 1),
        ("spec_successful_job_history_limit", cron_job.kept),
        ("spec_suspend", 0),
        ("status_active", active),
        ("status_last_schedule_time", begun),
        ("status_last_successful_time", ended),
    ):
        yield f"kube_cronjob_{metric}", labels, value * one


def _scalers(world: World) -> Iterator[Exposed]:
    one = world.clock.constant(1)
    prefix = "kube_horizontalpodautoscaler"
    for scaler in world.scalers:
        labels = {"horizontalpodautoscaler": scaler.name, "namespace": scaler.namespace}
        target = {
            "scaletargetref_api_version": "apps/v1",
            "scaletargetref_kind": "Deployment",
            "scaletargetref_name": scaler.target,
        }
        yield f"{prefix}_info", {**labels, **target}, one
        pods = world.pods_of(scaler.target, scaler.namespace)
        count = np.sum([p.exists for p in pods], axis=0)
        containers = [c for p in pods for c in p.containers]
        used = np.sum([np.nan_to_num(c.cpu) for c in containers], axis=0)
        asked = np.sum(
            [c.requests.get("cpu", 0) * p.exists for p in pods for c in p.containers], axis=0
        )
        cpu = {"metric_name": "cpu", "metric_target_type": "utilization"}
        average = {"metric_name": "cpu", "metric_target_type": "average"}
        share = np.floor(100 * used / asked)
        for metric, more, value in (
            ("created", {}, world.clock.start - _ISSUED),
            ("metadata_generation", {}, 1),
            ("spec_min_replicas", {}, scaler.least),
            ("spec_max_replicas", {}, scaler.most),
            ("spec_target_metric", cpu, scaler.utilization),
            ("status_target_metric", cpu, share),
            ("status_target_metric", average, used / count),
            ("status_current_replicas", {}, count),
            ("status_desired_replicas", {}, count),
        ):
            yield f"{prefix}_{metric}", {**labels, **more}, value * one
        limited = (share > scaler.utilization) | (scaler.least == scaler.most)
        for condition, true in (
            ("AbleToScale", one),
            ("ScalingActive", one),
            ("ScalingLimited", limited * one),
        ):
            named = {**labels, "condition": condition}
            yield from _conditions(f"{prefix}_status_condition", named, true, one)


# Sources of a volume that is none of them; each is a label all the same.
_SOURCES: tuple[str, ...] = (
    "azure_disk_name",
    "ebs_volume_id",
    "fc_lun",
    "fc_target_wwns",
    "fc_wwids",
)
_SOURCES += ("gce_persistent_disk_name", "host_path", "host_path_type", "iscsi_initiator_name")
_SOURCES += ("iscsi_iqn", "iscsi_lun", "iscsi_target_portal", "local_fs", "local_path")
_SOURCES += ("nfs_path", "nfs_server")


def _volumes(world: World) -> Iterator[Exposed]:
    one, none = world.clock.constant(1), world.clock.constant(0)
    for volume in world.volumes:
        name = f"csi-{digest(volume.claim)[:8]}-{digest(volume.namespace)[:12]}"
        claim = {"namespace": volume.namespace, "persistentvolumeclaim": volume.claim}
        # Oracle's smallest; the filesystem takes a part of it.
        size = np.ceil(volume.capacity / (50 * GI)) * 50 * GI
        created = world.clock.start - _ISSUED
        mode = {"access_mode": "ReadWriteOnce"}
        prefix = "kube_persistentvolumeclaim"
        info = {
            "storageclass": volume.storage_class,
            "volumemode": "Filesystem",
            "volumename": name,
        }
        yield f"{prefix}_info", {**claim, **info}, one
        yield f"{prefix}_access_mode", {**claim, **mode}, one
        yield f"{prefix}_created", claim, created * one
        yield f"{prefix}_resource_requests_storage_bytes", claim, size * one
        for phase in ("Lost", "Bound", "Pending"):
            value = one if phase == "Bound" else none
            yield f"{prefix}_status_phase", {**claim, "phase": phase}, value
        prefix, itself = "kube_persistentvolume", {"persistentvolume": name}
        source = {
            **dict.fromkeys(_SOURCES, ""),
            "csi_driver": "blockvolume.csi.oraclecloud.com",
            "csi_volume_handle": f"ocid1.volume.oc1..{digest(name)[:60]}",
            "reclaim_policy": "Delete",
            "storageclass": volume.storage_class,
        }
        yield f"{prefix}_info", {**itself, **source}, one
        reference = {"claim_namespace": volume.namespace, "name": volume.claim}
        yield f"{prefix}_claim_ref", {**itself, **reference}, one
        yield f"{prefix}_access_mode", {**itself, **mode}, one
        yield f"{prefix}_volume_mode", {**itself, "volumemode": "Filesystem"}, one
        yield f"{prefix}_capacity_bytes", itself, size * one
        yield f"{prefix}_created", itself, created * one
        for phase in ("Pending", "Available", "Bound", "Released", "Failed"):
            value = one if phase == "Bound" else none
            yield f"{prefix}_status_phase", {**itself, "phase": phase}, value


def _namespaces(world: World) -> Iterator[Exposed]:
    one = world.clock.constant(1)
    of_cluster = {"default", "kube-node-lease", "kube-public", "kube-system"}
    for namespace in sorted({p.namespace for p in world.pods} | of_cluster):
        labels = {"namespace": namespace}
        yield "kube_namespace_created", labels, (world.clock.start - _ISSUED) * one
        yield "kube_namespace_status_phase", {**labels, "phase": "Active"}, one
        yield "kube_namespace_status_phase", {**labels, "phase": "Terminating"}, 0 * one


def _node(world: World, node: Node, index: int) -> Iterator[Exposed]:
    one = world.clock.constant(1)
    labels = {"node": node.name}
    pods = f"10.244.{index}.0/25"
    info = {
        "container_runtime_version": RUNTIME,
        "internal_ip": node.ip,
        "kernel_version": KERNEL,
        "kubelet_version": VERSION["git_version"],
        "kubeproxy_version": "deprecated",
        "os_image": OS_IMAGE,
        "pod_cidr": pods,
        "provider_id": f"ocid1.instance.oc1..{digest(node.name)[:60]}",
        "system_uuid": digest(f"system {node.name}")[:32],
    }
    yield "kube_node_info", {**labels, **info}, one
    yield "kube_node_created", labels, (world.clock.start - AGE) * one
    yield "kube_node_role", {**labels, "role": "node"}, one
    yield "kube_node_spec_pod_cidrs", {**labels, "pod_cidr": pods}, one
    yield "kube_node_spec_unschedulable", labels, 0 * one
    for kind, address in (("InternalIP", node.ip), ("Hostname", node.ip)):
        named = {**labels, "address": address, "type": kind}
        yield "kube_node_status_addresses", named, one
    if node.pressure.any():
        taint = {"effect": "NoSchedule", "key": "node.kubernetes.io/memory-pressure", "value": ""}
        yield "kube_node_spec_taint", {**labels, **taint}, _there(node.pressure)
    memory = node.memory
    reserved = 0.25 * min(memory, 4 * GI) + 0.2 * min(max(0.0, memory - 4 * GI), 4 * GI)
    for resource, unit, capacity, allocatable in (
        ("cpu", "core", node.cpu, node.cpu - _RESERVED_CPU),
        ("memory", "byte", memory, np.floor(memory - reserved - _EVICTION)),
        ("ephemeral_storage", "byte", node.disk, np.floor(0.9 * node.disk)),
        ("pods", "integer", 110, 110),
        *((f"hugepages_{size}", "byte", 0, 0) for size in ("1Gi", "2Mi", "32Mi", "64Ki")),
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


def _custom_resources(world: World) -> Iterator[Exposed]:
    """Yield what the release's customResourceState says of other kinds' objects."""
    texts = (
        item.manifest["data"]["config.yaml"]
        for item in world.cluster.of("ConfigMap")
        if item.name.endswith("-customresourcestate-config")
    )
    resources = [r for text in texts for r in yaml.safe_load(text)["spec"]["resources"]]
    for resource in resources:
        which = resource["groupVersionKind"]
        group = {f"customresource_{key}": value for key, value in which.items()}
        version = f"{which['group']}/{which['version']}"
        for item in world.synced:
            if (item["apiVersion"], item["kind"]) != (version, which["kind"]):
                continue
            fails = world.during("sync fails") * (
                item["kind"] == "HelmRelease" and item["metadata"]["name"] == "grafana"
            )
            for status, holds in (("True", 1 - fails), ("False", fails)):
                conditions = [{"type": "Ready", "status": status}]
                shown = {**item, "status": {"conditions": conditions}}
                for metric in resource["metrics"]:
                    name = f"{resource['metricNamePrefix']}_{metric['name']}"
                    paths = metric["labelsFromPath"] | metric["each"]["info"]["labelsFromPath"]
                    found = {label: _at(shown, path) for label, path in paths.items()}
                    labels = {label: str(value) for label, value in found.items() if value}
                    yield name, {**group, **labels}, _there(holds)


def _at(value: Json, path: list[str]) -> Json:
    """Return what is at a path in an object; `[key=value]` picks an element of a list."""
    for step in path:
        if step.startswith("["):
            key, _, wanted = step.strip("[]").partition("=")
            value = next((one for one in value or () if one.get(key) == wanted), None)
        else:
            value = (value or {}).get(step)
    return value


# Seconds: https://github.com/kubernetes/apiserver/blob/master/pkg/authentication/request/x509
_EXPIRATION_BUCKETS: tuple[float, ...] = (
    1800,
    3600,
    7200,
    21600,
    43200,
    86400,
    172800,
    345600,
    604800,
)
_EXPIRATION_BUCKETS += (2592000, 7776000, 15552000, 31104000)
_API_GROUPS: tuple[str, ...] = (
    "v1.",
    "v1.apps",
    "v1.batch",
    "v2.autoscaling",
    "v1.networking.k8s.io",
)
_API_GROUPS += ("v1.policy", "v1.rbac.authorization.k8s.io", "v1.storage.k8s.io")
_API_GROUPS += ("v1.apiextensions.k8s.io", "v1beta1.metrics.k8s.io", "v1.monitoring.coreos.com")


def api_server(world: World) -> Iterator[Exposed]:
    """Yield a part of what an API server shows: all that is kept, and some that is not."""
    clock, noise = world.clock, world.noise
    for group in _API_GROUPS:
        yield "aggregator_unavailable_apiservice", {"name": group}, clock.constant(0)
    seen = noise.counts("client certificates", clock.constant(0.5))
    yield from histogram(
        "apiserver_client_certificate_expiration_seconds",
        {},
        seen,
        clock.constant(200 * 86400),
        _EXPIRATION_BUCKETS,
    )
    # No logarithm of 0: nobody shows a certificate that has expired.
    yield "apiserver_client_certificate_expiration_seconds_bucket", {"le": "0"}, 0 * seen
    for verb, code, rate in (("GET", "200", 4.0), ("LIST", "200", 1.0), ("WATCH", "200", 1.5)):
        for resource in ("pods", "nodes", "leases"):
            labels = {
                "code": code,
                "component": "apiserver",
                "dry_run": "",
                "group": "coordination.k8s.io" if resource == "leases" else "",
                "resource": resource,
                "scope": "cluster",
                "subresource": "",
                "verb": verb,
                "version": "v1",
            }
            asked = noise.counts(f"api {verb} {resource}", clock.constant(rate))
            yield "apiserver_request_total", labels, np.cumsum(asked)
    for resource, count in (("pods", len(world.pods)), ("nodes", len(world.nodes))):
        yield "apiserver_storage_objects", {"resource": resource}, clock.constant(count)
    yield from client(world, "apiserver", 2.0)
    yield from process(world, "apiserver", noise.around("apiserver cpu", 0.15), 450 * MI)
    yield from build_info(world)
