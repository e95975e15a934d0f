"""Checks of Grafana dashboards: functions from the committed JSON to findings.

They read the JSON and not the Python that generates it, as the JSON is what a cluster gets.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from functools import cache
from itertools import combinations
from pathlib import Path

from jsonschema import Draft202012Validator

from scripts.core import yamlfile
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, line_with
from scripts.model.dashboards import (
    FOLDER,
    LOGQL,
    PROMQL,
    datasources,
    load,
    panels,
    templates,
    variable_names,
)
from scripts.model.manifests import CONFIGMAP_BYTES, Repository

COLUMNS = 24
NUMERIC = {"gauge", "stat", "timeseries"}

SHAPE = "correct dashboards_py/grafana.py or the schema"
FOREIGN = "write it in dashboards_py/dashboards, as dashboards_py/README.md says, and delete this"
# A burn rate, or use of a request, may be several times its whole.
FAR_ABOVE = 10

# A division by more than a number, or what is recorded of one; and a share made per cent.
_DIVIDES = re.compile(r"/(?!\s*[\d.])|:ratio")
_HUNDRED = re.compile(r"\*\s*100\b(?!\.)|\b100\s*\*")
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`""")
# Redpanda's lag is a gauge, the sum over partitions; recorded metrics have colons in their names.
_COUNTER = re.compile(r"(?<![\w:])(?!\w+_lag_sum\b)\w+_(?:total|bucket|count|sum)\b(?!:|\s*\[)")


def schema_kept(repository: Repository) -> list[Finding]:
    """Compare each committed dashboard with the schema, which all other checks take for granted.

    Of one that comes from elsewhere, which is another file throughout, one finding says so.
    """
    findings = []
    for name, board in load(repository.root).items():
        place = f"{FOLDER}/{name}"
        top = _schema()["properties"].keys()
        lacking = sorted(set(_schema()["required"]) - set(board if isinstance(board, dict) else ()))
        foreign = sorted(board.keys() - top) if isinstance(board, dict) else []
        if lacking or foreign:
            said = [f"has {', '.join(foreign)}"] if foreign else []
            said += [f"lacks {', '.join(lacking)}"] if lacking else []
            text = f"is not as `make dashboards` writes it: it {' and '.join(said)}"
            line = line_with(repository.root / place, f'"{foreign[0]}"') if foreign else 1
            findings.append(Finding(place, line, text, FOREIGN))
        elif found := _schema_errors(json.dumps(board)):
            text = (repository.root / place).read_text(encoding="utf-8")
            for keys, message in found:
                line = yamlfile.line_of(text, *keys)
                findings.append(Finding(place, line, message, SHAPE))
    return findings


def check(repository: Repository) -> list[Finding]:
    """Run every check on the committed dashboards, for the data sources of every cluster sync."""
    uids = [
        {str(source.get("uid")) for source in datasources(release.values)}
        for sync in repository.syncs
        for release in sync.releases
        if release.chart == "grafana"
    ]
    provisioned = set.intersection(*uids) if uids else set()
    kustomization = yamlfile.load(repository.root / FOLDER / "kustomization.yaml", repository.root)[
        0
    ]
    return findings(load(repository.root), provisioned, kustomization)


def findings(
    dashboards: Mapping[str, Json], datasources: Set[str], kustomization: Json
) -> list[Finding]:
    """Run every check.

    Args:
        dashboards: File name, as `todo-overview.json`, to the parsed file.
        datasources: uids that Grafana provisions.
        kustomization: Parsed `base/dashboards/kustomization.yaml`.
    """
    found = [f for name, dashboard in dashboards.items() for f in schema(name, dashboard)]
    if found:
        # The other checks rely on the schema.
        return found
    for name, dashboard in dashboards.items():
        found += _dashboard_findings(name, json.dumps(dashboard), frozenset(datasources))
    return found + links(dashboards) + configmaps(dashboards, kustomization)


@cache
def _dashboard_findings(name: str, text: str, datasources: frozenset[str]) -> tuple[Finding, ...]:
    """Run the checks of a single dashboard; cached, as most dashboards are checked repeatedly."""
    dashboard = json.loads(text)
    return (
        *uid(name, dashboard),
        *ids(name, dashboard),
        *grid(name, dashboard),
        *texts(name, dashboard),
        *shares_in_matching_unit(name, dashboard),
        *datasource_uids(name, dashboard, datasources),
        *variables(name, dashboard),
        *ranges(name, dashboard),
        *counters(name, dashboard),
    )


