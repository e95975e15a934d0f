"""A simulated cluster: what its exporters expose and its containers write in one day.

`day()` makes two kinds of day, a healthy one and one with faults, from what is true of the cluster
(`state`) and how each exporter shows it. Prometheus' own code relabels and stores the series and
evaluates the rules (`scripts/tools/history`); the log stages of `base/logs` make Loki's entries of
the containers' lines. Nothing here reads a dashboard: series made from the queries that are to be
proven would always be found.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json
from scripts.model import rendered
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from scripts.simulation import logs, scrape
from scripts.simulation.building import build
from scripts.simulation.logs.pipeline import entries
from scripts.simulation.model import Array, Clock
from scripts.simulation.state import OPENED, Simulation
from scripts.simulation.truth import truth

DAYS = ("healthy", "incident")
# Every opt-in is on there, so that each source of figures has some.
ENTRY = "options/flux"
_DAY = 86400
# Seconds after which a day that is asked for no more is removed.
_KEPT = 3600
# What a day is made of besides the rendered objects.
_SOURCES = ("scripts/simulation", "scripts/model/catalogue", "base/logs", "base/application")


@dataclass(frozen=True)
class Day:
    """A simulated day on disk.

    Attributes:
        name: One of DAYS.
        start: Yesterday's midnight UTC, in seconds since the epoch.
        end: 24 hours later.
        at: When dashboards are opened.
        folder: Of everything below.
        summary: What `history` says of it: series, samples, rules, alerts with begin and end.
    """

    name: str
    start: float
    end: float
    at: float
    folder: Path
    summary: Mapping[str, Any]

    @property
    def tsdb(self) -> Path:
        """The blocks of the TSDB; copy them before a server writes there."""
        return self.folder / "tsdb"

    @property
    def logs(self) -> Path:
        """Loki's entries, one JSON object a line, by time."""
        return self.folder / "logs.jsonl"

    @property
    def truth(self) -> Mapping[str, Array]:
        """What is true at each step of 30 s; names as in `truth` and `logs.truth`."""
        with np.load(self.folder / "truth.npz") as file:
            return dict(file)


def cluster() -> Cluster:
    """Return the cluster that is simulated, its charts rendered.

    Raises:
        RepositoryError: Where a chart is missing.
    """
    everything = rendered.clusters(Repository(tools.ROOT))
    return next(c for c in everything if c.name == ENTRY)


