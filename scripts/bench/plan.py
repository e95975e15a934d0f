"""What Prometheus and one Loki take at 1, 10 and 100 times the simulated cluster.

Beside each figure stands what `make plan` counts with, so that its constants can be corrected.
Prometheus scrapes copies of what it holds of the simulated day, each under a label of its own, fast
enough that a head of two hours is there after minutes. Loki gets two hours of lines at once, spread
over the two hours before now, in the streams of one cluster: more traffic, not more applications.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from scripts import simulation
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json
from scripts.model.plan import FACTOR, sizes
from scripts.model.plan import constants as c
from scripts.model.rendered import Cluster
from scripts.servers import monitoring
from scripts.servers.api import Api
from scripts.servers.own_metrics import samples
from scripts.servers.polling import poll
from scripts.servers.processes import LOOPBACK, Processes, free_port, free_ports

_HOURS = 2
# Samples of a head of two hours at 30 s.
_STEPS = 240
# Seconds between two scrapes and how many of them, by scale: at 100 x, two cores take no more.
SCRAPES = {1: (0.5, _STEPS), 10: (0.5, _STEPS), 100: (5.0, 48)}
_DIGITS = "0123456789"


@dataclass(frozen=True)
class Metrics:
    """What a Prometheus took.

    Attributes:
        series: In its head.
        samples: Appended a second, while it was scraped.
        cores: CPU used, while it was scraped.
        memory: Resident at most, in bytes, with a block written as after each two hours.
        block: Bytes of that block.
        stored: Samples in it.
        log: Bytes of the write-ahead log, for the samples appended so far.
        appended: How many these are.
    """

    series: int
    samples: float
    cores: float
    memory: int
    block: int
    stored: int
    log: int
    appended: int


@dataclass(frozen=True)
class Lines:
    """What a Loki took.

    Attributes:
        lines: Pushed.
        size: Bytes that it counted of them, with structured metadata.
        memory: Resident at most, in bytes.
        streams: That had lines.
        chunks: Flushed.
        stored: Bytes of these chunks, compressed.
        index: Bytes of its index.
    """

    lines: int
    size: int
    memory: int
    streams: int
    chunks: int
    stored: int
    index: int


@dataclass
class Exposition:
    """Series in Prometheus' text format, one step after the other, each as long as an interval.

    Attributes:
        names: Of each series, with its labels.
        values: Of each series, at each step; empty where it has none.
        interval: Seconds.
    """

    names: Sequence[str]
    values: Sequence[Sequence[str]]
    interval: float
    began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _made: tuple[int, bytes] = (-1, b"")

    def text(self) -> bytes:
        """Return the exposition of now."""
        step = int((time.monotonic() - self.began) / self.interval) % _STEPS
        with self._lock:
            if self._made[0] != step:
                rows = zip(self.names, self.values, strict=True)
                lines = [f"{name} {value[step]}\n" for name, value in rows if value[step]]
                self._made = step, "".join(lines).encode()
            return self._made[1]


def tables() -> Iterator[str]:
    """Yield a table for each scale, as soon as it is measured.

    Raises:
        RepositoryError: Where a chart is missing, or a server takes too little in time.
    """
    cluster = simulation.cluster()
    day = simulation.day("healthy")
    for scale in SCRAPES:
        rows = [*metric_rows(metrics(day, cluster, scale)), *line_rows(lines(day, cluster, scale))]
        yield f"\n{table(rows, scale)}"


@dataclass(frozen=True)
class Row:
    """A figure as it was measured, and as the plan has it."""

    what: str
    measured: float
    planned: float


def table(rows: Sequence[Row], scale: int) -> str:
    """Return measured beside planned, those farther apart than the plan's factor marked."""
    heading = f"the simulated cluster, {scale} x"
    text = [f"{heading:<42}{'measured':>12}{'planned':>12}{'ratio':>8}"]
    for row in rows:
        ratio = row.planned / row.measured if row.measured else 0
        numbers = f"{row.what:<42}{row.measured:>12.4g}{row.planned:>12.4g}{ratio:>8.2f}"
        text.append(numbers + ("" if 1 / FACTOR <= ratio <= FACTOR else "  off"))
    return "\n".join(text)


