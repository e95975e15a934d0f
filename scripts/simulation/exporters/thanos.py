"""What Thanos exposes: its parts, and the sidecars that ship blocks."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.simulation.model import Exposed, SimulatedPod, cumulative
from scripts.simulation.state import Simulation

# Seconds between two blocks of a Prometheus, and between two looks of the compactor at the bucket.
_BLOCK, _LOOK = 7200, 300


def part(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield what one part tells of its work; the sidecars' monitor is another one."""
    clock = sim.clock
    if pod.workload[1] == "thanos-compact":
        yield "thanos_compact_halted", {}, clock.constant(0)
        yield "thanos_compact_iterations_total", {}, cumulative(sim.every(_LOOK))
        for name in ("compactions", "compaction_blocks", "downsample_blocks", "deletion_blocks"):
            yield f"thanos_compact_todo_{name}", {}, clock.constant(0)
        resolution = {"resolution": "0"}
        yield "thanos_compact_group_compactions_failures_total", resolution, clock.constant(0)
    if pod.workload[1] == "thanos-query":
        own = f'{{cluster="{sim.cluster.sync.cluster}"}}'
        for kind, count in (("store", 1), ("sidecar", 1)):
            labels = {"external_labels": own, "store_type": kind}
            yield "thanos_store_nodes_grpc_connections", labels, clock.constant(count)


def sidecar(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield what a sidecar tells of its Prometheus and of what it ships."""
    shipped = sim.every(_BLOCK) * pod.ready
    yield "thanos_sidecar_prometheus_up", {}, pod.ready
    yield "thanos_shipper_uploads_total", {}, cumulative(shipped)
    yield "thanos_shipper_upload_failures_total", {}, sim.clock.constant(0)
