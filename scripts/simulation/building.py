"""What runs in the simulated cluster, and how each fault changes it.

The monitoring's own pods are those that the charts render; everything else is declared here, laid
out as the public application's chart, Dapr's, Flux's and Oracle's own are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json, load
from scripts.model.rendered import Cluster
from scripts.rules.facts import Facts
from scripts.simulation.model import (
    HOUR,
    Array,
    Clock,
    Container,
    Noise,
    SimulatedJob,
    SimulatedPod,
    SimulatedWorkload,
    Volume,
)
from scripts.simulation.pods import SMALL, PodTemplate, Size, add_nodes, add_pod
from scripts.simulation.state import (
    AUDIT,
    BACKEND,
    FRONTEND,
    GI,
    MI,
    NOTIFICATION,
    RECURRING,
    RELEASE,
    Simulation,
    application_namespace,
)
from scripts.simulation.traffic import add_messages, add_requests, diurnal

_PLATFORM = Path(__file__).with_name("platform.yaml")
_SIDECAR = ("daprd", "daprd:1.16.0", Size(0.05, 64 * MI, 0.2, 128 * MI, 0.008, 48 * MI))
_APP = Size(0.1, 128 * MI, 0.5, 256 * MI, 0.06, 150 * MI)
# A backup of the database, four times a day; the last three runs are kept.
_BACKUP = Size(0.05, 64 * MI, 0, 128 * MI, 0.2, 56 * MI)
_EVERY, _LASTS, _KEPT = 6.0, 240 / HOUR, 3  # Hours, hours, runs.


def build(
    cluster: Cluster, clock: Clock, *, faulty: bool, seed: int = 1, scale: int = 1
) -> Simulation:
    """Return a day of a cluster.

    Args:
        cluster: The monitoring, rendered.
        clock: The steps of the day.
        faulty: Whether FAULTS happen.
        seed: The same seed gives the same day.
        scale: Factor on nodes, on the application's pods and on its traffic.
    """
    sim = Simulation(clock, Noise(clock, seed), faulty, cluster)
    sim.certificate_expiry = clock.start + 300 * 86400
    inventory = Facts.of(cluster.repository.root).application
    sim.namespace = application_namespace(inventory)
    sim.reminder_binding = inventory["REMINDER_BINDING"]
    add_nodes(sim, scale)
    add_requests(sim, scale)
    add_messages(sim, scale)
    _add_monitoring(sim)
    _add_platform(sim)
    _add_application(sim, scale)
    _add_backups(sim)
    _add_workloads(sim)
    _add_volumes(sim)
    _press(sim)
    up = 1 - sim.during("probe fails")
    sim.probes = {"frontend": clock.constant(1), "backend": up, "grafana": clock.constant(1)}
    sim.probes["grafana-public"] = clock.constant(1)
    return sim


def _add_monitoring(sim: Simulation) -> None:
    """The pods that the charts render, those of DaemonSets on each node."""
    for found in sim.cluster.pods:
        owner, name = found.owner, found.owner.name
        sim.rendered[owner.namespace, name] = found
        # The Loki chart and the operator name their claim templates so.
        claim = "storage-loki-{index}" if name == "loki" else f"{name}-db-{name}-{{index}}"
        template = PodTemplate(
            owner.namespace,
            name,
            found.labels,
            tuple(
                (str(c["name"]), str(c.get("image")), _rendered_size(c))
                for c in found.spec["containers"]
            ),
            kind=owner.kind,
            ports=found.ports,
            claims=(claim,) * len(found.claims),
            host_network=bool(found.spec.get("hostNetwork")),
        )
        for index in range(found.count(len(sim.nodes))):
            add_pod(sim, template, index, node=sim.nodes[index] if found.replicas is None else None)


def _rendered_size(container: Mapping[str, Json]) -> Size:
    resources = container.get("resources") or {}
    wanted, most = resources.get("requests") or {}, resources.get("limits") or {}
    cpu, memory = quantity(wanted.get("cpu", 0)), quantity(wanted.get("memory", 0))
    cpu_limit, memory_limit = quantity(most.get("cpu", 0)), quantity(most.get("memory", 0))
    used = max(0.002, 0.5 * cpu), max(12 * MI, 0.8 * memory)
    return Size(cpu, memory, cpu_limit, memory_limit, *used)


def _add_platform(sim: Simulation) -> None:
    brought = {name for _, name in sim.rendered}
    for row in load(_PLATFORM, _PLATFORM.parent)[0]:
        if row["name"] in brought:
            continue  # By an opt-in, in whatever namespace.
        everywhere = row.get("kind") == "DaemonSet"
        template = PodTemplate(
            row["namespace"],
            row["name"],
            row["labels"],
            ((row.get("container", row["name"]), f"{row['name']}:1", SMALL),),
            kind=row.get("kind", "Deployment"),
            ports=row.get("ports", {}),
            host_network=everywhere,
        )
        for index in range(len(sim.nodes) if everywhere else row.get("replicas", 1)):
            add_pod(sim, template, index, node=sim.nodes[index] if everywhere else None)


def _add_application(sim: Simulation, scale: int) -> None:
    clock = sim.clock
    for component, app in (("backend", BACKEND), ("frontend", FRONTEND)):
        workload = f"{RELEASE}-{component}"
        labels = {
            "app.kubernetes.io/name": "todo-ai-chatbot",
            "app.kubernetes.io/instance": RELEASE,
            "app.kubernetes.io/component": component,
        }
        old, new = (_app_template(sim, workload, app, labels, revision) for revision in (1, 2))
        for index in range(scale):
            if component == "backend":
                # A rollout: one replica set after the other, in every day.
                _add_app_pod(sim, app, old, index, clock.between(0, 16.5))
            _add_app_pod(sim, app, new, index, clock.between(16.5 * (app == BACKEND), 24))
    for app in (RECURRING, NOTIFICATION, AUDIT):
        for index in range(scale):
            template = _app_template(sim, app, app, {"app": app})
            _add_app_pod(sim, app, template, index, clock.constant(1))
    if sim.faulty:
        size = Size(2.0, 4 * GI, 0, 0, 0, 0)
        large = PodTemplate(
            sim.namespace,
            "report",
            {"app": "report"},
            (("report", "report:1", size),),
            pending=True,
        )
        add_pod(sim, large, exists=sim.during("unschedulable"))


def _app_template(
    sim: Simulation, workload: str, app: str, labels: Mapping[str, str], revision: int = 1
) -> PodTemplate:
    of_dapr = {"app-id": app, "metrics-enabled": "true", "sidecar-injected": "true"}
    return PodTemplate(
        sim.namespace,
        workload,
        {**labels, **{f"dapr.io/{key}": value for key, value in of_dapr.items()}},
        ((app, f"{app}:{revision}", _APP), _SIDECAR),
        ports={"http": 8000, "dapr-metrics": 9090},
        revision=revision,
    )


def _add_app_pod(
    sim: Simulation, app: str, template: PodTemplate, index: int, exists: Array
) -> None:
    pod = add_pod(sim, template, index, exists=exists)
    busy = diurnal(sim.clock)
    main, sidecar = pod.containers
    pod.received = pod.received * (1 + 12 * busy)
    pod.transmitted = pod.transmitted * (1 + 20 * busy)
    main.cpu = main.cpu * (0.2 + 1.2 * busy)
    main.memory = main.memory * (0.75 + 0.25 * busy)
    sidecar.cpu = sidecar.cpu * (0.3 + 1.2 * busy)
    if app == BACKEND:
        _run_out_of_memory(sim, pod, main)
    if app == NOTIFICATION:
        _crash(sim, pod, main)
    if app == RECURRING:
        # The sidecar cannot initialise a component: not ready, so the pod is not.
        well = 1 - sim.during("sidecar component fails")
        sidecar.ready, pod.ready = sidecar.ready * well, pod.ready * well


def _run_out_of_memory(sim: Simulation, pod: SimulatedPod, container: Container) -> None:
    """The container grows to its limit in half an hour, is killed, and starts again."""
    lasts = sim.during("out of memory") * pod.exists
    if not lasts.any():
        return
    since, period = _since(lasts), int(1800 / sim.clock.step)
    grown = (since % period) / period
    limit = container.limits["memory"]
    container.memory = np.where(lasts > 0, (0.45 + 0.54 * grown) * limit, container.memory)
    kills = np.floor(since / period) * (lasts > 0)
    container.restarts = container.restarts + kills
    container.oom_kills = kills
    container.ended["OOMKilled"] = (kills > 0).astype(float)
    container.throttled = np.where(lasts > 0, 0.35, container.throttled)


def _crash(sim: Simulation, pod: SimulatedPod, container: Container) -> None:
    """The container ends after some seconds, again and again, and waits five minutes between."""
    lasts = sim.during("crash loop")
    if not lasts.any():
        return
    since, period = _since(lasts), int(330 / sim.clock.step)
    waits = ((lasts > 0) & (since % period != 0)).astype(float)
    container.restarts = container.restarts + np.floor(since / period) * (lasts > 0)
    container.waiting["CrashLoopBackOff"] = waits
    container.ended["Error"] = lasts
    container.ready = container.ready * (1 - lasts)
    container.cpu = np.where(waits > 0, np.nan, container.cpu)
    container.memory = np.where(waits > 0, np.nan, container.memory)
    pod.ready = pod.ready * (1 - lasts)


def _since(lasts: Array) -> Array:
    """Return the number of steps since something began, 0 while it does not last."""
    steps = np.arange(len(lasts), dtype=np.float64) - int(np.argmax(lasts))
    return np.where(lasts > 0, steps, 0.0)


def _add_backups(sim: Simulation) -> None:
    clock, name = sim.clock, "backup"
    for number in range(-_KEPT, round(24 / _EVERY)):
        begin = number * _EVERY
        running = clock.between(begin, begin + _LASTS)
        created = clock.start + begin * HOUR
        job = SimulatedJob(
            sim.namespace,
            f"{name}-{round(created / 60)}",
            name,
            created,
            created + _LASTS * HOUR,
            exists=clock.between(begin, begin + _KEPT * _EVERY + _LASTS),
        )
        sim.jobs.append(job)
        labels = {"job-name": job.name, "batch.kubernetes.io/job-name": job.name}
        containers = ((name, "postgres:18", _BACKUP),)
        template = PodTemplate(
            sim.namespace, name, labels, containers, kind="CronJob", job=job.name
        )
        pod = add_pod(sim, template, number, exists=job.exists)
        pod.created = created
        pod.phases = {"Running": running, "Succeeded": 1 - running}
        pod.ready = running
        used = np.where(running > 0, 1.0, np.nan)
        pod.received, pod.transmitted = pod.received * used, pod.transmitted * used
        for container in pod.containers:
            container.cpu, container.memory = container.cpu * used, container.memory * used
            container.ready = running


def _add_workloads(sim: Simulation) -> None:
    """Sum pods up to what their Deployments, StatefulSets and DaemonSets report."""
    groups: dict[tuple[str, str, str], list[SimulatedPod]] = {}
    for pod in sim.pods:
        if pod.owner[0] != "Job":
            groups.setdefault((pod.workload[0], pod.namespace, pod.workload[1]), []).append(pod)
    for (kind, namespace, name), pods in groups.items():
        created = np.sum([p.exists for p in pods], axis=0)
        available = np.sum([p.exists * p.ready for p in pods], axis=0)
        rolled = sum((np.diff(p.exists, prepend=p.exists[0]) > 0).astype(float) for p in pods)
        generation: Array = 1 + np.cumsum(np.asarray(rolled) > 0, dtype=np.float64)
        if name == "grafana":
            # The upgrade that fails has changed the Deployment before it failed.
            generation = generation + sim.during("sync fails")
        sim.workloads.append(
            SimulatedWorkload(kind, namespace, name, created, created, available, generation)
        )
    if sim.faulty:
        # A ServiceAccount is missing: a replica is wanted that nobody may create.
        wanted, none = sim.during("rejected pods"), sim.clock.constant(0)
        one = sim.clock.constant(1)
        sim.workloads.append(
            SimulatedWorkload("Deployment", sim.namespace, "export", wanted, none, none, one)
        )


def _add_volumes(sim: Simulation) -> None:
    clock = sim.clock
    full = sim.during("full volume")
    for pod in sim.pods:
        for claim in pod.claims:
            capacity = 49 * GI
            share = 0.2 + 0.01 * clock.hours
            if "loki" in claim:
                share = np.where(full > 0, np.minimum(0.98, 0.5 + 0.1 * (clock.hours - 14)), share)
            sim.volumes.append(
                Volume(
                    namespace=pod.namespace,
                    claim=claim,
                    node=pod.node or sim.nodes[0],
                    capacity=capacity,
                    used=np.asarray(share * capacity, dtype=np.float64),
                    inodes=3.2e6,
                    inodes_used=clock.constant(2.1e4) + 100 * clock.hours,
                )
            )


def _press(sim: Simulation) -> None:
    """A node runs out of memory, beside its pods."""
    node = sim.nodes[1]
    node.pressure = sim.during("node pressure")
    taken = np.sum(
        [np.nan_to_num(c.memory) for p in sim.pods if p.node is node for c in p.containers],
        axis=0,
    )
    wanted = 0.96 * node.memory - taken
    node.extra_memory = np.where(node.pressure > 0, wanted, node.extra_memory)
