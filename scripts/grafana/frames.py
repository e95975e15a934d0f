"""From the servers' answers to what each panel shows: Grafana's frames, names and field settings.

Where Grafana has a rule for it (names of series, columns of tables, which setting wins), the rule
is restated, as `make prove` has no Node.js: from the npm packages `@grafana/data`
(`applyFieldOverrides`, `reduceField`, transformations `merge` and `organize`) and
`@grafana/prometheus` (`result_transformer`). The page draws with `@grafana/data` itself and says
where this differs (`fields.js`). How a value is written and coloured is decided there alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from scripts.core.yamlfile import Json
from scripts.grafana import interpolation
from scripts.grafana.evaluation import samples
from scripts.model.dashboards import LOGQL, PROMQL

Cell = float | str | None

# Grafana's own text, where a panel sets none.
NO_VALUE = "No data"
# Of a variable that is not shown above its dashboard.
HIDDEN = 2
# A canvas of 1000 px shows no more of a number.
DIGITS = 6


class Field(NamedTuple):
    """What one query returned for one set of labels, or one column of a table.

    Attributes:
        ref: Letter of the query.
        name: As the legend, or the head of the column, shows it.
        values: Milliseconds since the epoch, and the value.
    """

    ref: str
    name: str
    values: Sequence[tuple[int, float]]


class TableFrame(NamedTuple):
    """Rows by the name of the column."""

    columns: list[str]
    rows: list[dict[str, Cell]]


def panel(model: Json, answers: Mapping[str, Json]) -> Json:
    """Return what a panel shows.

    Args:
        model: The panel, from the dashboard's JSON.
        answers: What each query returned, by its letter; an absent one is an error of the panel.

    Returns:
        The panel's settings, `data` in the form that `fields.js` reads for its type, `errors`.
    """
    errors = [
        f"{target['refId']}: {error}"
        for target in model.get("targets", ())
        if (error := answers.get(target["refId"], {"error": "was not run"})["error"])
    ]
    build = _DATA.get(model["type"])
    if build is None:
        errors.append(f"a panel of type {model['type']} is not known to the preview")
    defaults = model["fieldConfig"]["defaults"]
    return {
        "id": model["id"],
        "type": model["type"],
        "title": model.get("title", ""),
        "description": model.get("description", ""),
        "gridPos": model["gridPos"],
        "options": model.get("options", {}),
        "fieldConfig": model["fieldConfig"],
        "transformations": model.get("transformations", []),
        "noValue": defaults.get("noValue", NO_VALUE),
        "errors": errors,
        "data": build(model, answers) if build and not errors else None,
    }


# Names and settings


def legend(target: Json, labels: Mapping[str, str], expression: str) -> str:
    """Return the name of a series; a label that it lacks is left out, as Grafana does.

    Where that leaves nothing, Grafana falls back to the labels, and without any to `Value`.
    """
    own = ", ".join(f'{key}="{text}"' for key, text in sorted(labels.items()) if key != "__name__")
    whole = labels.get("__name__", "") + (f"{{{own}}}" if own else "")
    pattern = target.get("legendFormat", "")
    if not pattern or pattern == "__auto":
        return whole or expression
    return interpolation.legend(pattern, labels) or whole or "Value"


def config(model: Json, name: str, ref: str) -> Json:
    """Return the settings of one field: the panel's defaults, then each override that matches."""
    defaults = model["fieldConfig"]["defaults"]
    found: Json = {**defaults, "custom": dict(defaults.get("custom", {}))}
    for override in model["fieldConfig"]["overrides"]:
        if not _matches(override["matcher"], name, ref):
            continue
        for setting in override["properties"]:
            scope, _, key = setting["id"].rpartition(".")
            holder, value = found[scope] if scope else found, setting["value"]
            # Grafana puts a list before the one that is there, and does not replace it.
            if isinstance(value, list) and isinstance(holder.get(key), list):
                value = [*value, *holder[key]]
            holder[key] = value
    return found


def _matches(matcher: Json, name: str, ref: str) -> bool:
    wanted = matcher["options"]
    if matcher["id"] == "byFrameRefID":
        return bool(wanted == ref)
    if matcher["id"] == "byRegexp":
        pattern = re.fullmatch(r"/(.*)/([a-z]*)", wanted)
        return bool(re.search(pattern[1] if pattern else f"^{wanted}$", name))
    return bool(wanted == name)


def _fields(model: Json, answers: Mapping[str, Json]) -> list[Field]:
    """Return the series of all queries, in the order of the queries and of their answers."""
    found = []
    for target in model["targets"]:
        answer = answers[target["refId"]]
        for series in answer["result"]:
            name = legend(target, series.get("metric", {}), answer["expr"])
            values = [(round(time * 1000), value) for time, value in samples(series)]
            found.append(Field(target["refId"], name, values))
    return found


# Graphs


