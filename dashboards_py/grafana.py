"""Grafana's JSON model, for Grafana 13, over grafanalib 0.7.1.

grafanalib writes dashboards of schema version 12, with datasources as strings and keys that Grafana
no longer reads. All its panels call `panel_json`, so the classes here correct the model there, and
nothing edits the JSON afterwards. Field names are those of the npm package `@grafana/schema`
13.2 (`raw/dashboard` and `raw/composable/*/panelcfg`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from grafanalib import core
from grafanalib._gen import DashboardEncoder

from scripts.core import screen
from scripts.core.yamlfile import Json

# The newest classic schema: Grafana migrates nothing at load, and refuses a higher number.
SCHEMA_VERSION = 42
# Without it, Grafana migrates panels as if of Grafana 6 at each load; with another version than its
# own, it runs the migrations of each panel.
PLUGIN_VERSION = "13.2.3"

# Where Grafana 13 puts what is seldom changed: a menu beside the time range.
CONTROLS_MENU = "inControlsMenu"

# The data sources that the Grafana release provisions.
PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
LOKI = {"type": "loki", "uid": "loki"}

# What a panel may have of grafanalib's keys; `fieldConfig` is written here.
_PANEL_KEYS = frozenset(
    {
        "datasource",
        "description",
        "gridPos",
        "id",
        "interval",
        "options",
        "targets",
        "title",
        "transformations",
        "type",
    }
)


def to_json(dashboard: Dashboard) -> str:
    """Return the dashboard's file: the same bytes for the same Python, newline at the end."""
    text = json.dumps(dashboard.to_json_data(), cls=DashboardEncoder, sort_keys=True, indent=2)
    return text + "\n"


def _without_empty(value: Any) -> Any:
    """Drop null and empty text from nested objects; lists keep theirs: a threshold needs null."""
    if isinstance(value, Mapping):
        return {k: _without_empty(v) for k, v in value.items() if v is not None and v != ""}
    return value


@attrs.frozen
class Threshold:
    """A step of thresholds: a colour for values from `value` on; the base step has no value."""

    color: str
    value: float | None = None

    def to_json_data(self) -> Json:
        """Return Grafana's threshold step."""
        return {"color": self.color, "value": self.value}


@attrs.frozen
class PromTarget:
    """A PromQL query of a panel.

    Attributes:
        instant: One evaluation at the end of the range, as a table where `table` is set.
        allow_empty: As of `panels.PanelQuery`; not part of the JSON.
    """

    expr: str
    refId: str  # noqa: N815 - Grafana's name
    legend: str
    instant: bool = False
    table: bool = False
    allow_empty: str = ""

    def to_json_data(self) -> Json:
        """Return Grafana's Prometheus query."""
        return {
            "datasource": PROMETHEUS,
            "editorMode": "code",
            "expr": self.expr,
            "format": "table" if self.table else "time_series",
            "instant": self.instant,
            "legendFormat": self.legend,
            "range": not self.instant,
            "refId": self.refId,
        }


@attrs.frozen
class LokiTarget:
    """A LogQL query of a panel; grafanalib's Target has a `step` that breaks Loki panels."""

    expr: str
    refId: str  # noqa: N815 - Grafana's name
    legend: str
    instant: bool = False
    max_lines: int | None = None
    allow_empty: str = ""

    def to_json_data(self) -> Json:
        """Return Grafana's Loki query."""
        target: Json = {
            "datasource": LOKI,
            "editorMode": "code",
            "expr": self.expr,
            "legendFormat": self.legend,
            "queryType": "instant" if self.instant else "range",
            "refId": self.refId,
        }
        if self.max_lines is not None:
            target |= {"direction": "backward", "maxLines": self.max_lines}
        return target


@attrs.define(kw_only=True, slots=False)
class Panel(core.Panel):  # type: ignore[misc]
    """What all panels share.

    Attributes:
        width: Columns of 24; None for an equal share of what is left of the line (see `layout`).
        unit: Grafana's unit id.
        noValue: Shown instead of a value or a graph where there is no data; a panel of log lines
            cannot.
        interval: The least time between two points, such as `2m`; None for the data source's.
        dataLinks: Links of each value, with `${__field.labels.…}` in them.
    """

    title: str
    width: int | None = None
    id: int | None = None
    gridPos: core.GridPos | None = None  # noqa: N815
    targets: Sequence[PromTarget | LokiTarget] = ()
    transformations: Sequence[Json] = ()
    dataSource: Json | None = None  # noqa: N815
    unit: str = ""
    noValue: str = ""  # noqa: N815
    dataLinks: Sequence[Json] = ()  # noqa: N815
    thresholds: Sequence[Threshold] = ()
    mappings: Sequence[Json] = ()
    overrides: Sequence[Json] = ()
    valueMin: float | None = None  # noqa: N815
    valueMax: float | None = None  # noqa: N815
    colorMode: str = "thresholds"  # noqa: N815
    fixedColor: str = ""  # noqa: N815
    decimals: int | None = None
    interval: str | None = None

    def panel_json(self, overrides: Json) -> Json:
        """Return grafanalib's panel with only the keys that Grafana 13 has."""
        panel = super().panel_json(overrides)
        panel = {key: value for key, value in panel.items() if key in _PANEL_KEYS}
        panel = {key: value for key, value in panel.items() if value not in (None, [], ())}
        panel["fieldConfig"] = {"defaults": self._defaults(), "overrides": list(self.overrides)}
        custom = overrides.get("fieldConfig", {}).get("defaults", {}).get("custom")
        if custom:
            panel["fieldConfig"]["defaults"]["custom"] = _without_empty(custom)
        return panel | {"pluginVersion": PLUGIN_VERSION}

    def _defaults(self) -> Json:
        defaults: Json = {
            "color": {"mode": self.colorMode}
            | ({"fixedColor": self.fixedColor} if self.fixedColor else {}),
            "decimals": self.decimals,
            "links": list(self.dataLinks),
            "mappings": list(self.mappings),
            "max": self.valueMax,
            "min": self.valueMin,
            "noValue": self.noValue,
            "thresholds": {"mode": "absolute", "steps": list(self.thresholds)},
            "unit": self.unit,
        }
        return {key: value for key, value in defaults.items() if value not in (None, "", [])}


