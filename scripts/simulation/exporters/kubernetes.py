"""What the kubelet of a machine exposes, the cAdvisor in it, and an API server.

Names, labels and control groups are those of Kubernetes 1.34 with CRI-O on cgroup v2, which is what
Oracle's nodes run.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from scripts.simulation.exporters.series import ever, histogram
from scripts.simulation.model import Array, Container, Exposed, SimulatedNode, SimulatedPod
from scripts.simulation.state import MI, Simulation

AGE = 5 * 86400.0  # Seconds since the nodes booted, at the day's start.
# The machine's own network interface, and those of the network plug-in.
CARD, OVERLAY = "ens3", ("cni0", "flannel.1")
_CERTIFICATE = 365 * 86400.0  # Seconds that a kubelet's certificate is valid for.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# https://github.com/kubernetes/apiserver/blob/master/pkg/authentication/request/x509
_EXPIRATION = (
    *(1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000),
    31104000,
)


@dataclass(frozen=True, eq=False)
class Instance:
    """A container from one start to the next.

    Attributes:
        id: As its runtime names it, without `cri-o://`.
        started: Seconds since the epoch.
        running: 1 while it runs, else NaN.
    """

    id: str
    started: float
    running: Array


def instances(sim: Simulation, pod: SimulatedPod, container: Container) -> list[Instance]:
    """Return the containers that one of a pod's was, the first one first."""
    exists = np.flatnonzero(pod.exists > 0)
    if pod.node is None or not len(exists):
        return []
    first, end = int(exists[0]), int(exists[-1]) + 1
    restarts = container.restarts[first:end]
    changes = first + 1 + np.flatnonzero(np.diff(restarts))
    begins = [first, *(int(step) for step in changes)]
    alive = np.where(np.isnan(container.cpu), np.nan, 1.0)
    found = []
    for begin, until in zip(begins, [*begins[1:], end], strict=True):
        # A restart happened between two scrapes.
        fresh = sim.clock.start + (begin - 1 / 3) * sim.clock.step
        running = np.full(sim.clock.steps, np.nan)
        running[begin:until] = alive[begin:until]
        name = digest(f"{pod.uid} {container.name} {int(container.restarts[begin])}")
        started = pod.created if begin == first else fresh
        found.append(Instance(name, started, running))
    return found


def finished(pod: SimulatedPod) -> Array:
    """Return 1 while the pod's containers have all ended for good."""
    ended = [pod.phases[phase] for phase in ("Succeeded", "Failed") if phase in pod.phases]
    return np.asarray(np.minimum(1, sum(ended, start=np.zeros_like(pod.exists))))


def digest(text: str) -> str:
    """Return 64 hexadecimal digits for a name: the same ones each time."""
    return hashlib.sha256(text.encode()).hexdigest()


def grown(sim: Simulation, rate: Array, started: float) -> Array:
    """Return a counter that began at `started`, NaN where the rate is."""
    alive = ~np.isnan(rate)
    if not alive.any():
        return rate
    first = int(np.argmax(alive))
    per_step = np.nan_to_num(rate) * sim.clock.step
    base = rate[first] * max(0.0, sim.clock.start + first * sim.clock.step - started)
    return np.asarray(np.where(alive, base + np.cumsum(per_step) - per_step[first], np.nan))


def total(arrays: Iterable[Array], zero: Array) -> Array:
    """Add up; what does not exist adds nothing."""
    return functools.reduce(operator.add, (np.nan_to_num(a) for a in arrays), zero)


@dataclass(frozen=True, eq=False)
class Load:
    """What a node's pods take of it, and with everything else: cores, bytes, bytes per second."""

    pods: list[SimulatedPod]
    received: Array
    transmitted: Array
    cpu: Array
    memory: Array


def load(sim: Simulation, node: SimulatedNode) -> Load:
    """Return what is taken of a node."""
    zero, around = sim.clock.constant(0), sim.noise.around
    pods = [pod for pod in sim.pods if pod.node is node]
    wired = [pod for pod in pods if not pod.host_network]
    received = total((p.received for p in wired), zero)
    transmitted = total((p.transmitted for p in wired), zero)
    return Load(
        pods=pods,
        received=received + around(f"received {node.name}", 9e3),
        transmitted=transmitted + around(f"transmitted {node.name}", 7e3),
        cpu=total((c.cpu for pod in pods for c in pod.containers), zero) + node.extra_cpu,
        memory=total((c.memory for pod in pods for c in pod.containers), zero) + node.extra_memory,
    )


