"""Grafana's arithmetic of time: time ranges, steps, and its own variables. All is milliseconds.

Followed are Grafana 13's sources, named here by path and function; nothing is copied:

    packages/grafana-data/src/datetime/rangeutil.ts   roundInterval, calculateInterval
    pkg/promlib/models/query.go                       step, $__rate_interval, alignment
    pkg/tsdb/loki/{step,parse_query}.go               step, $__auto
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.core import screen

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

# Grafana refuses to ask a server for more points than this.
_MAX_POINTS = 11_000
# rangeutil.ts, roundInterval: below the first number (ms), the second.
_ROUNDED = (
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1_500, SECOND),
    (3_500, 2 * SECOND),
    (7_500, 5 * SECOND),
    (12_500, 10 * SECOND),
    (17_500, 15 * SECOND),
    (25_000, 20 * SECOND),
    (45_000, 30 * SECOND),
    (90_000, MINUTE),
    (210_000, 2 * MINUTE),
    (450_000, 5 * MINUTE),
    (750_000, 10 * MINUTE),
    (1_050_000, 15 * MINUTE),
    (1_500_000, 20 * MINUTE),
    (2_700_000, 30 * MINUTE),
    (5_400_000, HOUR),
    (9_000_000, 2 * HOUR),
    (16_200_000, 3 * HOUR),
    (32_400_000, 6 * HOUR),
    (86_400_000, 12 * HOUR),
    (604_800_000, DAY),
    (1_814_400_000, 7 * DAY),
    (3_628_800_000, 30 * DAY),
)
_UNITS = {
    "ms": 1,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
    "d": DAY,
    "w": 7 * DAY,
    "M": 30 * DAY,
    "y": 365 * DAY,
}


@dataclass(frozen=True)
class TimeRange:
    """The time range of a dashboard, in milliseconds since the epoch, both ends included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Milliseconds from start to end."""
        return self.end - self.start

    @property
    def prometheus(self) -> dict[str, str]:
        """Parameters of a request to Prometheus."""
        return {"start": seconds(self.start), "end": seconds(self.end)}

    @property
    def loki(self) -> dict[str, str]:
        """Parameters of a request to Loki."""
        return {"start": nanoseconds(self.start), "end": nanoseconds(self.end)}

    def aligned(self, step: int) -> TimeRange:
        """Return the range as Grafana asks Prometheus: both ends down to a multiple of the step."""
        return TimeRange(self.start // step * step, self.end // step * step)


@dataclass(frozen=True)
class Timing:
    """When a query is evaluated.

    Attributes:
        time_range: As the server is asked for it.
        step: Milliseconds between two points.
        built_in: Value of each of Grafana's own variables, by name.
    """

    time_range: TimeRange
    step: int
    built_in: Mapping[str, str]


def seconds(time: int) -> str:
    """Return a time or a step as Prometheus' API takes it."""
    return f"{time / SECOND:.3f}"


def nanoseconds(time: int) -> str:
    """Return a time as Loki's API takes it."""
    return f"{time}000000"


def milliseconds(text: str) -> int:
    """Return the length of an interval such as `30s`; a bare number is seconds.

    Raises:
        ValueError: For anything else.
    """
    found = re.fullmatch(r"[<>]?(\d+(?:\.\d+)?)(ms|[Mwdhmsy])?", text.strip())
    if not found:
        raise ValueError(f"no interval: {text!r}")
    return round(float(found[1]) * _UNITS[found[2] or "s"])


def round_interval(interval: float) -> int:
    """Return the interval, of Grafana's list, that stands for one in milliseconds."""
    return next((to for below, to in _ROUNDED if interval < below), 365 * DAY)


def max_data_points(columns: int) -> int:
    """Return Grafana's default for a panel of so many columns: one for each pixel of its graph."""
    return math.floor(screen.panel_width(columns) - screen.CHROME)


def calculate_interval(time_range: TimeRange, max_data_points: int, min_interval: int) -> int:
    """Return the milliseconds between two points."""
    return max(round_interval(time_range.length / max_data_points), min_interval, 1)


def prometheus_timing(
    time_range: TimeRange,
    max_data_points: int,
    scrape_interval: int,
    min_step: str = "",
    interval_factor: int = 1,
    min_interval: int = 0,
) -> Timing:
    """Return the timing of a range query of Prometheus.

    Args:
        time_range: The dashboard's.
        max_data_points: The panel's.
        scrape_interval: The data source's `timeInterval`.
        min_step: The query's own least step, such as `1m` or `$__rate_interval`.
        interval_factor: Steps of Grafana 4's `intervalFactor`.
        min_interval: The panel's least interval, in place of the scrape interval.
    """
    interval = calculate_interval(time_range, max_data_points, min_interval or scrape_interval)
    computed = re.fullmatch(r"\$\{?(__\w+?)\}?", min_step)
    fixed = milliseconds(min_step) if min_step and not computed else 0
    bound = fixed or interval
    step = time_range.length // max_data_points
    step = bound if step < bound else round_interval(step)
    step = max(step, round_interval(time_range.length // _MAX_POINTS))
    if computed and computed[1] == "__rate_interval":
        step = rate = _rate_interval(step, scrape_interval)
    else:
        step *= interval_factor
        rate = _rate_interval(interval, fixed or scrape_interval)
    built_in = _time_variables(time_range) | {
        "__interval": interval_text(step),
        "__interval_ms": str(step),
        "__rate_interval": go_duration(rate),
        "__rate_interval_ms": str(rate),
    }
    return Timing(time_range.aligned(step), step, built_in)


def loki_timing(
    time_range: TimeRange,
    max_data_points: int,
    min_step: str = "",
    *,
    instant: bool = False,
    min_interval: int = 0,
) -> Timing:
    """Return the timing of a query of Loki, which aligns its steps by itself.

    Args:
        time_range: The dashboard's.
        max_data_points: The panel's.
        min_step: The query's own step.
        instant: Whether `$__auto` is the whole range.
        min_interval: The panel's least interval.
    """
    interval = calculate_interval(time_range, max_data_points, min_interval)
    step = max(interval, math.ceil(time_range.length / _MAX_POINTS))
    if min_step:
        step = milliseconds(min_step)
    of_range = _time_variables(time_range)
    built_in = of_range | {
        "__interval": interval_text(interval),
        "__interval_ms": str(interval),
        "__auto": of_range["__range"] if instant else interval_text(step),
    }
    return Timing(time_range, step, built_in)


def interval_text(length: int) -> str:
    """Return an interval as Grafana writes it: in one unit, rounded down."""
    for unit in ("y", "d", "h", "m", "s"):
        if length >= _UNITS[unit]:
            return f"{length // _UNITS[unit]}{unit}"
    return f"{max(length, 1)}ms"


def go_duration(length: int) -> str:
    """Return a duration as Go writes it: `2m0s`."""
    if length < SECOND:
        return f"{length}ms"
    hours, rest = divmod(length, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    text = f"{rest / SECOND:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _rate_interval(interval: int, scrape_interval: int) -> int:
    return max(interval + scrape_interval, 4 * scrape_interval)


def _time_variables(time_range: TimeRange) -> dict[str, str]:
    length = math.floor(time_range.length / SECOND + 0.5)
    return {
        "__range": f"{length}s",
        "__range_s": str(length),
        "__range_ms": str(time_range.length),
        "__from": str(time_range.start),
        "__to": str(time_range.end),
    }