def _graph(model: Json, answers: Mapping[str, Json]) -> Json | None:
    fields = _fields(model, answers)
    step = min((answers[field.ref]["step"] for field in fields), default=0)
    times = with_gaps(sorted({time for field in fields for time, _ in field.values}), step)
    series = []
    for field in fields:
        known = dict(field.values)
        series.append(
            {
                "ref": field.ref,
                "name": field.name,
                "config": config(model, field.name, field.ref),
                "values": [_finite(known.get(time)) for time in times],
            }
        )
    if not series:
        return None
    return {"times": [time / 1000 for time in times], "step": step / 1000, "series": series}


def with_gaps(times: Sequence[int], step: int) -> list[int]:
    """Add a moment to each gap longer than a step, so that no line is drawn across it."""
    found: list[int] = []
    for time in times:
        if found and step and time - found[-1] > step:
            found.append(found[-1] + step)
        found.append(time)
    return found


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


# Numbers


def _numbers(model: Json, answers: Mapping[str, Json]) -> Json | None:
    """Return the last value of each series.

    Grafana turns an instant answer of Loki into one table a query, whose last row counts and whose
    legend is not looked at; one of Prometheus stays as many series as it has.
    """
    fields = _fields(model, answers)
    loki = {t["refId"] for t in model["targets"] if answers[t["refId"]]["language"] == LOGQL}
    instant = {ref for ref in loki if answers[ref]["instant"]}
    last = {field.ref: field._replace(name=f"Value #{field.ref}") for field in fields}
    tables = [field for ref, field in last.items() if ref in instant]
    shown = [field for field in fields if field.ref not in instant] + tables
    values = [
        {
            "ref": field.ref,
            "name": field.name,
            "samples": [_sample(value) for _, value in field.values],
            "value": _json(next((v for _, v in reversed(field.values) if not math.isnan(v)), None)),
            "config": config(model, field.name, field.ref),
        }
        for field in shown
    ]
    return {"values": values} if values else None


def _sample(value: float) -> Cell:
    return "NaN" if math.isnan(value) else _json(value)


