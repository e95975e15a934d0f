"""The home page: is the application well, and if not, where do I look?"""

from __future__ import annotations

from dashboards_py.layout import row
from dashboards_py.panels import (
    BYTES,
    CORES,
    COUNT,
    REQUESTS_PER_SECOND,
    SHARE,
    Column,
    Folder,
    annotation,
    app_variable,
    bad_from,
    dashboard,
    gauge,
    good_from,
    level_colours,
    link,
    logs,
    namespace_variable,
    show,
    source_variable,
    stat,
    state_timeline,
    states,
    table,
    timeseries,
)
from dashboards_py.queries import health, lines, traffic, workloads

NO_POD = "no pod found"

# Numbers that one scrape is enough for: nothing here needs a rate.
now = row(
    stat(
        "Probes",
        show(health.probes_up(), "{{job}}"),
        description="Whether frontend, backend and Grafana answer from inside the cluster.",
        unit=COUNT,
        width=6,
        mappings=states(one="up", zero="down"),
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
        width=6,
    ),
    stat(
        "Alerts firing",
        show(health.alerts_firing(), "alerts"),
        description="Of any severity. 0 only while the Watchdog, which always fires, is seen.",
        unit=COUNT,
        width=3,
        thresholds=bad_from(warning=1),
    ),
    stat(
        "Restarts so far",
        show(workloads.restarts_so_far(), "restarts"),
        description="Of the containers of the pods that exist now, since they were created.",
        unit=COUNT,
        width=3,
        thresholds=bad_from(warning=1),
        no_value=NO_POD,
    ),
    stat(
        "Memory in use",
        show(workloads.memory_in_use(), "memory"),
        description="Working set of all containers of the application.",
        unit=BYTES,
        width=3,
    ),
    gauge(
        "CPU requested",
        show(workloads.requested_of_capacity("cpu"), "CPU"),
        description="Share of the cluster's allocatable CPU that pods of all namespaces request. "
        "At 100% no further pod is scheduled, however idle the nodes are.",
        width=3,
        thresholds=bad_from(warning=0.85, critical=0.95),
    ),
    height=5,
)

requests = row(
    timeseries(
        "Request rate by app",
        show(traffic.request_rate("app"), "{{app}}"),
        description="Mean of five minutes. Kubernetes' own probes are not counted.",
        unit=REQUESTS_PER_SECOND,
    ),
    timeseries(
        "Request rate by route",
        show(traffic.request_rate("app", "method", "route"), "{{app}} {{method}} {{route}}"),
        description="Mean of five minutes. Identifiers in paths are replaced by their name.",
        unit=REQUESTS_PER_SECOND,
    ),
    timeseries(
        "Server errors",
        show(traffic.error_ratio(), "{{app}}"),
        description="Share of requests answered with 5xx. Nothing is drawn without requests.",
        unit=SHARE,
        thresholds=bad_from(warning=0.01, critical=0.05),
        links=[
            link(
                "Error lines of ${__field.labels.app}",
                "todo-logs",
                app="${__field.labels.app}",
                level="error",
            )
        ],
    ),
    title="Requests",
)

usage = row(
    timeseries(
        "CPU by pod",
        show(workloads.cpu_by_pod(), "{{pod}}"),
        description="Cores in use, sidecars included; absolute, as a pod may have no limit.",
        unit=CORES,
    ),
    timeseries(
        "Memory by pod",
        show(workloads.memory_by_pod(), "{{pod}}"),
        description="Working set, sidecars included; absolute, as a pod may have no limit.",
        unit=BYTES,
    ),
    timeseries(
        "Memory against limit",
        show(workloads.memory_of_limit(), "{{pod}} {{container}}"),
        description="A container is killed at 100%. Only containers with a limit are drawn.",
        unit=SHARE,
        maximum=1,
        thresholds=bad_from(warning=0.8, critical=0.9),
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
        width=7,
        no_value=NO_POD,
    ),
    table(
        "Containers",
        {"pod": "Pod", "container": "Container", "waiting": "Waiting for", "ended": "Ended by"},
        Column(
            "Ready",
            workloads.containers_ready(),
            mappings=states(one="yes", zero="no"),
            thresholds=good_from(1),
            paint=True,
        ),
        Column(
            "Restarts", workloads.container_restarts(), thresholds=bad_from(warning=1), paint=True
        ),
        Column("Memory", workloads.container_memory(), unit=BYTES),
        Column("Limit", workloads.container_memory_limit(), unit=BYTES, empty="none"),
        Column("", workloads.waiting_reasons()),
        Column("", workloads.last_end_reasons()),
        description="Why a container waits, and why it ended last.",
        sort="Restarts",
        links=[link("Log lines of this pod", "todo-logs", pod="${__value.raw}")],
        width=17,
        column_widths={"Pod": 320},
        no_value=NO_POD,
    ),
    title="Pod status",
)

reports = row(
    table(
        "Alerts",
        {"severity": "Severity", "alertname": "Alert", "namespace": "Namespace", "pod": "Pod"},
        Column("Alerts", health.alerts_by_object()),
        description="What fires now, of the whole cluster. Alertmanager may have silenced it.",
        sort="Severity",
        no_value="no alert is firing",
    ),
    timeseries(
        "Log lines by level",
        show(lines.log_volume("level"), "{{level}}"),
        description="Lines in each bar. Silence while pods are ready is a fault, too.",
        unit=COUNT,
        bars=True,
        colours=level_colours(),
        links=[link("Lines of this level", "todo-logs", level="${__field.labels.level}")],
    ),
    title="Alerts and logs",
)

newest_errors = row(
    logs(
        "Newest errors",
        lines.recent_errors(),
        description="Lines of level error and above.",
        no_value="no error line in this time range",
    ),
    logs(
        "Kubernetes events",
        lines.events(),
        description="What Kubernetes reports of the application's objects.",
        no_value="no event in this time range",
    ),
    height=9,
)

DASHBOARD = dashboard(
    uid="todo-overview",
    title="Todo overview",
    description="Is the application well, and if not, where do I look?",
    folder=Folder.TODO,
    variables=[namespace_variable(), app_variable(), source_variable()],
    annotations=[annotation("Rollouts", workloads.rollouts(), "{{deployment}} changed", "blue")],
    rows=[now, requests, usage, pods, reports, newest_errors],
)
