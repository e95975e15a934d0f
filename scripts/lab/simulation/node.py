"""What a machine exposes: its kubelet, the cAdvisor in it, and node-exporter.

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

from scripts.lab.simulation.model import Array, Container, Exposed, Node, Pod, counter, histogram
from scripts.lab.simulation.world import GI, MI, World

AGE = 5 * 86400.0  # Seconds since the nodes booted, at the day's start.
VERSION = {"major": "1", "minor": "34", "git_version": "v1.34.1"}
RUNTIME = "cri-o://1.34.1"
KERNEL = "5.15.0-312.187.5.3.el8uek.aarch64"
OS_IMAGE = "Oracle Linux Server 8.10"
# The machine's own network interface, and those of the network plug-in.
CARD, OVERLAY = "ens3", ("cni0", "flannel.1")
_CERTIFICATE = 365 * 86400.0  # Seconds that a kubelet's certificate is valid for.


@dataclass(frozen=True, eq=False)
class Instance:
    """A container from one start to the next.

    Attributes:
        id: As its runtime names it, without `cri-o://`.
        attempt: How often it had restarted.
        started: Seconds since the epoch.
        steps: Those at which this is the pod's latest container of the name.
        running: 1 while it runs, else NaN; NaN at all other steps.
    """

    id: str
    attempt: int
    started: float
    steps: slice
    running: Array


def instances(world: World, pod: Pod, container: Container) -> list[Instance]:
    """Return the containers that one of a pod's was, the first one first."""
    there = np.flatnonzero(pod.exists > 0)
    if pod.node is None or not len(there):
        return []
    first, end = int(there[0]), int(there[-1]) + 1
    restarts = container.restarts[first:end]
    changes = first + 1 + np.flatnonzero(np.diff(restarts))
    begins = [first, *(int(step) for step in changes)]
    alive = np.where(np.isnan(container.cpu), np.nan, 1.0)
    found = []
    for begin, until in zip(begins, [*begins[1:], end], strict=True):
        attempt = int(container.restarts[begin])
        # A restart happened between two scrapes.
        fresh = world.clock.start + (begin - 1 / 3) * world.clock.step
        running = np.full(world.clock.steps, np.nan)
        running[begin:until] = alive[begin:until]
        found.append(
            Instance(
                id=digest(f"{pod.uid} {container.name} {attempt}"),
                attempt=attempt,
                started=pod.created if begin == first else fresh,
                steps=slice(begin, until),
                running=running,
            )
        )
    return found


def finished(pod: Pod) -> Array:
    """Return 1 while the pod's containers have all ended for good."""
    ended = [pod.phases[phase] for phase in ("Succeeded", "Failed") if phase in pod.phases]
    return np.asarray(np.minimum(1, sum(ended, start=np.zeros_like(pod.exists))))


def ever(series: Iterable[Exposed]) -> Iterator[Exposed]:
    """Yield the series that are exposed at one step of the day at least."""
    return (one for one in series if not np.isnan(one[2]).all())


def quality(pod: Pod) -> str:
    """Return the pod's quality of service, in lower case, as its control group has it."""
    limits = [c.limits for c in pod.containers]
    if all(c.limits and c.limits == c.requests for c in pod.containers):
        return "guaranteed"
    return "burstable" if any(limits) or any(c.requests for c in pod.containers) else "besteffort"


def digest(text: str) -> str:
    """Return 64 hexadecimal digits for a name: the same ones each time."""
    return hashlib.sha256(text.encode()).hexdigest()


def _grown(world: World, rate: Array, started: float) -> Array:
    """Return a counter that began at `started`, NaN where the rate is."""
    alive = ~np.isnan(rate)
    if not alive.any():
        return rate
    first = int(np.argmax(alive))
    per_step = np.nan_to_num(rate) * world.clock.step
    base = rate[first] * max(0.0, world.clock.start + first * world.clock.step - started)
    return np.asarray(np.where(alive, base + np.cumsum(per_step) - per_step[first], np.nan))


