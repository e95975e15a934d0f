"""Events: are they published, processed and not lost, and what holds them up?"""

from __future__ import annotations

from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import BACKLOG, bad_below, bad_from, good_from, outcome_colours, states
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.links import data_link, panel_link
from dashboards_py.panels import (
    Column,
    logs,
    show,
    stacked_bars,
    stat,
    state_timeline,
    table,
    timeseries,
)
from dashboards_py.queries import dapr, lines
from dashboards_py.units import (
    COUNT,
    EVENTS_PER_SECOND,
    MILLISECONDS,
    REQUESTS_PER_SECOND,
    SECONDS,
    SHARE,
)
from dashboards_py.variables import app_variable, namespace_variable

DAY = 86400
NO_EVENT = "no event in this time"
NO_FAILURE = "no failure"
NO_CALL = "no call from sidecar to sidecar"

OBJECTIVE = data_link("What it costs the objective", "todo-slo")
READINESS, BEHIND = "Sidecar readiness", "Backlog by consumer"
BROKEN, OUTCOMES = "Components that failed", "Processed by outcome"
SIDECARS = panel_link("Which, and since when", "todo-events", READINESS, "namespace", "app")
CONSUMERS = panel_link("Who, and since when", "todo-events", BEHIND, "namespace", "app")
COMPONENTS = panel_link("Which component", "todo-events", BROKEN, "namespace", "app")
PROCESSED = panel_link("What becomes of them", "todo-events", OUTCOMES, "namespace", "app")
CONTROL_PLANE = data_link("Dapr's own pods", "cluster-capacity", namespace="dapr-system")
SIDECAR_LINES = data_link(
    "Log lines of this pod", "todo-logs", "namespace", pod="${__field.labels.pod}"
)
CONSUMER_LINES = data_link(
    "Log lines of ${__field.labels.app_id}",
    "todo-logs",
    "namespace",
    app="${__field.labels.app_id}",
)

now = row(
    stat(
        "Sidecars",
        show(dapr.sidecars_up(), "up", good_from(1)),
        show(dapr.sidecars_down(), "down", bad_from(critical=1)),
        description="Is Dapr there? Sidecars that Prometheus can scrape, and those that it finds "
        "but cannot. One in a crash loop is neither: see its readiness below.",
        unit=COUNT,
        width=4,
        links=[SIDECARS],
    ),
    stat(
        "Published",
        show(dapr.publish_rate_total(), "events"),
        description="How much happens? Events that the broker took.",
        unit=EVENTS_PER_SECOND,
        width=4,
        links=[PROCESSED],
        no_value=NO_EVENT,
    ),
    stat(
        "Failing",
        show(dapr.publish_failure_share(), "published", bad_from(warning=0.001, critical=0.01)),
        show(dapr.consume_failure_share(), "processed", bad_from(warning=0.01, critical=0.05)),
        description="Do events get lost? Share that the broker did not take, and share of "
        "deliveries that a consumer asked to have again or dropped.",
        unit=SHARE,
        width=4,
        links=[OBJECTIVE],
        no_value=NO_EVENT,
    ),
    stat(
        "Backlog",
        show(dapr.backlog_largest(), "events"),
        description="Does a consumer fall behind? Events of 30 minutes that the one with the "
        "largest backlog has not processed.",
        unit=COUNT,
        width=3,
        thresholds=BACKLOG,
        links=[CONSUMERS],
    ),
    stat(
        "Broken",
        show(dapr.circuits_open(), "circuits"),
        show(dapr.components_failed(), "components"),
        description="Did Dapr give up on something? Circuit breakers that let nothing through, "
        "and components that did not start since their sidecar did.",
        unit=COUNT,
        width=5,
        thresholds=bad_from(critical=1),
        links=[COMPONENTS],
    ),
    stat(
        "Certificate",
        show(dapr.issuer_expires_in(), "left"),
        description="How long will sidecars trust each other? Time until the certificate expires "
        "that signs their own; after that none can start. Dapr does not renew it.",
        unit=SECONDS,
        width=4,
        thresholds=bad_below(critical=14 * DAY, warning=30 * DAY),
        links=[CONTROL_PLANE],
    ),
    height=4,
)

