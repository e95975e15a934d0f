"""The home page: is the application well, and if not, where do I look?"""

from __future__ import annotations

from dashboards_py import alerts, namespaces
from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import (
    BACKLOG,
    LEVEL_LEGEND,
    SLOW,
    bad_below,
    bad_from,
    good_from,
    level_colours,
    objective_colours,
    outcome_colours,
    states,
    status_colours,
)
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.links import data_link, outside_link, panel_link
from dashboards_py.panels import (
    Column,
    gauge,
    logs,
    show,
    stacked_bars,
    stat,
    state_timeline,
    table,
    timeseries,
)
from dashboards_py.queries import chatbot, dapr, health, lines, slo, traffic, workloads
from dashboards_py.units import (
    BYTES,
    CORES,
    COUNT,
    EVENTS_PER_SECOND,
    REQUESTS_PER_SECOND,
    SECONDS,
    SHARE,
)
from dashboards_py.variables import EVERY_APP, namespace_variable

NO_POD = "no pod found"
ALERTS = "Firing alerts"
# Loki's ruler sends its alerts to Alertmanager and writes no metric `ALERTS`. Of Grafana, the
# Alertmanager data source answers no panel, and the panel that lists a ruler's alerts needs
# Grafana's own alerting, which is off.
NOT_LISTED = (
    f" Not among them: what Loki fires of log lines ({', '.join(alerts.of_logs())}). Alertmanager "
    "notifies of these as of the others; Todo logs shows the lines."
    if alerts.of_logs()
    else ""
)

SLOS = data_link("Objectives and what uses them up", "todo-slo")
API = data_link("Routes, durations and saturation", "todo-api", "namespace")
EVENTS = data_link("Topics, consumers and sidecars", "todo-events", "namespace")
CHATBOT = data_link("Model calls, limits and tools", "todo-chatbot", "namespace")
CAPACITY = data_link("Nodes, requests and limits", "cluster-capacity", "namespace")
POD_LINES = data_link(
    "Log lines of this pod", "todo-logs", "namespace", pod="${__field.labels.pod}"
)
LINES_OF_POD = data_link("Log lines of this pod", "todo-logs", "namespace", pod="${__value.raw}")
LIST = panel_link("Which, and what to do", "todo-overview", ALERTS, "namespace")
# `alerts_by_object` says where each leads.
RUNBOOK = outside_link("What to do", f"{namespaces.runbooks()}/${{__data.fields.Runbook}}")
BOARD = data_link("Its dashboard", "${__value.raw}")

# None of these numbers needs more than one scrape, or one evaluation of the rules.
now = row(
    stat(
        "Probes",
        show(health.probes_up(), "{{job}}"),
        description="Whether frontend, backend and Grafana answer from inside the cluster.",
        unit=COUNT,
        width=5,
        mappings=states(one="up", zero="down"),
        links=[SLOS],
    ),
    stat(
        "Failing",
        show(traffic.failing(), "failing"),
        description="Share of requests answered with 5xx, of the last five minutes, by the access "
        "log, which every installation has. While nobody asks: of the probes.",
        unit=SHARE,
        width=3,
        thresholds=bad_from(warning=0.01, critical=0.05),
        links=[API],
    ),
    stat(
        "Slowest app",
        show(traffic.slowest(), "p95 by {{source}}"),
        description="How long 95% of requests take at most, in the slowest app, by what measures "
        "it: Dapr from sidecar to sidecar, an ingress what people wait for. Where nothing does: a "
        "probe.",
        unit=SECONDS,
        width=4,
        thresholds=SLOW,
        named=True,
        links=[API],
    ),
    stat(
        "Alerts firing",
        show(health.alerts_firing(health.CRITICAL), "critical", bad_from(critical=1)),
        show(health.alerts_firing(health.OTHER), "warning", bad_from(warning=1)),
        description="Of the whole cluster. 0 only while the Watchdog, which always fires, is seen."
        + NOT_LISTED,
        unit=COUNT,
        width=4,
        links=[LIST],
    ),
    stat(
        "Budget",
        show(slo.budget_left_worst(), "{{sloth_slo}}"),
        description="How bad is it? The error budget that is left of the objective that suffers "
        "most: the share of what may fail in 30 days. Below 0 the objective is missed.",
        unit=SHARE,
        width=3,
        thresholds=bad_below(warning=0.25, critical=0),
        named=True,
        links=[SLOS],
    ),
    stat(
        "Pods",
        show(workloads.pods_ready(), "ready", good_from(1)),
        show(workloads.pods_not_ready(), "unready", bad_from(critical=1)),
        show(workloads.replicas_not_created(), "missing", bad_from(critical=1)),
        description="Unready: running, waiting or failed, but not serving. Missing: replicas that "
        "a Deployment wants and nobody made, refused by a quota, a policy or a missing "
        "ServiceAccount; the events below say which.",
        unit=COUNT,
        width=5,
        links=[CAPACITY],
    ),
    height=4,
)

