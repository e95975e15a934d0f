"""What Grafana draws of a dashboard: colours with a meaning, text that can be read, a next step.

Each rule is about what a server's answer cannot show: the JSON is valid, the data is there, and a
reader is misled all the same. `make prove` adds what needs data: no warning on a healthy day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from scripts.core import screen
from scripts.core.findings import Finding
from scripts.core.quantities import duration
from scripts.core.yamlfile import Json
from scripts.model import clusters
from scripts.model.dashboards import (
    FOLDER,
    LANGUAGES,
    PROMQL,
    datasources,
    is_instant,
    load,
    panels,
    variable_names,
)
from scripts.model.manifests import Repository

# A rate needs as many scrapes in a step for each event to be in one bar; see `one_event_one_bar`.
SCRAPES = 3
# What Grafana takes where a data source has no `timeInterval`.
TIME_INTERVAL = "15s"
# Below, an hour of log lines is a comb.
LEAST_LOG_BAR = 60
# Where the names of apps and pods can be told apart: about 20 characters.
LEAST_LABEL = 150
# Panels that have links of their own, or a line's details.
WITHOUT_LINKS = {"logs"}
NO_DATA = "No data"

# What comes of a finding, as `dashboards_py` says it.
_PANELS = "dashboards_py/panels.py"
_COUNTED = re.compile(r"\b(?:increase|rate|irate|delta|changes|resets)\s*\(")
# A rate times the step, with nothing but the range between.
_OF_STEP = re.compile(r"\$__interval_ms\s*/\s*1000\b|\$__interval_s\b")


def check(repository: Repository) -> list[Finding]:
    """Run every rule on the committed dashboards."""
    return findings(load(repository.root), scrape_interval(repository))


def findings(dashboards: Mapping[str, Json], scrape: float) -> list[Finding]:
    """Run every rule.

    Args:
        dashboards: File name to the parsed file, which has the shape of `dashboard.schema.json`.
        scrape: Seconds between two scrapes, as Grafana knows it.
    """
    rules: tuple[Callable[[Json], Iterator[tuple[str, str]]], ...] = (
        states_have_colours,
        partial(one_event_one_bar, scrape=scrape),
        variables_move_most,
        titles_fit,
        columns_fit,
        empty_panels_say_why,
        zeros_have_an_axis,
        colours_are_of_names,
        values_lead_on,
    )
    return [
        Finding(f"{FOLDER}/{name}", None, message, fix)
        for name, dashboard in dashboards.items()
        for rule in rules
        for message, fix in rule(dashboard)
    ]


def scrape_interval(repository: Repository) -> float:
    """Return the longest scrape interval, in seconds, of the clusters' Prometheus data sources."""
    intervals = [
        duration(str((source.get("jsonData") or {}).get("timeInterval") or TIME_INTERVAL))
        for sync in repository.syncs
        for release in sync.releases
        if release.chart == "grafana"
        for source in datasources(release.values)
        if source.get("type") == "prometheus"
    ]
    return max(intervals, default=duration(TIME_INTERVAL))


def states_have_colours(dashboard: Json) -> Iterator[tuple[str, str]]:
    """A timeline that merges equal states does not colour them by thresholds.

    Grafana would replace its value mappings by ranges of the thresholds: mergeThresholdValues of
    public/app/core/components/TimelineChart/utils.ts.
    """
    for panel in _of_type(dashboard, "state-timeline"):
        config = panel["fieldConfig"]["defaults"]
        merged = panel["options"].get("mergeValues")
        if merged and config["color"]["mode"] == "thresholds" and config.get("mappings"):
            yield (
                f"panel {panel['title']!r}: thresholds replace its value mappings, and every state "
                "has one colour",
                "give it the colour mode fixed, or leave out mergeValues",
            )


def one_event_one_bar(dashboard: Json, scrape: float) -> Iterator[tuple[str, str]]:
    """What a graph counts is in one step: one event is one bar, and its height is 1.

    `$__rate_interval` is one scrape longer than a step of three scrapes or more. So every pair of
    scrapes is in one step's range; but `increase` extrapolates to the whole range, which makes 1.25
    of 1. In shorter steps the ranges overlap, and one event is in several.
    """
    for panel in _of_type(dashboard, "timeseries"):
        place = f"panel {panel['title']!r}"
        bars = panel["fieldConfig"]["defaults"]["custom"].get("drawStyle") == "bars"
        languages = {LANGUAGES[t["datasource"]["type"]] for t in panel["targets"]}
        for target in panel["targets"]:
            if LANGUAGES[target["datasource"]["type"]] != PROMQL or is_instant(target):
                continue
            expr = target["expr"]
            counted = _COUNTED.search(expr)
            if "increase(" in expr or (bars and counted and not _OF_STEP.search(expr)):
                yield (
                    f"{place}, query {target['refId']}: one event is in several points, each above "
                    "or below 1",
                    "count with round(rate(…[$__rate_interval]) * $__interval_ms / 1000)",
                )
        if not bars:
            continue
        least = SCRAPES * scrape if PROMQL in languages else LEAST_LOG_BAR if languages else 0
        if duration(panel.get("interval", "0s")) < least:
            kind = "scrapes" if PROMQL in languages else "log lines"
            yield (
                f"{place}: bars of {kind} that may be narrower than {least:g} s",
                f"set its `interval` (Min interval), as stacked_bars of {_PANELS} does",
            )


def variables_move_most(dashboard: Json) -> Iterator[tuple[str, str]]:
    """A variable that is shown moves at least half of the page's panels.

    A reader takes what is chosen at the top for chosen everywhere.
    """
    asked = [variable_names(" ".join(t["expr"] for t in p["targets"])) for p in panels(dashboard)]
    for variable in dashboard["templating"]["list"]:
        using = sum(variable["name"] in names for names in asked)
        if variable["hide"] != 2 and 2 * using < len(asked):
            yield (
                f"variable {variable['name']!r} moves {using} of {len(asked)} panels; the others "
                "look as if it did",
                "use it in the other panels, or fix its value with `fixed=` of the dashboard",
            )