def _sum(arrays: Iterable[Array], zero: Array) -> Array:
    return functools.reduce(operator.add, (np.nan_to_num(a) for a in arrays), zero)


@dataclass(frozen=True, eq=False)
class _Load:
    """What a node's pods take of it, and with everything else: cores, bytes, bytes per second."""

    pods: list[Pod]
    cpu: Array
    memory: Array
    received: Array
    transmitted: Array
    all_cpu: Array
    all_memory: Array


def _load(world: World, node: Node) -> _Load:
    zero = world.clock.constant(0)
    pods = [pod for pod in world.pods if pod.node is node]
    wired = [pod for pod in pods if not pod.host_network]
    cpu = _sum((c.cpu for pod in pods for c in pod.containers), zero)
    memory = _sum((c.memory for pod in pods for c in pod.containers), zero)
    around = world.noise.around
    return _Load(
        pods=pods,
        cpu=cpu,
        memory=memory,
        received=_sum((p.received for p in wired), zero) + around(f"received {node.name}", 9e3),
        transmitted=_sum((p.transmitted for p in wired), zero)
        + around(f"transmitted {node.name}", 7e3),
        all_cpu=cpu + node.extra_cpu,
        all_memory=memory + node.extra_memory,
    )


def cadvisor(world: World, node: Node) -> Iterator[Exposed]:
    """Yield what the kubelet's /metrics/cadvisor shows of a node's control groups."""
    return ever(_groups(world, node))


def _groups(world: World, node: Node) -> Iterator[Exposed]:
    clock, load = world.clock, _load(world, node)
    booted = clock.start - AGE
    for pod in load.pods:
        yield from _pod_groups(world, load, pod)
    system = {"container": "", "image": "", "name": "", "namespace": "", "pod": ""}
    by_quality = {
        f"/kubepods.slice/kubepods-{name}.slice": [p for p in load.pods if quality(p) == name]
        for name in ("besteffort", "burstable")
    }
    zero = clock.constant(0)
    groups = {
        "/": (load.all_cpu, load.all_memory),
        "/kubepods.slice": (load.cpu, load.memory),
        "/system.slice": (node.extra_cpu * 0.8, node.extra_memory * 0.7),
        "/system.slice/crio.service": (node.extra_cpu * 0.2, node.extra_memory * 0.12),
        "/system.slice/kubelet.service": (node.extra_cpu * 0.4, node.extra_memory * 0.15),
    }
    for name, pods in by_quality.items():
        containers = [c for pod in pods for c in pod.containers]
        groups[name] = (
            _sum((c.cpu for c in containers), zero),
            _sum((c.memory for c in containers), zero),
        )
    for name, (cpu, memory) in groups.items():
        yield from _group(world, {**system, "id": name}, cpu, memory, booted)
    yield from _host_network(world, load, {**system, "id": "/"}, clock.constant(1), booted)
    machine = {
        "boot_id": digest(f"boot {node.name}")[:32],
        "machine_id": digest(f"machine {node.name}")[:32],
        "system_uuid": digest(f"system {node.name}")[:32],
    }
    for what, amount in (
        ("machine_cpu_cores", node.cpu),
        ("machine_cpu_physical_cores", node.cpu),
        ("machine_cpu_sockets", 1),
        ("machine_memory_bytes", node.memory),
        ("machine_swap_bytes", 0),
    ):
        yield what, machine, clock.constant(amount)


