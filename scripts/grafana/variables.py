"""The variables of a dashboard that is opened: their queries are asked, as a browser would."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scripts.core.yamlfile import Json
from scripts.grafana import interpolation, model
from scripts.grafana.interpolation import VariableValue
from scripts.grafana.model import DashboardModel, VariableModel
from scripts.grafana.timing import TimeRange, prometheus_timing, seconds
from scripts.model.dashboards import LOGQL, PROMQL, variable_names
from scripts.servers.api import ApiError
from scripts.servers.monitoring import Servers

_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<series>.+),\s*)?(?P<label>\w+)\s*\)\s*", re.S)
_LABEL_NAMES = re.compile(r"label_names\(\s*(?P<metric>.*?)\s*\)\s*")
_METRICS = re.compile(r"metrics\((?P<pattern>.+)\)\s*")
_QUERY_RESULT = re.compile(r"query_result\((?P<query>.+)\)\s*", re.S)


def other_options(
    dashboard: DashboardModel, values: Mapping[str, VariableValue]
) -> Iterator[tuple[str, VariableValue]]:
    """Yield each variable with fixed options, with each option that it does not stand at."""
    for variable in dashboard.variables:
        if variable.kind in ("custom", "interval"):
            value = values[variable.name]
            for option in variable.options:
                if option != value.values:
                    yield variable.name, interpolation.with_option(value, option)


@dataclass
class Resolver:
    """Finds the values of a dashboard's variables.

    Attributes:
        found: Options that a variable's own query found; those of type `query` only.
        refused: Variable to what the server said of its query.
    """

    servers: Servers
    dashboard: DashboardModel
    time_range: TimeRange
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def values(self) -> dict[str, VariableValue]:
        """Return each variable as it stands when the dashboard is opened."""
        values: dict[str, VariableValue] = {}
        unresolved = {v.name: v for v in self.dashboard.variables}
        while unresolved:
            ready = [
                variable
                for variable in unresolved.values()
                if not _references(variable) & unresolved.keys() - {variable.name}
            ]
            # A circle of variables: Grafana asks with what they have, which is nothing.
            for variable in ready or list(unresolved.values())[:1]:
                values[variable.name] = self._value(variable, values)
                del unresolved[variable.name]
        return values

    def _value(self, variable: VariableModel, values: Mapping[str, VariableValue]) -> VariableValue:
        options = variable.options
        if variable.kind == "query":
            try:
                options = _sorted(_kept(self._query(variable, values), variable.regex), variable)
            except (ApiError, interpolation.VariableError) as error:
                options, self.refused[variable.name] = (), str(error)
            self.found[variable.name] = options
        elif variable.kind == "datasource":
            options = tuple(s.uid for s in model.datasources() if s.kind == variable.query)[:1]
        elif variable.kind in ("textbox", "constant"):
            text = variable.current[0] or str(variable.query)
            return VariableValue(text, text)
        current = variable.current
        if variable.include_all and (current == ("$__all",) or not set(current) & set(options)):
            return interpolation.value_of_all(options, variable.all_value)
        if not set(current) & set(options):
            # Grafana takes the first where the saved one is gone.
            current = options[:1]
        chosen = current if variable.multi else (current[0] if current else "")
        return VariableValue(chosen, " + ".join(current), variable.multi)

    def _query(self, variable: VariableModel, values: Mapping[str, VariableValue]) -> list[str]:
        query, time_range = variable.query, self.time_range
        built_in = prometheus_timing(time_range, 100, model.scrape_interval()).built_in
        if variable.language == LOGQL:
            return self._query_loki(query, values, built_in)
        text = str(query["query"] if isinstance(query, Mapping) else query)
        text = interpolation.interpolate(text, values, built_in, PROMQL).strip()
        api, between = self.servers.prometheus, time_range.prometheus
        if match := _LABEL_VALUES.fullmatch(text):
            series = (match["series"] or "").strip()
            narrowed = {"match[]": series} if series.replace(" ", "") not in ("", "{}") else {}
            path = f"/api/v1/label/{match['label']}/values"
            return list(api.get(path, between | narrowed)["data"])
        if match := _QUERY_RESULT.fullmatch(text):
            at = {"query": match["query"], "time": seconds(time_range.end)}
            return [_as_text(s) for s in api.form("/api/v1/query", at)["data"]["result"]]
        if match := _METRICS.fullmatch(text):
            found = api.get("/api/v1/label/__name__/values", between)["data"]
            return [name for name in found if re.search(match["pattern"], name)]
        if match := _LABEL_NAMES.fullmatch(text):
            narrowed = {"match[]": f'{{__name__=~".*{match["metric"]}.*"}}'} if match[1] else {}
            return list(api.get("/api/v1/labels", between | narrowed)["data"])
        found = api.get("/api/v1/series", between | {"match[]": text})["data"]
        return [_as_text({"metric": labels}) for labels in found]

    def _query_loki(
        self, query: str | Json, values: Mapping[str, VariableValue], built_in: Mapping[str, str]
    ) -> list[str]:
        if isinstance(query, Mapping):
            label, stream = str(query.get("label") or ""), str(query.get("stream") or "")
        else:
            match = _LABEL_VALUES.fullmatch(query)
            label, stream = (match["label"], match["series"] or "") if match else ("", "")
        between = self.time_range.loki
        if stream:
            between["query"] = interpolation.interpolate(stream, values, built_in, LOGQL)
        path = f"label/{label}/values" if label else "labels"
        return list(self.servers.loki.get(f"/loki/api/v1/{path}", between).get("data") or [])


def _references(variable: VariableModel) -> set[str]:
    """Return the names of the variables that a variable's query uses."""
    query = variable.query
    texts = map(str, query.values()) if isinstance(query, Mapping) else (query,)
    return {name for text in texts for name in variable_names(text)}


def _kept(options: list[str], regex: str) -> list[str]:
    """Return what a variable's regular expression keeps: its first group, or group `value`."""
    if not regex:
        return options
    pattern = re.compile(re.sub(r"\(\?<(\w)", r"(?P<\1", regex.strip("/")))
    kept = []
    for option in options:
        if match := pattern.search(option):
            named = match.groupdict()
            groups = [group for group in match.groups() if group]
            kept.append(named.get("value") or (groups[0] if groups else match[0]))
    return list(dict.fromkeys(kept))


def _sorted(options: list[str], variable: VariableModel) -> tuple[str, ...]:
    """Return options in the order of Grafana's number: 1, 2 by name, 3, 4 by number, 5, 6, 7, 8."""
    if variable.sort == 0:
        return tuple(options)
    kind, backwards = (variable.sort + 1) // 2, variable.sort % 2 == 0
    if kind == 2:
        return tuple(sorted(options, key=_number, reverse=backwards))
    key = str.lower if kind == 3 else str
    return tuple(sorted(options, key=key, reverse=backwards))


def _number(text: str) -> float:
    found = re.search(r"\d+", text)
    return float(found[0]) if found else -1.0


def _as_text(series: Json) -> str:
    """Return a series as Grafana offers it as an option."""
    labels = dict(series["metric"])
    name = labels.pop("__name__", "")
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    text = f"{name}{{{inner}}}"
    if "value" in series:
        moment, value = series["value"]
        text += f" {value} {round(float(moment) * 1000)}"
    return text