def _json(value: Cell) -> Cell:
    """Return infinity as text, as JSON has no word for it, and what is not a number as nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value).replace("inf", "Infinity")
    return value


# Tables


def _table(model: Json, answers: Mapping[str, Json]) -> Json | None:
    several = len(model["targets"]) > 1
    tables = [_frame(target, answers[target["refId"]], several) for target in model["targets"]]
    transformations = model.get("transformations", ())
    sources = [
        {"ref": target["refId"], **_columns(table)}
        for target, table in zip(model["targets"], tables, strict=True)
    ]
    for transformation in transformations:
        tables = _TRANSFORMATIONS[transformation["id"]](tables, transformation["options"])
    # Without `merge`, Grafana shows one table and offers the others in a list.
    shown = tables[0]
    if not shown.rows:
        return None
    columns = [
        {
            "name": name,
            "config": config(model, name, ""),
            "numeric": all(isinstance(row.get(name), float | None) for row in shown.rows),
        }
        for name in shown.columns
    ]
    columns = [column for column in columns if not _is_hidden(column)]
    rows = shown.rows
    for order in reversed(model["options"].get("sortBy", ())):
        key = _order(order["displayName"])
        rows = sorted(rows, key=key, reverse=order.get("desc", False))
    cells = [[_json(row.get(column["name"])) for column in columns] for row in rows]
    return {"columns": columns, "rows": cells, "tables": sources}


def _columns(table: TableFrame) -> Json:
    """Return what a query answered, before any transformation, as the page makes a frame of it."""
    kinds = [
        "time" if name == "Time" else "number" if name.startswith("Value") else "string"
        for name in table.columns
    ]
    columns = [
        {"name": name, "type": kind} for name, kind in zip(table.columns, kinds, strict=True)
    ]
    rows = [[_json(row[name]) for name in table.columns] for row in table.rows]
    return {"columns": columns, "rows": rows}


def _is_hidden(column: Json) -> bool:
    return bool(column["config"]["custom"].get("hideFrom", {}).get("viz"))


def _order(column: str) -> Callable[[dict[str, Cell]], tuple[int, float, str]]:
    def key(row: dict[str, Cell]) -> tuple[int, float, str]:
        value = row.get(column)
        if value is None:
            return 0, 0, ""
        return (1, value, "") if isinstance(value, float) else (1, 0, value.casefold())

    return key


def _frame(target: Json, answer: Json, several: bool) -> TableFrame:
    """Return a query's answer as a table: time, labels, value; Loki's is always named by query."""
    plain = not several and answer["language"] == PROMQL
    value = "Value" if plain else f"Value #{target['refId']}"
    labels = sorted({label for series in answer["result"] for label in series["metric"]})
    rows: list[dict[str, Cell]] = [
        {
            "Time": float(series["value"][0]) * 1000,
            **{label: series["metric"].get(label, "") for label in labels},
            value: float(series["value"][1]),
        }
        for series in answer["result"]
    ]
    return TableFrame(["Time", *labels, value], rows)


def merge(tables: Sequence[TableFrame], _: Json) -> list[TableFrame]:
    """Join rows that are equal in the columns that all tables have, and differ in none.

    A row that fits several is joined to each of them; one that fits none stands alone.
    """
    if len(tables) <= 1:
        return list(tables)
    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    keys = [name for name in columns if all(name in table.columns for table in tables)]
    rows: list[dict[str, Cell]] = []
    by_key: dict[tuple[Cell, ...], list[dict[str, Cell]]] = {}
    for table in tables:
        for row in table.rows:
            group = by_key.setdefault(tuple(row[key] for key in keys), [])
            partners = [
                other for other in group if all(other.get(k) in (None, v) for k, v in row.items())
            ]
            for partner in partners:
                partner.update(row)
            if not partners:
                fresh = dict(row)
                group.append(fresh)
                rows.append(fresh)
    return [TableFrame(columns, rows)]


def organize(tables: Sequence[TableFrame], options: Json) -> list[TableFrame]:
    """Leave out, order and rename columns."""
    hidden, order = options["excludeByName"], options["indexByName"]
    renamed = options["renameByName"]
    organized = []
    for table in tables:
        kept = [name for name in table.columns if not hidden.get(name)]
        kept.sort(key=lambda name: order.get(name, len(order)))
        rows = [{renamed.get(n, n): row[n] for n in kept if n in row} for row in table.rows]
        organized.append(TableFrame([renamed.get(name, name) for name in kept], rows))
    return organized


_TRANSFORMATIONS: Mapping[str, Callable[[Sequence[TableFrame], Json], list[TableFrame]]] = {
    "merge": merge,
    "organize": organize,
}


# Lines


def _lines(model: Json, answers: Mapping[str, Json]) -> Json | None:
    lines = [
        {"time": int(time) // 1_000_000, "level": _level(stream["stream"]), "line": line}
        for target in model["targets"]
        for stream in answers[target["refId"]]["result"]
        for time, line, *_ in stream["values"]
    ]
    newest = model["options"]["sortOrder"] == "Descending"
    lines.sort(key=lambda line: line["time"], reverse=newest)
    return {"lines": lines} if lines else None


def _level(labels: Mapping[str, str]) -> str:
    return labels.get("level") or labels.get("detected_level", "")


_DATA: Mapping[str, Callable[[Json, Mapping[str, Json]], Json | None]] = {
    "gauge": _numbers,
    "logs": _lines,
    "stat": _numbers,
    "state-timeline": _graph,
    "table": _table,
    "timeseries": _graph,
}


# Dashboards


def sections(panels: Iterable[Json]) -> list[tuple[Json | None, list[Json]]]:
    """Return each row with the panels that stand under it, those above the first row under None."""
    found: list[tuple[Json | None, list[Json]]] = []
    for model in panels:
        if model["type"] == "row":
            found.append((model, list(model["panels"])))
        elif not found or (found[-1][0] or {}).get("collapsed"):
            found.append((None, [model]))
        else:
            found[-1][1].append(model)
    return found


def menu(model: Json, others: Iterable[Json]) -> list[str]:
    """Return the links above a dashboard, as Grafana shows them: one a tagged dashboard, or a menu.

    Args:
        model: The dashboard's JSON.
        others: All dashboards' JSON.
    """
    found: list[str] = []
    for link in model.get("links", ()):
        if link["type"] == "dashboards" and not link.get("asDropdown"):
            tags = set(link.get("tags", ()))
            found += [str(one["title"]) for one in others if tags <= set(one.get("tags", ()))]
        else:
            found.append(str(link["title"]))
    return found


def dashboard(model: Json, results: Json, others: Iterable[Json] = ()) -> Json:
    """Return what a page shows of a dashboard.

    Args:
        model: Its JSON.
        results: Of `make prove`.
        others: All dashboards' JSON, which links may lead to.
    """
    shown = []
    for row, panels in sections(model["panels"]):
        answered = [panel(p, results["panels"].get(str(p["id"]), {})) for p in panels]
        heading = row and {"title": row["title"], "collapsed": row["collapsed"]}
        shown.append({"row": heading, "panels": answered})
    variables = [
        {"label": v.get("label") or v["name"], "text": _text(results["variables"].get(v["name"]))}
        for v in model["templating"]["list"]
        if v.get("hide", 0) != HIDDEN
    ]
    return {
        "uid": model["uid"],
        "title": model["title"],
        "description": model.get("description", ""),
        "day": results["day"],
        "from": results["from"],
        "to": results["to"],
        "variables": variables,
        "switches": [
            {"name": one["name"], "on": bool(one.get("enable", True))}
            for one in model.get("annotations", {}).get("list", ())
            if not one.get("hide") and not one.get("builtIn")
        ],
        "menu": menu(model, others),
        "annotations": results["annotations"],
        "sections": shown,
    }


def _text(variable: Json | None) -> str:
    text = (variable or {}).get("text", "")
    return " + ".join(text) if isinstance(text, list) else str(text)
