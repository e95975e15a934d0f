"""From nodes, pods and lines to pods, memory, volumes and buckets.

Sizes are in bytes, CPU in cores, money in US dollars a month. A cluster's own figures are of one
cluster; the hub, where Loki and Thanos are, has those of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.model.plan import constants as c

GB = 10**9
MI = 2**20
GI = 2**30
DAY = 86400
MONTH = 30.4 * DAY
# What a request or limit is rounded up to.
_MEMORY, _CPU = 32 * MI, 0.005
ONE_LOKI = "Loki, one"
# How much of a volume may be filled before it is too small.
FILLED = 0.8


@dataclass(frozen=True)
class Workload:
    """What is to be watched, and for how long.

    Attributes:
        clusters: That one Grafana shows.
        nodes: Of each cluster.
        pods: Of each cluster, those of the system and of the monitoring included.
        series: That each Prometheus holds; 0 to count them from nodes and pods.
        series_limit: The most that it may hold, by the environment's budget; 0 without one.
        interval: Seconds between two scrapes.
        log_lines: A second, of each cluster.
        line_bytes: Of a line with its structured metadata.
        streams: Of each cluster.
        months: That metrics are to be kept.
        local_days: That Prometheus keeps metrics on its own volume.
        log_days: That lines are kept.
        raw_days: That Thanos keeps samples as they were.
        five_minute_days: That it keeps one for each five minutes.
        hour_days: That it keeps one for each hour.
        opened: How often a day somebody opens a dashboard on what is in the buckets.
        smallest_volume: Bytes; the provider makes no smaller one.
        recursive: Whether Thanos lists a bucket at once, and not asks for each block.
        replicas: Prometheis of each cluster; 0 for what the nodes do for.
    """

    clusters: int
    nodes: int
    pods: int
    log_lines: float
    months: float
    series: int = 0
    series_limit: int = 0
    interval: float = 30
    line_bytes: float = c.LINE_BYTES.value
    streams: int = int(c.STREAMS.value)
    local_days: float = 30
    log_days: float = 7
    raw_days: float = 60
    five_minute_days: float = 180
    hour_days: float = 400
    opened: float = c.OPENED.value
    smallest_volume: float = 0
    recursive: bool = False
    replicas: int = 0

    @property
    def expected_series(self) -> int:
        """Series that each Prometheus holds."""
        by_size = self.nodes * c.SERIES_NODE.value + self.pods * c.SERIES_POD.value
        return self.series or round(c.SERIES_BASE.value + by_size)

    @property
    def most_series(self) -> int:
        """Series that memory limits must do for."""
        return max(self.expected_series, self.series_limit)

    @property
    def samples(self) -> float:
        """Samples a second of each Prometheus."""
        return self.expected_series / self.interval

    @property
    def log_rate(self) -> float:
        """Bytes of lines a second, of all clusters."""
        return self.clusters * self.log_lines * self.line_bytes

    @property
    def prometheis(self) -> int:
        """Of each cluster: a second one where a node may be lost."""
        return self.replicas or (2 if self.nodes >= c.REPLICATED_NODES.value else 1)


@dataclass(frozen=True)
class Component:
    """What one component takes.

    Attributes:
        name: As the release's workload, roughly.
        clusters: In how many clusters it is.
        pods: In one of them.
        cpu: Requested by one pod.
        memory: Requested by one pod.
        limit: Memory limit of one pod.
        volume: Of one pod; 0 for none.
        step: The step that brings it; empty for what is always there.
    """

    name: str
    clusters: int
    pods: int
    cpu: float
    memory: float
    limit: float
    volume: float = 0
    step: str = ""


@dataclass(frozen=True)
class Bucket:
    """What a bucket holds, and what is asked of it in a month.

    Attributes:
        name: What it is for.
        parts: Bytes after the planned months, by what they are.
        puts: Requests that write.
        gets: Requests that read an object, or ask whether it is there.
        lists: Requests that list.
        read: Bytes that are read.
    """

    name: str
    parts: dict[str, float]
    puts: float
    gets: float
    lists: float
    read: float

    @property
    def size(self) -> float:
        """Bytes in all."""
        return sum(self.parts.values())

    @property
    def requests(self) -> float:
        """Requests in all."""
        return self.puts + self.gets + self.lists


@dataclass(frozen=True)
class Prices:
    """Of an object storage, in US dollars.

    Attributes:
        storage: Of a GB for a month.
        requests: Of 10,000 requests.
        egress: Of a GB that leaves the provider's network.
        free_storage: GB that cost nothing.
        free_requests: Requests a month that cost nothing.
        free_egress: GB a month that cost nothing.
    """

    storage: float = c.PRICE_STORAGE.value
    requests: float = c.PRICE_REQUESTS.value
    egress: float = c.PRICE_EGRESS.value
    free_storage: float = c.FREE_STORAGE.value
    free_requests: float = c.FREE_REQUESTS.value
    free_egress: float = c.FREE_EGRESS.value

    def month(self, size: float, requests: float, left: float) -> float:
        """Return what a month costs.

        Args:
            size: Bytes kept.
            requests: Of every class.
            left: Bytes that left the provider's network.
        """
        return (
            max(0.0, size / GB - self.free_storage) * self.storage
            + max(0.0, requests - self.free_requests) / 10_000 * self.requests
            + max(0.0, left / GB - self.free_egress) * self.egress
        )


def prometheus_memory(series: float) -> float:
    """Return the most memory that Prometheus takes with so many series, without queries."""
    return c.PROMETHEUS_MEMORY.value * MI + c.SERIES_MEMORY.value * series


def prometheus_cores(samples: float) -> float:
    """Return the CPU that so many samples a second take, without rules and queries."""
    return c.PROMETHEUS_CPU.value + c.SAMPLES_CPU.value * samples / 1000


def loki_memory(rate: float, streams: float) -> float:
    """Return the most memory that a Loki takes which has every part and each line.

    Args:
        rate: Bytes of lines a second.
        streams: That have lines.
    """
    lines = rate * c.CHUNK_AGE.value
    held = lines / c.LOG_COMPRESSION.value * c.HELD_MEMORY.value
    passing = min(lines, c.LINE_MEMORY_MOST.value) * c.LINE_MEMORY.value
    return c.LOKI_MEMORY.value * MI + streams * c.STREAM_MEMORY.value + held + passing


def stored_logs(size: float, chunks: float) -> float:
    """Return the bytes that lines become: of chunks, and of their index.

    Args:
        size: Bytes of lines.
        chunks: That they are in.
    """
    return size / c.LOG_COMPRESSION.value + chunks * c.CHUNK_INDEX.value


def chunks_an_hour(rate: float, streams: float) -> float:
    """Return how many chunks are flushed in an hour, for one copy of each line.

    A chunk ends by its age or when nothing comes, however small it is, or when it is full.
    """
    full = rate * 3600 / c.LOG_COMPRESSION.value / c.CHUNK_SIZE.value
    return streams * c.STREAM_CHUNKS.value + full


def components(w: Workload) -> list[Component]:
    """Return every component, also those that no step that is due brings."""
    return [*_metrics(w), *_loki(w), *_thanos(w), *_others(w)]


def local_metrics(w: Workload) -> float:
    """Return the bytes that a Prometheus keeps on its volume, its write-ahead log included."""
    log = w.samples * c.WAL_SECONDS.value * c.WAL_BYTES.value
    return w.samples * w.local_days * DAY * c.SAMPLE_BYTES.value + log


def local_logs(w: Workload) -> float:
    """Return the bytes that one Loki without a bucket keeps on its volume."""
    size, chunks = w.log_rate * w.log_days * DAY, _chunks(w) * w.log_days * 24
    return stored_logs(size, chunks) + _log_wal(w)


def lines_bucket(w: Workload, copies: int) -> Bucket:
    """Return the bucket of lines.

    Args:
        w: The workload.
        copies: Of each line until it is in the bucket: the replication factor.
    """
    days = min(w.months * MONTH / DAY, w.log_days)
    kept = 1 + (copies - 1) * c.REPLICA_CHUNKS.value
    hours = MONTH / 3600
    chunks = _chunks(w) * kept
    index = copies * c.INDEX_UPLOADS.value * hours
    opened = w.opened * MONTH / DAY * c.OPENED_HOURS.value
    return Bucket(
        "logs",
        {
            "chunks": kept * w.log_rate * days * DAY / c.LOG_COMPRESSION.value,
            "index": chunks * days * 24 * c.CHUNK_INDEX.value,
        },
        puts=chunks * hours + index,
        gets=opened * chunks + index,
        lists=(copies * c.INDEX_LISTS.value + c.COMPACTOR_LISTS.value) * hours,
        read=opened * kept * w.log_rate * 3600 / c.LOG_COMPRESSION.value,
    )


def metrics_bucket(w: Workload) -> Bucket:
    """Return the bucket of metrics, of a pair of Prometheis what both have."""
    days = w.months * MONTH / DAY
    raw = w.clusters * w.prometheis * w.samples * DAY * c.SAMPLE_BYTES.value
    parts = {
        "raw": raw * min(days, w.raw_days),
        "5m": raw * min(days, w.five_minute_days) * c.FIVE_MINUTES.value,
        "1h": raw * min(days, w.hour_days) * c.HOUR.value,
    }
    # Those of two hours until they are merged.
    parts["raw"] += raw * c.UNMERGED_DAYS.value * (c.SMALL_BLOCKS.value - 1)
    blocks = bucket_blocks(w)
    syncs = (c.COMPACTOR_SYNCS.value + c.STORE_SYNCS.value) * MONTH / 3600
    pages = math.ceil(blocks * c.BLOCK_FILES.value / c.LIST_PAGE.value)
    shipped = w.clusters * w.prometheis * 12 * MONTH / DAY
    opened = w.opened * MONTH / DAY
    return Bucket(
        "metrics",
        parts,
        puts=shipped * c.BLOCK_FILES.value * (1 + c.MERGES.value),
        gets=(0 if w.recursive else syncs * blocks * c.BLOCK_LOOKUPS.value)
        + shipped * c.BLOCK_FILES.value * c.MERGES.value
        + opened * c.OPENED_READS.value,
        lists=syncs * (pages if w.recursive else 1),
        read=raw * MONTH / DAY * c.MERGES.value + opened * c.OPENED_READS.value * 64 * 1024,
    )


def bucket_blocks(w: Workload) -> float:
    """Return how many blocks the bucket of metrics has."""
    days = w.months * MONTH / DAY
    kept = sum(min(days, d) for d in (w.raw_days, w.five_minute_days, w.hour_days))
    small = 12 * c.UNMERGED_DAYS.value
    return w.clusters * w.prometheis * (small + kept / c.BLOCK_DAYS.value)


def _metrics(w: Workload) -> Iterator[Component]:
    expected, most = prometheus_memory(w.expected_series), prometheus_memory(w.most_series)
    cpu = prometheus_cores(w.samples) + c.RULES_CPU.value
    limit = most * c.PROMETHEUS_HEADROOM.value
    disk = _volume(w, local_metrics(w))
    each = w.clusters
    yield _component("Prometheus", each, w.prometheis, cpu, expected, limit, disk)
    alertmanagers = 3 if w.prometheis > 1 else 1
    yield _fixed(c.ALERTMANAGER, each, alertmanagers)
    yield _fixed(c.EXPORTERS, each, 2, 1 + w.pods / c.EXPORTER_PODS.value)
    yield _fixed(c.NODE_EXPORTER, each, w.nodes)


def _loki(w: Workload) -> Iterator[Component]:
    streams = w.clusters * w.streams
    memory = loki_memory(w.log_rate, streams)
    limit = memory * c.LOKI_HEADROOM.value
    cpu = c.LOKI_CPU.value + c.LOG_CPU.value * w.log_rate / MI
    yield _component(ONE_LOKI, 1, 1, cpu, memory, limit, _volume(w, local_logs(w)), "")
    buffer = _volume(w, _log_wal(w))
    yield _component("Loki, three", 1, 3, cpu, memory, limit, buffer, "three Lokis")
    daily = w.log_rate * DAY / 10**12
    for part in c.DISTRIBUTED:
        cores = max(part.cores, part.daily_cores * daily / part.pods)
        wanted = max(part.memory, part.daily_memory * daily / part.pods) * MI
        wanted = max(wanted, memory) if part.volume else wanted
        most = wanted * c.DISTRIBUTED_HEADROOM.value
        disk = buffer if part.volume else 0
        name = f"Loki's {part.what}"
        yield _component(name, 1, part.pods, cores, wanted, most, disk, "Loki in parts")


def _thanos(w: Workload) -> Iterator[Component]:
    step = "Thanos"
    yield _fixed(c.SIDECAR, w.clusters, w.prometheis, step=step)
    series = 1 + w.clusters * w.expected_series / c.THANOS_SERIES.value
    yield _fixed(c.QUERY, 1, 2, series, step=step)
    yield _fixed(c.QUERY_FRONTEND, 1, 2, step=step)
    yield _fixed(c.STORE, 1, 1, 1 + bucket_blocks(w) / c.THANOS_BLOCKS.value, step=step)
    # Blocks of one cluster are merged at a time: those that it reads, and the one that it writes.
    scratch = 2 * c.BLOCK_DAYS.value * DAY * w.samples * c.SAMPLE_BYTES.value * w.prometheis
    yield _fixed(c.COMPACTOR, 1, 1, series, _volume(w, scratch), step)


def _others(w: Workload) -> Iterator[Component]:
    yield _fixed(c.GRAFANA, 1, 2 if w.prometheis > 1 else 1)
    yield _fixed(c.ALLOY, w.clusters, w.nodes, 1 + w.log_lines / w.nodes / c.ALLOY_LINES.value)
    yield _fixed(c.ALLOY_EVENTS, w.clusters, 1)
    yield _fixed(c.PROBES, w.clusters, 1)


def _component(
    name: str,
    clusters: int,
    pods: int,
    cpu: float,
    memory: float,
    limit: float,
    volume: float = 0,
    step: str = "",
) -> Component:
    """Return a component with what it takes rounded up as requests are."""
    cpu = math.ceil(cpu / _CPU - 1e-9) * _CPU
    memory, limit = (math.ceil(value / _MEMORY) * _MEMORY for value in (memory, limit))
    return Component(name, clusters, pods, cpu, memory, limit, volume, step)


def _fixed(
    size: c.Size, clusters: int, pods: int, growth: float = 1, volume: float = 0, step: str = ""
) -> Component:
    """Return a component whose pods grow slowly, if at all."""
    cpu, memory, limit = size.cores * growth, size.memory * MI * growth, size.limit * MI * growth
    return _component(size.what, clusters, pods, cpu, memory, limit, volume, step)


def _log_wal(w: Workload) -> float:
    """Return the bytes of Loki's write-ahead log: lines that no flushed chunk has yet."""
    return w.log_rate * c.CHUNK_AGE.value


def _chunks(w: Workload) -> float:
    """Return the chunks that all clusters' lines are in, an hour, one copy of each."""
    return chunks_an_hour(w.log_rate, w.clusters * w.streams)


def _volume(w: Workload, used: float) -> float:
    """Return the size of a volume that is filled to FILLED at most, in whole GiB."""
    return max(w.smallest_volume, math.ceil(used / FILLED / GI) * GI)