def cadvisor(sim: Simulation, node: SimulatedNode) -> Iterator[Exposed]:
    """Yield what the kubelet's /metrics/cadvisor shows of a node's control groups."""
    return ever(_groups(sim, node))


def _groups(sim: Simulation, node: SimulatedNode) -> Iterator[Exposed]:
    taken = load(sim, node)
    for pod in taken.pods:
        yield from _pod_groups(sim, taken, pod)
    # Groups above those of pods, of which one stands for all, are no pod's.
    root = {"container": "", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}
    booted = sim.clock.start - AGE
    yield from _group(sim, root, taken.cpu, taken.memory, booted)
    yield from _host_network(sim, taken, root, sim.clock.constant(1), booted)


def _pod_groups(sim: Simulation, taken: Load, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield the control groups of a pod, of the container that holds its network, and of others."""
    where = np.where((pod.exists > 0) & (finished(pod) == 0), 1.0, np.nan)
    zero = sim.clock.constant(0)
    whole = _labels(pod, "", "")
    cpu = (total((c.cpu for c in pod.containers), zero) + 1e-5) * where
    memory = (total((c.memory for c in pod.containers), zero) + 0.5 * MI) * where
    yield from _group(sim, whole, cpu, memory, pod.created)
    for container in pod.containers:
        yield from _container_groups(sim, pod, container)
    # CRI-O keeps a control group for the network's sake, and calls it a container named POD.
    pause = _labels(pod, "POD", digest(pod.uid))
    yield from _group(sim, pause, 0 * where, 0 * where, pod.created)
    if pod.host_network:
        yield from _host_network(sim, taken, pause, where, pod.created)
    else:
        rates = pod.received * where, pod.transmitted * where
        yield from _network(sim, {**pause, "interface": "eth0"}, rates, pod.created)


def _container_groups(
    sim: Simulation, pod: SimulatedPod, container: Container
) -> Iterator[Exposed]:
    for instance in instances(sim, pod, container):
        labels = _labels(pod, container.name, instance.id, container.image)
        running, started = instance.running, instance.started
        cpu, memory = container.cpu * running, container.memory * running
        yield from _group(sim, labels, cpu, memory, started)
        if container.limits.get("cpu"):
            # The kernel's scheduler hands out CPU time in periods of 0.1 s.
            periods = np.floor(grown(sim, 10 * running, started))
            throttled = np.floor(grown(sim, 10 * container.throttled * running, started))
            yield "container_cpu_cfs_periods_total", labels, periods
            yield "container_cpu_cfs_throttled_periods_total", labels, throttled


def _labels(pod: SimulatedPod, container: str, instance: str, image: str = "") -> dict[str, str]:
    group = f"/kubepods.slice/kubepods-pod{pod.uid.replace('-', '_')}.slice"
    return {
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": container,
        "id": f"{group}/crio-{instance}.scope" if instance else group,
        "image": image,
        "name": f"k8s_{container}_{pod.name}_{pod.namespace}_{instance}" if instance else "",
    }


def _group(
    sim: Simulation, labels: Mapping[str, str], cpu: Array, memory: Array, started: float
) -> Iterator[Exposed]:
    """Yield one control group: cores and bytes in use, NaN while it is not there."""
    here = np.where(np.isnan(cpu), np.nan, 1.0)
    used = grown(sim, cpu, started)
    yield "container_cpu_usage_seconds_total", {**labels, "cpu": "total"}, used
    yield "container_memory_working_set_bytes", labels, memory
    yield "container_memory_rss", labels, memory * 0.82
    yield "container_memory_cache", labels, memory * 0.3
    yield "container_memory_swap", labels, 0 * here
    # A container that is killed for want of memory is gone before the next scrape, and its kill
    # with it: https://github.com/google/cadvisor/issues/3015
    yield "container_oom_events_total", labels, 0 * here
    yield "container_start_time_seconds", labels, np.floor(started) * here


def _network(
    sim: Simulation, labels: Mapping[str, str], rates: tuple[Array, Array], started: float
) -> Iterator[Exposed]:
    """Yield an interface's counters, from bytes per second that it receives and transmits."""
    for direction, rate in zip(("receive", "transmit"), rates, strict=True):
        count = np.floor(grown(sim, rate, started))
        yield f"container_network_{direction}_bytes_total", labels, count
        yield f"container_network_{direction}_packets_total", labels, np.floor(count / 500)
        yield f"container_network_{direction}_packets_dropped_total", labels, 0 * count


def _host_network(
    sim: Simulation, taken: Load, labels: Mapping[str, str], where: Array, started: float
) -> Iterator[Exposed]:
    """Yield the machine's interfaces, which each pod with the host's network shows as its own."""
    rates = taken.received * where, taken.transmitted * where
    for interface in (CARD, *OVERLAY):
        yield from _network(sim, {**labels, "interface": interface}, rates, started)
    # The other end of every pod's eth0; one stands for all.
    for pod in [p for p in taken.pods if not p.host_network][:1]:
        veth = "veth" + digest(pod.uid)[:8]
        ends = np.nan_to_num(pod.transmitted) * where, np.nan_to_num(pod.received) * where
        yield from _network(sim, {**labels, "interface": veth}, ends, started)


def kubelet(sim: Simulation, node: SimulatedNode) -> Iterator[Exposed]:
    """Yield what the kubelet's own /metrics shows."""
    clock, noise = sim.clock, sim.noise
    pods = load(sim, node).pods
    one, zero = clock.constant(1), clock.constant(0)
    running = total((p.exists * (1 - finished(p)) for p in pods), zero)
    up = total((np.where(np.isnan(c.cpu), 0.0, 1.0) for p in pods for c in p.containers), zero)
    yield "process_start_time_seconds", {}, clock.constant(clock.start - AGE)
    yield "kubelet_node_name", {"node": node.name}, one
    yield "kubelet_running_pods", {}, running
    left = clock.start - AGE + _CERTIFICATE - clock.time
    for side in ("client", "server"):
        yield f"kubelet_certificate_manager_{side}_ttl_seconds", {}, left
    # A relist goes through all containers, and is slow where memory is short.
    relisted = noise.counts(f"relists {node.name}", one)
    took = 0.003 + 2e-4 * up + 2 * node.pressure
    yield from histogram("kubelet_pleg_relist_duration_seconds", {}, [(relisted, took)], _SECONDS)
    name, took = "kubelet_pod_worker_duration_seconds", 0.03 + 2 * node.pressure
    for operation, rate in (("create", 1e-3), ("sync", 0.02), ("terminate", 1e-3)):
        worked = noise.counts(f"worked {node.name} {operation}", rate * running)
        labels = {"operation_type": operation}
        yield from histogram(name, labels, [(worked, took)], _SECONDS)
    for volume in (v for v in sim.volumes if v.node is node):
        claim = {"namespace": volume.namespace, "persistentvolumeclaim": volume.claim}
        for what, value in (
            ("capacity_bytes", clock.constant(volume.capacity)),
            ("used_bytes", volume.used),
            ("available_bytes", volume.capacity - volume.used),
            ("inodes", clock.constant(volume.inodes)),
            ("inodes_used", volume.inodes_used),
            ("inodes_free", volume.inodes - volume.inodes_used),
        ):
            yield f"kubelet_volume_stats_{what}", claim, np.floor(value)


def api_server(sim: Simulation) -> Iterator[Exposed]:
    """Yield what an API server shows of the certificates that its clients come with."""
    name = "apiserver_client_certificate_expiration_seconds"
    seen = sim.noise.counts("client certificates", sim.clock.constant(0.5))
    left = sim.clock.constant(200 * 86400)
    yield from histogram(name, {}, [(seen, left)], _EXPIRATION)
    # No logarithm of 0: nobody shows a certificate that has expired.
    yield f"{name}_bucket", {"le": "0"}, 0 * seen
