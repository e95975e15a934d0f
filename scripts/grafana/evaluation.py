"""Open a dashboard as a browser would: its variables first, then every query of every panel."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from scripts.core.yamlfile import Json
from scripts.grafana import interpolation, model
from scripts.grafana.interpolation import LOGQL, PROMQL, Timing, Value, Window
from scripts.grafana.model import Annotation, Dashboard, Panel, Target, Variable
from scripts.servers.api import ApiError
from scripts.servers.monitoring import Servers

# A dashboard is opened over the six hours before the moment.
RANGE = 6 * interpolation.HOUR

_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<series>.+),\s*)?(?P<label>\w+)\s*\)\s*", re.S)
_LABEL_NAMES = re.compile(r"label_names\(\s*(?P<metric>.*?)\s*\)\s*")
_METRICS = re.compile(r"metrics\((?P<pattern>.+)\)\s*")
_QUERY_RESULT = re.compile(r"query_result\((?P<query>.+)\)\s*", re.S)
# How many queries are sent at one time.
_THREADS = 2


@dataclass(frozen=True)
class Result:
    """What a server answered to one query.

    Attributes:
        where: Title of the panel, or `annotation …`.
        panel: Its id; 0 for an annotation.
        expr: The query as it was sent.
        step: Milliseconds between two points.
        kind: `matrix`, `vector` or `streams`; empty where the server refused.
        data: As the server's API returns it.
        error: The server's message; empty where it answered.
        samples: Samples that Prometheus loaded, over all steps; None of Loki.
        peak: The most of them in memory at once.
        seconds: Until the whole answer was here.
    """

    where: str
    panel: int
    target: Target
    expr: str
    step: int
    kind: str = ""
    data: Sequence[Json] = ()
    error: str = ""
    samples: int | None = None
    peak: int | None = None
    seconds: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether there is a line, or a value that can be drawn."""
        if self.kind == "streams":
            return any(stream["values"] for stream in self.data)
        return any(math.isfinite(value) for series in self.data for _, value in points(series))


@dataclass(frozen=True)
class Opened:
    """A dashboard with data.

    Attributes:
        values: Each variable, as it stands when the dashboard is opened.
        found: Options that a variable's own query found; those of type `query` only.
        refused: Variable to what the server said of its query.
        results: Of panels, in their order, then of annotations.
        events: What each annotation marks.
        seconds: From the first request to the last answer, two at a time.
    """

    dashboard: Dashboard
    window: Window
    values: Mapping[str, Value]
    found: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, str]
    results: tuple[Result, ...]
    events: tuple[Json, ...]
    seconds: float

    @property
    def samples(self) -> int:
        """Samples that Prometheus loaded for the whole dashboard."""
        return sum(result.samples or 0 for result in self.results)


def window(at: float) -> Window:
    """Return the time range of a dashboard that is opened at a moment (s since the epoch)."""
    end = round(at * 1000)
    return Window(end - RANGE, end)


def open_dashboard(servers: Servers, dashboard: Dashboard, window: Window) -> Opened:
    """Run all that a dashboard asks when it is opened.

    Args:
        servers: Prometheus and Loki, with data.
        dashboard: `model.committed()`, or `model.read(json, model.datasources())` of any other.
        window: Its time range.
    """
    started = time.perf_counter()
    variables = _Variables(servers, dashboard, window)
    values = variables.all()
    results = run(servers, dashboard, window, values)
    return Opened(
        dashboard=dashboard,
        window=window,
        values=values,
        found=variables.found,
        refused=variables.refused,
        results=results,
        events=tuple(
            event
            for annotation, result in zip(
                dashboard.annotations,
                results[len(results) - len(dashboard.annotations) :],
                strict=True,
            )
            for event in events(annotation, result)
        ),
        seconds=time.perf_counter() - started,
    )


def run(
    servers: Servers,
    dashboard: Dashboard,
    window: Window,
    values: Mapping[str, Value],
    only: str = "",
) -> tuple[Result, ...]:
    """Run the queries of panels and annotations, two at a time.

    Args:
        servers: Prometheus and Loki.
        dashboard: What to ask.
        window: Its time range.
        values: Of its variables.
        only: Name of a variable; queries that do not use it are left out.

    Returns:
        One result for each query; a panel that repeats has one for each value and query.
    """
    asked = [
        (where, panel, target, timing, scope)
        for where, panel, target, timing, scope in _asked(dashboard, window, values)
        if not only or only in interpolation.names(target.expr)
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(lambda one: _ask(servers, *one), asked))