def _pod_groups(world: World, load: _Load, pod: Pod) -> Iterator[Exposed]:
    """Yield the control groups of a pod, of the container that holds its network, and of others."""
    there = np.where((pod.exists > 0) & (finished(pod) == 0), 1.0, np.nan)
    level = quality(pod)
    parts = ["pod" + pod.uid.replace("-", "_")]
    if level != "guaranteed":
        parts.insert(0, level)
    parent = "/kubepods.slice"
    for end in range(1, len(parts) + 1):
        parent += f"/kubepods-{'-'.join(parts[:end])}.slice"
    of_pod = {"namespace": pod.namespace, "pod": pod.name}
    zero = world.clock.constant(0)
    yield from _group(
        world,
        {**of_pod, "container": "", "id": parent, "image": "", "name": ""},
        (_sum((c.cpu for c in pod.containers), zero) + 1e-5) * there,
        (_sum((c.memory for c in pod.containers), zero) + 0.5 * MI) * there,
        pod.created,
    )
    for container in pod.containers:
        quota = container.limits.get("cpu")
        for instance in instances(world, pod, container):
            labels = {
                **of_pod,
                "container": container.name,
                "id": f"{parent}/crio-{instance.id}.scope",
                "image": container.image,
                "name": _alias(container.name, pod, instance.attempt),
            }
            cpu = container.cpu * instance.running
            yield from _group(
                world, labels, cpu, container.memory * instance.running, instance.started
            )
            limit = container.limits.get("memory", 0.0)
            yield "container_spec_memory_limit_bytes", labels, limit * instance.running
            if quota:
                # The kernel's scheduler hands out CPU time in periods of 0.1 s.
                periods = _grown(world, 10 * instance.running, instance.started)
                throttled = _grown(
                    world, 10 * container.throttled * instance.running, instance.started
                )
                yield "container_cpu_cfs_periods_total", labels, np.floor(periods)
                yield "container_cpu_cfs_throttled_periods_total", labels, np.floor(throttled)
                yield "container_cpu_cfs_throttled_seconds_total", labels, throttled * 0.05
                yield "container_spec_cpu_quota", labels, quota * 1e5 * instance.running
    # CRI-O keeps a control group for the network's sake, and calls it a container named POD.
    pause = {
        **of_pod,
        "container": "POD",
        "id": f"{parent}/crio-{digest(pod.uid)}.scope",
        "image": "",
        "name": _alias("POD", pod, 0),
    }
    yield from _group(world, pause, 0 * there, 0 * there, pod.created)
    if pod.host_network:
        yield from _host_network(world, load, pause, there, pod.created)
    else:
        received, transmitted = pod.received * there, pod.transmitted * there
        yield from _network(world, pause, "eth0", received, transmitted, pod.created)


def _alias(container: str, pod: Pod, attempt: int) -> str:
    return f"k8s_{container}_{pod.name}_{pod.namespace}_{pod.uid}_{attempt}"


def _group(
    world: World, labels: Mapping[str, str], cpu: Array, memory: Array, started: float
) -> Iterator[Exposed]:
    """Yield one control group: cores and bytes in use, NaN while it is not there."""
    here = np.where(np.isnan(cpu), np.nan, 1.0)
    used = _grown(world, cpu, started)
    yield "container_cpu_usage_seconds_total", {**labels, "cpu": "total"}, used
    yield "container_cpu_user_seconds_total", labels, used * 0.7
    yield "container_cpu_system_seconds_total", labels, used * 0.3
    yield "container_memory_working_set_bytes", labels, memory
    yield "container_memory_usage_bytes", labels, memory * 1.15
    yield "container_memory_rss", labels, memory * 0.82
    yield "container_memory_cache", labels, memory * 0.3
    yield "container_memory_swap", labels, 0 * here
    # A container that is killed for want of memory is gone before the next scrape, and its kill
    # with it: https://github.com/google/cadvisor/issues/3015
    yield "container_oom_events_total", labels, 0 * here
    yield "container_start_time_seconds", labels, np.floor(started) * here
    yield "container_last_seen", labels, world.clock.time * here


def _network(
    world: World,
    labels: Mapping[str, str],
    interface: str,
    received: Array,
    transmitted: Array,
    started: float,
) -> Iterator[Exposed]:
    named = {**labels, "interface": interface}
    for direction, rate in (("receive", received), ("transmit", transmitted)):
        total = np.floor(_grown(world, rate, started))
        yield f"container_network_{direction}_bytes_total", named, total
        yield f"container_network_{direction}_packets_total", named, np.floor(total / 500)
        yield f"container_network_{direction}_packets_dropped_total", named, 0 * total
        yield f"container_network_{direction}_errors_total", named, 0 * total


