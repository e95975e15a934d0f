"""Pods, and the nodes and containers that they are made of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from scripts.simulation.model import Array, Container, SimulatedNode, SimulatedPod
from scripts.simulation.state import GI, MI, Simulation


@dataclass(frozen=True)
class Size:
    """What a container asks for and uses: cores, and memory in bytes; a limit of 0 is none."""

    cpu_request: float
    memory_request: float
    cpu_limit: float
    memory_limit: float
    cpu: float
    memory: float


SMALL = Size(0.01, 32 * MI, 0, 64 * MI, 0.004, 24 * MI)


@dataclass(frozen=True)
class PodTemplate:
    """What a workload makes its pods of.

    Attributes:
        kind: Of the workload.
        containers: Name, image and size of each.
        ports: Name of each container port to its number.
        claims: Names of PersistentVolumeClaims, for the index of the pod.
        revision: Each has a ReplicaSet of its own.
        job: That owns the pod, of a CronJob.
        pending: Whether no node takes the pod.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    containers: tuple[tuple[str, str, Size], ...]
    kind: str = "Deployment"
    ports: Mapping[str, int] = field(default_factory=dict)
    claims: tuple[str, ...] = ()
    host_network: bool = False
    revision: int = 1
    job: str = ""
    pending: bool = False


def add_nodes(sim: Simulation, scale: int) -> None:
    """Add two of Oracle's Arm machines of 1 OCPU and 6 GB, or more of them."""
    clock, noise = sim.clock, sim.noise
    for number in range(1, 2 * scale + 1):
        name = f"node-{number}"
        sim.nodes.append(
            SimulatedNode(
                name=name,
                ip=f"10.0.10.{number}",
                cpu=1.0,
                memory=6e9,
                disk=47 * GI,
                disk_used=noise.around(f"disk {name}", 18 * GI, 0.01),
                extra_cpu=noise.around(f"system cpu {name}", 0.08),
                extra_memory=noise.around(f"system memory {name}", 700 * MI, 0.02),
                pressure=clock.constant(0),
            )
        )


def add_pod(
    sim: Simulation,
    template: PodTemplate,
    index: int = 0,
    *,
    node: SimulatedNode | None = None,
    exists: Array | None = None,
) -> SimulatedPod:
    """Add a pod of a workload.

    Args:
        sim: The day.
        template: What it is made of.
        index: Its number in the workload.
        node: The one with the least requested where none is given.
        exists: 1 while it is there; all day long by default.
    """
    clock, workload, pending = sim.clock, (template.kind, template.name), template.pending
    exists = clock.constant(1) if exists is None else exists
    random = sim.noise.generator(f"{template.namespace}/{workload}/{index}/{template.revision}")
    name, owner = _named(sim, template, index, _suffix(random, 5))
    labels = dict(template.labels)
    if owner[0] == "ReplicaSet":
        labels["pod-template-hash"] = owner[1].rpartition("-")[2]
    ip = ""
    if pending:
        node = None
    else:
        node = node or min(sim.nodes, key=lambda n: _requested(sim, n))
        ip = node.ip if template.host_network else f"10.244.0.{len(sim.pods)}"
    alive = np.where((exists > 0) & (not pending), 1.0, np.nan)
    pod = SimulatedPod(
        namespace=template.namespace,
        name=name,
        node=node,
        ip=ip,
        uid=str(uuid.UUID(bytes=random.bytes(16), version=4)),
        owner=owner,
        workload=workload,
        labels=labels,
        ports=template.ports,
        containers=[_container(sim, name, alive, c) for c in template.containers],
        created=_created(sim, exists),
        exists=exists,
        phases={"Pending" if pending else "Running": clock.constant(1)},
        ready=clock.constant(0 if pending else 1),
        received=sim.noise.around(f"received {name}", 2e3, 0.3) * alive,
        transmitted=sim.noise.around(f"transmitted {name}", 3e3, 0.3) * alive,
        claims=tuple(claim.format(index=index) for claim in template.claims),
        host_network=template.host_network,
    )
    sim.pods.append(pod)
    return pod


def _named(
    sim: Simulation, template: PodTemplate, index: int, suffix: str
) -> tuple[str, tuple[str, str]]:
    """Return a pod's name, and the kind and name of what owns it."""
    if template.kind == "StatefulSet":
        return f"{template.name}-{index}", (template.kind, template.name)
    if template.kind == "DaemonSet":
        return f"{template.name}-{suffix}", (template.kind, template.name)
    if template.job:
        return f"{template.job}-{suffix}", ("Job", template.job)
    random = sim.noise.generator(f"{template.name} {template.revision}")
    replica_set = f"{template.name}-{_suffix(random, 9)}"
    return f"{replica_set}-{suffix}", ("ReplicaSet", replica_set)


def _created(sim: Simulation, exists: Array) -> float:
    """Return when a pod was made, in seconds since the epoch; five days ago if it was there."""
    first = float(np.argmax(exists))
    return sim.clock.start + (first * sim.clock.step if first else -5 * 86400)


def _suffix(random: np.random.Generator, length: int) -> str:
    """Return what Kubernetes puts after a name: without vowels, so that no word is made.

    https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go
    """
    return "".join(random.choice(list("bcdfghjklmnpqrstvwxz2456789"), length))


def _container(
    sim: Simulation, pod: str, alive: Array, described: tuple[str, str, Size]
) -> Container:
    name, image, size = described
    clock, noise = sim.clock, sim.noise
    requests = {"cpu": size.cpu_request, "memory": size.memory_request}
    limits = {"cpu": size.cpu_limit, "memory": size.memory_limit}
    return Container(
        name=name,
        image=image,
        requests={k: v for k, v in requests.items() if v},
        limits={k: v for k, v in limits.items() if v},
        cpu=noise.around(f"cpu {pod} {name}", size.cpu, 0.15) * alive,
        memory=noise.around(f"memory {pod} {name}", size.memory, 0.04) * alive,
        throttled=clock.constant(0.02 if size.cpu_limit else 0.0),
        restarts=clock.constant(0),
        ready=clock.constant(0 if np.isnan(alive).all() else 1),
    )


def _requested(sim: Simulation, node: SimulatedNode) -> float:
    """Share of the node's CPU and memory that its pods request."""
    taken = [c.requests for p in sim.pods if p.node is node for c in p.containers]
    cpu = sum(r.get("cpu", 0) for r in taken) / node.cpu
    return cpu + sum(r.get("memory", 0) for r in taken) / node.memory
