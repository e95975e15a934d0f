r"""Grafana's variables and its arithmetic of time, as pure functions. Times are milliseconds.

Followed are Grafana 13's sources, named here by path and function; nothing is copied:

    packages/grafana-data/src/datetime/rangeutil.ts   roundInterval, calculateInterval
    pkg/promlib/models/query.go                       step, $__rate_interval, alignment
    pkg/tsdb/loki/{step,parse_query}.go               step, $__auto
    packages/grafana-prometheus/src/escaping.ts       values in PromQL
    public/app/plugins/datasource/loki/datasource.ts  values in LogQL
    @grafana/scenes, variables/interpolation          ${name:format}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

# Layout of Grafana's dashboard page: 24 columns with 8 px between them and 16 px on either side,
# with the menu closed; a panel's border and padding take 18 px of its width.
WINDOW_PIXELS = 1366
_COLUMNS, _GAP, _PAGE, _CHROME = 24, 8, 32, 18

# Grafana refuses to ask a server for more points than this.
_MOST_POINTS = 11_000
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
# `$name`, `[[name:format]]`, `${name.field:format}`.
_VARIABLE = re.compile(
    r"\$(?P<plain>\w+)"
    r"|\[\[(?P<old>\w+)(?::(?P<old_format>\w+))?\]\]"
    r"|\$\{(?P<name>\w+)(?:\.[^:}]+)?(?::(?P<format>[^}]+))?\}"
)
_LEGEND = re.compile(r"\{\{\s*(.+?)\s*\}\}")

PROMQL, LOGQL = "promql", "logql"


class VariableError(ValueError):
    """A variable that is not defined, or a format that it cannot have."""


@dataclass(frozen=True)
class Window:
    """The time range of a dashboard, in milliseconds since the epoch, both ends included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Milliseconds from start to end."""
        return self.end - self.start

    def aligned(self, step: int) -> Window:
        """Return the range as Grafana asks Prometheus: both ends down to a multiple of the step."""
        return Window(self.start // step * step, self.end // step * step)


@dataclass(frozen=True)
class Value:
    """What a variable stands for.

    Attributes:
        values: One text, or a tuple where several may be chosen.
        text: What a person sees.
        several: Whether the variable may have several values, and so stands in regular expressions.
        raw: Whether no data source may escape it: the `allValue` of a variable that is at All.
    """

    values: str | tuple[str, ...]
    text: str = ""
    several: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Timing:
    """How often a query is evaluated, in milliseconds.

    Attributes:
        window: As asked of the server.
        step: Between two points.
        variables: Value of each of Grafana's own variables.
    """

    window: Window
    step: int
    variables: Mapping[str, str]


def milliseconds(text: str) -> int:
    """Return the length of an interval such as `30s`; a bare number is seconds.

    Raises:
        ValueError: For anything else.
    """
    found = re.fullmatch(r"[<>]?(\d+(?:\.\d+)?)(ms|[Mwdhmsy])?", text.strip())
    if not found:
        raise ValueError(f"no interval: {text!r}")
    return round(float(found[1]) * _UNITS[found[2] or "s"])


def rounded(interval: float) -> int:
    """Return the interval, of Grafana's list, that stands for one in milliseconds."""
    return next((to for below, to in _ROUNDED if interval < below), 365 * DAY)


def points(columns: int) -> int:
    """Return how many points a panel of so many columns asks for: one for each pixel of graph."""
    column = (WINDOW_PIXELS - _PAGE - _GAP * (_COLUMNS - 1)) / _COLUMNS
    return math.floor(columns * column + (columns - 1) * _GAP - _CHROME)


def interval(window: Window, most: int, least: int = 1) -> int:
    """Return the time between two of at most `most` points, and never less than `least`."""
    return max(rounded(window.length / most), least)