def _host_network(
    world: World, load: _Load, labels: Mapping[str, str], there: Array, started: float
) -> Iterator[Exposed]:
    """Yield the machine's interfaces, which each pod with the host's network shows as its own."""
    received, transmitted = load.received * there, load.transmitted * there
    for interface in (CARD, *OVERLAY):
        yield from _network(world, labels, interface, received, transmitted, started)
    # The other end of every pod's eth0; one stands for all.
    for pod in [p for p in load.pods if not p.host_network][:1]:
        veth = "veth" + digest(pod.uid)[:8]
        ends = np.nan_to_num(pod.transmitted) * there, np.nan_to_num(pod.received) * there
        yield from _network(world, labels, veth, *ends, started)


_DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROTATION_BUCKETS: tuple[float, ...] = (60, 3600, 14400, 86400, 604800, 2592000, 7776000, 15552000)
_ROTATION_BUCKETS += (31104000, 124416000)


def kubelet(world: World, node: Node) -> Iterator[Exposed]:
    """Yield what the kubelet's own /metrics shows."""
    clock, noise = world.clock, world.noise
    load = _load(world, node)
    one, zero = clock.constant(1), clock.constant(0)
    running = _sum((p.exists * (1 - finished(p)) for p in load.pods), zero)
    containers = [c for pod in load.pods for c in pod.containers]
    up = _sum((np.where(np.isnan(c.cpu), 0.0, 1.0) for c in containers), zero)
    exited = _sum(
        (p.exists * (np.isnan(c.cpu) | (c.restarts > 0)) for p in load.pods for c in p.containers),
        zero,
    )
    yield "kubelet_node_name", {"node": node.name}, one
    yield "kubelet_running_pods", {}, running
    yield "kubelet_running_containers", {"container_state": "running"}, up
    yield "kubelet_running_containers", {"container_state": "exited"}, exited
    left = clock.start - AGE + _CERTIFICATE - clock.time
    for side in ("client", "server"):
        yield f"kubelet_certificate_manager_{side}_ttl_seconds", {}, left
    yield "kubelet_certificate_manager_client_expiration_renew_errors", {}, zero
    yield "kubelet_server_expiration_renew_errors", {}, zero
    yield from histogram(
        "kubelet_certificate_manager_server_rotation_seconds", {}, zero, one, _ROTATION_BUCKETS
    )
    # A relist goes through all containers, and is slow where memory is short.
    relisted = noise.counts(f"relists {node.name}", one)
    took = 0.003 + 2e-4 * up + 2 * node.pressure
    yield from histogram(
        "kubelet_pleg_relist_duration_seconds", {}, relisted, took, _DEFAULT_BUCKETS
    )
    yield from histogram(
        "kubelet_pleg_relist_interval_seconds", {}, relisted, 1 + took, _DEFAULT_BUCKETS, 0.05
    )
    yield "kubelet_pleg_last_seen_seconds", {}, clock.time - 1
    for operation, rate in (("create", 1e-3), ("sync", 0.02), ("terminate", 1e-3)):
        worked = noise.counts(f"worked {node.name} {operation}", rate * running)
        yield from histogram(
            "kubelet_pod_worker_duration_seconds",
            {"operation_type": operation},
            worked,
            0.03 + 2 * node.pressure,
            _DEFAULT_BUCKETS,
        )
    for volume in world.volumes:
        if volume.node is node:
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
    for operation in ("list_containers", "container_status", "exec_sync", "version"):
        calls = noise.counts(f"runtime {node.name} {operation}", clock.constant(0.4))
        named = {"operation_type": operation}
        yield "kubelet_runtime_operations_total", named, np.cumsum(calls)
    yield from process(world, f"kubelet {node.name}", node.extra_cpu * 0.4, 95 * MI)
    yield from client(world, f"kubelet {node.name}", 0.6)
    yield from build_info(world)


