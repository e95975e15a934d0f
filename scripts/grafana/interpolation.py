r"""Grafana's variables in a query, and labels in a legend, as pure functions.

Followed are Grafana 13's sources, named here by path and function; nothing is copied:

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

from scripts.grafana.timing import SECOND
from scripts.model.dashboards import LOGQL, PROMQL, substitute

_LEGEND = re.compile(r"\{\{\s*(.+?)\s*\}\}")


class VariableError(ValueError):
    """A variable that is not defined, or a format that it cannot have."""


@dataclass(frozen=True)
class VariableValue:
    """What a variable stands for.

    Attributes:
        values: One text, or a tuple where several may be chosen.
        text: What a person sees.
        multi: Whether the variable may have several values, and so stands in regular expressions.
        raw: Whether no data source may escape it: the `allValue` of a variable that is at All.
    """

    values: str | tuple[str, ...]
    text: str = ""
    multi: bool = False
    raw: bool = False


def interpolate(
    text: str, variables: Mapping[str, VariableValue], built_in: Mapping[str, str], language: str
) -> str:
    """Replace every variable of a query.

    Args:
        text: The query as the dashboard has it.
        variables: The dashboard's, by name.
        built_in: Grafana's own, by name (`Timing.built_in`).
        language: PROMQL or LOGQL, whose data sources escape differently.

    Raises:
        VariableError: For a variable that is in neither: Grafana would send its name to the
            server.
    """
    escape = {PROMQL: in_promql, LOGQL: in_logql}[language]

    def value_of(name: str, style: str) -> str | None:
        if name in built_in:
            return (
                _formatted(VariableValue(built_in[name]), style, name) if style else built_in[name]
            )
        if name in variables:
            value = variables[name]
            if value.raw and style != "text":
                return str(value.values)
            return _formatted(value, style, name) if style else escape(value)
        if name.isdigit():
            return None  # A group of label_replace; Grafana leaves what it does not know.
        raise VariableError(f"variable {name!r} is not defined")

    return substitute(text, value_of)


def in_promql(value: VariableValue) -> str:
    """Return a variable as the Prometheus data source writes it."""
    if not value.multi:
        return _joined(value).replace("\\", "\\\\").replace('"', '\\"')
    parts = [_in_prometheus_regex(one) for one in _each(value)]
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"


def in_logql(value: VariableValue) -> str:
    """Return a variable as the Loki data source writes it."""
    if not value.multi:
        return _joined(value)
    return "|".join(_in_loki_regex(one) for one in _each(value))


def legend(template: str, labels: Mapping[str, str]) -> str:
    """Return a series' name: each `{{label}}` replaced, by nothing where the series lacks it."""
    return _LEGEND.sub(lambda match: labels.get(match[1], ""), template)


def legend_labels(template: str) -> list[str]:
    """Return the labels that a legend names."""
    return _LEGEND.findall(template)


def value_of_all(options: tuple[str, ...], all_value: str | None) -> VariableValue:
    """Return a variable that is at All."""
    if all_value:
        return VariableValue(all_value, "All", multi=True, raw=True)
    return VariableValue(options, "All", multi=True)


def with_option(value: VariableValue, option: str) -> VariableValue:
    """Return the variable with one option chosen."""
    values = (option,) if isinstance(value.values, tuple) else option
    return replace(value, values=values, text=option, raw=False)


def _each(value: VariableValue) -> tuple[str, ...]:
    return value.values if isinstance(value.values, tuple) else (value.values,)


def _joined(value: VariableValue) -> str:
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


def _formatted(value: VariableValue, style: str, name: str) -> str:
    kind, _, argument = style.partition(":")
    multi = isinstance(value.values, tuple)
    each = _each(value)
    if kind in _FORMATS:
        return _FORMATS[kind](each)
    if kind == "text":
        return value.text
    if kind == "json":
        return json.dumps(each, separators=(",", ":")) if multi else each[0]
    if kind == "glob":
        return "{" + ",".join(each) + "}" if len(each) > 1 else ",".join(each)
    if kind == "percentencode":
        return _strict("{" + ",".join(each) + "}" if multi else each[0])
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