def others(dashboard: Dashboard, values: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Yield each variable with fixed options, with each option that it does not stand at."""
    for variable in dashboard.variables:
        if variable.kind in ("custom", "interval"):
            value = values[variable.name]
            for option in variable.options:
                if option != value.values:
                    yield variable.name, interpolation.chosen(value, option)


def points(series: Json) -> Iterator[tuple[float, float]]:
    """Yield time (s) and value of a series of a matrix or a vector, not of a stream."""
    for moment, value in series.get("values") or [series["value"]]:
        yield float(moment), float(value)


def events(annotation: Annotation, result: Result) -> Iterator[Json]:
    """Yield an annotation's marks: one for each time that its value is above 0 without a gap."""
    for series in result.data:
        text = interpolation.legend(annotation.title, series.get("metric") or series["stream"])
        common = {"name": annotation.name, "color": annotation.color, "text": text}
        if result.kind == "streams":
            for moment, *_ in series["values"]:
                yield common | {"time": int(moment) // 10**6, "timeEnd": None}
            continue
        begin = end = 0
        for moment, value in points(series):
            if value > 0:
                now = round(moment * 1000)
                if begin and now - end > result.step:
                    yield common | {"time": begin, "timeEnd": end}
                    begin = now
                begin, end = begin or now, now
        if begin:
            yield common | {"time": begin, "timeEnd": end}


def document(opened: Opened, day: str) -> Json:
    """Return what the preview draws, as JSON."""
    panels: dict[str, dict[str, Json]] = {}
    for result in opened.results:
        if not result.panel:
            continue
        panels.setdefault(str(result.panel), {})[result.target.ref] = {
            "expr": result.expr,
            "language": result.target.language,
            "step": result.step,
            "instant": result.target.instant,
            "resultType": result.kind,
            "result": result.data,
            "error": result.error or None,
            "samples": result.samples,
            "seconds": round(result.seconds, 4),
        }
    return {
        "uid": opened.dashboard.uid,
        "day": day,
        "from": opened.window.start,
        "to": opened.window.end,
        "variables": {
            name: {"text": v.text, "value": v.values} for name, v in opened.values.items()
        },
        "panels": panels,
        "annotations": list(opened.events),
    }


@dataclass
class _Variables:
    """Resolves the variables of a dashboard, those that others depend on first."""

    servers: Servers
    dashboard: Dashboard
    window: Window
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def all(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        waiting = {v.name: v for v in self.dashboard.variables}
        while waiting:
            ready = [v for v in waiting.values() if not _needs(v) & waiting.keys() - {v.name}]
            # A circle of variables: Grafana asks with what they have, which is nothing.
            for variable in ready or list(waiting.values())[:1]:
                values[variable.name] = self._value(variable, values)
                del waiting[variable.name]
        return values

    def _value(self, variable: Variable, values: Mapping[str, Value]) -> Value:
        options = variable.options
        if variable.kind == "query":
            try:
                options = _sorted(_kept(self._asked(variable, values), variable.regex), variable)
            except (ApiError, interpolation.VariableError) as error:
                options, self.refused[variable.name] = (), str(error)
            self.found[variable.name] = options
        elif variable.kind == "datasource":
            options = tuple(s.uid for s in model.datasources() if s.kind == variable.query)[:1]
        elif variable.kind in ("textbox", "constant"):
            text = variable.current[0] or str(variable.query)
            return Value(text, text)
        current = variable.current
        if variable.include_all and (current == ("$__all",) or not set(current) & set(options)):
            return interpolation.everything(options, variable.all_value)
        if not set(current) & set(options):
            # Grafana takes the first where the saved one is gone.
            current = options[:1]
        several = variable.several
        chosen = current if several else (current[0] if current else "")
        return Value(chosen, " + ".join(current), several)

    def _asked(self, variable: Variable, values: Mapping[str, Value]) -> list[str]:
        window, query = self.window, variable.query
        own = interpolation.prometheus_timing(window, 100, model.scrape_interval()).variables
        if variable.language == LOGQL:
            return self._asked_loki(query, values, own)
        text = str(query["query"] if isinstance(query, Mapping) else query)
        text = interpolation.interpolate(text, values, own, PROMQL).strip()
        api = self.servers.prometheus
        between = {"start": _seconds(window.start), "end": _seconds(window.end)}
        if match := _LABEL_VALUES.fullmatch(text):
            series = (match["series"] or "").strip()
            narrowed = {"match[]": series} if series.replace(" ", "") not in ("", "{}") else {}
            path = f"/api/v1/label/{match['label']}/values"
            return list(api.get(path, between | narrowed)["data"])
        if match := _QUERY_RESULT.fullmatch(text):
            at = {"query": match["query"], "time": _seconds(window.end)}
            return [_as_text(s) for s in api.form("/api/v1/query", at)["data"]["result"]]
        if match := _METRICS.fullmatch(text):
            found = api.get("/api/v1/label/__name__/values", between)["data"]
            return [name for name in found if re.search(match["pattern"], name)]
        if match := _LABEL_NAMES.fullmatch(text):
            narrowed = {"match[]": f'{{__name__=~".*{match["metric"]}.*"}}'} if match[1] else {}
            return list(api.get("/api/v1/labels", between | narrowed)["data"])
        found = api.get("/api/v1/series", between | {"match[]": text})["data"]
        return [_as_text({"metric": labels}) for labels in found]

    def _asked_loki(
        self, query: str | Json, values: Mapping[str, Value], own: Mapping[str, str]
    ) -> list[str]:
        if isinstance(query, Mapping):
            label, stream = str(query.get("label") or ""), str(query.get("stream") or "")
        else:
            match = _LABEL_VALUES.fullmatch(query)
            label, stream = (match["label"], match["series"] or "") if match else ("", "")
        between = {"start": f"{self.window.start}000000", "end": f"{self.window.end}000000"}
        if stream:
            between["query"] = interpolation.interpolate(stream, values, own, LOGQL)
        path = f"label/{label}/values" if label else "labels"
        return list(self.servers.loki.get(f"/loki/api/v1/{path}", between).get("data") or [])


def _asked(
    dashboard: Dashboard, window: Window, values: Mapping[str, Value]
) -> Iterator[tuple[str, int, Target, Timing, Mapping[str, Value]]]:
    """Yield each query with its timing and the variables that hold for it."""
    scrape = model.scrape_interval()
    for panel in dashboard.panels:
        for scope in _repeated(panel, values):
            for target in panel.targets:
                timing = timing_of(panel, target, window, scrape)
                yield panel.title, panel.id, target, timing, scope
    for annotation in dashboard.annotations:
        target = annotation.target
        most = interpolation.WINDOW_PIXELS
        if target.language == LOGQL:
            timing = interpolation.loki_timing(window, most)
        else:
            timing = interpolation.prometheus_timing(window, most, scrape)
        yield f"annotation {annotation.name}", 0, target, timing, values


def timing_of(panel: Panel, target: Target, window: Window, scrape: int) -> Timing:
    """Return the steps of a query, as Grafana chooses them.

    Args:
        panel: Whose width and options count.
        target: The query.
        window: The time range.
        scrape: The data source's interval, in milliseconds.
    """
    most = panel.points or interpolation.points(panel.columns)
    least = interpolation.milliseconds(panel.minimum) if panel.minimum else 0
    if target.language == LOGQL:
        return interpolation.loki_timing(
            window, most, target.minimum, instant=target.instant, least=max(least, 1)
        )
    return interpolation.prometheus_timing(
        window, most, scrape, target.minimum, target.factor, least
    )


def _repeated(panel: Panel, values: Mapping[str, Value]) -> Iterator[Mapping[str, Value]]:
    """Yield the variables of each copy of a panel."""
    value = values.get(panel.repeat)
    if value is None or value.raw:
        yield values
        return
    for option in (value.values,) if isinstance(value.values, str) else value.values:
        yield {**values, panel.repeat: interpolation.chosen(value, option)}


def _ask(
    servers: Servers,
    where: str,
    panel: int,
    target: Target,
    timing: Timing,
    values: Mapping[str, Value],
) -> Result:
    expr = target.expr
    started = time.perf_counter()
    kind, data, error, samples, peak = "", [], "", None, None
    try:
        expr = interpolation.interpolate(expr, values, timing.variables, target.language)
        ask = _ask_loki if target.language == LOGQL else _ask_prometheus
        answer = ask(servers, expr, target, timing)
        kind, data = answer["resultType"], answer["result"]
        if kind == "scalar":
            # Grafana draws a scalar as a series without labels.
            kind, data = "vector", [{"metric": {}, "value": data}]
        with contextlib.suppress(KeyError):
            samples = answer["stats"]["samples"]["totalQueryableSamples"]
            peak = answer["stats"]["samples"]["peakSamples"]
    except (ApiError, interpolation.VariableError) as refused:
        error = str(refused)
    seconds = time.perf_counter() - started
    return Result(
        where, panel, target, expr, timing.step, kind, data, error, samples, peak, seconds
    )


def _ask_prometheus(servers: Servers, expr: str, target: Target, timing: Timing) -> Json:
    window = timing.window
    form = {"query": expr, "stats": "all"}
    if target.instant:
        # The end of the time range as it is, not aligned.
        form["time"] = _seconds(int(timing.variables["__to"]))
        return servers.prometheus.form("/api/v1/query", form)["data"]
    form |= {"start": _seconds(window.start), "end": _seconds(window.end)}
    form["step"] = _seconds(timing.step)
    return servers.prometheus.form("/api/v1/query_range", form)["data"]


def _ask_loki(servers: Servers, expr: str, target: Target, timing: Timing) -> Json:
    window = timing.window
    asked = {"query": expr, "direction": "backward", "limit": str(target.lines)}
    if target.instant:
        return servers.loki.get("/loki/api/v1/query", asked | {"time": f"{window.end}000000"})[
            "data"
        ]
    asked |= {"start": f"{window.start}000000", "end": f"{window.end}000000"}
    asked["step"] = f"{timing.step}ms"
    return servers.loki.get("/loki/api/v1/query_range", asked)["data"]


def _needs(variable: Variable) -> set[str]:
    if isinstance(variable.query, Mapping):
        texts = [str(value) for value in variable.query.values()]
    else:
        texts = [variable.query]
    return {name for text in texts for name in interpolation.names(text)}


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


def _sorted(options: list[str], variable: Variable) -> tuple[str, ...]:
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
    labels = dict(series["metric"])
    name = labels.pop("__name__", "")
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    text = f"{name}{{{inner}}}"
    if "value" in series:
        moment, value = series["value"]
        text += f" {value} {round(float(moment) * 1000)}"
    return text


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"