def process(world: World, name: str, cpu: Array, memory: float) -> Iterator[Exposed]:
    """Yield what every Go program says of its own process; it started when the nodes did."""
    clock, noise = world.clock, world.noise
    started = clock.start - AGE
    yield "process_cpu_seconds_total", {}, _grown(world, cpu, started)
    resident = np.floor(noise.around(f"resident {name}", memory, 0.02))
    yield "process_resident_memory_bytes", {}, resident
    yield "process_virtual_memory_bytes", {}, resident + 1.3 * GI
    yield "process_start_time_seconds", {}, clock.constant(started)
    yield "process_open_fds", {}, np.floor(noise.around(f"files {name}", 80))
    yield "process_max_fds", {}, clock.constant(1048576)
    yield "go_goroutines", {}, np.floor(noise.around(f"goroutines {name}", 300))


def client(world: World, name: str, rate: float) -> Iterator[Exposed]:
    """Yield requests of a Kubernetes client to the API server."""
    for method, code, share in (
        ("GET", "200", 0.55),
        ("PATCH", "200", 0.2),
        ("POST", "201", 0.15),
        ("PUT", "200", 0.1),
        ("GET", "404", 0.002),
    ):
        labels = {"code": code, "host": "10.0.0.2:6443", "method": method}
        per_second = world.clock.constant(share * rate)
        made = world.noise.counts(f"calls {name} {method} {code}", per_second)
        yield "rest_client_requests_total", labels, np.cumsum(made)


def build_info(world: World) -> Iterator[Exposed]:
    """Yield the version of a part of Kubernetes."""
    labels = {
        **VERSION,
        "build_date": "2025-09-09T19:43:15Z",
        "compiler": "gc",
        "git_commit": digest("kubernetes")[:40],
        "git_tree_state": "clean",
        "go_version": "go1.24.6",
        "platform": "linux/arm64",
    }
    yield "kubernetes_build_info", labels, world.clock.constant(1)


def node_exporter(world: World, node: Node) -> Iterator[Exposed]:
    """Yield what node-exporter shows with the collectors that are on."""
    load = _load(world, node)
    yield from _processors(world, node, load)
    yield from _memory(world, node, load)
    yield from _disks(world, node, load)
    yield from _interfaces(world, load)
    yield from _pressure(world, node, load)
    yield from _kernel(world, node, load)
    yield from _itself(world, node)


def _since_boot(world: World, rate: Array) -> Array:
    return _grown(world, rate, world.clock.start - AGE)


def _processors(world: World, node: Node, load: _Load) -> Iterator[Exposed]:
    cores = max(1, round(node.cpu))
    busy = np.minimum(load.all_cpu / cores, 0.995)
    waiting = np.minimum(0.002, 1 - busy)
    modes = {
        "idle": 1 - busy - waiting,
        "iowait": waiting,
        "irq": 0 * busy,
        "nice": 0 * busy,
        "softirq": 0.04 * busy,
        "steal": 0 * busy,
        "system": 0.26 * busy,
        "user": 0.70 * busy,
    }
    total = {mode: _since_boot(world, share) for mode, share in modes.items()}
    for core in range(cores):
        for mode, seconds in total.items():
            yield "node_cpu_seconds_total", {"cpu": str(core), "mode": mode}, seconds
        for mode in ("nice", "user"):
            named = {"cpu": str(core), "mode": mode}
            yield "node_cpu_guest_seconds_total", named, world.clock.constant(0)
    # Who waits for a processor, as the kernel averages it.
    queue = load.all_cpu / np.maximum(1 - busy, 0.08)
    for minutes in (1, 5, 15):
        yield f"node_load{minutes}", {}, np.round(_smooth(world, queue, minutes * 60), 2)


def _smooth(world: World, values: Array, seconds: float) -> Array:
    """Return the exponential mean over so many seconds."""
    steps = np.arange(int(8 * seconds / world.clock.step) + 1)
    weights = np.exp(-steps * world.clock.step / seconds)
    padded = np.concatenate([np.full(len(steps) - 1, values[0]), values])
    return np.convolve(padded, weights / weights.sum(), "valid")


