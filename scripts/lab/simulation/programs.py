"""What every Go program exposes of itself, and helpers for exporters of one pod."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from scripts.lab.simulation.model import Array, Container, Exposed, Pod, cumulative, histogram
from scripts.lab.simulation.world import World
from scripts.model import images

# Part of the process's memory that each of the Go runtime's gauges shows.
_MEMORY = {
    "go_memstats_alloc_bytes": 0.45,
    "go_memstats_heap_alloc_bytes": 0.45,
    "go_memstats_heap_idle_bytes": 0.25,
    "go_memstats_heap_inuse_bytes": 0.5,
    "go_memstats_heap_released_bytes": 0.2,
    "go_memstats_heap_sys_bytes": 0.75,
    "go_memstats_next_gc_bytes": 0.6,
    "go_memstats_stack_inuse_bytes": 0.02,
    "go_memstats_stack_sys_bytes": 0.02,
    "go_memstats_sys_bytes": 0.95,
}
_QUANTILES = {"0": 0.3, "0.25": 0.6, "0.5": 0.9, "0.75": 1.5, "1": 8.0}


def while_there(pod: Pod, series: Iterable[Exposed]) -> Iterator[Exposed]:
    """Yield the series of a pod, exposed only while the pod exists."""
    gone = pod.exists == 0
    for name, labels, values in series:
        yield name, labels, np.where(gone, np.nan, values)


def of_one(world: World, workload: str, namespace: str = "monitoring") -> Pod:
    """Return the only pod of a workload.

    Raises:
        ValueError: If it has none or several.
    """
    (pod,) = world.pods_of(workload, namespace)
    return pod


def version(pod: Pod, name: str = "") -> str:
    """Return a container's version, such as `3.14.0`, of the first one where none is named."""
    return images.version(_container(pod, name).image)


def process(world: World, pod: Pod, name: str = "") -> Iterator[Exposed]:
    """Yield process_* of a container, the first one where none is named."""
    clock = world.clock
    container = _container(pod, name)
    memory = np.nan_to_num(container.memory)
    yield "process_cpu_seconds_total", {}, cumulative(container.cpu * clock.step)
    yield "process_resident_memory_bytes", {}, memory * 0.92
    yield "process_virtual_memory_bytes", {}, memory * 0.92 + 1.2e9
    yield "process_start_time_seconds", {}, _started(world, pod, container)
    yield "process_open_fds", {}, np.round(world.noise.around(f"fds {pod.name} {name}", 24, 0.1))
    yield "process_max_fds", {}, clock.constant(1048576)


def go(world: World, pod: Pod, name: str = "", version: str = "go1.25.3") -> Iterator[Exposed]:
    """Yield go_* of a container, the first one where none is named."""
    clock = world.clock
    memory = np.nan_to_num(_container(pod, name).memory)
    yield "go_info", {"version": version}, clock.constant(1)
    around = world.noise.around(f"goroutines {pod.name} {name}", 60, 0.1)
    yield "go_goroutines", {}, np.round(around)
    yield "go_threads", {}, clock.constant(9)
    yield "go_gc_gogc_percent", {}, clock.constant(100)
    yield "go_sched_gomaxprocs_threads", {}, clock.constant(1)
    for metric, share in _MEMORY.items():
        yield metric, {}, memory * share
    allocated = np.cumsum(memory * 0.02)
    yield "go_memstats_alloc_bytes_total", {}, allocated
    yield "go_memstats_mallocs_total", {}, np.floor(allocated / 90)
    yield "go_memstats_frees_total", {}, np.floor(allocated / 91)
    collections = np.arange(clock.steps, dtype=np.float64)
    for quantile, milliseconds in _QUANTILES.items():
        labels = {"quantile": quantile}
        yield "go_gc_duration_seconds", labels, clock.constant(milliseconds * 1e-4)
    yield "go_gc_duration_seconds_sum", {}, collections * 1e-4
    yield "go_gc_duration_seconds_count", {}, collections
    yield "go_memstats_last_gc_time_seconds", {}, clock.time


def counters(world: World, names: Iterable[str]) -> Iterator[Exposed]:
    """Yield counters of what did not happen: programs expose them from their start, at 0."""
    for name in names:
        yield name, {}, world.clock.constant(0)


def sum_and_count(
    name: str, labels: Mapping[str, str], count: Array, mean: Array | float
) -> Iterator[Exposed]:
    """Yield a summary's series without quantiles."""
    yield f"{name}_sum", labels, cumulative(count * mean)
    yield f"{name}_count", labels, cumulative(count)


def merged(
    name: str,
    labels: Mapping[str, str],
    parts: Sequence[tuple[Array, Array]],
    bounds: Sequence[float],
) -> Iterator[Exposed]:
    """Yield one histogram of several kinds of observations.

    Args:
        name: Without suffix.
        labels: Of every series.
        parts: Counts in each step and their median.
        bounds: Upper bounds of the buckets, without +Inf.
    """
    series = [list(histogram(name, labels, count, median, bounds)) for count, median in parts]
    for same in zip(*series, strict=True):
        metric, own, _ = same[0]
        yield metric, own, np.sum([values for _, _, values in same], axis=0)


def once_seen(values: Array) -> Array:
    """Return a counter as a program exposes it that makes the series with its first increment."""
    return np.where(values > 0, values, np.nan)


def _container(pod: Pod, name: str) -> Container:
    return next(c for c in pod.containers if name in ("", c.name))


def _started(world: World, pod: Pod, container: Container) -> Array:
    restarted = np.diff(container.restarts, prepend=container.restarts[0]) > 0
    last = np.maximum.accumulate(np.where(restarted, world.clock.time, pod.created))
    return np.asarray(last, dtype=np.float64)