next_steps = row(
    table(
        ALERTS,
        {
            "severity": "Severity",
            "alertname": "Alert",
            "namespace": "Namespace",
            "pod": "Pod",
            "dashboard": "Dashboard",
            "runbook": "Runbook",
        },
        Column("", health.alerts_by_object(), allow_empty="no alert fires"),
        description="What fires in Prometheus now, of the whole cluster; a click opens the "
        "runbook, or the dashboard. Alertmanager may have silenced it." + NOT_LISTED,
        sort="Severity",
        width=18,
        column_widths={"Severity": 90, "Namespace": 124, "Pod": 372, "Dashboard": 122},
        links_of={"Alert": [RUNBOOK], "Pod": [LINES_OF_POD], "Dashboard": [BOARD]},
        hidden=["Runbook"],
        no_value="no alert of Prometheus is firing",
    ),
    table(
        "What changed",
        {"deployment": "Deployment"},
        Column("Changes", workloads.changes_in_range(), allow_empty="nobody changed a Deployment"),
        description="Deployments whose specification changed in the time range; graphs mark when.",
        sort="Changes",
        links=[CAPACITY],
        no_value="no Deployment changed in this time range",
    ),
    height=8,
)

requests = row(
    timeseries(
        "Request rate by app",
        show(traffic.request_rate("app"), "{{app}}"),
        description="Mean of five minutes. Kubernetes' own probes are not counted.",
        unit=REQUESTS_PER_SECOND,
        width=7,
        links=[API],
    ),
    timeseries(
        "Request rate by route",
        show(traffic.request_rate("app", "method", "route"), "{{app}} {{method}} {{route}}"),
        description="Mean of five minutes. Identifiers in paths are replaced by their name.",
        unit=REQUESTS_PER_SECOND,
        width=10,
        links=[API],
    ),
    timeseries(
        "Server errors",
        show(traffic.error_ratio(), "{{app}}"),
        description="Share of requests answered with 5xx. Nothing is drawn without requests.",
        unit=SHARE,
        width=7,
        thresholds=bad_from(warning=0.01, critical=0.05),
        links=[
            API,
            data_link(
                "Error lines of ${__field.labels.app}",
                "todo-logs",
                "namespace",
                app="${__field.labels.app}",
                level="error",
            ),
        ],
    ),
    height=10,
    title="Requests",
)

parts = row(
    timeseries(
        "Error budget left",
        show(slo.budget_left_everywhere(), "{{sloth_slo}}"),
        colours=objective_colours(),
        description="Is each objective kept? Share of what may fail in 30 days, down to -100%.",
        unit=SHARE,
        minimum=-1,
        maximum=1,
        links=[SLOS],
    ),
    timeseries(
        "Events by outcome",
        show(dapr.consume_rate(), "{{process_status}}"),
        description="Are events processed? Deliveries to consumers: success, retry or drop.",
        unit=EVENTS_PER_SECOND,
        colours=outcome_colours(),
        links=[EVENTS],
        no_value="no event in this time",
    ),
    timeseries(
        "Event backlog",
        show(dapr.backlog(), "{{app_id}} {{topic}}"),
        description="Does a consumer fall behind? Published and not processed within 30 minutes.",
        unit=COUNT,
        thresholds=BACKLOG,
        links=[EVENTS],
    ),
    timeseries(
        "Chat requests",
        show(chatbot.chat_rate("status_class"), "{{status_class}}"),
        description="Does the chatbot answer? By the access log.",
        unit=REQUESTS_PER_SECOND,
        colours=status_colours(),
        links=[CHATBOT],
        no_value="no chat request",
    ),
    title="Objectives, events and chat",
)