def _memory(world: World, node: Node, load: _Load) -> Iterator[Exposed]:
    used = np.minimum(load.all_memory, 0.98 * node.memory)
    available = node.memory - used
    free = 0.2 * available
    cached = 0.75 * available + 0.02 * node.memory
    slab = 0.04 * node.memory + 0 * used
    anonymous = 0.8 * used
    for name, amount in (
        ("MemTotal_bytes", node.memory + 0 * used),
        ("MemFree_bytes", free),
        ("MemAvailable_bytes", available),
        ("Buffers_bytes", 0.01 * available),
        ("Cached_bytes", cached),
        ("SwapCached_bytes", 0 * used),
        ("Active_bytes", 0.5 * used),
        ("Inactive_bytes", 0.4 * used),
        ("Active_anon_bytes", 0.4 * used),
        ("Inactive_anon_bytes", 0.3 * used),
        ("Active_file_bytes", 0.5 * cached),
        ("Inactive_file_bytes", 0.5 * cached),
        ("Unevictable_bytes", 0 * used),
        ("Mlocked_bytes", 0 * used),
        ("SwapTotal_bytes", 0 * used),
        ("SwapFree_bytes", 0 * used),
        ("Dirty_bytes", 2 * MI + 0 * used),
        ("Writeback_bytes", 0 * used),
        ("WritebackTmp_bytes", 0 * used),
        ("AnonPages_bytes", anonymous),
        ("AnonHugePages_bytes", 0.1 * anonymous),
        ("Mapped_bytes", 0.3 * cached),
        ("Shmem_bytes", 30 * MI + 0 * used),
        ("ShmemHugePages_bytes", 0 * used),
        ("ShmemPmdMapped_bytes", 0 * used),
        ("Slab_bytes", slab),
        ("SReclaimable_bytes", 0.5 * slab),
        ("SUnreclaim_bytes", 0.5 * slab),
        ("KernelStack_bytes", 14 * MI + 0 * used),
        ("PageTables_bytes", 25 * MI + 0 * used),
        ("NFS_Unstable_bytes", 0 * used),
        ("Bounce_bytes", 0 * used),
        ("CommitLimit_bytes", 0.5 * node.memory + 0 * used),
        ("Committed_AS_bytes", 1.4 * used),
        ("VmallocTotal_bytes", 1.3e14 + 0 * used),
        ("VmallocUsed_bytes", 40 * MI + 0 * used),
        ("VmallocChunk_bytes", 0 * used),
        ("Percpu_bytes", 4 * MI + 0 * used),
        ("HugePages_Total", 0 * used),
        ("HugePages_Free", 0 * used),
        ("HugePages_Rsvd", 0 * used),
        ("HugePages_Surp", 0 * used),
        ("Hugepagesize_bytes", 2 * MI + 0 * used),
    ):
        yield f"node_memory_{name}", {}, np.floor(amount)


