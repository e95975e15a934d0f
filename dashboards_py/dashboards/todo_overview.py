"""The home page: is the application well, and if not, where do I look?"""

from __future__ import annotations

from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import (
    LEVEL_LEGEND,
    bad_below,
    bad_from,
    good_from,
    level_colours,
    outcome_colours,
    states,
    status_colours,
)
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.links import data_link
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
from dashboards_py.units import BYTES, CORES, COUNT, EVENTS_PER_SECOND, REQUESTS_PER_SECOND, SHARE
from dashboards_py.variables import app_variable, namespace_variable, source_variable

NO_POD = "no pod found"

SLOS = data_link("Objectives and what uses them up", "todo-slo", "namespace", "app")
API = data_link("Routes, durations and saturation", "todo-api", "namespace", "app", "source")
EVENTS = data_link("Topics, consumers and sidecars", "todo-events", "namespace", "app")
CHATBOT = data_link("Model calls, limits and tools", "todo-chatbot", "namespace", "app")
HEALTH = data_link("What watches, and how well", "stack-health")
CAPACITY = data_link("Nodes, requests and limits", "cluster-capacity", "namespace")
POD_LINES = data_link(
    "Log lines of this pod", "todo-logs", "namespace", pod="${__field.labels.pod}"
)

# These numbers need one scrape, as none of them is a rate. Only the error budget comes from rules.
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
        "Pods",
        show(workloads.pods_ready(), "ready", good_from(1)),
        show(workloads.pods_not_ready(), "not ready", bad_from(critical=1)),
        show(workloads.replicas_not_created(), "not created", bad_from(critical=1)),
        description="Not ready: running, waiting or failed, but not serving. Not created: replicas "
        "that a Deployment wants and nobody made, refused by a quota, a policy or a missing "
        "ServiceAccount; the events below say which.",
        unit=COUNT,
        width=4,
        links=[CAPACITY],
    ),
    stat(
        "Alerts firing",
        show(health.alerts_firing(), "alerts"),
        description="Of any severity. 0 only while the Watchdog, which always fires, is seen.",
        unit=COUNT,
        width=3,
        thresholds=bad_from(warning=1),
        links=[HEALTH],
    ),
    stat(
        "Error budget",
        show(slo.budget_left_worst(), "left"),
        description="What is left of the objective that suffers most: the share of what may fail "
        "in 30 days. Below 0 the objective is missed.",
        unit=SHARE,
        width=3,
        thresholds=bad_below(warning=0.25, critical=0),
        links=[SLOS],
    ),
    stat(
        "Restarts so far",
        show(workloads.restarts_so_far(), "restarts"),
        description="Of the containers of the pods that exist now, since they were created.",
        unit=COUNT,
        width=3,
        thresholds=bad_from(warning=1),
        links=[CAPACITY],
        no_value=NO_POD,
    ),
    stat(
        "Memory",
        show(workloads.memory_in_use(), "memory"),
        description="Working set of all containers of the application.",
        unit=BYTES,
        width=3,
        links=[CAPACITY],
    ),
    gauge(
        "CPU requested",
        show(workloads.requested_of_capacity("cpu"), "CPU"),
        description="Share of the cluster's allocatable CPU that pods of all namespaces request. "
        "At 100% no further pod is scheduled, however idle the nodes are.",
        width=3,
        thresholds=bad_from(warning=0.85, critical=0.95),
        links=[CAPACITY],
    ),
    height=5,
)

requests = row(
    timeseries(
        "Request rate by app",
        show(traffic.request_rate("app"), "{{app}}"),
        description="Mean of five minutes. Kubernetes' own probes are not counted.",
        unit=REQUESTS_PER_SECOND,
        links=[API],
    ),
    timeseries(
        "Request rate by route",
        show(traffic.request_rate("app", "method", "route"), "{{app}} {{method}} {{route}}"),
        description="Mean of five minutes. Identifiers in paths are replaced by their name.",
        unit=REQUESTS_PER_SECOND,
        links=[API],
    ),
    timeseries(
        "Server errors",
        show(traffic.error_ratio(), "{{app}}"),
        description="Share of requests answered with 5xx. Nothing is drawn without requests.",
        unit=SHARE,
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
    title="Requests",
)

parts = row(
    timeseries(
        "Error budget left",
        show(slo.budget_left_everywhere(), "{{sloth_slo}}"),
        description="Is each objective kept? Share of what may fail in 30 days.",
        unit=SHARE,
        minimum=None,
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
        thresholds=bad_from(warning=20, critical=100),
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
    height=7,
    title="Objectives, events and chat",
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
        links=[CAPACITY, POD_LINES],
        no_value="no container has a memory limit",
    ),
    title="CPU and memory",
)

pods = row(
    state_timeline(
        "Pod readiness",
        show(workloads.pod_readiness(), "{{pod}}"),
        description="Each pod's Ready condition; finished pods are left out.",
        mappings=states(one="ready", zero="not ready"),
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
        links=[data_link("Log lines of this pod", "todo-logs", "namespace", pod="${__value.raw}")],
        column_widths={"Pod": 400, "Container": 220},
        no_value=NO_POD,
    ),
    height=9,
)

reports = row(
    table(
        "Alerts",
        {"severity": "Severity", "alertname": "Alert", "namespace": "Namespace", "pod": "Pod"},
        Column("Alerts", health.alerts_by_object(), allow_empty="no alert fires"),
        description="What fires now, of the whole cluster. Alertmanager may have silenced it.",
        sort="Severity",
        column_widths={"Severity": 80, "Alert": 240, "Namespace": 110, "Alerts": 60},
        no_value="no alert is firing",
    ),
    stacked_bars(
        "Log lines by level",
        show(lines.log_volume("level"), LEVEL_LEGEND),
        description="Lines in each bar. Silence while pods are ready is a fault, too.",
        colours=level_colours(),
        links=[
            data_link(
                "Lines of this level", "todo-logs", "namespace", level="${__field.labels.level}"
            )
        ],
    ),
    title="Alerts and logs",
)

newest_errors = row(
    logs(
        "Newest errors",
        lines.recent_errors(),
        description="Lines of level error and above.",
        no_value="no error line in this time range",
        allow_empty="nothing fails",
    ),
    logs(
        "Kubernetes events",
        lines.events(),
        description="What Kubernetes reports of the application's objects.",
        no_value="no event in this time range",
        allow_empty="nothing changes",
    ),
    height=9,
)

DASHBOARD = dashboard(
    uid="todo-overview",
    title="Todo overview",
    description="Is the application well, and if not, where do I look?",
    folder=Folder.TODO,
    variables=[namespace_variable(), app_variable(), source_variable()],
    annotations=rollouts_and_alerts(),
    rows=[now, requests, parts, usage, pods, containers, reports, newest_errors],
)