def metric_rows(found: Metrics) -> list[Row]:
    """Return what the plan has of a Prometheus."""
    series = sizes.prometheus_memory(found.series) / sizes.MI
    rows = [
        Row(f"Prometheus, {found.series} series, MiB", found.memory / sizes.MI, series),
        Row("  millicores", found.cores * 1e3, sizes.prometheus_cores(found.samples) * 1e3),
        Row("  bytes a sample, log", found.log / found.appended, c.WAL_BYTES.value),
    ]
    # A block has an index of each series, however few samples: with fewer, it is another question.
    if found.stored > 0.9 * _STEPS * found.series:
        small = c.SAMPLE_BYTES.value * c.SMALL_BLOCKS.value
        rows.append(Row("  bytes a sample, block", found.block / found.stored, small))
    return rows


def line_rows(found: Lines) -> list[Row]:
    """Return what the plan has of a Loki."""
    rate = found.size / (_HOURS * 3600)
    memory = sizes.loki_memory(rate, found.streams)
    stored = (found.stored + found.index) / found.lines
    planned = sizes.stored_logs(found.size, found.chunks) / found.lines
    chunks = sizes.chunks_an_hour(rate, found.streams)
    return [
        Row(f"Loki, {found.lines} lines, MiB", found.memory / sizes.MI, memory / sizes.MI),
        Row("  bytes a line, stored", stored, planned),
        Row("  chunks an hour", found.chunks / _HOURS, chunks),
    ]


def metrics(day: simulation.Day, cluster: Cluster, scale: int) -> Metrics:
    """Measure a Prometheus that scrapes copies of a day's series.

    Args:
        day: Any day.
        cluster: Whose day it is.
        scale: One of SCRAPES: how many copies.
    """
    interval, scrapes = SCRAPES[scale]
    exposition = _exposition(day, cluster, interval)
    progress(f"{len(exposition.names)} series x {scale}, for {interval * scrapes:g} s")
    with served(exposition) as target, Processes() as processes:
        folder, port = processes.folder("prometheus"), free_port()
        targets = [{"targets": [target], "labels": {"copy": str(copy)}} for copy in range(scale)]
        job = {"job_name": "copies", "honor_labels": True, "static_configs": targets}
        every = {"scrape_interval": f"{interval * 1000:.0f}ms"}
        every |= {"scrape_timeout": every["scrape_interval"]}
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": every, "scrape_configs": [job]}))
        processes.start(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--web.enable-admin-api",
            "--log.level=warn",
        )
        processes.wait("prometheus", f"http://{LOOPBACK}:{port}/-/ready")
        api = Api(port)
        appended, used = "prometheus_tsdb_head_samples_appended_total", "process_cpu_seconds_total"
        with contextlib.closing(api):
            # What a start costs is not to be counted: each series is new then.
            _await_series(api, len(exposition.names) * scale)
            first, began = _scraped(api), time.monotonic()
            time.sleep(interval * scrapes)
            last, passed = _scraped(api), time.monotonic() - began
            log = _size(folder / "data/wal")
            answer = api.form("/api/v1/admin/tsdb/snapshot", {})
            blocks = list((folder / "data/snapshots" / answer["data"]["name"]).glob("*/meta.json"))
            stats = [json.loads(path.read_text())["stats"] for path in blocks]
            return Metrics(
                series=int(last["prometheus_tsdb_head_series"]),
                samples=(last[appended] - first.get(appended, 0)) / passed,
                cores=(last[used] - first[used]) / passed,
                memory=processes.peak_memory()["prometheus"],
                block=sum(_size(path.parent) for path in blocks),
                stored=sum(one["numSamples"] for one in stats),
                log=log,
                appended=int(last[appended]),
            )


def _await_series(api: Api, count: int) -> None:
    """Wait until Prometheus has scraped each target; some series come and go in two hours."""

    def missing() -> str:
        found = _scraped(api).get("prometheus_tsdb_head_series", 0)
        return "" if found >= 0.9 * count else f"{found:.0f} of {count}"

    if left := poll(missing, 120):
        message = f"Prometheus has {left} series after two minutes"
        raise RepositoryError(Finding("scripts/bench/plan.py", None, message, "try again"))


