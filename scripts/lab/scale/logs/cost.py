"""What Loki costs at the simulated cluster's rate of lines and at multiples of it.

CPU, memory and requests to the bucket are measured for as long as there is time. Chunks are stored
once they are two hours old, or half an hour idle, so how many there are in a day is reckoned from
the day's lines by the same limits.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.core.findings import progress
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from scripts.servers.api import Api
from scripts.servers.loki_cluster import ALL, DISTRIBUTOR, LokiCluster, buckets
from scripts.servers.monitoring import push_streams
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.processes import Processes
from scripts.simulation import Day

FACTORS = (1, 10, 100)
_SECOND = 10**9
_DAY = 86400.0
# Loki's defaults: ingester.chunk_idle_period, max_chunk_age (s) and chunk_target_size (bytes).
_IDLE, _OLDEST, _TARGET = 1800, 7200, 1_572_864
# Seconds between two looks at what is to be stored (ingester.flush_check_period).
_CHECK = 30


@dataclass(frozen=True)
class Cost:
    """What a kind of Loki used at a rate.

    Attributes:
        name: Which kind.
        factor: Multiple of the simulated cluster's lines.
        rate: Lines a second that it took.
        seconds: For how long.
        cpu: Cores of each process.
        memory: The most resident bytes of each process.
        requests: To the bucket, by operation.
        stored: Bytes in the bucket after everything was flushed, for each line.
    """

    name: str
    factor: int
    rate: float
    seconds: float
    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    requests: Counter[str]
    stored: float


def measure(name: str, cluster: Cluster, day: Day, factor: int, seconds: float) -> Cost:
    """Send a day's lines as if they were written now, and see what that costs.

    Args:
        name: What to call it.
        cluster: With the rendered Loki and its bucket.
        day: Whose lines.
        factor: Multiple of the day's mean rate.
        seconds: For how long.
    """
    progress(f"{name}: {factor} x the lines for {seconds:.0f} s")
    wanted = factor * _lines(day) / _DAY
    with Processes() as processes:
        storage = ObjectStorage(processes, *buckets(cluster))
        loki = LokiCluster(processes, cluster, storage)
        loki.start()
        before = processes.cpu_seconds()
        began = time.monotonic()
        with loki.api(ALL, DISTRIBUTOR) as api:
            sent = _send(api, day, wanted, began + seconds)
        took = time.monotonic() - began
        after = processes.cpu_seconds()
        cpu = {m: (after[m] - before[m]) / took for m in loki.members}
        peaks = processes.peak_memory()
        requests: Counter[str] = Counter()
        for (operation, _), times in storage.requests().items():
            requests[operation] += times
        loki.stop()
        kept = sum(o.size for bucket in buckets(cluster) for o in storage.objects(bucket))
        memory = {member: peaks[member] for member in loki.members}
    return Cost(name, factor, sent / took, took, cpu, memory, requests, kept / max(sent, 1))


def _lines(day: Day) -> int:
    with day.logs.open("rb") as lines:
        return sum(1 for _ in lines)


def _send(api: Api, day: Day, rate: float, end: float) -> int:
    """Push lines once a second, as Alloy does, until a moment; return how many."""
    with day.logs.open(encoding="utf-8") as file:
        entries = itertools.cycle([json.loads(line) for line in file])
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) < end:
        due = int((now - began) * rate) - sent
        streams: dict[str, list[list[Json]]] = {}
        moment = time.time_ns()
        for number, entry in enumerate(itertools.islice(entries, due)):
            labels = json.dumps(entry["labels"], sort_keys=True)
            value = [str(moment + number), entry["line"], entry.get("structured_metadata") or {}]
            streams.setdefault(labels, []).append(value)
        push_streams(api, streams)
        sent += due
        time.sleep(max(0.0, now + 1 - time.monotonic()))
    return sent


def chunks(day: Day, factor: int, ratio: float) -> int:
    """Return how many chunks a day's lines become, on one ingester.

    Args:
        day: Whose lines.
        factor: Multiple of its lines, in the same streams.
        ratio: Bytes in the bucket for each byte of a line.
    """
    began: dict[str, int] = {}
    last: dict[str, int] = {}
    size: Counter[str] = Counter()
    count = 0
    with day.logs.open(encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            stream = json.dumps(entry["labels"], sort_keys=True)
            at = int(entry["timestamp"]) // _SECOND
            open_ = stream in began
            if open_ and (at - last[stream] > _IDLE + _CHECK or at - began[stream] > _OLDEST):
                open_ = False
            if not open_:
                began[stream], size[stream] = at, 0
                count += 1
            last[stream] = at
            size[stream] += len(entry["line"]) * factor
            if size[stream] * ratio > _TARGET:
                del began[stream]
    return count


def table(costs: Sequence[Cost]) -> str:
    """Return a line for each process at each rate, then requests to the bucket."""
    lines = [f"{'process':44}{'lines/s':>9}{'cores':>8}{'memory, MiB':>13}"]
    for one in costs:
        for member, cores in one.cpu.items():
            label = f"{one.name}, {one.factor} x: {member}"
            memory = one.memory[member] / 2**20
            lines.append(f"{label:44}{one.rate:>9.1f}{cores:>8.3f}{memory:>13.0f}")
    lines.append(f"\n{'requests, bytes':44}{'seconds':>9}{'bytes/line':>12}  by operation")
    lines.extend(_requests(costs))
    return "\n".join(lines)


def _requests(costs: Sequence[Cost]) -> Iterator[str]:
    for one in costs:
        each = ", ".join(f"{name} {times}" for name, times in sorted(one.requests.items()))
        label = f"{one.name}, {one.factor} x"
        yield f"{label:44}{one.seconds:>9.0f}{one.stored:>12.1f}  {each}"