def titles_fit(dashboard: Json) -> Iterator[tuple[str, str]]:
    """Titles, and names of a stat's values, are not cut on a screen of 1366 pixels."""
    for panel in panels(dashboard):
        title, place = panel["title"], panel["gridPos"]
        room, needed = screen.title_room(place["w"]), screen.title_width(title)
        if needed > room:
            yield (
                f"the title {title!r} is cut: it needs {needed:.0f} of {room:.0f} pixels on a "
                f"screen of {screen.WINDOW_PIXELS}",
                "shorten it, or make the panel wider",
            )
        names = [target["legendFormat"] for target in panel["targets"]]
        # How many values a query with labels has, the data says.
        if panel["type"] != "stat" or len(names) < 2 or any("{{" in name for name in names):
            continue
        pixels = panel["options"]["text"]["titleSize"]
        rooms = screen.name_rooms(place["w"], place["h"], len(names))
        for name, room in zip(names, rooms, strict=True):
            needed = screen.text_width(name, pixels)
            if needed > room:
                yield (
                    f"panel {title!r}: the name {name!r} is cut: it needs {needed:.0f} of "
                    f"{room:.0f} pixels",
                    "shorten it, or make the panel wider",
                )


def columns_fit(dashboard: Json) -> Iterator[tuple[str, str]]:
    """A table's columns have room for their headings, and labels for 20 characters.

    The column of the cluster does not count: without Thanos there is none.
    """
    for panel in _of_type(dashboard, "table"):
        set_widths = _settings(panel, "custom.width")
        hidden = {name for name, away in _settings(panel, "custom.hideFrom").items() if away["viz"]}
        options = panel["transformations"][-1]["options"]
        order = options["indexByName"]
        renamed = sorted(options["renameByName"].items(), key=lambda item: order.get(item[0], 99))
        # The value of a table's only query has two names, of which Grafana writes one.
        names = {new: old for old, new in renamed if new not in hidden and old != clusters.LABEL}
        columns = [(old, new) for new, old in names.items()]
        least = panel["fieldConfig"]["defaults"]["custom"]["minWidth"]
        given = [set_widths.get(new) for _, new in columns]
        widths = screen.column_widths(given, panel["gridPos"]["w"], least)
        for (old, new), width in zip(columns, widths, strict=True):
            needed = screen.heading_width(new)
            if not old.startswith("Value") and new not in set_widths:
                needed = max(needed, LEAST_LABEL)
            if width < needed:
                yield (
                    f"panel {panel['title']!r}: column {new!r} has {width:.0f} of the "
                    f"{needed:.0f} pixels that it needs on a screen of {screen.WINDOW_PIXELS}",
                    "make the panel wider, or leave out a column",
                )


def empty_panels_say_why(dashboard: Json) -> Iterator[tuple[str, str]]:
    """An empty panel says what it means that it is empty."""
    for panel in panels(dashboard):
        place = f"panel {panel['title']!r}"
        text = panel["fieldConfig"]["defaults"].get("noValue")
        if panel["type"] == "logs":
            # Its plugin registers no field settings, so Grafana drops them.
            if text:
                yield f"{place}: Grafana shows no `noValue` for log lines", "leave it out"
            if f"{NO_DATA}:" not in panel["description"]:
                message = f"{place}: its description does not say what an empty panel means"
                yield message, f"end it with `{NO_DATA}: …`"
        elif not text or text.strip(" .-–").casefold() in ("", NO_DATA.casefold(), "n/a"):
            message = f"{place}: without data it says {text or NO_DATA!r}, which nobody understands"
            yield message, "say what is missing, or that all is well: `no_value=`"


def zeros_have_an_axis(dashboard: Json) -> Iterator[tuple[str, str]]:
    """A graph of zeros has an axis of its own size; Grafana's would end at 100."""
    for panel in _of_type(dashboard, "timeseries"):
        config = panel["fieldConfig"]["defaults"]
        if "max" not in config and not config["custom"].get("axisSoftMax"):
            yield (
                f"panel {panel['title']!r}: where every value is 0 its axis ends at 100",
                "set axisSoftMax to the least that is worth a look",
            )


def colours_are_of_names(dashboard: Json) -> Iterator[tuple[str, str]]:
    """A series has the colour of its name, not of its place: the fifth would be red.

    Grafana's palette has red by names, too, and no other that goes by names: an app may have it.
    """
    for panel in panels(dashboard):
        if panel["fieldConfig"]["defaults"]["color"]["mode"] == "palette-classic":
            yield (
                f"panel {panel['title']!r}: a series' colour depends on how many come before it",
                "use the colour mode palette-classic-by-name",
            )


def values_lead_on(dashboard: Json) -> Iterator[tuple[str, str]]:
    """A click on a value opens what a reader would look at next."""
    for panel in panels(dashboard):
        of_cells = any(_settings(panel, "links").values())
        if panel["type"] in WITHOUT_LINKS or panel["fieldConfig"]["defaults"].get("links"):
            continue
        if not of_cells:
            yield (
                f"panel {panel['title']!r} leads nowhere",
                "give it `links=`: what would you do next?",
            )


def _of_type(dashboard: Json, kind: str) -> Iterator[Json]:
    return (panel for panel in panels(dashboard) if panel["type"] == kind)


def _settings(panel: Json, key: str) -> dict[str, Json]:
    """Return one setting of the columns that have it, by their names."""
    return {
        override["matcher"]["options"]: one["value"]
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == key
    }
