"""What the plan counts with: each number, its unit and where it comes from.

Measured: by `make bench BENCH=plan` on two cores of x86, with the versions in `scripts/tools`, or
counted on the simulated day. Prices change: they are parameters of `make plan`, and these are its
defaults. Where something is neither measured nor read, the source says so.
"""

from __future__ import annotations

from typing import NamedTuple

DOCS = "https://github.com/grafana/loki/blob/v3.7.8/docs/sources/"
THANOS = "https://github.com/thanos-io/thanos/blob/v0.42.5/"
MANIFESTS = "base and base/optional/scale"


class Constant(NamedTuple):
    """A number of the model."""

    what: str
    value: float
    unit: str
    source: str


class Size(NamedTuple):
    """What a pod takes that grows little: cores, MiB requested, MiB at most."""

    what: str
    cores: float
    memory: float
    limit: float
    source: str


class Part(NamedTuple):
    """One of Loki's parts where it runs in parts.

    Attributes:
        what: Its name.
        pods: How many.
        cores: Of each pod, at least.
        memory: In MiB, of each pod, at least.
        daily_cores: Of all its pods, for a TB of lines a day.
        daily_memory: In MiB, of all its pods, for a TB of lines a day.
        volume: Whether it has one.
    """

    what: str
    pods: int
    cores: float
    memory: float
    daily_cores: float
    daily_memory: float
    volume: bool = False


_DAY = "counted on the simulated day at 1 and 10 times: 2 and 20 nodes, 52 and 204 pods"
SERIES_BASE = Constant("series of what is there once", 800, "", _DAY)
SERIES_NODE = Constant("series of a node", 325, "", _DAY)
SERIES_POD = Constant("series of a pod, recorded ones included", 89, "", _DAY)
PODS_NODE = Constant("pods of a node, where nobody says", 26, "", _DAY)
LOG_LINES = Constant("lines of a node, where nobody says", 0.78, "a second", _DAY)
LINE_BYTES = Constant("a line with its structured metadata", 143, "B", _DAY)
STREAMS = Constant("streams, where nobody says", 45, "", _DAY)
STREAM_CHUNKS = Constant(
    "chunks of a stream",
    0.55,
    "an hour",
    "counted on the simulated day: a chunk ends after 30 minutes without a line, or 2 hours "
    "(chunk_idle_period, max_chunk_age)",
)

_BENCH = "measured at 1, 10 and 100 times"
PROMETHEUS_MEMORY = Constant("memory of Prometheus without series", 75, "MiB", _BENCH)
SERIES_MEMORY = Constant(
    "a series in the head", 5000, "B", f"{_BENCH}: 5200 with 240 samples each, 3700 with 40"
)
PROMETHEUS_HEADROOM = Constant(
    "Prometheus' limit over what its head takes", 3, "", "chosen: queries, pods that are gone"
)
PROMETHEUS_CPU = Constant("CPU of Prometheus without series", 0.005, "cores", _BENCH)
SAMPLES_CPU = Constant("CPU of 1000 samples a second", 0.003, "cores", _BENCH)
RULES_CPU = Constant("CPU of rules and queries", 0.08, "cores", "chosen; not measured")
SAMPLE_BYTES = Constant(
    "a sample in a block",
    1.8,
    "B",
    "measured: 1.8 on the simulated day, 2.0 at 10 times, 1.4 over three days without recorded "
    "series; Prometheus' documentation says 1 to 2, "
    "https://prometheus.io/docs/prometheus/latest/storage/",
)
WAL_SECONDS = Constant(
    "samples in the write-ahead log",
    3 * 3600,
    "s",
    "https://prometheus.io/docs/prometheus/latest/storage/: at most three hours",
)
WAL_BYTES = Constant("a sample in the write-ahead log", 6, "B", "measured at 1 time")