resources = row(
    stat(
        "Restarts",
        show(workloads.restarts_in_range(), "restarts"),
        description="Of the containers of the application, in the time range.",
        unit=COUNT,
        thresholds=bad_from(warning=1),
        links=[CAPACITY],
        no_value=NO_POD,
    ),
    stat(
        "Memory",
        show(workloads.memory_in_use(), "memory"),
        description="Working set of all containers of the application.",
        unit=BYTES,
        links=[CAPACITY],
    ),
    gauge(
        "Requested of the cluster",
        show(workloads.requested_of_capacity("cpu"), "CPU"),
        show(workloads.requested_of_capacity("memory"), "memory"),
        description="Share of the cluster's allocatable CPU and memory that pods of all namespaces "
        "request. At 100% no further pod is scheduled, however idle the nodes are.",
        width=12,
        thresholds=bad_from(warning=0.85, critical=0.95),
        links=[CAPACITY],
    ),
    title="CPU and memory",
    height=4,
)

usage = row(
    timeseries(
        "CPU by pod",
        show(workloads.cpu_by_pod(), "{{pod}}"),
        description="Cores in use, sidecars included; absolute, as a pod may have no limit.",
        unit=CORES,
        links=[CAPACITY],
    ),
    timeseries(
        "Memory by pod",
        show(workloads.memory_by_pod(), "{{pod}}"),
        description="Working set, sidecars included; absolute, as a pod may have no limit.",
        unit=BYTES,
        links=[CAPACITY, POD_LINES],
    ),
    timeseries(
        "Memory against limit",
        show(workloads.use_of_limit("memory"), "{{container}}"),
        description="Worst pod of each container; at 100% it is killed. Only containers with a "
        "limit are drawn.",
        unit=SHARE,
        maximum=1,
        thresholds=bad_from(warning=0.8, critical=0.9),
        links=[CAPACITY],
        no_value="no container has a memory limit",
    ),
)

pods = row(
    state_timeline(
        "Pod readiness",
        show(workloads.pod_readiness(), "{{pod}}"),
        description="Each pod's Ready condition; finished pods are left out.",
        mappings=states(one="ready", zero="not ready"),
        links=[POD_LINES],
        no_value=NO_POD,
    ),
    title="Pod status",
    height=7,
)

containers = row(
    table(
        "Containers",
        {"pod": "Pod", "container": "Container", "waiting": "Waiting for", "ended": "Ended by"},
        Column(
            "Ready",
            workloads.containers_ready(),
            mappings=states(one="yes", zero="no"),
            thresholds=good_from(1),
            coloured=True,
        ),
        Column(
            "Restarts",
            workloads.container_restarts(),
            thresholds=bad_from(warning=1),
            coloured=True,
        ),
        Column("Memory", workloads.container_memory(), unit=BYTES),
        Column("Limit", workloads.container_memory_limit(), unit=BYTES, no_value="none"),
        Column("", workloads.waiting_reasons(), allow_empty="no container waits"),
        Column("", workloads.last_end_reasons(), allow_empty="no container has ended"),
        description="Why a container waits, and why it ended last.",
        sort="Restarts",
        links=[LINES_OF_POD],
        column_widths={"Pod": 380},
        no_value=NO_POD,
    ),
    height=9,
)

reports = row(
    stacked_bars(
        "Log lines by level",
        show(lines.log_volume("level"), LEVEL_LEGEND),
        description="Lines in each bar. Silence while pods are ready is a fault, too.",
        width=6,
        colours=level_colours(),
        links=[
            data_link(
                "Lines of this level", "todo-logs", "namespace", level="${__field.labels.level}"
            )
        ],
    ),
    logs(
        "Newest errors",
        lines.recent_errors(),
        description="Lines of level error and above.",
        empty="no error line in this time range",
        allow_empty="nothing fails",
    ),
    logs(
        "Kubernetes events",
        lines.events(),
        description="What Kubernetes reports of the application's objects.",
        empty="no event in this time range",
        allow_empty="nothing changes",
    ),
    height=9,
    title="Logs and events",
)

DASHBOARD = dashboard(
    uid="todo-overview",
    title="Todo overview",
    description="Is the application well, and if not, where do I look?",
    folder=Folder.TODO,
    variables=[namespace_variable()],
    fixed={"app": EVERY_APP, "source": traffic.ACCESS_LOG},
    annotations=rollouts_and_alerts(),
    rows=[now, next_steps, requests, parts, resources, usage, pods, containers, reports],
)