def _disks(world: World, node: Node, load: _Load) -> Iterator[Exposed]:
    clock, noise = world.clock, world.noise
    root = ("/dev/mapper/ocivolume-root", "xfs", "/", "252", "0")
    boot = ("/dev/sda2", "xfs", "/boot", "8", "2")
    small = clock.constant(1 * GI)
    for (device, kind, mount, major, minor), size, used in (
        (root, clock.constant(node.disk), node.disk_used),
        (boot, small, 0.4 * small),
    ):
        labels = {"device": device, "device_error": "", "fstype": kind, "mountpoint": mount}
        for name, amount in (
            ("size_bytes", size),
            ("free_bytes", size - used),
            ("avail_bytes", size - used),
            ("purgeable_bytes", 0 * size),
            ("files", size / 2048),
            ("files_free", size / 2048 - used / 60e3),
            ("readonly", 0 * size),
            ("device_error", 0 * size),
        ):
            yield f"node_filesystem_{name}", labels, np.floor(amount)
        where = {"device": device, "mountpoint": mount, "major": major, "minor": minor}
        yield "node_filesystem_mount_info", where, clock.constant(1)
    writes = noise.around(f"writes {node.name}", 8 + 10 * load.all_cpu)
    reads = noise.around(f"reads {node.name}", 0.5 + 30 * node.pressure)
    for device, major in (("sda", "8"), ("dm-0", "252")):
        named = {"device": device}
        info = {"major": major, "minor": "0", "model": "BlockVolume", "path": "", "revision": "4.0"}
        info |= {"rotational": "1", "serial": "", "wwn": ""}
        yield "node_disk_info", named | info, clock.constant(1)
        yield "node_disk_io_now", named, clock.constant(0)
        for name, rate in (
            ("reads_completed", reads),
            ("reads_merged", 0.1 * reads),
            ("read_bytes", 16384 * reads),
            ("read_time_seconds", 0.002 * reads),
            ("writes_completed", writes),
            ("writes_merged", 0.3 * writes),
            ("written_bytes", 12288 * writes),
            ("write_time_seconds", 0.003 * writes),
            ("io_time_seconds", np.minimum(0.95, 0.001 * writes + 0.002 * reads)),
            ("io_time_weighted_seconds", 0.003 * writes + 0.002 * reads),
            ("discards_completed", 0 * writes),
            ("discards_merged", 0 * writes),
            ("discarded_sectors", 0 * writes),
            ("discard_time_seconds", 0 * writes),
            ("flush_requests", 0.2 * writes),
            ("flush_requests_time_seconds", 1e-4 * writes),
        ):
            yield f"node_disk_{name}_total", named, _since_boot(world, rate)


def _interfaces(world: World, load: _Load) -> Iterator[Exposed]:
    none = world.clock.constant(0)
    local = world.clock.constant(2e3)
    for device, received, transmitted in (
        (CARD, load.received, load.transmitted),
        (OVERLAY[1], 0.4 * load.received, 0.4 * load.transmitted),
        ("lo", local, local),
    ):
        for direction, rate, more in (
            ("receive", received, ("frame", "multicast", "nohandler")),
            ("transmit", transmitted, ("carrier", "colls")),
        ):
            total = np.floor(_since_boot(world, rate))
            counted = {"bytes": total, "packets": np.floor(total / 500)}
            counted |= dict.fromkeys(("compressed", "drop", "errs", "fifo", *more), none)
            for what, count in counted.items():
                yield f"node_network_{direction}_{what}_total", {"device": device}, count


def _pressure(world: World, node: Node, load: _Load) -> Iterator[Exposed]:
    busy = np.minimum(1, load.all_cpu / max(1, round(node.cpu)))
    for name, share in (
        ("cpu_waiting", 0.6 * busy**2),
        ("memory_waiting", 0.3 * node.pressure),
        ("memory_stalled", 0.2 * node.pressure),
        ("io_waiting", 0.01 + 0.2 * node.pressure),
        ("io_stalled", 0.008 + 0.15 * node.pressure),
    ):
        yield f"node_pressure_{name}_seconds_total", {}, _since_boot(world, share)