LOKI_MEMORY = Constant("memory of Loki without lines", 165, "MiB", _BENCH)
LINE_MEMORY = Constant("memory for each byte of lines in two hours", 0.5, "B", _BENCH)
LINE_MEMORY_MOST = Constant(
    "lines in two hours that it is for",
    160e6,
    "B",
    "the most that was measured; all came at once, and leave less behind over two hours",
)
HELD_MEMORY = Constant(
    "memory over chunks that are not flushed", 2, "", "Go collects when its heap has doubled"
)
STREAM_MEMORY = Constant("a stream with a chunk", 64 * 1024, "B", "not measured")
LOKI_HEADROOM = Constant("Loki's limit over what lines take", 3, "", "chosen: queries")
LOKI_CPU = Constant("CPU of Loki without lines", 0.1, "cores", f"the request in {MANIFESTS}")
LOG_CPU = Constant("1 MiB of lines a second", 0.5, "cores", "not measured")
LOG_COMPRESSION = Constant(
    "lines' bytes over those of chunks", 10, "", f"{_BENCH}: 9.3, 10.1 and 10.6"
)
CHUNK_INDEX = Constant("index of a chunk", 170, "B", f"{_BENCH}: 177, 162 and 131")
CHUNK_SIZE = Constant(
    "a full chunk", 1.5 * 2**20, "B", f"{DOCS}shared/configuration.md, chunk_target_size"
)
CHUNK_AGE = Constant("a chunk at most", 7200, "s", f"{DOCS}shared/configuration.md, max_chunk_age")
LOKI_DAILY = Constant(
    "bytes a day that Loki in one process does for",
    20e9,
    "B",
    f"{DOCS}get-started/deployment-modes.md",
)
REPLICA_CHUNKS = Constant(
    "of a copy's chunks, those that are no duplicates in the bucket",
    1,
    "",
    "upper bound, not measured: each replica cuts its chunks by itself",
)
INDEX_UPLOADS = Constant(
    "index files that a Loki uploads, or downloads", 4, "an hour", "Loki's code: one in 15 minutes"
)
INDEX_LISTS = Constant(
    "lists of a Loki", 12, "an hour", f"{DOCS}shared/configuration.md, resync_interval: 5 minutes"
)
COMPACTOR_LISTS = Constant(
    "lists of Loki's compactor",
    12,
    "an hour",
    f"{DOCS}shared/configuration.md, compaction_interval: 10 minutes, of two folders",
)
OPENED = Constant("dashboards opened on what is in buckets", 20, "a day", "assumed")
OPENED_HOURS = Constant("hours of lines that one reads", 6, "h", "assumed")
OPENED_READS = Constant("reads of Thanos' store for one", 500, "", "assumed, not measured")

UNMERGED_DAYS = Constant(
    "days of blocks that are merged but still there", 3, "days", "compact --delete-delay: 48h"
)
SMALL_BLOCKS = Constant(
    "a sample in a block of two hours over one in a large one", 1.75, "", "measured at 1 time"
)
FIVE_MINUTES = Constant(
    "five aggregates for 5 minutes over 10 samples",
    0.46,
    "",
    "measured on three simulated days with `thanos tools bucket downsample`; about 1 by "
    f"{THANOS}docs/components/compact.md#downsampling",
)
HOUR = Constant(
    "five aggregates for an hour over 120 samples", 0.1, "", "computed from that, not measured"
)
BLOCK_DAYS = Constant("days of a merged block", 14, "days", f"{THANOS}docs/components/compact.md")
BLOCK_FILES = Constant("objects of a block", 3, "", "meta.json, index, one file of chunks")
MERGES = Constant(
    "how often a sample is read and written again",
    5,
    "",
    "8 hours, 2 days, 14 days, and two resolutions: the compactor's levels",
)
BLOCK_LOOKUPS = Constant(
    "requests for a block at each look",
    1,
    "",
    "measured: with --block-discovery-strategy=concurrent, the default, one for each block; with "
    "recursive, none",
)
LIST_PAGE = Constant("objects that one list tells", 1000, "", "S3's ListObjectsV2, at most")
COMPACTOR_SYNCS = Constant(
    "looks of the compactor at all blocks",
    60 + 12 * 4,
    "an hour",
    "measured: one each minute, for its page of blocks, and four each 5 minutes, for its work, "
    "clean-up and progress",
)
STORE_SYNCS = Constant(
    "looks of the store at all blocks", 4, "an hour", "--sync-block-duration: 15m"
)

