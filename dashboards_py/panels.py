"""How things look, once: a function for each kind of panel, variable and link.

Each panel names its question, its unit and its sources; the text that stands there while a source
is missing comes from the source.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import count

import attrs

from dashboards_py import application, grafana, logql, metrics
from dashboards_py.grafana import Json, Threshold
from dashboards_py.layout import Row, place
from dashboards_py.promql import Series
from dashboards_py.queries import health, workloads
from dashboards_py.query import Language, Query, QueryError, check_labels, regex

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"

CORES = "suffix:cores"
BYTES = "bytes"
SHARE = "percentunit"
COUNT = "short"
REQUESTS_PER_SECOND = "reqps"
LINES_PER_SECOND = "suffix:lines/s"
SAMPLES_PER_SECOND = "suffix:samples/s"
BYTES_PER_SECOND = "binBps"
EVENTS_PER_SECOND = "suffix:events/s"
SECONDS = "s"
MILLISECONDS = "ms"
TIMES = "suffix:×"

# On every dashboard, so that the bar at the top lists them all.
TAG = "todo-monitoring"

NEUTRAL = (Threshold(BLUE),)


class Folder(Enum):
    """A folder of Grafana; each is one ConfigMap in `base/dashboards/kustomization.yaml`."""

    TODO = "grafana-dashboards-todo"
    PLATFORM = "grafana-dashboards-platform"


@attrs.frozen
class Definition:
    """A dashboard and the folder that it belongs in."""

    folder: Folder
    board: grafana.Dashboard


def dashboard(
    *,
    uid: str,
    title: str,
    description: str,
    folder: Folder,
    rows: Sequence[Row],
    variables: Sequence[grafana.Variable],
    annotations: Sequence[grafana.Annotation] = (),
) -> Definition:
    """Put a dashboard together.

    Args:
        uid: Part of the address, and the name of the module with hyphens; never change it.
        title: As listed in Grafana.
        description: The question that the dashboard answers.
        folder: Where Grafana lists it.
        rows: From the top to the bottom.
        variables: In the order of their dependence.
        annotations: Marks on all graphs.
    """
    board = grafana.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=[TAG],
        link_tags=[TAG],
        panels=place(rows),
        variables=variables,
        annotations=annotations,
    )
    return Definition(folder, board)


# Thresholds, colours, mappings


def bad_from(*, warning: float | None = None, critical: float | None = None) -> list[Threshold]:
    """Green, then orange and red from these values on."""
    steps = [(ORANGE, warning), (RED, critical)]
    return [Threshold(GREEN)] + [Threshold(c, value) for c, value in steps if value is not None]


def good_from(value: float) -> list[Threshold]:
    """Red below a value, green from it on."""
    return [Threshold(RED), Threshold(GREEN, value)]


def bad_below(*, warning: float, critical: float) -> list[Threshold]:
    """Red, then orange and green from these values on."""
    return [Threshold(RED), Threshold(ORANGE, critical), Threshold(GREEN, warning)]


def states(**texts: str) -> list[Json]:
    """Show 1 and 0 as words: `states(one="up", zero="down")`, green and red."""
    return [
        {
            "type": "value",
            "options": {
                "0": {"color": RED, "index": 1, "text": texts["zero"]},
                "1": {"color": GREEN, "index": 0, "text": texts["one"]},
            },
        }
    ]


def faults(**texts: str) -> list[Json]:
    """Show 1 and 0 as words where 1 is the fault: `faults(one="down", zero="up")`."""
    return [
        {
            "type": "value",
            "options": {
                "0": {"color": GREEN, "index": 1, "text": texts["zero"]},
                "1": {"color": RED, "index": 0, "text": texts["one"]},
            },
        }
    ]


# A line whose level nobody knows has none; with the label alone, its series would have no name.
LEVEL_LEGEND = "{{level}} lines"


def level_colours() -> dict[str, str]:
    """Return a colour for each series of a graph with legend LEVEL_LEGEND."""
    levels = {"fatal": "dark-red", "error": RED, "warn": ORANGE, "info": GREEN, "debug": BLUE}
    return {f"{level} lines": colour for level, colour in levels.items()}


def status_colours() -> dict[str, str]:
    """Return a colour for each class of HTTP status."""
    return {"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED}


def outcome_colours() -> dict[str, str]:
    """Return a colour for what became of an event, a job or a call."""
    good, bad = ("success", "triggered", "answered"), ("drop", "failed")
    doubtful = ("retry", "undelivered", "limited")
    colours = ((good, GREEN), (doubtful, ORANGE), (bad, RED))
    return {name: colour for names, colour in colours for name in names}


def _override(matcher: str, options: str, properties: Mapping[str, object]) -> Json:
    return {
        "matcher": {"id": matcher, "options": options},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


# Queries


@attrs.frozen
class Shown:
    """A query and the name of its series.

    Attributes:
        legend: Text with `{{label}}` in it.
        thresholds: Colours of this series alone, where a panel shows several.
        quiet: Why the query rightly returns nothing on a day without faults; empty where it must
            return something. `make prove` holds both against real servers.
    """

    query: Query
    legend: str
    thresholds: Sequence[Threshold] = ()
    quiet: str = ""


def show(
    query: Query, legend: str = "", thresholds: Sequence[Threshold] = (), quiet: str = ""
) -> Shown:
    """Name the series of a query; arguments as of `Shown`.

    Raises:
        QueryError: Where the legend names a label that the result does not have.
    """
    check_labels(
        f"the result of {query.expr}", re.findall(r"{{\s*(\w+)\s*}}", legend), query.labels
    )
    return Shown(query, legend, thresholds, quiet)


def _target(
    shown: Shown, ref: str, *, instant: bool, table: bool = False
) -> grafana.PromTarget | grafana.LokiTarget:
    query = shown.query
    # Logs and metrics alike: the name is Grafana's.
    if logql.WHOLE_RANGE in query.expr and not instant:
        raise QueryError(f"{logql.WHOLE_RANGE} in a graph counts lines many times: {query.expr}")
    if query.language is Language.LOGQL:
        lines = 200 if query.lines else None
        return grafana.LokiTarget(query.expr, ref, shown.legend, instant, lines, quiet=shown.quiet)
    return grafana.PromTarget(query.expr, ref, shown.legend, instant, table, quiet=shown.quiet)


def _targets(
    queries: Sequence[Shown], *, instant: bool, table: bool = False
) -> list[grafana.PromTarget | grafana.LokiTarget]:
    """Give each query its letter."""
    if not queries:
        raise QueryError("a panel needs a query")
    letters = string.ascii_uppercase
    return [
        _target(shown, ref, instant=instant, table=table)
        for shown, ref in zip(queries, letters[: len(queries)], strict=True)
    ]


def _common(
    title: str, description: str, queries: Sequence[Shown], no_value: str, width: int | None
) -> Json:
    """Return the arguments that every panel takes, with its sources named."""
    sources = dict.fromkeys(source for shown in queries for source in shown.query.sources)
    names = ", ".join(source.name for source in sources)
    language = queries[0].query.language
    return {
        "title": title,
        "description": f"{description}\n\nSource: {names}.",
        "dataSource": grafana.LOKI if language is Language.LOGQL else grafana.PROMETHEUS,
        "noValue": no_value or next(iter(sources)).absent,
        "width": width,
    }


# Panels


def timeseries(
    title: str,
    *queries: Shown,
    description: str,
    unit: str,
    width: int | None = None,
    bars: bool = False,
    minimum: float | None = 0,
    maximum: float | None = None,
    thresholds: Sequence[Threshold] = (),
    colours: Mapping[str, str] | None = None,
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.TimeSeries:
    """Return a graph, from 0 up unless told otherwise.

    Args:
        title: What is shown, without the unit.
        queries: Made by `show`.
        description: What it means and what to do about it.
        unit: Grafana's unit id.
        width: Columns, else an equal share of the line.
        bars: Stacked bars, for counts per step, instead of lines.
        minimum: Lower end of the axis; None where values may be negative.
        maximum: Upper end of the axis.
        thresholds: Drawn as dashed lines.
        colours: Regular expression of series' names to colour.
        links: Made by `link`.
        no_value: Instead of the source's own text for missing data.
    """
    overrides = [
        _override(
            "byRegexp", f"/^({pattern})$/", {"color": {"mode": "fixed", "fixedColor": colour}}
        )
        for pattern, colour in (colours or {}).items()
    ]
    looks: Json = {}
    if bars:
        stacked = {"group": "A", "mode": "normal"}
        looks = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": stacked}
    if thresholds:
        looks["thresholdsStyleMode"] = "dashed"
    return grafana.TimeSeries(
        **_common(title, description, queries, no_value, width),
        targets=_targets(queries, instant=False),
        unit=unit,
        valueMin=minimum,
        valueMax=maximum,
        thresholds=thresholds or NEUTRAL,
        overrides=overrides,
        dataLinks=links,
        **looks,
    )


def stat(
    title: str,
    *queries: Shown,
    description: str,
    unit: str,
    width: int | None = None,
    thresholds: Sequence[Threshold] = NEUTRAL,
    mappings: Sequence[Json] = (),
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.Stat:
    """Return numbers as they are now, with arguments as of `timeseries`; mappings by `states`."""
    overrides = [
        _override(
            "byFrameRefID",
            letter,
            {"thresholds": {"mode": "absolute", "steps": [s.to_json_data() for s in q.thresholds]}},
        )
        for letter, q in zip(string.ascii_uppercase, queries, strict=False)
        if q.thresholds
    ]
    return grafana.Stat(
        **_common(title, description, queries, no_value, width),
        targets=_targets(queries, instant=True),
        unit=unit,
        thresholds=thresholds,
        mappings=mappings,
        overrides=overrides,
        dataLinks=links,
    )


def gauge(
    title: str,
    *queries: Shown,
    description: str,
    width: int | None = None,
    thresholds: Sequence[Threshold],
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.Gauge:
    """Return shares of a whole, from 0 to 1, as they are now."""
    return grafana.Gauge(
        **_common(title, description, queries, no_value, width),
        targets=_targets(queries, instant=True),
        unit=SHARE,
        valueMin=0,
        valueMax=1,
        thresholds=thresholds,
        dataLinks=links,
    )


def state_timeline(
    title: str,
    *queries: Shown,
    description: str,
    mappings: Sequence[Json],
    width: int | None = None,
    no_value: str = "",
) -> grafana.StateTimeline:
    """Return one line for each series that is 1 or 0, named and coloured by `states`."""
    return grafana.StateTimeline(
        **_common(title, description, queries, no_value, width),
        targets=_targets(queries, instant=False),
        thresholds=NEUTRAL,
        mappings=mappings,
    )


def logs(
    title: str,
    query: Query,
    *,
    description: str,
    width: int | None = None,
    no_value: str = "",
    quiet: str = "",
) -> grafana.Logs:
    """Return log lines, newest first."""
    if not query.lines:
        raise QueryError(f"a logs panel shows lines, not numbers: {query.expr}")
    shown = show(query, quiet=quiet)
    return grafana.Logs(
        **_common(title, description, [shown], no_value, width),
        targets=_targets([shown], instant=False),
        thresholds=NEUTRAL,
    )


@attrs.frozen
class Column:
    """A column of values in a table.

    Attributes:
        title: Empty for a query that only brings labels.
        empty: What a cell without a value shows.
        paint: Whether the thresholds colour the cell.
        quiet: As of `Shown`.
    """

    title: str
    query: Query
    unit: str = COUNT
    thresholds: Sequence[Threshold] = NEUTRAL
    paint: bool = False
    mappings: Sequence[Json] = ()
    empty: str = "–"
    quiet: str = ""


def table(
    title: str,
    labels: Mapping[str, str],
    *columns: Column,
    description: str,
    sort: str,
    width: int | None = None,
    column_widths: Mapping[str, int] | None = None,
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.Table:
    """Return what is so now as a table: one row for each combination of labels.

    Args:
        title: What is shown.
        labels: Label to heading, in order; queries that share labels share rows.
        columns: Values, after the labels.
        description: What it means.
        sort: Heading to sort by: labels from A to Z, values from the largest.
        width: Columns, else an equal share of the line.
        column_widths: Heading to pixels; the others share the rest.
        links: Of the first label's cells.
        no_value: Instead of the source's own text for missing data.

    Raises:
        QueryError: For a label that no query has, or a heading that does not exist.
    """
    shown = [show(column.query, quiet=column.quiet) for column in columns]
    known = frozenset[str]().union(*(column.query.labels for column in columns))
    check_labels(f"table {title!r}", labels, known)
    letters = string.ascii_uppercase[: len(columns)]
    names = [f"Value #{letter}" for letter in letters]
    renamed = dict(labels)
    if len(columns) == 1:
        # Loki names even a single value after its query, Prometheus does not.
        renamed["Value"] = columns[0].title
    renamed |= {name: c.title for name, c in zip(names, columns, strict=True) if c.title}
    if sort not in renamed.values():
        raise QueryError(f"table {title!r} has no column {sort!r} to sort by")
    hidden = {name: True for name, c in zip(names, columns, strict=True) if not c.title}
    hidden |= dict.fromkeys([*sorted(known - labels.keys()), "Time"], True)
    organize = {
        "excludeByName": hidden,
        "indexByName": dict(zip(renamed, count(), strict=False)),
        "renameByName": renamed,
    }
    # A cell without a value would show what the whole panel shows without data.
    overrides = [_override("byName", heading, {"noValue": "–"}) for heading in labels.values()]
    overrides += [_cells(column) for column in columns if column.title]
    for heading, pixels in (column_widths or {}).items():
        overrides.append(_override("byName", heading, {"custom.width": pixels}))
    if links:
        overrides.append(_override("byName", next(iter(labels.values())), {"links": list(links)}))
    return grafana.Table(
        **_common(title, description, shown, no_value, width),
        targets=_targets(shown, instant=True, table=True),
        thresholds=NEUTRAL,
        overrides=overrides,
        sortBy=[{"desc": sort not in labels.values(), "displayName": sort}],
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": organize},
        ],
    )


def _cells(column: Column) -> Json:
    steps = [step.to_json_data() for step in column.thresholds]
    properties: Json = {
        "noValue": column.empty,
        "unit": column.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if column.paint:
        properties["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.mappings:
        properties["mappings"] = list(column.mappings)
    return _override("byName", column.title, properties)


# Variables, annotations, links


def namespace_variable() -> grafana.Variable:
    """Return variable `namespace`: "All" are the application's namespaces, known without a query.

    So panels that read Loki work while Prometheus is away, and the other way round.
    """
    own = application.namespaces()
    series = metrics.POD_INFO(namespace=regex(own))
    return grafana.Variable(
        name="namespace",
        label="Namespace",
        description="Namespaces of the application (NAMESPACES in base/application).",
        kind="query",
        query=_label_values(series, "namespace"),
        datasource=grafana.PROMETHEUS,
        all_value=own,
    )


def any_namespace_variable() -> grafana.Variable:
    """Return variable `namespace` of dashboards of the platform: every one that has pods."""
    return grafana.Variable(
        name="namespace",
        label="Namespace",
        description="Namespaces of the cluster that have pods.",
        kind="query",
        query=_label_values(metrics.POD_INFO(), "namespace"),
        datasource=grafana.PROMETHEUS,
        all_value=".+",
    )


def node_variable() -> grafana.Variable:
    """Return variable `node`."""
    return grafana.Variable(
        name="node",
        label="Node",
        description="Nodes of the cluster; pods that wait for one are on none of them.",
        kind="query",
        query=_label_values(metrics.NODE_INFO(), "node"),
        datasource=grafana.PROMETHEUS,
        # A pod that waits for a node has none.
        all_value=".+",
    )


def job_variable() -> grafana.Variable:
    """Return variable `job`: what Prometheus scrapes."""
    return grafana.Variable(
        name="job",
        label="Scrape job",
        description="Narrows targets and what they deliver.",
        kind="query",
        query=_label_values(metrics.UP(job=regex(".+")), "job"),
        datasource=grafana.PROMETHEUS,
        all_value=".+",
    )


def app_variable() -> grafana.Variable:
    """Return variable `app`: those that wrote a log line in the time range."""
    return _log_label("app", "App", "Narrows requests and logs: apps that wrote a line.", ".+")


def level_variable() -> grafana.Variable:
    """Return variable `level`: the levels seen in the time range."""
    # .*: a line whose level nobody recognised has none.
    return _log_label("level", "Level", "Levels of log lines.", ".*")


def slo_variable() -> grafana.Variable:
    """Return variable `slo`: the objectives that rules record."""
    return grafana.Variable(
        name="slo",
        label="Objective",
        description="Service level objectives (base/config/slos).",
        kind="query",
        query=_label_values(metrics.SLO_OBJECTIVE(), "sloth_slo"),
        datasource=grafana.PROMETHEUS,
        all_value=".+",
    )


def source_variable() -> grafana.Variable:
    """Return variable `source`: one at a time, as a request seen twice would count twice."""
    options = ("access_log", "dapr", "ingress_nginx", "traefik")
    return grafana.Variable(
        name="source",
        label="Requests from",
        description="Who counted the requests. Dapr does not see what browsers send directly.",
        kind="custom",
        query=",".join(options),
        options=options,
        default=options[0],
    )


def text_variable(name: str, label: str, description: str, default: str = "") -> grafana.Variable:
    """Return a variable that a person types."""
    return grafana.Variable(
        name=name,
        label=label,
        description=description,
        kind="textbox",
        query=default,
        default=default,
    )


def annotation(
    name: str, query: Query, title: str, color: str, quiet: str = ""
) -> grafana.Annotation:
    """Mark on every graph when a query has a result; `title` may name its labels."""
    shown = show(query, title)
    return grafana.Annotation(
        name=name, expr=query.expr, title=shown.legend, color=color, quiet=quiet
    )


def link(title: str, uid: str, *keep: str, **values: str) -> Json:
    """Link a value to another dashboard, with the same time and namespaces.

    Args:
        title: What a person will see there.
        uid: Of the dashboard.
        keep: Variables, beside `namespace`, that both dashboards have.
        values: Variable of that dashboard to value, such as `${__field.labels.app}`.
    """
    kept = "".join(f"&${{{name}:queryparam}}" for name in ("namespace", *keep))
    parameters = "".join(f"&var-{name}={value}" for name, value in values.items())
    return {"title": title, "url": f"/d/{uid}?${{__url_time_range}}{kept}{parameters}"}


def goto(title: str, uid: str, **values: str) -> Json:
    """Link a value to another dashboard, with the same time and these variables alone."""
    parameters = "".join(f"&var-{name}={value}" for name, value in values.items())
    return {"title": title, "url": f"/d/{uid}?${{__url_time_range}}{parameters}"}


def marks() -> list[grafana.Annotation]:
    """Return what is marked on every dashboard that has variable `namespace`."""
    return [
        annotation(
            "Rollouts",
            workloads.rollouts(),
            "{{deployment}} changed",
            BLUE,
            quiet="nobody changed a Deployment",
        ),
        annotation(
            "Alerts",
            health.alerts_begun(),
            "{{severity}}: {{alertname}} {{namespace}}",
            RED,
            quiet="no alert fires",
        ),
    ]


def _label_values(series: Series, label: str) -> Json:
    check_labels(series.metric.name, (label,), series.metric.labels)
    return {
        # 1: label values.
        "qryType": 1,
        "query": f"label_values({series.selector()}, {label})",
        "refId": "PrometheusVariableQueryEditor-VariableQuery",
    }


def _log_label(name: str, label: str, description: str, all_value: str) -> grafana.Variable:
    stream = logql.stream(regex("$namespace"), container=regex(".+"))
    return grafana.Variable(
        name=name,
        label=label,
        description=description,
        kind="query",
        query={
            "label": name,
            "refId": "LokiVariableQueryEditor-VariableQuery",
            "stream": stream.text,
            # 1: label values.
            "type": 1,
        },
        datasource=grafana.LOKI,
        all_value=all_value,
    )