def prometheus_timing(
    window: Window, most: int, scrape: int, minimum: str = "", factor: int = 1, least: int = 0
) -> Timing:
    """Return the timing of a range query of Prometheus.

    Args:
        window: The dashboard's.
        most: Points that the panel has room for.
        scrape: The data source's `timeInterval`: its scrape interval.
        minimum: The query's own least step, such as `1m` or `$__rate_interval`.
        factor: Steps of Grafana 4's `intervalFactor`.
        least: The panel's least interval, in place of the scrape interval.
    """
    asked = interval(window, most, least or scrape)
    computed = re.fullmatch(r"\$\{?(__\w+?)\}?", minimum)
    bound = milliseconds(minimum) if minimum and not computed else asked
    step = window.length // most
    step = bound if step < bound else rounded(step)
    step = max(step, rounded(window.length // _MOST_POINTS))
    if computed and computed[1] == "__rate_interval":
        step = rate = _rate_interval(step, scrape)
    else:
        step *= factor
        rate = _rate_interval(asked, milliseconds(minimum) if minimum and not computed else scrape)
    own = _time_variables(window) | {
        "__interval": short(step),
        "__interval_ms": str(step),
        "__rate_interval": go_duration(rate),
        "__rate_interval_ms": str(rate),
    }
    return Timing(window.aligned(step), step, own)


def loki_timing(
    window: Window, most: int, minimum: str = "", *, instant: bool = False, least: int = 1
) -> Timing:
    """Return the timing of a query of Loki, which aligns its steps by itself.

    Args:
        window: The dashboard's.
        most: Points that the panel has room for.
        minimum: The query's own step.
        instant: Whether `$__auto` is the whole range.
        least: The panel's least interval.
    """
    asked = interval(window, most, least)
    step = milliseconds(minimum) if minimum else max(asked, math.ceil(window.length / _MOST_POINTS))
    time = _time_variables(window)
    own = time | {
        "__interval": short(asked),
        "__interval_ms": str(asked),
        "__auto": time["__range"] if instant else short(step),
    }
    return Timing(window, step, own)


def short(length: int) -> str:
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


def interpolate(
    text: str, variables: Mapping[str, Value], own: Mapping[str, str], language: str
) -> str:
    """Replace every variable of a query.

    Args:
        text: The query as the dashboard has it.
        variables: The dashboard's, by name.
        own: Grafana's own, by name (`Timing.variables`).
        language: PROMQL or LOGQL, whose data sources escape differently.

    Raises:
        VariableError: For a variable that is in neither: Grafana would send its name to the
            server.
    """
    escape = {PROMQL: in_promql, LOGQL: in_logql}[language]

    def replaced(match: re.Match[str]) -> str:
        name = match["plain"] or match["old"] or match["name"]
        style = match["old_format"] or match["format"] or ""
        if name in own:
            return _formatted(Value(own[name]), style, name) if style else own[name]
        if name in variables:
            value = variables[name]
            if value.raw and style != "text":
                return str(value.values)
            return _formatted(value, style, name) if style else escape(value)
        if name.isdigit():
            return match[0]  # A group of label_replace; Grafana leaves what it does not know.
        raise VariableError(f"variable {name!r} is not defined")

    return _VARIABLE.sub(replaced, text)


def names(text: str) -> set[str]:
    """Return the names of the variables that a text uses, Grafana's own among them."""
    found = (m["plain"] or m["old"] or m["name"] for m in _VARIABLE.finditer(text))
    return {name for name in found if not name.isdigit()}


def in_promql(value: Value) -> str:
    """Return a variable as the Prometheus data source writes it."""
    if not value.several:
        return _joined(value).replace("\\", "\\\\").replace('"', '\\"')
    parts = [_in_prometheus_regex(one) for one in _each(value)]
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"


def in_logql(value: Value) -> str:
    """Return a variable as the Loki data source writes it."""
    if not value.several:
        return _joined(value)
    return "|".join(_in_loki_regex(one) for one in _each(value))


def legend(template: str, labels: Mapping[str, str]) -> str:
    """Return a series' name: each `{{label}}` replaced, by nothing where the series lacks it."""
    return _LEGEND.sub(lambda match: labels.get(match[1], ""), template)


def legend_labels(template: str) -> list[str]:
    """Return the labels that a legend names."""
    return _LEGEND.findall(template)


def everything(options: tuple[str, ...], all_value: str | None) -> Value:
    """Return a variable that is at All."""
    if all_value:
        return Value(all_value, "All", several=True, raw=True)
    return Value(options, "All", several=True)


def chosen(value: Value, option: str) -> Value:
    """Return the variable with one option chosen."""
    values = (option,) if isinstance(value.values, tuple) else option
    return replace(value, values=values, text=option, raw=False)


def _rate_interval(asked: int, scrape: int) -> int:
    return max(asked + scrape, 4 * scrape)


def _time_variables(window: Window) -> dict[str, str]:
    seconds = math.floor(window.length / SECOND + 0.5)
    return {
        "__range": f"{seconds}s",
        "__range_s": str(seconds),
        "__range_ms": str(window.length),
        "__from": str(window.start),
        "__to": str(window.end),
    }


def _each(value: Value) -> tuple[str, ...]:
    return value.values if isinstance(value.values, tuple) else (value.values,)


def _joined(value: Value) -> str:
    return ",".join(_each(value))


# Both stand within quotes, where a backslash of a regular expression is written twice.
def _in_loki_regex(text: str) -> str:
    return re.sub(r"[$^*{}\[\]+?.()|]", r"\\\\\g<0>", text.replace("\\", "\\\\\\\\"))


def _in_prometheus_regex(text: str) -> str:
    escaped = text.replace("\\", "\\\\\\\\").replace('"', '\\\\\\"')
    return re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", escaped)


def _regex_format(values: tuple[str, ...]) -> str:
    parts = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value) for value in values]
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"


def _strict(text: str) -> str:
    return quote(text, safe="-_.~")


_FORMATS: Mapping[str, Callable[[tuple[str, ...]], str]] = {
    "raw": ",".join,
    "csv": ",".join,
    "pipe": "|".join,
    "regex": _regex_format,
    "doublequote": lambda vs: ",".join('"' + v.replace('"', '\\"') + '"' for v in vs),
    "singlequote": lambda vs: ",".join("'" + v.replace("'", "\\'") + "'" for v in vs),
}


def _formatted(value: Value, style: str, name: str) -> str:
    kind, _, argument = style.partition(":")
    several = isinstance(value.values, tuple)
    each = _each(value)
    if kind in _FORMATS:
        return _FORMATS[kind](each)
    if kind == "text":
        return value.text
    if kind == "json":
        return json.dumps(each, separators=(",", ":")) if several else each[0]
    if kind == "glob":
        return "{" + ",".join(each) + "}" if len(each) > 1 else ",".join(each)
    if kind == "percentencode":
        return _strict("{" + ",".join(each) + "}" if several else each[0])
    if kind == "queryparam":
        return "&".join(f"var-{name}={_strict(one)}" for one in each)
    if kind == "date":
        return _date(int(each[0]), argument or "iso")
    raise VariableError(f"format {style!r} of variable {name!r} is not known here")


def _date(time: int, style: str) -> str:
    if style == "ms":
        return str(time)
    if style == "seconds":
        return str(math.floor(time / SECOND + 0.5))
    if style == "iso":
        moment = datetime.fromtimestamp(time / SECOND, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise VariableError(f"date format {style!r} is not known here")