def schema(name: str, dashboard: Json) -> list[Finding]:
    """Compare with the schema of classic dashboards, `dashboard.schema.json`."""
    return [_finding(name, error, SHAPE) for _, error in _schema_errors(json.dumps(dashboard))]


@cache
def _schema_errors(text: str) -> list[tuple[tuple[str, ...], str]]:
    """Return the schema's errors in a dashboard, each with the keys that lead there."""
    errors = []
    for error in _validator().iter_errors(json.loads(text)):
        keys = tuple(str(part) for part in error.absolute_path)
        message = error.message if len(error.message) <= 200 else f"fails {error.validator!r}"
        errors.append((keys, f"{'/'.join(keys) or 'the top level'}: {message}"))
    return errors


def uid(name: str, dashboard: Json) -> list[Finding]:
    """The uid is the file's name, and therefore unique."""
    if name == f"{dashboard['uid']}.json":
        return []
    message = f"uid {dashboard['uid']!r} is not the file's name"
    return [_finding(name, message, "name the file after the uid: links depend on it")]


def ids(name: str, dashboard: Json) -> list[Finding]:
    """Ids of panels are unique."""
    counted = Counter(panel["id"] for panel in panels(dashboard, rows=True))
    return [
        _finding(name, f"{times} panels have id {number}", "give the panels different titles")
        for number, times in counted.items()
        if times > 1
    ]


def grid(name: str, dashboard: Json) -> list[Finding]:
    """Panels stay within the grid and do not overlap."""
    findings = []
    # The panels of a collapsed row have a grid of their own.
    rows = [p["panels"] for p in dashboard["panels"] if p["type"] == "row"]
    for group in (dashboard["panels"], *rows):
        for panel in group:
            place = panel["gridPos"]
            if place["x"] + place["w"] > COLUMNS:
                message = f"panel {panel['title']!r} ends at column {place['x'] + place['w']}"
                findings.append(_finding(name, message, f"there are {COLUMNS} columns"))
        for one, other in combinations(group, 2):
            if _overlap(one["gridPos"], other["gridPos"]):
                message = f"panels {one['title']!r} and {other['title']!r} overlap"
                findings.append(_finding(name, message, "let dashboards_py/layout.py place them"))
    return findings


def texts(name: str, dashboard: Json) -> list[Finding]:
    """Each panel has a title, a description and a unit."""
    findings = []
    for panel in panels(dashboard):
        for key in ("title", "description"):
            if not panel[key].strip():
                findings.append(_finding(name, f"panel {panel['id']} has no {key}", "write one"))
        missing = []
        if panel["type"] in NUMERIC and "unit" not in panel["fieldConfig"]["defaults"]:
            missing = [f"panel {panel['title']!r}"]
        if panel["type"] == "table":
            missing = [f"column {c!r} of {panel['title']!r}" for c in _columns_without_unit(panel)]
        findings += [_finding(name, f"{what} has no unit", "name one") for what in missing]
    return findings


def shares_in_matching_unit(name: str, dashboard: Json) -> list[Finding]:
    """A share from 0 to 1 has the unit percentunit, and one from 0 to 100 percent.

    https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
    """
    findings = []
    for panel in panels(dashboard):
        for what, settings, expressions in _with_units(panel):
            unit, top = settings.get("unit"), settings.get("max")
            divides = any(_DIVIDES.search(_STRING.sub("", text)) for text in expressions)
            hundredfold = any(_HUNDRED.search(_STRING.sub("", text)) for text in expressions)
            steps = (settings.get("thresholds") or {}).get("steps") or ()
            highest = max((step["value"] or 0 for step in steps), default=0)
            message = ""
            if unit == "percent" and (top == 1 or (divides and not hundredfold)):
                message = f"{what} shows a share from 0 to 1 as percent: 0.5 would be 0.5 %"
                fix = "use the unit percentunit, with its max and thresholds from 0 to 1"
            elif unit == "percentunit" and (hundredfold or top == 100):
                message = f"{what} shows what goes to 100 as percentunit: 50 would be 5000 %"
                fix = "use the unit percent, or divide no more than once"
            elif unit == "percentunit" and highest > FAR_ABOVE:
                message = f"{what} has a threshold of {highest}, which a share never reaches"
                fix = f"write {highest / 100:g}: the unit percentunit goes from 0 to 1"
            if message:
                findings.append(_finding(name, message, fix))
    return findings