def lines(day: simulation.Day, cluster: Cluster, scale: int) -> Lines:
    """Measure a Loki that gets two hours of a day's lines.

    Args:
        day: Any day.
        cluster: With Loki's rendered configuration.
        scale: One of SCRAPES: factor on the lines.
    """
    with Processes() as processes:
        folder = processes.folder("loki")
        http, grpc, gossip = free_ports(3)
        numbers = {"folder": str(folder), "http": http, "grpc": grpc, "gossip": gossip}
        config = monitoring.loki_config(cluster, folder, numbers)
        (folder / "loki.yaml").write_text(yaml.safe_dump(config))
        entries = folder / "lines.jsonl"
        count = repeated(day.logs, entries, scale)
        progress(f"{count} lines in {_HOURS} h")
        processes.start("loki", f"-config.file={folder / 'loki.yaml'}")
        processes.wait("loki", f"http://{LOOPBACK}:{http}/ready")
        api = Api(http)
        with contextlib.closing(api):
            monitoring.push(api, entries)
            in_memory = _scraped(api)
            api.post("/flush", {})

            def remains() -> str:
                left = _scraped(api)["loki_ingester_memory_chunks"]
                done = _scraped(api).get("loki_ingester_chunks_flushed_total", 0)
                return "" if done >= in_memory["loki_ingester_chunks_created_total"] else f"{left}"

            if left := poll(remains, 60):
                message = f"{left} chunks are not flushed after a minute"
                raise RepositoryError(Finding("scripts/bench/plan.py", None, message, "try again"))
            after = _scraped(api)
            index = sum(_size(path) for path in folder.rglob("tsdb-*") if path.is_dir())
            return Lines(
                lines=count,
                size=int(after["loki_distributor_bytes_received_total"]),
                memory=processes.peak_memory()["loki"],
                streams=int(in_memory["loki_ingester_memory_streams"]),
                chunks=int(after["loki_ingester_chunks_flushed_total"]),
                stored=int(after["loki_ingester_chunk_stored_bytes_total"]),
                index=index,
            )


def _exposition(day: simulation.Day, cluster: Cluster, interval: float) -> Exposition:
    """Return every series that Prometheus has of two hours of a day."""
    begin = day.at - _HOURS * 3600
    with monitoring.prometheus(cluster, day.tsdb) as api:
        every = {"query": '{__name__=~".+"}', "step": "30"}
        every |= {"start": str(begin), "end": str(begin + (_STEPS - 1) * 30)}
        found = api.form("/api/v1/query_range", every)["data"]["result"]
    names, values = [], []
    for series in found:
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        # As the text format escapes: backslash, quote, newline.
        written = ",".join(
            f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in labels.items()
        )
        names.append(f"{name}{{{written}}}")
        at = {round((stamp - begin) / 30): value for stamp, value in series["values"]}
        values.append([at.get(step, "") for step in range(_STEPS)])
    return Exposition(names, values, interval)


@contextlib.contextmanager
def served(exposition: Exposition) -> Iterator[str]:
    """Serve an exposition; yields host and port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = exposition.text()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing of connections that end with Prometheus."""

    server = Server((LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def repeated(source: Path, output: Path, scale: int) -> int:
    """Write two hours of lines at some times a day's rate, evenly spread; return how many.

    Where they are more than the day has, it begins anew with other digits: a line that is there
    twice would take next to no room.
    """
    with source.open(encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    count = len(entries) * _HOURS * scale // 24
    step = _HOURS * 3600 * 10**9 // count
    begin = time.time_ns() - _HOURS * 3600 * 10**9
    shuffle = random.Random(1)  # noqa: S311 - the same in each run, and no secret
    table: dict[int, int] = {}
    with output.open("w", encoding="utf-8") as file:
        for number in range(count):
            if number and number % len(entries) == 0:
                table = str.maketrans(_DIGITS, "".join(shuffle.sample(_DIGITS, len(_DIGITS))))
            entry: dict[str, Json] = dict(entries[number % len(entries)])
            entry["timestamp"] = str(begin + number * step)
            entry["line"] = entry["line"].translate(table)
            file.write(json.dumps(entry) + "\n")
    return count


def _scraped(api: Api) -> dict[str, float]:
    """Return a server's own metrics, each summed over its labels."""
    found: dict[str, float] = {}
    for sample in samples(api):
        found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