flow = row(
    timeseries(
        "Published by topic",
        show(dapr.publish_rate(), "{{topic}}"),
        description="What do applications tell each other? Events that the broker took.",
        unit=EVENTS_PER_SECOND,
        links=[PROCESSED],
        no_value=NO_EVENT,
    ),
    timeseries(
        OUTCOMES,
        show(dapr.consume_rate(), "{{process_status}}"),
        description="What becomes of them? Each delivery to a consumer: success, retry (it will "
        "be delivered again) or drop (it is lost, or a dead letter).",
        unit=EVENTS_PER_SECOND,
        colours=outcome_colours(),
        links=[OBJECTIVE],
        no_value=NO_EVENT,
    ),
    timeseries(
        BEHIND,
        show(dapr.backlog(), "{{app_id}} {{topic}}"),
        description="Who falls behind? Published minus processed within 30 minutes: a stand-in for "
        "the broker's own figure. It forgets what is older, and a consumer without a sidecar.",
        unit=COUNT,
        thresholds=BACKLOG,
        links=[CONSUMER_LINES],
    ),
    title="Events",
)

failures = row(
    timeseries(
        "Publishing failures",
        show(
            dapr.publish_failures(),
            "{{app_id}} {{topic}}",
            allow_empty="the broker takes every event",
        ),
        description="Whose events does the broker refuse? The application saw an error, and has "
        "most likely not repeated it.",
        unit=EVENTS_PER_SECOND,
        width=8,
        links=[CONSUMER_LINES, OBJECTIVE],
        no_value=NO_FAILURE,
    ),
    timeseries(
        "Retries and drops",
        show(
            dapr.consume_failures(),
            "{{app_id}} {{topic}} {{process_status}}",
            allow_empty="every event is processed at once",
        ),
        description="Who cannot process what? An event that is retried for ever shows as many.",
        unit=EVENTS_PER_SECOND,
        width=16,
        links=[CONSUMER_LINES, OBJECTIVE],
        no_value=NO_FAILURE,
    ),
    timeseries(
        "Processing time, p95",
        show(dapr.processing_p95(), "{{app_id}} {{topic}}"),
        description="How long does a consumer take? 95% of deliveries take at most this. A backlog "
        "grows when this times the rate exceeds what it does at once.",
        unit=MILLISECONDS,
        links=[CONSUMER_LINES],
        no_value=NO_EVENT,
    ),
    timeseries(
        "Consumer lag in the broker",
        show(dapr.consumer_lag(), "{{redpanda_group}}"),
        description="How far behind is each consumer group, as Redpanda counts? Only with "
        "base/optional/redpanda, where the broker exports consumer_lag.",
        unit=COUNT,
        thresholds=BACKLOG,
        links=[
            data_link(
                "Log lines of this group",
                "todo-logs",
                "namespace",
                app="${__field.labels.redpanda_group}",
            )
        ],
    ),
    title="Why not: events",
)

schedule = row(
    timeseries(
        "Reminders and other bindings",
        show(dapr.reminders(), "{{app_id}} {{component}} success={{success}}"),
        description="Does the clock tick? Cron and other input bindings, as they call their app. "
        "Without ticks no reminder is sent.",
        unit=EVENTS_PER_SECOND,
        links=[CONSUMER_LINES],
        no_value="no input binding called its app",
    ),
    timeseries(
        "Scheduled jobs",
        show(dapr.jobs_triggered(), "triggered"),
        show(dapr.jobs_failed(), "failed"),
        show(dapr.jobs_undelivered(), "undelivered"),
        description="Are jobs delivered? Dapr's scheduler, of the whole cluster; all 0 where "
        "nobody uses jobs, actor reminders or workflows.",
        unit=EVENTS_PER_SECOND,
        colours=outcome_colours(),
        links=[CONTROL_PLANE],
    ),
    timeseries(
        "Sidecars at the scheduler",
        show(dapr.scheduler_sidecars(), "sidecars"),
        description="Who could receive a job? Sidecars of the whole cluster with a connection to "
        "the scheduler.",
        unit=COUNT,
        width=6,
        links=[CONTROL_PLANE],
    ),
    height=7,
    title="Reminders and jobs",
)