_REQUEST = f"as {MANIFESTS} have it"
# To be replaced by what is measured under load.
_THANOS_REQUEST = "as base/optional/scale/thanos has it; not measured"
ALERTMANAGER = Size("Alertmanager", 0.01, 32, 96, _REQUEST)
EXPORTERS = Size("operator, state of objects", 0.015, 64, 144, _REQUEST)
NODE_EXPORTER = Size("node exporter", 0.01, 24, 64, _REQUEST)
GRAFANA = Size("Grafana", 0.1, 256, 640, _REQUEST)
ALLOY = Size("Alloy, logs", 0.045, 128, 288, _REQUEST)
ALLOY_EVENTS = Size("Alloy, events", 0.015, 96, 192, _REQUEST)
PROBES = Size("blackbox exporter", 0.005, 24, 64, _REQUEST)
SIDECAR = Size("Thanos sidecar", 0.01, 48, 128, _THANOS_REQUEST)
QUERY = Size("Thanos query", 0.05, 128, 512, _THANOS_REQUEST)
QUERY_FRONTEND = Size("Thanos query frontend", 0.02, 64, 256, _THANOS_REQUEST)
STORE = Size("Thanos store", 0.02, 128, 512, _THANOS_REQUEST)
COMPACTOR = Size("Thanos compactor", 0.05, 256, 1024, _THANOS_REQUEST)
EXPORTER_PODS = Constant("pods that double kube-state-metrics", 1000, "", "assumed, not measured")
ALLOY_LINES = Constant("lines that double Alloy", 2000, "a second", "assumed, not measured")
THANOS_SERIES = Constant(
    "series that double Thanos' query and compactor", 500_000, "", "assumed, not measured"
)
THANOS_BLOCKS = Constant("blocks that double Thanos' store", 1000, "", "assumed, not measured")
# Each pod at least as base/optional/scale/loki-distributed has it; what a TB a day takes, by
# https://grafana.com/docs/loki/latest/setup/size/ for less than 3 TB a day (the ruler as a query
# scheduler). An ingester takes no less than a Loki does: each of three has each line. Not measured.
DISTRIBUTED = (
    Part("distributor", 2, 0.05, 128, 2.7, 683),
    Part("ingester", 3, 0.1, 320, 4, 8192, volume=True),
    Part("querier", 2, 0.05, 192, 3.3, 3413),
    Part("query frontend", 2, 0.02, 96, 0.7, 1365),
    Part("query scheduler", 2, 0.01, 64, 0.7, 341),
    Part("index gateway", 2, 0.02, 128, 0.7, 2731),
    Part("compactor", 1, 0.02, 128, 0.7, 3413),
    Part("ruler", 1, 0.02, 96, 0.7, 341),
)
DISTRIBUTED_HEADROOM = Constant("limit over request of Loki's parts", 3, "", MANIFESTS)
REPLICATED_NODES = Constant(
    "nodes from which one may be lost", 3, "", "a replication factor of 3 needs as many"
)
MAX_STREAMS = Constant(
    "streams that Loki takes", 2000, "", "base/releases/loki.yaml, max_global_streams_per_user"
)

# Not read on Oracle's own page: https://www.oracle.com/cloud/price-list/
_LIST = "a public copy, of 2026-02, of Oracle's price list, part"
PRICE_STORAGE = Constant("Object Storage, standard", 0.0255, "$ a GB and month", f"{_LIST} B91628")
PRICE_REQUESTS = Constant(
    "10,000 requests", 0.0034, "$", "from memory, not read: part B91627 of Oracle's price list"
)
PRICE_EGRESS = Constant(
    "a GB to the internet, Europe and North America", 0.0085, "$", f"{_LIST} B88327"
)
FREE_STORAGE = Constant("free storage", 10, "GB", f"{_LIST} B91628, of a paid tenancy")
FREE_REQUESTS = Constant("free requests", 50_000, "a month", f"{_LIST} B91627")
FREE_EGRESS = Constant("free egress", 10_240, "GB a month", f"{_LIST} B88327")
PRICE_VOLUME = Constant(
    "a GB of a volume, balanced",
    0.0425,
    "$ a month",
    f"{_LIST} B91961 and 10 x B91962; 200 GB of the Always Free tier cost nothing",
)


def constants() -> list[Constant]:
    """Return every constant, in the order above."""
    return [value for value in globals().values() if isinstance(value, Constant)]


def pods() -> list[Size]:
    """Return the size of every pod that grows little."""
    return [value for value in globals().values() if isinstance(value, Size)]
