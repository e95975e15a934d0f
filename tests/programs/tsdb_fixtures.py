"""A day of a few series and lines, written by the program that writes the simulated ones."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts import simulation, tools

Array = NDArray[np.float64]
STEP, STEPS = 30, 2880
PODS = ("web-1", "web-2")
# Cores that web-1 and web-2 use, all day long.
CORES = {"web-1": 0.25, "web-2": 0.5}


def small_day(folder: Path, name: str = "healthy") -> simulation.Day:
    """Write a day into a folder; in the incident, and only then, something is broken."""
    start = time.time() // 86400 * 86400 - 86400
    series: list[tuple[dict[str, str], Array]] = []
    steps = np.arange(STEPS, dtype=np.float64)
    for pod in PODS:
        labels = {"namespace": "default", "pod": pod}
        seconds = {"__name__": "cpu_seconds_total", **labels}
        series.append((seconds, CORES[pod] * STEP * steps))
        series.append(({"__name__": "pod_info", **labels}, np.ones(STEPS)))
    broken = np.where(steps > STEPS / 2, 1.0, np.nan if name == "healthy" else 0.0)
    if name == "incident":
        series.append(({"__name__": "broken", "namespace": "default", "pod": "web-1"}, broken))
    series.append(({"__name__": "not_a_number", "namespace": "default"}, steps * 0))
    _history(folder / "tsdb", start, series)
    logs = folder / "logs.jsonl"
    with logs.open("w", encoding="utf-8") as file:
        for second in range(0, 86400, 60):
            app = "web" if second % 120 else "api"
            entry = {
                "labels": {
                    "cluster": "todo",
                    "namespace": "default",
                    "app": app,
                    "container": app,
                    "level": "info",
                },
                "structured_metadata": {"pod": f"{app}-1"},
                "timestamp": str(int(start + second) * 10**9),
                "line": f"request {second} of {app}",
            }
            file.write(json.dumps(entry) + "\n")
    truth = {f"cpu/default/{pod}": np.full(STEPS, cores) for pod, cores in CORES.items()}
    # mypy cannot tell the file from an array that is to be saved under that name.
    np.savez(folder / "truth.npz", **truth)  # type: ignore[arg-type]
    return day(folder, start, name)


def day(folder: Path, start: float, name: str = "healthy") -> simulation.Day:
    """A day on which no alert fires, of whatever is in a folder."""
    return simulation.Day(name, start, start + 86400, start + 20 * 3600, folder, {"alerts": []})


def _history(output: Path, start: float, series: list[tuple[dict[str, str], Array]]) -> None:
    def header(**keys: object) -> bytes:
        return json.dumps(keys).encode() + b"\n"

    target = {"labels": {"job": "test", "__address__": "test:80", "__metrics_path__": "/metrics"}}
    text = header(start=int(start * 1000), step=STEP * 1000, samples=STEPS) + header(target=target)
    for labels, values in series:
        text += header(series=labels, samples=STEPS) + values.astype("<f8").tobytes()
    command = [str(tools.path("history")), "--output", str(output)]
    run = subprocess.run(command, input=text, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()


def board(*panels: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A dashboard of these panels, without what the proof does not read."""
    return {
        "uid": "board",
        "title": "Board",
        "panels": [{"id": n, "gridPos": {"w": 12}, **p} for n, p in enumerate(panels, 1)],
        **keys,
    }


def panel(title: str, expr: str, legend: str = "", **keys: Any) -> dict[str, Any]:
    """A panel of one Prometheus query."""
    target = {"refId": "A", "expr": expr, "legendFormat": legend, "range": True, **keys}
    return {"title": title, "datasource": {"uid": "prometheus"}, "targets": [target]}


def lines(title: str, expr: str, legend: str = "", **keys: Any) -> dict[str, Any]:
    """A panel of one Loki query."""
    target = {"refId": "A", "expr": expr, "legendFormat": legend, "queryType": "range", **keys}
    return {"title": title, "datasource": {"uid": "loki"}, "targets": [target]}