def _kernel(world: World, node: Node, load: _Load) -> Iterator[Exposed]:
    clock, noise = world.clock, world.noise
    one, zero = clock.constant(1), clock.constant(0)
    killed = [
        np.maximum.accumulate(np.nan_to_num(c.oom_kills))
        for pod in load.pods
        for c in pod.containers
        if c.oom_kills is not None
    ]
    yield "node_vmstat_oom_kill", {}, _sum(killed, zero)
    faults = noise.around(f"faults {node.name}", 900)
    for name, rate in (
        ("node_vmstat_pgfault", faults),
        ("node_vmstat_pgmajfault", 0.02 + 150 * node.pressure),
        ("node_vmstat_pgpgin", 8 + 4000 * node.pressure),
        ("node_vmstat_pgpgout", 100 + 20 * load.all_cpu),
        ("node_vmstat_pswpin", zero),
        ("node_vmstat_pswpout", zero),
        ("node_context_switches_total", 2e3 + 8e3 * load.all_cpu),
        ("node_intr_total", 1e3 + 4e3 * load.all_cpu),
        ("node_forks_total", 3 + 2 * load.all_cpu),
    ):
        yield name, {}, np.floor(_since_boot(world, rate))
    yield "node_boot_time_seconds", {}, clock.constant(clock.start - AGE)
    yield "node_procs_running", {}, np.ceil(load.all_cpu) + 1
    yield "node_procs_blocked", {}, np.ceil(3 * node.pressure)
    yield "node_filefd_allocated", {}, np.floor(noise.around(f"fds {node.name}", 4e3, 0.02))
    yield "node_filefd_maximum", {}, clock.constant(9223372036854775807)
    flows = np.floor(400 + (load.received + load.transmitted) / 200)
    yield "node_nf_conntrack_entries", {}, flows
    yield "node_nf_conntrack_entries_limit", {}, clock.constant(131072)
    for what in ("drop", "early_drop", "found", "ignore", "insert", "insert_failed", "invalid"):
        yield f"node_nf_conntrack_stat_{what}", {}, zero
    yield "node_nf_conntrack_stat_search_restart", {}, zero
    yield "node_time_seconds", {}, clock.time
    yield "node_time_zone_offset_seconds", {"time_zone": "UTC"}, zero
    source = {"clocksource": "arch_sys_counter", "device": "0"}
    yield "node_time_clocksource_available_info", source, one
    yield "node_time_clocksource_current_info", source, one
    for name, value in (
        ("offset_seconds", noise.around(f"offset {node.name}", 4e-5)),
        ("estimated_error_seconds", clock.constant(2e-4)),
        ("maxerror_seconds", noise.around(f"error {node.name}", 4e-3)),
        ("frequency_adjustment_ratio", clock.constant(1.00001)),
        ("loop_time_constant", clock.constant(7)),
        ("status", clock.constant(8193)),
        ("sync_status", one),
        ("tai_offset_seconds", zero),
        ("tick_seconds", clock.constant(0.01)),
        ("pps_calibration_total", zero),
        ("pps_error_total", zero),
        ("pps_frequency_hertz", zero),
        ("pps_jitter_seconds", zero),
        ("pps_jitter_total", zero),
        ("pps_shift_seconds", zero),
        ("pps_stability_exceeded_total", zero),
        ("pps_stability_hertz", zero),
    ):
        yield f"node_timex_{name}", {}, value
    uname = {"sysname": "Linux", "release": KERNEL, "version": "#2 SMP", "machine": "aarch64"}
    uname |= {"nodename": node.name, "domainname": "(none)"}
    yield "node_uname_info", uname, one


_COLLECTORS: tuple[str, ...] = (
    "conntrack",
    "cpu",
    "diskstats",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
)
_COLLECTORS += ("netdev", "pressure", "stat", "time", "timex", "uname", "vmstat")


def _itself(world: World, node: Node) -> Iterator[Exposed]:
    clock, noise = world.clock, world.noise
    for collector in _COLLECTORS:
        named = {"collector": collector}
        took = noise.around(f"collector {node.name} {collector}", 2e-3)
        yield "node_scrape_collector_duration_seconds", named, took
        yield "node_scrape_collector_success", named, clock.constant(1)
    build = {"branch": "HEAD", "goarch": "arm64", "goos": "linux", "goversion": "go1.26.0"}
    build |= {"revision": digest("node_exporter")[:40], "tags": "unknown", "version": "1.12.1"}
    yield "node_exporter_build_info", build, clock.constant(1)
    yield from process(world, f"exporter {node.name}", clock.constant(0.003), 18 * MI)
    for code, rate in (("200", 1 / clock.step), ("500", 0.0), ("503", 0.0)):
        served = counter(clock.constant(rate), clock)
        yield "promhttp_metric_handler_requests_total", {"code": code}, served
    yield "promhttp_metric_handler_requests_in_flight", {}, clock.constant(1)