def day(
    name: str,
    scale: int = 1,
    rename: Mapping[str, str] | None = None,
    rules: Mapping[str, Json] | None = None,
) -> Day:
    """Return a day, from the per-user cache where it is there.

    It is yesterday, because Loki and the log pipeline refuse what is too old.

    Args:
        name: One of DAYS.
        scale: Factor on nodes, on the application's pods and on its traffic.
        rename: Metrics that the exporters expose under another name.
        rules: Rule files by name that are evaluated instead of the cluster's.

    Raises:
        RepositoryError: Where a chart is missing, a metric that is to be renamed is not exposed, or
            `history` refuses what is simulated.
    """
    if name not in DAYS:
        raise ValueError(f"no day {name!r}; there are {DAYS}")
    clock = Clock(time.time() // _DAY * _DAY - _DAY)
    simulated = cluster()
    date = time.strftime("%Y-%m-%d", time.gmtime(clock.start))
    changes = json.dumps([rename or {}, rules], sort_keys=True)
    key = _key(simulated, name, str(scale), changes)
    days = tools.cache() / "days"
    folder = days / f"{date}-{name}-{scale}-{key}"
    days.mkdir(parents=True, exist_ok=True)
    with (days / f"{name}-{scale}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "summary.json").exists():
            for old in days.glob(f"*-{name}-{scale}-*"):
                # Somebody may still read a newer one.
                if time.time() - old.stat().st_mtime > _KEPT:
                    shutil.rmtree(old)
            make(simulated, clock, folder, name, scale, rename, rules)
    summary = json.loads((folder / "summary.json").read_text())
    at = clock.start + OPENED * 3600
    return Day(name, clock.start, clock.start + _DAY, at, folder, summary)


def _key(simulated: Cluster, *parts: str) -> str:
    digest = hashlib.sha256(repr(parts).encode())
    for folder in _SOURCES:
        for path in sorted((tools.ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".alloy", ".yaml"}:
                digest.update(path.read_bytes())
    for item in simulated.all:
        # Dashboards change often, and a day does not know them.
        if item.kind != "ConfigMap" or not item.name.startswith("grafana-dashboards"):
            digest.update(json.dumps(item.manifest, sort_keys=True, default=str).encode())
    for tool in ("history", "alloy"):
        digest.update(str(tools.path(tool)).encode())
    return digest.hexdigest()[:16]


def make(
    simulated: Cluster,
    clock: Clock,
    folder: Path,
    name: str,
    scale: int = 1,
    rename: Mapping[str, str] | None = None,
    rules: Mapping[str, Json] | None = None,
) -> None:
    """Write a day; `summary.json` last, so that it is there only where the rest is.

    Args:
        simulated: The monitoring, rendered.
        clock: The steps; a day may be cut short.
        folder: Of everything; what is there is removed.
        name: One of DAYS.
        scale: As of `day`.
        rename: As of `day`.
        rules: As of `day`.
    """
    progress(f"simulating the {name} day" + (f" at {scale} x" if scale > 1 else ""))
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "rules").mkdir(parents=True)
    rules = rendered.rule_files(simulated) if rules is None else rules
    for file, content in rules.items():
        (folder / "rules" / file).write_text(yaml.safe_dump(content))
    sim = build(simulated, clock, faulty=name == "incident", scale=scale)
    summary = _history(sim, folder, rename or {})
    with (folder / "logs.jsonl").open("w") as lines:
        lines.writelines(json.dumps(entry) + "\n" for entry in entries(sim))
    # mypy cannot tell the file from an array that is to be saved under that name.
    np.savez_compressed(folder / "truth.npz", **truth(sim), **logs.truth(sim))  # type: ignore[arg-type]
    (folder / "summary.json").write_text(json.dumps(summary))


def _history(sim: Simulation, folder: Path, rename: Mapping[str, str]) -> Mapping[str, Any]:
    """Store every target's series as Prometheus would, and what the rules make of them."""
    command = [str(tools.path("history")), "--output", str(folder / "tsdb")]
    for rules in sorted((folder / "rules").iterdir()):
        command += ["--rules", str(rules)]
    for item in sim.cluster.of("Prometheus"):
        for label, value in (item.spec.get("externalLabels") or {}).items():
            command += ["--external-label", f"{label}={value}"]
        command += ["--interval", str(item.spec["evaluationInterval"])]
    missing = set(rename)
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if not (running.stdin and running.stdout and running.stderr):
        raise RuntimeError("history has no pipes")
    try:
        with running.stdin as stream:
            for name in frames(sim, stream, rename):
                missing.discard(name)
    except BrokenPipeError:
        # What it refuses, it says.
        pass
    output, errors = running.stdout.read(), running.stderr.read().decode().splitlines()
    if running.wait():
        message = "\n".join(line for line in errors if not line.startswith("·"))
        fix = "correct what it names"
        raise RepositoryError(Finding("scripts/simulation", None, message, fix))
    if missing:
        message = f"no exporter exposes {sorted(missing)}, which are to be renamed"
        raise RepositoryError(Finding("scripts/simulation", None, message, "name one that it does"))
    summary: Mapping[str, Any] = json.loads(output)
    return summary


def frames(sim: Simulation, stream: IO[bytes], rename: Mapping[str, str]) -> Iterator[str]:
    """Write a day's scrapes as `history` reads them; yields the name of each series written."""
    clock = sim.clock

    def write(header: Mapping[str, object], values: Array | None = None) -> None:
        stream.write(json.dumps(header).encode() + b"\n")
        if values is not None:
            stream.write(np.asarray(values, dtype="<f8").tobytes())

    start, step = int(clock.start * 1000), int(clock.step * 1000)
    write({"start": start, "step": step, "samples": clock.steps})
    for target in scrape.targets(sim):
        header = {"target": {"labels": dict(target.labels), **target.settings}, "up": clock.steps}
        write(header, target.up)
        for name, labels, values in target.exposed():
            series = {"__name__": rename.get(name, name), **labels}
            write({"series": series, "samples": clock.steps}, values)
            yield name
    stream.flush()
