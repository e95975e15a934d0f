"""Does the monitoring itself work, and if not, which part of it fails?"""

from __future__ import annotations

from dashboards_py import links
from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import RED, bad_from, faults, good_from, states
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.panels import (
    Column,
    gauge,
    show,
    stacked_bars,
    stat,
    state_timeline,
    table,
    timeseries,
)
from dashboards_py.queries import stack
from dashboards_py.rows import stack_logs, stack_metrics
from dashboards_py.rows.public_address import PUBLIC_ADDRESS
from dashboards_py.rows.stack_metrics import SINCE_WHEN, WHICH_TARGET
from dashboards_py.units import (
    BYTES,
    CORES,
    COUNT,
    REQUESTS_PER_SECOND,
    SECONDS,
    SHARE,
)

FULL = bad_from(warning=0.8, critical=0.95)
BEYOND = bad_from(critical=1.01)
NO_ENGINE = "neither Flux nor Argo CD is scraped"
OBJECTS = "Objects in sync"
WHICH_OBJECT = links.panel_link("Which object", "stack-health", OBJECTS)

parts = row(
    stat(
        "Parts of the stack",
        show(stack.parts_up(), "{{part}}"),
        description="Down where one of a part's targets is not scraped. A part that is missing "
        "here was never found: look for its release.",
        unit=COUNT,
        mappings=states(one="up", zero="down"),
        links=[WHICH_TARGET],
    ),
    height=4,
)

now = row(
    stat(
        "Targets",
        show(stack.targets_up(), "up", good_from(1)),
        show(stack.targets_down(), "down", bad_from(critical=1)),
        description="Everything that Prometheus scrapes, the application's sidecars among it.",
        unit=COUNT,
        width=4,
        links=[WHICH_TARGET],
    ),
    gauge(
        "Budgets",
        show(stack.series_of_budget(), "series"),
        show(stack.storage_of_limit(), "storage"),
        description="Series in memory, of series.limit in the environment's budget.yaml: what "
        "Prometheus' memory limit is made for. Storage, of retentionSize: when it is full the "
        "oldest days go before their time.",
        width=6,
        thresholds=FULL,
        links=[links.PODS],
    ),
    stat(
        "Lost in this time range",
        show(stack.rule_failures_in_range(), "rules"),
        show(stack.sample_limit_hits_in_range(), "scrapes"),
        show(stack.notifications_failed_in_range(), "messages"),
        show(stack.lines_lost_in_range(), "log lines"),
        description="Rules that were not evaluated, scrapes that were refused, notifications that "
        "nobody got, log lines that Alloy gave up: each is something that was not seen.",
        unit=COUNT,
        width=9,
        thresholds=bad_from(critical=1),
        links=[SINCE_WHEN],
    ),
    stat(
        "GitOps",
        show(stack.objects_not_ready(), "not in sync"),
        description="Objects of Flux that are not ready, or Applications of Argo CD that are not "
        "synced or not healthy. The table below names them.",
        unit=COUNT,
        width=5,
        thresholds=bad_from(critical=1),
        links=[WHICH_OBJECT],
        no_value=NO_ENGINE,
    ),
    height=4,
)

grafana = row(
    timeseries(
        "Grafana's answers",
        show(stack.grafana_requests(), "{{status_code}}"),
        description="Requests by status. 5xx is a fault of Grafana or of a data source.",
        unit=REQUESTS_PER_SECOND,
    ),
    timeseries(
        "Grafana takes",
        show(stack.grafana_request_duration(), "mean"),
        description="Mean time of an answer, queries among them.",
        unit=SECONDS,
    ),
    timeseries(
        "Queries to data sources",
        show(stack.grafana_queries(), "{{plugin_id}} {{status}}"),
        description="By outcome. Errors: the data source is away, or a query is wrong.",
        unit=REQUESTS_PER_SECOND,
        no_value="nobody has a dashboard open",
    ),
    height=6,
    title="Grafana",
    links=[links.PODS],
)

configuration = row(
    state_timeline(
        "Newest configuration in force",
        show(stack.prometheus_loaded(), "{{pod}}"),
        show(stack.alertmanager_loaded(), "{{pod}}"),
        show(stack.alloy_loaded(), "{{pod}}"),
        show(stack.reloaders_succeeded(), "{{pod}} reloader"),
        description="Red: the newest configuration is wrong, and the one before is still in force.",
        mappings=states(one="in force", zero="refused"),
        links=[WHICH_OBJECT],
    ),
    height=7,
    title="Configuration",
)