def datasource_uids(name: str, dashboard: Json, provisioned: Set[str]) -> list[Finding]:
    """Every data source is provisioned."""
    used = {uid for keys, uid in yamlfile.leaves(dashboard) if keys[-2:] == ("datasource", "uid")}
    fix = f"use one of: {', '.join(sorted(provisioned))}"
    return [
        _finding(name, f"datasource {unknown!r} is not provisioned", fix)
        for unknown in sorted(used - provisioned)
    ]


def variables(name: str, dashboard: Json) -> list[Finding]:
    """Variables are defined and used, and those with several values are matched as a list."""
    defined = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    named = {found for text in _texts(dashboard) for found in variable_names(text)}
    used = {found for found in named if not found.startswith("__")}
    findings = [
        _finding(name, f"variable {missing!r} is not defined", "add it to the dashboard")
        for missing in sorted(used - defined.keys())
    ]
    findings += [
        _finding(name, f"variable {unused!r} is not used", "remove it, or use it")
        for unused in sorted(defined.keys() - used)
    ]
    for variable in defined.values():
        if not (variable.get("multi") or variable.get("includeAll")):
            continue
        exact = re.compile(rf'[^!~]=\s*"[^"]*\$(?:{variable["name"]}\b|\{{{variable["name"]}[:}}])')
        for query in templates(dashboard):
            if exact.search(query.expr):
                message = (
                    f"{query.where}: {variable['name']!r} has several values but is compared with ="
                )
                findings.append(_finding(name, message, "compare with =~"))
        if variable.get("includeAll") and "allValue" not in variable:
            message = f"variable {variable['name']!r} has All without a value"
            fix = "give it an all_value: without one, All fails where its query finds nothing"
            findings.append(_finding(name, message, fix))
    return findings


def ranges(name: str, dashboard: Json) -> list[Finding]:
    """Ranges follow the zoom: a fixed one skips samples, `$__interval` is too short for rate."""
    findings = []
    for query in templates(dashboard):
        allowed = {PROMQL: {"$__rate_interval"}, LOGQL: {"$__auto"}}[query.lang]
        if query.instant:
            allowed = allowed | {"$__range"}
        for found in re.findall(r"\[([^\]]*)\]", _STRING.sub("", query.expr)):
            if found not in allowed:
                fix = f"use [{' or '.join(sorted(allowed))}]"
                window, subquery, _ = found.partition(":")
                if subquery:
                    fix = f"record what the range is of by a rule, and {fix} of that"
                if not window.startswith("$"):
                    fix += f"; what spans {window} whatever the zoom is a rule's, too"
                findings.append(_finding(name, f"{query.where}: range [{found}]", fix))
    return findings


def counters(name: str, dashboard: Json) -> list[Finding]:
    """A graph of a counter shows its rate or increase, not the total since the process started."""
    findings = []
    for query in templates(dashboard):
        if query.lang != PROMQL or query.instant:
            continue
        bare = re.sub(r"\{[^}]*\}", "", _STRING.sub("", query.expr))
        for counter in _COUNTER.findall(bare):
            fix = f"use rate({counter}[$__rate_interval])"
            findings.append(_finding(name, f"{query.where}: counter {counter} without rate", fix))
    return findings


