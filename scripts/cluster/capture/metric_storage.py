"""Thanos: every part runs once, over one bucket, and is asked before it is scraped."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts import tools
from scripts.cluster.capture.families import Captured, scrape
from scripts.servers.http_client import request
from scripts.servers.monitoring import start_prometheus
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.processes import LOOPBACK, Processes
from scripts.servers.thanos import (
    COMPACT,
    FRONTEND,
    QUERY,
    SIDECAR,
    STORE,
    Thanos,
    blocks,
    bucket_of,
)

_BUCKET, _PROMETHEUS = "metrics", "prometheus"
# Long enough ago for blocks that are compacted: seconds since the epoch, a sample a minute.
_START, _SAMPLES = 1_700_000_000, 600


def thanos(processes: Processes) -> list[Captured]:
    """Ship blocks, compact them, and query them from the bucket and from the sidecar."""
    storage = ObjectStorage(processes, _BUCKET)
    declared = {part: [part] for part in (SIDECAR, STORE, QUERY, FRONTEND)}
    declared[COMPACT] = [COMPACT, "--wait"]
    bucket = bucket_of(storage, _BUCKET, processes.folder("thanos"))
    parts = Thanos(processes, declared, bucket)
    tsdb = _tsdb(processes.folder("tsdb"))
    labels = {"global": {"external_labels": {"cluster": "capture"}}}
    port = start_prometheus(processes, _PROMETHEUS, tsdb, labels)
    sidecar = parts.sidecar(_PROMETHEUS, port)
    count = len(list(tsdb.glob("*/meta.json")))
    processes.until(
        sidecar.name,
        lambda: "" if len(blocks(storage, _BUCKET)) == count else "not every block is shipped",
    )
    compactor = parts.compact()
    parts.wait_for_compaction(compactor)
    store = parts.store()
    query = parts.query([store, sidecar])
    frontend = parts.frontend(query)
    url = f"http://{LOOPBACK}:{frontend.api.port}/api/v1/query_range?query=capture&step=60"
    request(f"{url}&start={_START}&end={_START + 3600}")
    version = tools.version("thanos")
    how = "run as sidecar, store gateway, compactor, querier and query frontend over one bucket"
    urls = [
        f"http://{LOOPBACK}:{part.api.port}/metrics"
        for part in (sidecar, compactor, store, query, frontend)
    ]
    found = scrape(*urls)
    parts.close()
    storage.close()
    return [Captured(f"thanos {version}", how, found)]


def _tsdb(folder: Path) -> Path:
    """Write blocks of one series; return their folder."""
    lines = [f"capture {n} {_START + 60 * n}" for n in range(_SAMPLES)]
    text = folder / "metrics.txt"
    text.write_text("\n".join(["# TYPE capture gauge", *lines, "# EOF", ""]))
    made = folder / "data"
    command = (tools.path("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, made)
    subprocess.run(command, check=True, capture_output=True)
    return made