@attrs.define(kw_only=True, slots=False)
class TimeSeries(Panel, core.TimeSeries):  # type: ignore[misc]
    """A time series panel; its tooltip lists every series, the largest first.

    A series has the colour of its name, which is the same in every panel.
    """

    colorMode: str = "palette-classic-by-name"  # noqa: N815
    lineInterpolation: str = "linear"  # noqa: N815
    lineWidth: int = 1  # noqa: N815
    fillOpacity: int = 10  # noqa: N815
    # "auto" draws points only where lines cannot connect them.
    showPoints: str = "auto"  # noqa: N815
    stacking: Json = attrs.field(factory=lambda: {"group": "A", "mode": "none"})
    # Where the axis ends at least: of zeros alone, Grafana would draw one to 100.
    axisSoftMax: float | None = None  # noqa: N815
    tooltipMode: str = "multi"  # noqa: N815
    tooltipSort: str = "desc"  # noqa: N815
    showLegend: bool = True  # noqa: N815

    def to_json_data(self) -> Json:
        """Return Grafana's `timeseries` panel."""
        panel: Json = super().to_json_data()
        panel["options"]["legend"]["showLegend"] = self.showLegend
        return panel


@attrs.define(kw_only=True, slots=False)
class Stat(Panel, core.Stat):  # type: ignore[misc]
    """One number, or one for each series."""

    colorMode: str = "thresholds"  # noqa: N815
    # Grafana calls both this option and the field's mode above `colorMode`: this one says what the
    # thresholds colour, the background or the number.
    valueColorMode: str = "background"  # noqa: N815
    graphMode: str = "none"  # noqa: N815
    reduceCalc: str = "lastNotNull"  # noqa: N815
    # Pixels; Grafana's own choice is down to 8 where values are narrow.
    title_size: int = screen.TITLE_PIXELS
    text_mode: str = "auto"

    def to_json_data(self) -> Json:
        """Return Grafana's `stat` panel."""
        panel: Json = super().to_json_data()
        panel["options"] |= {
            "text": {"titleSize": self.title_size},
            "textMode": self.text_mode,
            "colorMode": self.valueColorMode,
            "percentChangeColorMode": "standard",
            "showPercentChange": False,
            "wideLayout": True,
        }
        return panel


@attrs.define(kw_only=True, slots=False)
class Gauge(Panel):
    """A gauge. grafanalib's GaugePanel writes the model of Grafana 6, without `options`."""

    def to_json_data(self) -> Json:
        """Return Grafana's `gauge` panel."""
        options = {
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showThresholdLabels": False,
            "showThresholdMarkers": True,
        }
        return self.panel_json({"type": "gauge", "options": options})


@attrs.define(kw_only=True, slots=False)
class Table(Panel):
    """A table. grafanalib's Table writes the model of Grafana 6, with `columns`."""

    sortBy: Sequence[Json] = ()  # noqa: N815

    def to_json_data(self) -> Json:
        """Return Grafana's `table` panel."""
        custom = {
            "align": "auto",
            "cellOptions": {"type": "auto"},
            "inspect": False,
            # In pixels; by Grafana's own 150, most tables would scroll sideways.
            "minWidth": 70,
        }
        options = {"cellHeight": "sm", "showHeader": True, "sortBy": list(self.sortBy)}
        defaults = {"fieldConfig": {"defaults": {"custom": custom}}}
        return self.panel_json({"type": "table", "options": options, **defaults})


@attrs.define(kw_only=True, slots=False)
class Logs(Panel, core.Logs):  # type: ignore[misc]
    """Log lines, newest first."""

    showTime: bool = True  # noqa: N815
    wrapLogMessages: bool = True  # noqa: N815
    enableLogDetails: bool = True  # noqa: N815

    def to_json_data(self) -> Json:
        """Return Grafana's `logs` panel."""
        panel: Json = super().to_json_data()
        panel["options"] |= {"enableInfiniteScrolling": True, "showLogContextToggle": False}
        return panel


@attrs.define(kw_only=True, slots=False)
class StateTimeline(Panel, core.StateTimeline):  # type: ignore[misc]
    """One line of states for each series; equal values that follow each other are merged.

    With `mergeValues`, thresholds would win over value mappings. The colour is that of a value that
    no mapping knows.
    """

    colorMode: str = "fixed"  # noqa: N815
    fixedColor: str = "text"  # noqa: N815
    showValue: str = "never"  # noqa: N815
    perPage: int = 20  # noqa: N815

    def to_json_data(self) -> Json:
        """Return Grafana's `state-timeline` panel."""
        panel: Json = super().to_json_data()
        panel["options"]["perPage"] = self.perPage
        panel["options"]["legend"] |= {"showLegend": False, "calcs": []}
        panel["options"]["tooltip"]["sort"] = "none"
        return panel


@attrs.define(kw_only=True, slots=False)
class RowPanel(core.RowPanel):  # type: ignore[misc]
    """A row's heading; while it is collapsed, it holds its panels, else they follow it."""

    title: str
    id: int
    gridPos: core.GridPos  # noqa: N815
    collapsed: bool
    panels: Sequence[core.Panel] = ()

    def panel_json(self, overrides: Json) -> Json:
        """Return the keys that a row has."""
        panel = super().panel_json(overrides)
        keys = ("collapsed", "gridPos", "id", "panels", "title", "type")
        return {key: panel[key] for key in keys}


@attrs.frozen(kw_only=True)
class Variable:
    """A variable at the top of a dashboard, by Grafana's type; made by `variables`.

    Attributes:
        kind: `query`, `custom` or `textbox`.
        query: A string or an object, as the type requires.
        all_value: Value of "All"; without one there is no "All".
        default: Value when the dashboard opens; where there is an "All", that is the default.
    """

    name: str
    label: str
    description: str
    kind: str
    query: str | Json
    datasource: Json | None = None
    all_value: str | None = None
    default: str = ""
    options: Sequence[str] = ()

    def to_json_data(self) -> Json:
        """Return Grafana's variable model."""
        has_all = self.all_value is not None
        variable: Json = {
            "current": {"text": ["All"], "value": ["$__all"]}
            if has_all
            else {"text": self.default, "value": self.default},
            "description": self.description,
            "hide": 0,
            "label": self.label,
            "name": self.name,
            "query": self.query,
            "type": self.kind,
        }
        if self.kind == "textbox":
            return variable
        variable |= {"includeAll": has_all, "multi": has_all}
        if has_all:
            variable["allValue"] = self.all_value
        if self.kind == "query":
            # 2: when the time range changes, which each refresh does; 1: sorted by name.
            variable |= {"datasource": self.datasource, "refresh": 2, "sort": 1}
        else:
            variable["options"] = [
                {"selected": option == self.default, "text": option, "value": option}
                for option in self.options
            ]
        return variable


@attrs.frozen(kw_only=True)
class Annotation:
    """A PromQL query whose results are marked on every graph.

    Attributes:
        shown: Whether it is when the dashboard opens; a switch in the menu of controls changes it.
    """

    name: str
    expr: str
    title: str
    color: str
    shown: bool = True
    allow_empty: str = ""

    def to_json_data(self) -> Json:
        """Return Grafana's annotation query for the Prometheus datasource."""
        return {
            "datasource": PROMETHEUS,
            "enable": self.shown,
            "iconColor": self.color,
            "name": self.name,
            "placement": CONTROLS_MENU,
            "target": {"expr": self.expr, "refId": "Anno"},
            "titleFormat": self.title,
        }


@attrs.frozen(kw_only=True)
class Dashboard:
    """A dashboard; grafanalib's has `rows`, `style`, `hideControls` and `__inputs`, all obsolete.

    Attributes:
        link_tags: Dashboards with one of these tags are listed in the menu at the top.
    """

    title: str
    uid: str
    description: str
    tags: Sequence[str]
    panels: Sequence[core.Panel]
    variables: Sequence[Variable] = ()
    annotations: Sequence[Annotation] = ()
    link_tags: Sequence[str] = ()

    def to_json_data(self) -> Json:
        """Return Grafana's classic dashboard model."""
        link = {
            "asDropdown": True,
            "icon": "external link",
            "includeVars": True,
            "keepTime": True,
            "targetBlank": False,
            "title": "Dashboards",
            "tooltip": "",
            "type": "dashboards",
        }
        return {
            "annotations": {"list": list(self.annotations)},
            "description": self.description,
            "editable": False,
            # One cross-hair on all graphs.
            "graphTooltip": 1,
            "links": [link | {"tags": [tag]} for tag in self.link_tags],
            "panels": list(self.panels),
            "refresh": "30s",
            "schemaVersion": SCHEMA_VERSION,
            "tags": list(self.tags),
            "templating": {"list": list(self.variables)},
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "title": self.title,
            "uid": self.uid,
        }