def links(dashboards: Mapping[str, Json]) -> list[Finding]:
    """Links lead to dashboards that exist, and set variables that these dashboards have."""
    known = {board["uid"]: board for board in dashboards.values()}
    findings = []
    for name, dashboard in dashboards.items():
        for target, query in _linked_dashboards(json.dumps(dashboard)):
            if target not in known:
                message = f"a link leads to dashboard {target!r}, which does not exist"
                findings.append(_finding(name, message, f"link to: {', '.join(sorted(known))}"))
                continue
            shown = {str(panel["id"]) for panel in panels(known[target])}
            for lost in sorted(set(re.findall(r"\bviewPanel=panel-(\d+)", query)) - shown):
                message = f"a link leads to panel {lost} of {target!r}, which does not exist"
                findings.append(_finding(name, message, "name the panel's title in panel_link"))
            has = {variable["name"] for variable in known[target]["templating"]["list"]}
            sets = set(re.findall(r"\bvar-(\w+)=", query))
            sets |= set(re.findall(r"\$\{(\w+):queryparam\}", query))
            findings += [
                _finding(name, f"a link sets {unknown!r}, which {target} has not", "correct it")
                for unknown in sorted(sets - has)
            ]
        for link in dashboard["links"]:
            for tag in link["tags"]:
                if not any(tag in board["tags"] for board in known.values()):
                    message = f"the bar lists dashboards with tag {tag!r}; none has it"
                    findings.append(_finding(name, message, "correct the tag"))
    return findings


@cache
def _linked_dashboards(text: str) -> list[tuple[str, str]]:
    """Return uid and query string of each link in a dashboard."""
    found = (re.findall(r"/d/([\w-]+)(?:\?(\S*))?", t) for t in _texts(json.loads(text)))
    return [link for links in found for link in links]


def configmaps(dashboards: Mapping[str, Json], kustomization: Json) -> list[Finding]:
    """Each dashboard is in exactly one ConfigMap, and each ConfigMap fits into etcd."""
    findings = []
    file_name = "kustomization.yaml"
    listed: Counter[str] = Counter()
    for generator in kustomization.get("configMapGenerator") or []:
        files = generator.get("files") or []
        listed.update(files)
        size = sum(_bytes(json.dumps(dashboards[file])) for file in files if file in dashboards)
        if size >= CONFIGMAP_BYTES:
            message = f"ConfigMap {generator['name']} has {size} bytes; {CONFIGMAP_BYTES} fit"
            findings.append(_finding(file_name, message, "move dashboards to another folder"))
    for file in sorted(dashboards.keys() | listed.keys()):
        if file not in dashboards:
            findings.append(_finding(file_name, f"{file} does not exist", "remove the line"))
        elif listed[file] != 1:
            message = f"{file} is in {listed[file]} ConfigMaps"
            findings.append(_finding(file_name, message, "list it once, under its Grafana folder"))
    return findings


@cache
def _schema() -> dict[str, Json]:
    path = Path(__file__).with_name("dashboard.schema.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(_schema())


def _finding(name: str, message: str, fix: str) -> Finding:
    return Finding(f"{FOLDER}/{name}", None, message, fix)


@cache
def _bytes(text: str) -> int:
    """Return the size of a dashboard's file as dashboards_py writes it."""
    return len(json.dumps(json.loads(text), sort_keys=True, indent=2).encode()) + 1


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def _with_units(panel: Json) -> Iterator[tuple[str, Mapping[str, Json], list[str]]]:
    """Yield what of a panel may have a unit: its name, settings and queries; also each column."""
    title, config = f"panel {panel['title']!r}", panel["fieldConfig"]
    asked = {t["refId"]: t["expr"] for t in panel["targets"] if t.get("expr")}
    yield title, config["defaults"], list(asked.values())
    renamed: dict[str, str] = {}
    for step in panel.get("transformations") or ():
        renamed |= {new: old for old, new in step["options"].get("renameByName", {}).items()}
    for override in config["overrides"]:
        name = override["matcher"]["options"]
        reference = str(renamed.get(name, name)).removeprefix("Value #")
        own = {one["id"]: one["value"] for one in override["properties"]}
        expressions = [asked[reference]] if reference in asked else []
        yield f"{name!r} of {title}", own, expressions


def _columns_without_unit(table: Json) -> list[str]:
    overrides = table["fieldConfig"]["overrides"]
    with_unit = {
        override["matcher"]["options"]
        for override in overrides
        if any(found["id"] == "unit" for found in override["properties"])
    }
    renamed: dict[str, str] = {}
    for step in table["transformations"]:
        renamed |= step["options"].get("renameByName", {})
    return [new for old, new in renamed.items() if old.startswith("Value") and new not in with_unit]


def _texts(dashboard: Json) -> Iterator[str]:
    """Yield each string at any depth."""
    return (value for _, value in yamlfile.leaves(dashboard) if isinstance(value, str))
