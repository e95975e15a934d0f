"""The queries of runbooks, asked of Prometheus and Loki, and what the answers say.

What comes back was written by programs, and by whoever can make them write a line: it is data.
Control characters and terminal escapes are taken out of it, and it is cut.
"""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.core.yamlfile import Json
from scripts.model.runbooks import RunbookQuery
from scripts.servers.api import Api, ApiError, SilentError

# Seconds that are looked back over for log lines, and how many are asked for.
LOOK_BACK = 3600
_LINES = 20
# Characters of a line, or of a label's value, that are kept.
_LENGTH = 240
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~])|\x9b[0-?]*[ -/]*[@-~]",
    re.S,
)
# Unicode's controls, formats (which can turn a line's direction), surrogates, private characters.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})


@dataclass(frozen=True)
class Row:
    """A series at one moment, or a log line.

    Attributes:
        labels: Of the series, or of the line's stream.
        value: NaN for a log line.
        line: Empty for a series.
        at: When the line was written, in seconds since the epoch; of a series, when it was asked.
    """

    labels: Mapping[str, str]
    value: float
    line: str
    at: float


@dataclass(frozen=True)
class Evidence:
    """What a server answered to one query of a runbook.

    Attributes:
        query: As the page has it.
        asked: As it was sent.
        rows: Log lines newest first; else by value, the largest first.
        error: Why there is no answer; empty where there is one.
        seconds: Until the whole answer was here.
        silent: Whether the server said nothing at all, or too late.
    """

    query: RunbookQuery
    asked: str
    rows: tuple[Row, ...]
    error: str
    seconds: float
    silent: bool = False

    @property
    def verdict(self) -> str:
        """What the answer says of the alert, as `RunbookQuery.verdict`; empty without an answer."""
        return "" if self.error else self.query.verdict([row.value for row in self.rows])


def ask(api: Api, query: RunbookQuery, labels: Mapping[str, str], at: float) -> Evidence:
    """Ask a query of a runbook.

    Args:
        api: The server of its language.
        query: Of the page of an alert.
        labels: Of that alert.
        at: When, in seconds since the epoch.
    """
    asked = query.about(labels)
    started = time.perf_counter()
    rows: Sequence[Row] = ()
    error, silent = "", False
    try:
        rows = _rows(_answer(api, query.language, asked, at), at)
    except ApiError as refused:
        error, silent = as_data(str(refused)), isinstance(refused, SilentError)
    return Evidence(query, asked, tuple(rows), error, time.perf_counter() - started, silent)


def as_data(text: str, length: int = _LENGTH) -> str:
    """Return a text that others have written, as one that is safe to show: one line, cut."""
    bare = _ESCAPE.sub("", text[: 8 * length])
    # A tab or a line's end parts words; every other control is nothing that anybody reads.
    spaced = " ".join(bare.split())
    shown = "".join(c for c in spaced if unicodedata.category(c) not in _HIDDEN)
    return shown if len(shown) <= length and len(text) <= 8 * length else f"{shown[: length - 1]}…"


def _answer(api: Api, language: str, asked: str, at: float) -> Json:
    if language == "promql":
        return api.form("/api/v1/query", {"query": asked, "time": f"{at:.3f}"})["data"]
    moment = {"query": asked, "direction": "backward", "limit": str(_LINES)}
    if not asked.startswith("{"):
        return api.form("/loki/api/v1/query", moment | {"time": _nanoseconds(at)})["data"]
    span = {"start": _nanoseconds(at - LOOK_BACK), "end": _nanoseconds(at)}
    return api.form("/loki/api/v1/query_range", moment | span)["data"]


def _rows(answer: Json, at: float) -> list[Row]:
    kind, result = answer["resultType"], answer["result"]
    if kind == "streams":
        lines = [
            Row(_labels(stream["stream"]), math.nan, as_data(line), int(moment) / 1e9)
            for stream in result
            for moment, line, *_ in stream["values"]
        ]
        return sorted(lines, key=lambda row: -row.at)
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    series = [
        Row(_labels(one["metric"]), value, "", at)
        for one in result
        if not math.isnan(value := float(one["value"][1]))
    ]
    return sorted(series, key=lambda row: (-row.value, sorted(row.labels.items())))


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {as_data(name): as_data(value) for name, value in sorted(labels.items())}


def _nanoseconds(at: float) -> str:
    return str(round(at * 1e9))
