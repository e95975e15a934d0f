"""Made-up results in the form that `make prove` writes, so that pages can be drawn without it.

They say nothing of the queries: labels are taken from the panel's own legend and columns.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from typing import Any

from scripts.core.yamlfile import Json

DAYS = ("healthy", "incident")
FROM, TO, STEP = 1_700_000_000_000, 1_700_021_600_000, 60_000
NAMES = {
    "app": ["todo-ai-chatbot-backend", "todo-ai-chatbot-frontend", "todo-consumer-audit"],
    "level": ["info", "warn", "error", "debug"],
    "severity": ["critical", "warning"],
    "pod": [
        f"todo-ai-chatbot-release-{part}-7d9c6f5b8-{suffix}"
        for part in ("backend", "frontend", "consumer")
        for suffix in ("2xk4p", "9qwzt")
    ],
    "container": ["todo-ai-chatbot-backend", "daprd"],
    "reason": ["BackOff", "Unhealthy", "Pulled", "Scheduled"],
    "job": ["frontend", "backend", "grafana"],
}


def results(model: Json, day: str = "healthy") -> Json:
    """Return an answer to each query of a dashboard; every third is empty on the incident's day."""
    panels = {
        str(panel["id"]): {t["refId"]: _answer(panel, t, day) for t in panel["targets"]}
        for panel in _panels(model["panels"])
    }
    variables = {v["name"]: {"text": "All", "value": "$__all"} for v in model["templating"]["list"]}
    mark = {"name": "Rollouts", "color": "blue", "text": "backend changed", "timeEnd": None}
    return {
        "uid": model["uid"],
        "day": day,
        "from": FROM,
        "to": TO,
        "variables": variables,
        "panels": panels,
        "annotations": [
            mark | {"time": FROM + 7_000_000},
            {"name": "Alerts", "color": "red", "text": "x", "time": FROM - 1, "timeEnd": TO},
        ],
    }


def answer(result: list[Json], language: str = "promql", *, instant: bool = False) -> Json:
    """Return a query's answer around the result."""
    kind = "vector" if instant else "matrix"
    return {
        "expr": "up",
        "language": language,
        "step": STEP,
        "instant": instant,
        "resultType": kind,
        "result": result,
        "error": None,
        "samples": 0,
        "seconds": 0.0,
    }


def _panels(panels: list[Json]) -> Iterator[Json]:
    for panel in panels:
        yield from _panels(panel.get("panels", []))
        if panel["type"] != "row":
            yield panel


def _answer(panel: Json, target: Json, day: str) -> Json:
    language = "logql" if target["datasource"]["type"] == "loki" else "promql"
    instant = target.get("instant", False) or target.get("queryType") == "instant"
    seed = zlib.crc32(f"{panel['id']}{target['refId']}".encode())
    if day == "incident" and seed % 3 == 0:
        return answer([], language, instant=instant)
    if panel["type"] == "logs":
        return answer(_streams(), language) | {"resultType": "streams"}
    found = []
    for number, labels in enumerate(_labels(panel, target)):
        values = _values(panel, seed + number)
        samples = {"value": values[-1]} if instant else {"values": values}
        found.append({"metric": labels, **samples})
    return answer(found, language, instant=instant)


def _labels(panel: Json, target: Json) -> list[dict[str, str]]:
    names = re.findall(r"{{\s*(\w+)\s*}}", target.get("legendFormat", ""))
    for transformation in panel.get("transformations", []):
        renamed = transformation["options"].get("renameByName", {})
        names += [name for name in renamed if not name.startswith("Value")]
    combinations: list[dict[str, str]] = [{}]
    for name in names[:3]:
        values = NAMES.get(name, [f"{name}-a", f"{name}-b"])
        combinations = [{**one, name: value} for one in combinations for value in values]
    return combinations[:8]


def _values(panel: Json, seed: int) -> list[list[Any]]:
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    peak = {"bytes": 3e8, "percentunit": 0.8, "short": 12.0}.get(unit, 4.0)
    whole = unit == "short" or panel["type"] == "state-timeline"
    samples: list[list[Any]] = []
    for number, time in enumerate(range(FROM, TO + 1, STEP)):
        if seed % 5 == 0 and 100 < number < 130:
            continue
        value = peak * (
            0.6 + 0.3 * math.sin(number / 40 + seed) + 0.1 * math.sin(number * 7 + seed)
        )
        if panel["fieldConfig"]["defaults"].get("mappings"):
            value = float(number % 97 > seed % 9)
        samples.append([time / 1000, f"{round(value) if whole else value:g}"])
    return samples


def _streams() -> list[Json]:
    lines = [
        '{"level":"INFO","msg":"GET /api/tasks 200","duration_ms":12}',
        'Traceback (most recent call last): File "app.py", line 12, in main ' + "x" * 220,
        "readiness probe failed: HTTP probe failed with statuscode: 503 </script>",
    ]
    return [
        {
            "stream": {"level": level, "app": "todo-ai-chatbot-backend"},
            "values": [
                [str((TO - number * 37_000 - at * 5_000) * 1_000_000), lines[(number + at) % 3]]
                for number in range(20)
            ],
        }
        for at, level in enumerate(NAMES["level"])
    ]
