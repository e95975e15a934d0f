"""How each kind of panel looks: one function for each.

A panel names its question, its unit and its sources. What it shows while a source has no data
comes from the source.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from itertools import count, cycle

import attrs

from dashboards_py import grafana, logql
from dashboards_py.colours import CALM, NEUTRAL
from dashboards_py.grafana import Threshold
from dashboards_py.promql import IN_CLUSTER, Vector
from dashboards_py.query import CLUSTER, Language, Query, QueryError, check_labels
from dashboards_py.units import COUNT, LEAST_AXIS, LONGEST, SHARE
from scripts.core import screen
from scripts.core.yamlfile import Json

# Of a stat's values that are named by labels: how many there are, and how long, is not known here.
NAME_PIXELS = 12
# Least width of a bar. Of metrics: four scrapes, see `promql.Series.increase`; of log lines, which
# have a time of their own: as many as an hour shows one by one.
BAR = {Language.PROMQL: "2m", Language.LOGQL: "1m"}


@attrs.frozen
class PanelQuery:
    """A query of a panel.

    Attributes:
        legend: The name of each series, with `{{label}}` in it.
        thresholds: Colours of this query alone, where a panel has several.
        colour: Of this query's series in a graph. Without one, a series that is named by labels has
            Grafana's colour of its name, and another one a colour that means nothing.
        allow_empty: Why the query returns nothing on a day without faults; empty where it must
            return data. `make prove` checks both with real servers.
    """

    query: Query
    legend: str
    thresholds: Sequence[Threshold] = ()
    allow_empty: str = ""
    colour: str = ""


def show(
    query: Query,
    legend: str = "",
    thresholds: Sequence[Threshold] = (),
    allow_empty: str = "",
    colour: str = "",
) -> PanelQuery:
    """Make a query one of a panel's; arguments as of `PanelQuery`.

    Raises:
        QueryError: Where the legend names a label that the result does not have.
    """
    check_labels(
        f"the result of {query.expr}", re.findall(r"{{\s*(\w+)\s*}}", legend), query.labels
    )
    return PanelQuery(query, legend, thresholds, allow_empty, colour)


def named_by_cluster(shown: PanelQuery) -> PanelQuery:
    """Let the names of series end in their cluster, where they have one."""
    if not (isinstance(shown.query, Vector) and CLUSTER in shown.query.labels):
        return shown
    legend = f"{shown.legend}{{{{{IN_CLUSTER}}}}}"
    return attrs.evolve(shown, query=shown.query.named_by_cluster(), legend=legend)


def timeseries(
    title: str,
    *queries: PanelQuery,
    description: str,
    unit: str,
    width: int | None = None,
    minimum: float | None = 0,
    maximum: float | None = None,
    thresholds: Sequence[Threshold] = (),
    colours: Mapping[str, str] | None = None,
    least_step: str | None = None,
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.TimeSeries:
    """Return a graph of lines.

    Args:
        title: What is shown, without the unit.
        queries: Made by `show`.
        description: What it means and what to do about it.
        unit: Of `units`.
        width: Columns, else an equal share of the line.
        minimum: Lower end of the axis; None where values may be negative.
        maximum: Upper end of the axis; None for that of the data.
        thresholds: Drawn as dashed lines.
        colours: Regular expression of series' names to colour.
        least_step: Between two points, such as `5m` for what changes slowly: each costs Prometheus
            a sample of each series.
        links: Made by `data_link`.
        no_value: PanelQuery without data, instead of the text of the query's source.
    """
    style: Json = {"thresholdsStyleMode": "dashed"} if thresholds else {}
    return grafana.TimeSeries(
        **_common(title, description, queries, no_value, width, links),
        targets=_targets(queries, instant=False),
        unit=unit,
        valueMin=minimum,
        valueMax=maximum,
        axisSoftMax=LEAST_AXIS[unit] if maximum is None else None,
        interval=least_step,
        thresholds=thresholds or NEUTRAL,
        overrides=_colours(queries, colours),
        **style,
    )


def stacked_bars(
    title: str,
    *queries: PanelQuery,
    description: str,
    width: int | None = None,
    colours: Mapping[str, str] | None = None,
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.TimeSeries:
    """Return a graph of counts in each step, as bars; arguments as of `timeseries`.

    A bar is as wide as a step, and not narrower than BAR.
    """
    stacking = {"group": "A", "mode": "normal"}
    style: Json = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": stacking}
    return grafana.TimeSeries(
        **_common(title, description, queries, no_value, width, links),
        targets=_targets(queries, instant=False),
        unit=COUNT,
        valueMin=0,
        axisSoftMax=LEAST_AXIS[COUNT],
        interval=BAR[queries[0].query.language],
        thresholds=NEUTRAL,
        overrides=_colours(queries, colours),
        **style,
    )


def stat(
    title: str,
    *queries: PanelQuery,
    description: str,
    unit: str,
    width: int | None = None,
    thresholds: Sequence[Threshold] = NEUTRAL,
    mappings: Sequence[Json] = (),
    named: bool = False,
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.Stat:
    """Return numbers as they are now; arguments as of `timeseries`, value mappings by `states`.

    Several have their names beside them; a single one has where `named` is set.
    """
    return grafana.Stat(
        **_common(title, description, queries, no_value, width, links),
        targets=_targets(queries, instant=True),
        unit=unit,
        thresholds=thresholds,
        mappings=mappings,
        text_mode="value_and_name" if named else "auto",
        title_size=NAME_PIXELS if any("{{" in q.legend for q in queries) else screen.TITLE_PIXELS,
        overrides=_thresholds(queries),
    )


def gauge(
    title: str,
    *queries: PanelQuery,
    description: str,
    width: int | None = None,
    thresholds: Sequence[Threshold],
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.Gauge:
    """Return shares of a whole, from 0 to 1, as they are now."""
    return grafana.Gauge(
        **_common(title, description, queries, no_value, width, links),
        targets=_targets(queries, instant=True),
        unit=SHARE,
        valueMin=0,
        valueMax=1,
        thresholds=thresholds,
        overrides=_thresholds(queries),
    )


def state_timeline(
    title: str,
    *queries: PanelQuery,
    description: str,
    mappings: Sequence[Json],
    width: int | None = None,
    links: Sequence[Json] = (),
    no_value: str = "",
) -> grafana.StateTimeline:
    """Return a line for each series of 1 and 0, named and coloured by the mappings of `states`."""
    return grafana.StateTimeline(
        **_common(title, description, queries, no_value, width, links),
        targets=_targets(queries, instant=False),
        thresholds=NEUTRAL,
        mappings=mappings,
    )


def logs(
    title: str,
    query: Query,
    *,
    description: str,
    empty: str,
    width: int | None = None,
    allow_empty: str = "",
) -> grafana.Logs:
    """Return log lines, newest first.

    Args:
        title: What is shown.
        query: Of lines.
        description: What they mean.
        empty: What it means when there is none. Grafana writes `No data` then, whatever a panel of
            log lines has as its text for that, so that the description says it.
        width: Columns, else an equal share of the line.
        allow_empty: As of `PanelQuery`.
    """
    if not query.lines:
        raise QueryError(f"a logs panel shows lines, not numbers: {query.expr}")
    shown = show(query, allow_empty=allow_empty)
    common = _common(title, f"{description}\n\nNo data: {empty}.", [shown], "", width)
    return grafana.Logs(
        **common | {"noValue": ""},
        targets=_targets([shown], instant=False),
        thresholds=NEUTRAL,
    )


@attrs.frozen
class Column:
    """A column of values in a table.

    Attributes:
        title: The heading; empty for a query that adds labels to the rows and no column.
        coloured: Whether the thresholds colour the cell.
        no_value: What a cell without a value shows.
        allow_empty: As of `PanelQuery`.
    """

    title: str
    query: Query
    unit: str = COUNT
    thresholds: Sequence[Threshold] = NEUTRAL
    coloured: bool = False
    mappings: Sequence[Json] = ()
    no_value: str = "–"
    allow_empty: str = ""


def table(
    title: str,
    labels: Mapping[str, str],
    *columns: Column,
    description: str,
    sort: str,
    width: int | None = None,
    column_widths: Mapping[str, int] | None = None,
    links: Sequence[Json] = (),
    links_of: Mapping[str, Sequence[Json]] | None = None,
    hidden: Sequence[str] = (),
    no_value: str = "",
) -> grafana.Table:
    """Return a table of values as they are now: one row for each combination of labels.

    The last label is the cluster of a row, whose column is absent where no series has one.

    Args:
        title: What is shown.
        labels: Label to heading, in order; queries with the same labels share rows.
        columns: Values, after the labels.
        description: What it means.
        sort: Heading to sort by: labels from A to Z, values from the largest.
        width: Columns of the grid, else an equal share of the line.
        column_widths: Heading to pixels. Else a column of values is as wide as its heading and its
            values, and labels share the rest.
        links: Of the first label's cells.
        links_of: Of other columns' cells, by their heading.
        hidden: Headings of labels that are there for links alone.
        no_value: Shown without data, instead of the text of the query's source.

    Raises:
        QueryError: For a label that no query has, or a heading that does not exist.
    """
    queries = [show(column.query, allow_empty=column.allow_empty) for column in columns]
    if any(isinstance(column.query, Vector) for column in columns):
        labels = {**labels, CLUSTER: CLUSTER.title()}
    organize = _organize(title, labels, columns)
    if sort not in organize["renameByName"].values():
        raise QueryError(f"table {title!r} has no column {sort!r} to sort by")
    # A cell without a value would show what the whole panel shows without data.
    overrides = [_override("byName", heading, {"noValue": "–"}) for heading in labels.values()]
    overrides += [_cells(column) for column in columns if column.title]
    widths = {column.title: _width(column) for column in columns if column.title}
    for heading, pixels in (widths | dict(column_widths or {})).items():
        overrides.append(_override("byName", heading, {"custom.width": pixels}))
    linked = {next(iter(labels.values())): links} | dict(links_of or {})
    for heading, of_column in linked.items():
        if of_column:
            overrides.append(_override("byName", heading, {"links": list(of_column)}))
    for heading in hidden:
        away = {"legend": True, "tooltip": True, "viz": True}
        overrides.append(_override("byName", heading, {"custom.hideFrom": away}))
    return grafana.Table(
        **_common(title, description, queries, no_value, width),
        targets=_targets(queries, instant=True, table=True),
        thresholds=NEUTRAL,
        overrides=overrides,
        sortBy=[{"desc": sort not in labels.values(), "displayName": sort}],
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": organize},
        ],
    )


def _organize(title: str, labels: Mapping[str, str], columns: Sequence[Column]) -> Json:
    """Return the options of the transformation that names, orders and hides columns."""
    known = frozenset[str]().union(*(column.query.labels for column in columns))
    check_labels(f"table {title!r}", labels, known)
    # Grafana names the value of each query after its letter.
    letters = string.ascii_uppercase[: len(columns)]
    names = [f"Value #{letter}" for letter in letters]
    renamed = dict(labels)
    if len(columns) == 1:
        # Of a single query, Prometheus' value has no letter, Loki's has.
        names, columns = ["Value", *names], [*columns, *columns]
    renamed |= {name: c.title for name, c in zip(names, columns, strict=True) if c.title}
    hidden = {name: True for name, c in zip(names, columns, strict=True) if not c.title}
    hidden |= dict.fromkeys([*sorted(known - labels.keys()), "Time"], True)
    return {
        "excludeByName": hidden,
        "indexByName": dict(zip(renamed, count(), strict=False)),
        "renameByName": renamed,
    }


def _cells(column: Column) -> Json:
    steps = [step.to_json_data() for step in column.thresholds]
    properties: Json = {
        "noValue": column.no_value,
        "unit": column.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if column.coloured:
        properties["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if column.mappings:
        properties["mappings"] = list(column.mappings)
    return _override("byName", column.title, properties)


def _width(column: Column) -> int:
    """Return how wide a column of values is, in pixels."""
    mapped = [entry["text"] for mapping in column.mappings for entry in mapping["options"].values()]
    texts = mapped or [LONGEST[column.unit], column.no_value]
    return math.ceil(
        max(screen.heading_width(column.title), *(screen.cell_width(text) for text in texts))
    )


# Parts that all panels have


def _target(
    shown: PanelQuery, ref: str, *, instant: bool, table: bool = False
) -> grafana.PromTarget | grafana.LokiTarget:
    query, reason = shown.query, shown.allow_empty
    # WHOLE_RANGE is Grafana's variable, and so the same in PromQL.
    if logql.WHOLE_RANGE in query.expr and not instant:
        raise QueryError(f"{logql.WHOLE_RANGE} in a graph counts lines many times: {query.expr}")
    if query.language is Language.LOGQL:
        lines = 200 if query.lines else None
        return grafana.LokiTarget(query.expr, ref, shown.legend, instant, lines, allow_empty=reason)
    return grafana.PromTarget(query.expr, ref, shown.legend, instant, table, allow_empty=reason)


def _targets(
    queries: Sequence[PanelQuery], *, instant: bool, table: bool = False
) -> list[grafana.PromTarget | grafana.LokiTarget]:
    """Give each query its letter."""
    if not queries:
        raise QueryError("a panel needs a query")
    letters = string.ascii_uppercase
    return [
        _target(shown if table else named_by_cluster(shown), ref, instant=instant, table=table)
        for shown, ref in zip(queries, letters[: len(queries)], strict=True)
    ]


def _common(
    title: str,
    description: str,
    queries: Sequence[PanelQuery],
    no_value: str,
    width: int | None,
    links: Sequence[Json] = (),
) -> Json:
    """Return the arguments that every panel takes; the description ends with the sources."""
    _check_links(title, links, queries)
    sources = dict.fromkeys(source for shown in queries for source in shown.query.sources)
    names = ", ".join(source.name for source in sources)
    language = queries[0].query.language
    return {
        "title": title,
        "description": f"{description}\n\nSource: {names}.",
        "dataSource": grafana.LOKI if language is Language.LOGQL else grafana.PROMETHEUS,
        "noValue": no_value or next(iter(sources)).no_value,
        "width": width,
        "dataLinks": links,
    }


def _thresholds(queries: Sequence[PanelQuery]) -> list[Json]:
    """Return the thresholds of queries that have some of their own."""
    return [
        _override(
            "byFrameRefID",
            letter,
            {"thresholds": {"mode": "absolute", "steps": [s.to_json_data() for s in q.thresholds]}},
        )
        for letter, q in zip(string.ascii_uppercase, queries, strict=False)
        if q.thresholds
    ]


def _check_links(title: str, links: Sequence[Json], queries: Sequence[PanelQuery]) -> None:
    """Raise QueryError for a link that names a label which no query has: it would lead nowhere."""
    known = frozenset[str]().union(*(shown.query.labels for shown in queries))
    for link in links:
        named = re.findall(r"\$\{__field\.labels\.(\w+)\}", link["title"] + link["url"])
        check_labels(f"link {link['title']!r} of panel {title!r}", named, known)


def _colours(queries: Sequence[PanelQuery], colours: Mapping[str, str] | None) -> list[Json]:
    """Return the colours of queries, then those of series' names, which win."""
    calm = cycle(CALM)
    found = []
    for letter, shown in zip(string.ascii_uppercase, queries, strict=False):
        named = "{{" in shown.legend
        if colour := shown.colour or ("" if named else next(calm)):
            fixed = {"color": {"mode": "fixed", "fixedColor": colour}}
            found.append(_override("byFrameRefID", letter, fixed))
    # A name may end in its cluster.
    end = "( · .+)?" if any(isinstance(shown.query, Vector) for shown in queries) else ""
    return found + [
        _override(
            "byRegexp", f"/^({pattern}){end}$/", {"color": {"mode": "fixed", "fixedColor": colour}}
        )
        for pattern, colour in (colours or {}).items()
    ]


def _override(matcher: str, options: str, properties: Mapping[str, object]) -> Json:
    return {
        "matcher": {"id": matcher, "options": options},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }
