"""Logs: their volume, errors, and the lines themselves."""

from __future__ import annotations

from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import LEVEL_LEGEND, bad_from, level_colours
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.links import data_link, panel_link
from dashboards_py.panels import Column, logs, show, stacked_bars, stat, table
from dashboards_py.queries import lines
from dashboards_py.units import COUNT
from dashboards_py.variables import app_variable, level_variable, namespace_variable, text_variable

NO_ERROR = "no error line"

# What a link within this page keeps.
CHOSEN = ("namespace", "app", "pod", "search", "level")

LINES, BY_REASON, REDACTED = "Log lines", "Events by reason", "Redactions"
IN_PAGE = tuple(name for name in CHOSEN if name != "app")
OF_APP = data_link("Lines of this app", "todo-logs", *IN_PAGE, app="${__field.labels.app}")
FOUND = panel_link("The lines", "todo-logs", LINES, *CHOSEN)
ONLY_ERRORS = data_link("Error lines alone", "todo-logs", *CHOSEN[:-1], level="error")
REASONS = panel_link("Which", "todo-logs", BY_REASON, *CHOSEN)
TAKEN_OUT = panel_link("Of which app", "todo-logs", REDACTED, *CHOSEN)

# Reasons of `allow_empty`.
NO_FAULT = "nothing fails"
NOTHING_REDACTED = "the application writes nothing that must be redacted"
NO_CHANGE = "nothing changes"

totals = row(
    stat(
        "Lines",
        show(lines.found_in_range(), "lines"),
        description="Lines of the application in the time range that pass the filters above.",
        unit=COUNT,
        links=[FOUND],
        no_value="no line passes the filters above",
    ),
    stat(
        "Error lines",
        show(lines.found_errors_in_range(), "errors", allow_empty=NO_FAULT),
        description="Lines of level error and above that pass the filters above.",
        unit=COUNT,
        links=[ONLY_ERRORS],
        no_value=NO_ERROR,
    ),
    stat(
        "Kubernetes warnings",
        show(lines.found_warnings_in_range(), "warnings", allow_empty=NO_FAULT),
        description="Warning events of the application's objects in the time range; Pod and Search "
        "above narrow them.",
        unit=COUNT,
        thresholds=bad_from(warning=1),
        links=[REASONS],
        no_value="no warning",
    ),
    stat(
        "Redactions so far",
        show(lines.redactions_so_far(), "redactions", allow_empty=NOTHING_REDACTED),
        description="Secrets and personal data taken out of lines since the pipeline started, as "
        "it should. Each is a line that the application should not write.",
        unit=COUNT,
        links=[TAKEN_OUT],
        no_value="no redaction counted",
    ),
    height=3,
)

volume = row(
    stacked_bars(
        "Lines by level",
        show(lines.found_volume("level"), LEVEL_LEGEND),
        description="Lines in each bar.",
        colours=level_colours(),
        links=[
            data_link(
                "Lines of this level", "todo-logs", *CHOSEN[:-1], level="${__field.labels.level}"
            )
        ],
    ),
    stacked_bars(
        "Lines by app",
        show(lines.found_volume("app"), "{{app}}"),
        description="Lines in each bar. An app that falls silent while its pods are ready has a "
        "fault; one that doubles may fill the disk.",
        width=6,
        links=[OF_APP],
    ),
    stacked_bars(
        "Error lines by app",
        show(lines.found_errors("app"), "{{app}}", allow_empty=NO_FAULT),
        description="Lines of level error and above, in each bar.",
        width=6,
        links=[OF_APP],
        no_value=NO_ERROR,
    ),
    table(
        "Most errors",
        {"app": "App"},
        Column("Lines", lines.found_error_apps(10), allow_empty=NO_FAULT),
        description="Apps with the most error lines in the time range.",
        sort="Lines",
        width=6,
        links=[data_link("Lines of this app", "todo-logs", *IN_PAGE, app="${__value.raw}")],
        no_value=NO_ERROR,
    ),
    title="Volume and errors",
)

found_lines = row(
    logs(
        LINES,
        lines.found_lines(),
        description="Filtered by all the variables above. A line's details show its pod, node and "
        "request.",
        empty="no line passes the filters above",
    ),
    height=16,
    title="Search",
)

events = row(
    logs(
        "Kubernetes events",
        lines.found_events(),
        description="What Kubernetes reports of the application's objects: pulls, scheduling, "
        "failing probes, refused pods. Pod and Search above narrow them.",
        width=16,
        empty="no event in this time range that passes the filters above",
        allow_empty=NO_CHANGE,
    ),
    stacked_bars(
        BY_REASON,
        show(lines.found_events_by_reason(), "{{reason}}", allow_empty=NO_CHANGE),
        description="Events in each bar.",
        width=8,
        links=[data_link("Pods of the application", "cluster-capacity", "namespace")],
        no_value="no event in this time range",
    ),
    height=9,
    title="Events and redactions",
)

redactions = row(
    stacked_bars(
        REDACTED,
        show(lines.redactions(), "{{app}} {{kind}}", allow_empty=NOTHING_REDACTED),
        description="Secrets and personal data taken out of lines, in each bar. Each is a line "
        "that the application should not write. By app; not by pod, level or text.",
        links=[OF_APP],
        no_value="no redaction counted",
    ),
    height=7,
)

DASHBOARD = dashboard(
    uid="todo-logs",
    title="Todo logs",
    description="What the application and Kubernetes say: volume, errors, lines, events.",
    folder=Folder.TODO,
    variables=[
        namespace_variable(),
        app_variable(),
        level_variable(),
        text_variable("pod", "Pod", "A part of the pod's name."),
        text_variable("search", "Search", "A text; upper and lower case are alike."),
    ],
    annotations=rollouts_and_alerts(),
    rows=[totals, volume, found_lines, events, redactions],
)
