"""Objectives: are they met, how much of each error budget is left, and what uses it up?"""

from __future__ import annotations

from dashboards_py import alerts, namespaces
from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import bad_below, bad_from, objective_colours, states
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import height_of_table, row
from dashboards_py.links import data_link
from dashboards_py.panels import Column, show, stat, state_timeline, table, timeseries
from dashboards_py.queries import dapr, health, slo, traffic
from dashboards_py.units import EVENTS_PER_SECOND, MILLISECONDS, REQUESTS_PER_SECOND, SHARE, TIMES
from dashboards_py.variables import EVERY_APP, slo_variable

# Google's SRE workbook, "Alerting on SLOs": burn rates that use up a budget of 30 days in 2, 5
# and 30 days. The alerts of objectives have the same thresholds.
FAST, SLOW, STEADY = 14.4, 6, 1
NO_EVENT = "no event in this window"

BUDGET = bad_below(warning=0.25, critical=0)
ONLY_THIS = data_link("Only this objective", "todo-slo", slo="${__field.labels.sloth_slo}")
EVENTS = data_link("Events", "todo-events", app="${__field.labels.app_id}")

now = row(
    stat(
        "Budget left",
        show(slo.budget_left(), "{{sloth_slo}}"),
        description="How much may still fail? Share of what the objective allows to fail in 30 "
        "days. Below 0 the objective is missed: faults come before features. Until there are 30 "
        "days of data it is of those that there are.",
        unit=SHARE,
        width=24,
        thresholds=BUDGET,
        named=True,
        links=[ONLY_THIS],
    ),
    stat(
        "Burn rate now",
        show(slo.burn_rate_now(), "{{sloth_slo}}"),
        description="How fast is it spent? 1 spends it in just 30 days. Over five minutes: one "
        "fault at night makes a peak.",
        unit=TIMES,
        width=24,
        thresholds=bad_from(warning=STEADY, critical=FAST),
        named=True,
        links=[ONLY_THIS],
        no_value=NO_EVENT,
    ),
    height=3,
)

all_objectives = row(
    table(
        "All objectives",
        {"sloth_slo": "Objective"},
        Column("Must be good", slo.objective_everywhere(), unit=SHARE),
        Column(
            "Budget left",
            slo.budget_left_everywhere(),
            unit=SHARE,
            thresholds=BUDGET,
            coloured=True,
        ),
        Column(
            "Burn rate",
            slo.burn_rate_everywhere(),
            unit=TIMES,
            thresholds=bad_from(warning=STEADY, critical=FAST),
            coloured=True,
            no_value="no event",
        ),
        Column("5 min", slo.errors_everywhere("5m"), unit=SHARE, no_value="no event"),
        Column("1 h", slo.errors_everywhere("1h"), unit=SHARE, no_value="no event"),
        Column("6 h", slo.errors_everywhere("6h"), unit=SHARE, no_value="no event"),
        Column("1 day", slo.errors_everywhere("1d"), unit=SHARE, no_value="no event"),
        Column("3 days", slo.errors_everywhere("3d"), unit=SHARE, no_value="no event"),
        Column("30 days", slo.errors_everywhere("30d"), unit=SHARE, no_value="no event"),
        description="Which objective suffers, and since when? Must be good: what we said, of the "
        "events of 30 days; what counts as one is said in base/config/slos. After the burn rate: "
        "the share of bad events over each window, of all objectives whatever is chosen above.",
        sort="Burn rate",
        links=[data_link("Only this objective", "todo-slo", slo="${__value.raw}")],
    ),
    height=height_of_table(len(alerts.objectives())),
)

burning = row(
    timeseries(
        "Budget left over time",
        show(slo.budget_left(), "{{sloth_slo}}"),
        colours=objective_colours(),
        description="When was it spent? Steps down are faults; it recovers as they become older "
        "than 30 days. Drawn down to -100%, twice what may fail.",
        unit=SHARE,
        minimum=-1,
        maximum=1,
        links=[ONLY_THIS],
    ),
    timeseries(
        "Burn rate over 1 hour",
        show(slo.burn_rate("1h"), "{{sloth_slo}}"),
        colours=objective_colours(),
        description="Must somebody get up? Above 14.4 an hour costs 2% of the budget, and two days "
        "cost all of it.",
        unit=TIMES,
        thresholds=bad_from(critical=FAST),
        links=[ONLY_THIS],
        no_value=NO_EVENT,
    ),
    timeseries(
        "Burn rate over 6 hours",
        show(slo.burn_rate("6h"), "{{sloth_slo}}"),
        colours=objective_colours(),
        description="Must somebody look today? Above 6 the budget is gone in five days.",
        unit=TIMES,
        thresholds=bad_from(critical=SLOW),
        links=[ONLY_THIS],
        no_value=NO_EVENT,
    ),
    timeseries(
        "Burn rate over 3 days",
        show(slo.burn_rate("3d"), "{{sloth_slo}}"),
        colours=objective_colours(),
        description="Will the objective be met? Above 1 for as long as 30 days, it will not.",
        unit=TIMES,
        thresholds=bad_from(warning=STEADY),
        links=[ONLY_THIS],
        no_value=NO_EVENT,
    ),
    title="How fast it is spent",
)

causes = row(
    timeseries(
        "Routes that fail",
        show(
            traffic.routes_failing(), "{{app}} {{method}} {{route}}", allow_empty="no request fails"
        ),
        description="api-availability: which requests were answered with 5xx?",
        unit=REQUESTS_PER_SECOND,
        width=10,
        links=[data_link("The API", "todo-api", app="${__field.labels.app}", source="access_log")],
        no_value="no server error",
    ),
    state_timeline(
        "Probes that fail",
        show(health.probes_up(), "{{job}}"),
        description="api-availability and ui-availability: when did the blackbox exporter get no "
        "answer?",
        mappings=states(one="up", zero="down"),
        width=6,
        links=[data_link("Pods and events", "todo-overview")],
    ),
    timeseries(
        "Calls that take long",
        show(dapr.call_p95(), "{{app_id}} → {{src_app_id}}"),
        description="call-latency: how long do 95% of calls from sidecar to sidecar take at most? "
        "Nobody measures what a browser waits for, but an ingress controller (base/optional).",
        unit=MILLISECONDS,
        width=8,
        thresholds=bad_from(warning=500),
        links=[EVENTS],
        no_value="no call from sidecar to sidecar",
    ),
    timeseries(
        "Events that are not published",
        show(
            dapr.publish_failures(),
            "{{app_id}} {{topic}}",
            allow_empty="the broker takes every event",
        ),
        description="event-publishing: what did the broker refuse?",
        unit=EVENTS_PER_SECOND,
        links=[EVENTS],
        no_value="no failure",
    ),
    timeseries(
        "Events that are not processed",
        show(
            dapr.consume_failures(),
            "{{app_id}} {{topic}} {{process_status}}",
            allow_empty="every event is processed at once",
        ),
        description="event-processing: what was retried or dropped?",
        unit=EVENTS_PER_SECOND,
        links=[EVENTS],
        no_value="no failure",
    ),
    title="Why not: what failed",
)

DASHBOARD = dashboard(
    uid="todo-slo",
    title="Todo objectives",
    description="Are we as good as we said, how much may still fail, and what uses it up?",
    folder=Folder.TODO,
    variables=[slo_variable()],
    # An objective is the whole application's.
    fixed={"app": EVERY_APP, "namespace": namespaces.application()},
    annotations=rollouts_and_alerts(),
    rows=[now, all_objectives, burning, causes],
)