components = row(
    timeseries(
        "Alloy's components",
        show(stack.alloy_components(), "{{pod}}"),
        description="Components that are not healthy.",
        unit=COUNT,
        links=[links.NODE_PODS],
        thresholds=bad_from(critical=1),
    ),
    stacked_bars(
        "Prometheus operator",
        show(stack.operator_reconciles(), "reconciled"),
        show(stack.operator_errors(), "failed", colour=RED),
        description="Objects in each bar.",
        links=[links.PODS],
    ),
    timeseries(
        "Refused by the operator",
        show(stack.rejected_resources(), "rules, monitors, probes"),
        description="Objects that it leaves out: what they would have watched is not watched.",
        unit=COUNT,
        links=[WHICH_OBJECT],
        thresholds=bad_from(critical=1),
    ),
    height=7,
)

gitops = row(
    table(
        OBJECTS,
        {
            "kind": "Kind",
            "exported_namespace": "Namespace",
            "name": "Name",
            "state": "Ready",
        },
        Column(
            "State",
            stack.gitops_faults(),
            mappings=faults(one="not in sync", zero="in sync"),
            thresholds=bad_from(critical=1),
            coloured=True,
        ),
        description="Of Flux: its Ready condition. Of Argo CD: whether the Application is synced "
        "and healthy. Those that are not come first.",
        sort="State",
        width=24,
        links_of={"Namespace": [links.PODS_OF_ROW]},
        no_value=NO_ENGINE,
    ),
    timeseries(
        "Reconciling takes",
        show(stack.reconcile_duration(), "{{job}}"),
        description="Mean time for one object. Dots: between them nothing was reconciled.",
        unit=SECONDS,
        no_value=NO_ENGINE,
    ),
    stacked_bars(
        "Reconciling fails",
        show(stack.reconcile_errors(), "{{job}}"),
        description="Objects in each bar.",
        no_value=NO_ENGINE,
    ),
    height=8,
    title="GitOps: Flux or Argo CD",
    links=[WHICH_OBJECT],
)

resources = row(
    gauge(
        "Requests of the budget",
        show(stack.requests_of_budget("cpu"), "CPU"),
        show(stack.requests_of_budget("memory"), "memory"),
        description="What the monitoring's own pods request, of `requests` in the environment's "
        "budget.yaml. Above 100% something runs that is not in Git, or the budget is not kept.",
        width=5,
        thresholds=BEYOND,
        links=[links.PODS],
    ),
    timeseries(
        "Memory against its limit",
        show(stack.memory_of_limit(), "{{namespace}} {{container}}"),
        description="Of each kind of container the worst. It is killed at 100%.",
        unit=SHARE,
        maximum=1,
        thresholds=bad_from(warning=0.8, critical=0.9),
    ),
    timeseries(
        "Memory of the stack",
        show(stack.memory(), "{{namespace}} {{container}}"),
        description="Working set of each kind of container, the GitOps engine's among them.",
        unit=BYTES,
    ),
    timeseries(
        "CPU of the stack",
        show(stack.cpu(), "{{namespace}} {{container}}"),
        description="Cores in use by each kind of container.",
        unit=CORES,
    ),
    height=8,
    title="What the stack itself takes",
    links=[links.PODS_OF_FIELD],
)

restarts = row(
    table(
        "Restarts of the stack",
        {"pod": "Pod", "container": "Container", "namespace": "Namespace"},
        Column("Restarts", stack.restarts(), thresholds=bad_from(warning=1), coloured=True),
        description="In the time range. Each is a gap in what is seen.",
        sort="Restarts",
        links_of={"Namespace": [links.PODS_OF_ROW]},
    ),
    height=8,
)

DASHBOARD = dashboard(
    uid="stack-health",
    title="Stack health",
    description="Does the monitoring itself work, and if not, which part of it fails?",
    folder=Folder.PLATFORM,
    variables=[],
    annotations=rollouts_and_alerts(stack.rollouts()),
    rows=[
        parts,
        now,
        stack_metrics.scrapes,
        stack_metrics.prometheus,
        stack_metrics.alertmanager,
        stack_logs.pipeline,
        stack_logs.loki,
        grafana,
        PUBLIC_ADDRESS,
        configuration,
        components,
        gitops,
        resources,
        restarts,
    ],
)