calls = row(
    timeseries(
        "Calls",
        show(dapr.calls(), "{{app_id}} → {{src_app_id}}"),
        description="Who calls whom? Service invocation from sidecar to sidecar; what a browser "
        "sends goes past Dapr.",
        unit=REQUESTS_PER_SECOND,
        links=[data_link("Requests as Dapr counts them", "todo-api", "namespace", source="dapr")],
        no_value=NO_CALL,
    ),
    timeseries(
        "Failing calls",
        show(dapr.calls_failing(), "{{app_id}} → {{src_app_id}}"),
        description="Which calls fail? Share answered with 5xx; nothing is drawn without calls.",
        unit=SHARE,
        thresholds=bad_from(warning=0.01, critical=0.05),
        links=[CONSUMER_LINES],
        no_value=NO_CALL,
    ),
    timeseries(
        "Call duration, p95",
        show(dapr.call_p95(), "{{app_id}} → {{src_app_id}}"),
        description="How long do calls take, sidecars included?",
        unit=MILLISECONDS,
        links=[CONSUMER_LINES],
        no_value=NO_CALL,
    ),
    height=7,
    title="Service invocation",
)

resiliency = row(
    stacked_bars(
        "Policies that stepped in",
        show(
            dapr.policy_activations(),
            "{{app_id}} {{policy}} {{target}}",
            allow_empty="nothing needs a second attempt",
        ),
        description="What does Dapr's resiliency make up for? Retries, timeouts and circuit "
        "breakers, in each bar. What it hides today fails tomorrow.",
        links=[CONSUMER_LINES],
        no_value="no policy stepped in",
    ),
    state_timeline(
        "Circuit breakers",
        show(
            dapr.circuits_closed(),
            "{{app_id}} {{target}}",
            allow_empty="no call went through a circuit breaker",
        ),
        description="What is cut off? Open: calls fail at once, to spare the target. Only "
        "breakers that were used since their sidecar started are known.",
        mappings=states(one="closed", zero="open"),
        links=[CONSUMER_LINES],
        no_value="no circuit breaker was used",
    ),
    title="Why not: resiliency",
)

sidecars = row(
    state_timeline(
        READINESS,
        show(dapr.sidecars_ready(), "{{pod}}"),
        description="Which sidecar does not serve? As Kubernetes finds it.",
        mappings=states(one="ready", zero="not ready"),
        links=[SIDECAR_LINES],
        no_value="no pod has a sidecar",
    ),
    table(
        "Components by app",
        {"app_id": "App"},
        Column("Loaded", dapr.components_loaded_by_app()),
        Column("Started", dapr.components_started_by_app()),
        Column(
            "Failed",
            dapr.components_failed_by_app(),
            thresholds=bad_from(critical=1),
            coloured=True,
        ),
        description="Did each sidecar start its components? Counted since it started, over all "
        "pods of the app.",
        sort="Failed",
        links=[data_link("Log lines of this app", "todo-logs", "namespace", app="${__value.raw}")],
    ),
    height=8,
    title="Why not: sidecars",
)

components = row(
    table(
        BROKEN,
        {"app_id": "App", "componentName": "Component", "component": "Type", "reason": "At"},
        Column(
            "Failures",
            dapr.components_failed_by_name(),
            allow_empty="every component starts",
        ),
        width=14,
        column_widths={"App": 260, "At": 90},
        description="What did not start, and at which step? A sidecar exits then, unless the "
        "component says ignoreErrors; its last words are in the log.",
        sort="Failures",
        links=[data_link("Log lines of this app", "todo-logs", "namespace", app="${__value.raw}")],
        no_value="every component started",
    ),
    logs(
        "Sidecars' errors",
        lines.sidecar_errors(),
        description="What does Dapr say of it? Lines of level error and above.",
        empty="no error line in this time range",
        allow_empty="Dapr has nothing to complain of",
    ),
    height=9,
)

DASHBOARD = dashboard(
    uid="todo-events",
    title="Todo events",
    description="Are events published, processed and not lost, and what holds them up?",
    folder=Folder.TODO,
    variables=[namespace_variable(), app_variable()],
    annotations=rollouts_and_alerts(),
    rows=[now, flow, failures, schedule, calls, resiliency, sidecars, components],
)
