"""What the real pipeline makes of the lines (`alloy pipeline` with the files of `base/logs`)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.servers import alloy
from scripts.simulation.logs import written
from scripts.simulation.logs.lines import EVENTS, ISO, KLOG, Written
from scripts.simulation.model import Array, SimulatedPod
from scripts.simulation.state import Simulation

# Not a secret, but what a Secret holds in a real cluster.
_SALT = "simulated"


def _environment(sim: Simulation) -> dict[str, str]:
    """Return the variables of Alloy's DaemonSet, as its release sets them."""
    template = sim.rendered["monitoring-node", "alloy"]
    found = {
        str(variable["name"]): str(variable["value"])
        for container in template.containers
        for variable in container.get("env") or ()
        if "value" in variable
    }
    return {**found, "HOSTNAME": sim.nodes[0].name, "PSEUDONYM_SALT": _SALT}


def run(sim: Simulation, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run lines through the log configurations.

    Args:
        sim: Whose Alloy it is.
        cases: As `alloy pipeline` takes them.

    Raises:
        RepositoryError: If it refuses the configuration or a case.
    """
    return alloy.pipeline(cases, _environment(sim))


def _discovered(kind: Written) -> dict[str, str] | None:
    """Return what service discovery finds of a container; nothing for events."""
    pod = kind.pods[0]
    if kind.app == EVENTS:
        return None
    prefix = "__meta_kubernetes"
    return {
        "__address__": pod.ip,
        f"{prefix}_namespace": pod.namespace,
        f"{prefix}_pod_name": pod.name,
        f"{prefix}_pod_uid": pod.uid,
        f"{prefix}_pod_node_name": pod.node.name if pod.node else "",
        f"{prefix}_pod_container_name": kind.container,
        f"{prefix}_pod_ip": pod.ip,
    } | {
        f"{prefix}_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', key)}": value
        for key, value in pod.labels.items()
    }


def case(kind: Written, texts: Iterable[str] | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return a kind's lines as a case of the pipeline, and the time of each text in its answer.

    They are written now: the pipeline drops what is too old, and counts no requests of yesterday.
    """
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    lines: list[dict[str, str]] = []
    times: list[str] = []
    for text in kind.texts if texts is None else texts:
        for number, part in enumerate(text.split("\n")):
            # Never ends with 0, as the answer leaves such digits out.
            stamp = f"{second}.{len(lines) * 10 + 1:06d}Z"
            if number == 0:
                times.append(stamp)
            cri = part if kind.app == EVENTS else f"{stamp} {kind.stream} F {part}"
            lines.append({"timestamp": stamp, "line": cri})
    file = tools.ROOT / "base/logs" / ("events.alloy" if kind.app == EVENTS else "pods.alloy")
    target = _discovered(kind)
    return {"id": kind.name, "file": str(file), "target": target, "lines": lines}, times


def entries(sim: Simulation) -> Iterator[dict[str, Any]]:
    """Yield what Loki gets of the day's lines, by time.

    Raises:
        RepositoryError: If a line that should reach Loki does not.
    """
    kinds = [kind for kind in written(sim) if kind.kept]
    writers: list[tuple[SimulatedPod, SimulatedPod, list[dict[str, Any]]]] = []
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    cases = [case(kind) for kind in kinds]
    results = run(sim, [content for content, _ in cases])
    for kind, (_, times), result in zip(kinds, cases, results, strict=True):
        by_time = {entry["timestamp"]: entry for entry in result["entries"]}
        if set(by_time) != set(times):
            message = f"not every line of {kind.app}, {kind.name!r}, is one entry"
            fix = "correct it, or scripts/simulation/logs"
            raise RepositoryError(Finding("base/logs", None, message, fix))
        templates = [by_time[stamp] for stamp in times]
        for pod, counts in zip(kind.pods, kind.counts, strict=True):
            writers.append((kind.pods[0], pod, templates))
            parts.append(_laid_out(sim, kind, pod, counts))
    moments = np.concatenate([moments for moments, _ in parts])
    chosen = np.concatenate([chosen for _, chosen in parts])
    who = np.repeat(np.arange(len(parts)), [len(moments) for moments, _ in parts])
    order = np.argsort(moments, kind="stable")
    count = np.arange(len(order))
    # Loki takes two equal lines of one moment for one: each comes a nanosecond later at least.
    moments = np.maximum.accumulate(moments[order] - count) + count
    for index, moment in zip(order.tolist(), moments.tolist(), strict=True):
        first, pod, templates = writers[who[index]]
        yield _entry(templates[chosen[index]], first, pod, moment)


def _laid_out(
    sim: Simulation, kind: Written, pod: SimulatedPod, counts: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when a pod writes lines of a kind, in nanoseconds, and which of its texts."""
    clock = sim.clock
    random = sim.noise.generator(f"times {kind.namespace} {kind.name} {pod.name}")
    steps = np.repeat(np.arange(clock.steps), counts.astype(int))
    inside = random.random(len(steps)) * clock.step if kind.offset is None else kind.offset
    # What a scrape counts happened since the scrape before.
    seconds = np.maximum(0, (steps - 1) * clock.step + inside)
    moments = np.int64(clock.start) * 10**9 + (seconds * 1e9).astype(np.int64)
    return moments, random.integers(len(kind.texts), size=len(steps))


def _entry(
    template: dict[str, Any], first: SimulatedPod, pod: SimulatedPod, moment: int
) -> dict[str, Any]:
    """Return an entry as another pod writes it, at another time."""
    line, metadata = template["line"], template["structured_metadata"]
    if ISO in line or KLOG in line:
        written_at = time.gmtime(moment // 10**9)
        line = line.replace(ISO, time.strftime("%Y-%m-%dT%H:%M:%S", written_at))
        line = line.replace(KLOG, time.strftime("%m%d %H:%M:%S", written_at))
    if pod is not first:
        line = line.replace(first.name, pod.name)
        node = pod.node.name if pod.node else ""
        metadata = {**metadata, "pod": pod.name, "node": node}
    return {
        "labels": template["labels"],
        "structured_metadata": metadata,
        "timestamp": str(moment),
        "line": line,
    }
