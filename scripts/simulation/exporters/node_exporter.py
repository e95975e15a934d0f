"""What node-exporter shows of a machine, as far as somebody reads it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.simulation.exporters.kubernetes import AGE, CARD, OVERLAY, Load, grown, load, total
from scripts.simulation.model import Array, Exposed, SimulatedNode
from scripts.simulation.state import GI, Simulation


def node_exporter(sim: Simulation, node: SimulatedNode) -> Iterator[Exposed]:
    """Yield what node-exporter shows with the collectors that are on."""
    taken = load(sim, node)
    yield from _processors(sim, node, taken)
    yield from _memory(node, taken)
    yield from _disks(sim, node, taken)
    yield from _interfaces(sim, taken)
    yield from _kernel(sim, node, taken)


def _since_boot(sim: Simulation, rate: Array) -> Array:
    return grown(sim, rate, sim.clock.start - AGE)


def _processors(sim: Simulation, node: SimulatedNode, taken: Load) -> Iterator[Exposed]:
    cores = max(1, round(node.cpu))
    busy = np.minimum(taken.cpu / cores, 0.995)
    waiting = np.minimum(0.002, 1 - busy)
    modes = {
        "idle": 1 - busy - waiting,
        "iowait": waiting,
        **dict.fromkeys(("irq", "nice", "steal"), 0 * busy),
        "softirq": 0.04 * busy,
        "system": 0.26 * busy,
        "user": 0.70 * busy,
    }
    for core in range(cores):
        for mode, share in modes.items():
            labels = {"cpu": str(core), "mode": mode}
            yield "node_cpu_seconds_total", labels, _since_boot(sim, share)
    # Who waits for a processor, as the kernel averages it.
    queue = taken.cpu / np.maximum(1 - busy, 0.08)
    yield "node_load1", {}, np.round(_smooth(sim, queue, 60), 2)


def _smooth(sim: Simulation, values: Array, seconds: float) -> Array:
    """Return the exponential mean over so many seconds."""
    steps = np.arange(int(8 * seconds / sim.clock.step) + 1)
    weights = np.exp(-steps * sim.clock.step / seconds)
    padded = np.concatenate([np.full(len(steps) - 1, values[0]), values])
    return np.convolve(padded, weights / weights.sum(), "valid")


def _memory(node: SimulatedNode, taken: Load) -> Iterator[Exposed]:
    used = np.minimum(taken.memory, 0.98 * node.memory)
    available = node.memory - used
    for name, amount in (
        ("MemTotal", node.memory + 0 * used),
        ("MemFree", 0.2 * available),
        ("MemAvailable", available),
        ("Buffers", 0.01 * available),
        ("Cached", 0.75 * available + 0.02 * node.memory),
        ("Slab", 0.04 * node.memory + 0 * used),
    ):
        yield f"node_memory_{name}_bytes", {}, np.floor(amount)


def _disks(sim: Simulation, node: SimulatedNode, taken: Load) -> Iterator[Exposed]:
    small = sim.clock.constant(1 * GI)
    for device, mount, size, used in (
        ("/dev/mapper/ocivolume-root", "/", sim.clock.constant(node.disk), node.disk_used),
        ("/dev/sda2", "/boot", small, 0.4 * small),
    ):
        labels = {"device": device, "device_error": "", "fstype": "xfs", "mountpoint": mount}
        for name, amount in (
            ("size_bytes", size),
            ("avail_bytes", size - used),
            ("files", size / 2048),
            ("files_free", size / 2048 - used / 60e3),
            ("readonly", 0 * size),
        ):
            yield f"node_filesystem_{name}", labels, np.floor(amount)
    writes = sim.noise.around(f"writes {node.name}", 8 + 10 * taken.cpu)
    reads = sim.noise.around(f"reads {node.name}", 0.5 + 30 * node.pressure)
    took = np.minimum(0.95, 0.001 * writes + 0.002 * reads)
    weighted = 0.003 * writes + 0.002 * reads
    for device in ("sda", "dm-0"):
        for name, rate in (("io_time", took), ("io_time_weighted", weighted)):
            yield f"node_disk_{name}_seconds_total", {"device": device}, _since_boot(sim, rate)


def _interfaces(sim: Simulation, taken: Load) -> Iterator[Exposed]:
    none, local = sim.clock.constant(0), sim.clock.constant(2e3)
    for device, received, transmitted in (
        (CARD, taken.received, taken.transmitted),
        (OVERLAY[1], 0.4 * taken.received, 0.4 * taken.transmitted),
        ("lo", local, local),
    ):
        for direction, rate in (("receive", received), ("transmit", transmitted)):
            count = np.floor(_since_boot(sim, rate))
            counted = {"bytes": count, "packets": np.floor(count / 500), "drop": none, "errs": none}
            for what, values in counted.items():
                yield f"node_network_{direction}_{what}_total", {"device": device}, values


def _kernel(sim: Simulation, node: SimulatedNode, taken: Load) -> Iterator[Exposed]:
    clock, noise = sim.clock, sim.noise
    busy = np.minimum(1, taken.cpu / max(1, round(node.cpu)))
    for name, share in (
        ("cpu", 0.6 * busy**2),
        ("memory", 0.3 * node.pressure),
        ("io", 0.01 + 0.2 * node.pressure),
    ):
        yield f"node_pressure_{name}_waiting_seconds_total", {}, _since_boot(sim, share)
    kills = [c.oom_kills for p in taken.pods for c in p.containers if c.oom_kills is not None]
    killed = [np.maximum.accumulate(np.nan_to_num(of_one)) for of_one in kills]
    yield "node_vmstat_oom_kill", {}, total(killed, clock.constant(0))
    paged = _since_boot(sim, 0.02 + 150 * node.pressure)
    yield "node_vmstat_pgmajfault", {}, np.floor(paged)
    yield "node_filefd_allocated", {}, np.floor(noise.around(f"fds {node.name}", 4e3, 0.02))
    yield "node_filefd_maximum", {}, clock.constant(9223372036854775807)
    flows = np.floor(400 + (taken.received + taken.transmitted) / 200)
    yield "node_nf_conntrack_entries", {}, flows
    yield "node_nf_conntrack_entries_limit", {}, clock.constant(131072)
    yield "node_timex_offset_seconds", {}, noise.around(f"offset {node.name}", 4e-5)
    yield "node_timex_maxerror_seconds", {}, noise.around(f"error {node.name}", 4e-3)
