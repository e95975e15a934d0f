"""The API: its rate, errors, duration and saturation."""

from __future__ import annotations

from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.colours import SLOW, bad_from, status_colours
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.links import data_link, panel_link
from dashboards_py.panels import Column, logs, show, stat, table, timeseries
from dashboards_py.queries import lines, traffic, workloads
from dashboards_py.units import REQUESTS_PER_SECOND, SECONDS, SHARE
from dashboards_py.variables import app_variable, namespace_variable, source_variable

NO_DURATION = "no source here measures durations: the access log has none"
NO_REQUEST = "no request, or not from this source"
NO_LIMIT = "no container has this limit"
NO_REQUESTED = "no container requests any"

ERROR_LINES = data_link(
    "Error lines of ${__field.labels.app}",
    "todo-logs",
    "namespace",
    app="${__field.labels.app}",
    level="error",
)
OBJECTIVE = data_link("What it costs the objective", "todo-slo")
WORST, DURATION = "Routes, failing most first", "Duration, p95"
ROUTES = panel_link("Which route", "todo-api", WORST, "namespace", "app", "source")
DURATIONS = panel_link("Since when", "todo-api", DURATION, "namespace", "app", "source")
PODS = data_link("Pods, nodes, requests and limits", "cluster-capacity", "namespace")

now = row(
    stat(
        "Requests",
        show(traffic.request_rate(), "requests"),
        description="How much is asked of the application? Mean of five minutes, from the source "
        "chosen above.",
        unit=REQUESTS_PER_SECOND,
        links=[ROUTES],
        no_value=NO_REQUEST,
    ),
    stat(
        "Failing",
        show(traffic.server_error_share(), "5xx", bad_from(warning=0.01, critical=0.05)),
        show(traffic.client_error_share(), "4xx", bad_from(warning=0.2)),
        description="Which share of requests is refused or fails? 5xx is a fault of the "
        "application; many 4xx are a fault of who calls it, or of a release.",
        unit=SHARE,
        width=6,
        links=[ROUTES, OBJECTIVE],
        no_value=NO_REQUEST,
    ),
    stat(
        "Slowest app, p95",
        show(traffic.duration_p95_worst(), "{{source}}"),
        description="How long do 95% of requests take at most, in the slowest app? By source: the "
        "access log measures none.",
        unit=SECONDS,
        width=6,
        thresholds=SLOW,
        links=[DURATIONS],
        no_value=NO_DURATION,
    ),
    stat(
        "Who counts requests",
        show(traffic.requests_by_source(), "{{source}}"),
        description="Which sources are there? They count the same requests, each those that it "
        "sees: Dapr only calls from sidecar to sidecar, an ingress only what comes from outside. "
        "Choose one above; never add them up.",
        unit=REQUESTS_PER_SECOND,
        width=8,
        links=[
            data_link("Requests from this source", "todo-api", source="${__field.labels.source}")
        ],
        no_value=NO_REQUEST,
    ),
    height=4,
)

rate = row(
    timeseries(
        "Rate by app",
        show(traffic.request_rate("app"), "{{app}}"),
        description="Who is asked? Mean of five minutes. Kubernetes' own probes are not counted.",
        unit=REQUESTS_PER_SECOND,
        links=[
            data_link(
                "Log lines of ${__field.labels.app}",
                "todo-logs",
                "namespace",
                app="${__field.labels.app}",
            )
        ],
        no_value=NO_REQUEST,
    ),
    timeseries(
        "Rate by status class",
        show(traffic.request_rate("status_class"), "{{status_class}}"),
        description="How are requests answered? Mean of five minutes.",
        unit=REQUESTS_PER_SECOND,
        colours=status_colours(),
        links=[ROUTES],
        no_value=NO_REQUEST,
    ),
    timeseries(
        "Rate by route",
        show(traffic.request_rate("method", "route"), "{{method}} {{route}}"),
        description="What is asked for? Identifiers in paths are replaced by their name; a path "
        "outside of the routes in base/application is `other`. An ingress knows its own paths "
        "only, Dapr none.",
        unit=REQUESTS_PER_SECOND,
        links=[ROUTES],
        no_value=NO_REQUEST,
    ),
    title="Rate",
)

errors = row(
    timeseries(
        "Server errors by app",
        show(traffic.error_ratio(), "{{app}}"),
        description="Which app fails? Share of requests answered with 5xx; nothing is drawn "
        "without requests.",
        unit=SHARE,
        thresholds=bad_from(warning=0.01, critical=0.05),
        links=[ERROR_LINES, OBJECTIVE],
        no_value=NO_REQUEST,
    ),
    timeseries(
        "Server errors by route",
        show(traffic.server_error_rate("method", "route"), "{{method}} {{route}}"),
        description="Which route fails? Requests answered with 5xx.",
        unit=REQUESTS_PER_SECOND,
        links=[ROUTES],
        no_value="no server error",
    ),
    timeseries(
        DURATION,
        show(traffic.duration_p95(), "{{app}} · {{source}}"),
        description="How long do 95% of requests take at most? From every source that measures it, "
        "whatever is chosen above: Dapr (calls from sidecar to sidecar) and the ingress "
        "controllers (base/optional). The access log has no durations, so without these nobody "
        "knows how long a person waits.",
        unit=SECONDS,
        links=[ERROR_LINES],
        no_value=NO_DURATION,
    ),
    title="Errors and duration",
)

failing = row(
    table(
        WORST,
        {"app": "App", "method": "Method", "route": "Route"},
        Column(
            "Server errors",
            traffic.server_error_share("app", "method", "route"),
            unit=SHARE,
            thresholds=bad_from(warning=0.01, critical=0.05),
            coloured=True,
        ),
        Column(
            "Client errors",
            traffic.client_error_share("app", "method", "route"),
            unit=SHARE,
            thresholds=bad_from(warning=0.2),
        ),
        Column(
            "Requests", traffic.request_rate("app", "method", "route"), unit=REQUESTS_PER_SECOND
        ),
        description="Which route fails most, and is it much? Shares of the last five minutes; a "
        "route that nobody asks for has none.",
        sort="Server errors",
        width=24,
        column_widths={"Method": 90},
        links=[
            data_link(
                "Error lines of this app",
                "todo-logs",
                "namespace",
                app="${__value.raw}",
                level="error",
            )
        ],
        no_value=NO_REQUEST,
    ),
    logs(
        "Newest errors",
        lines.recent_errors(),
        description="What does the application say of it? Lines of level error and above.",
        empty="no error line in this time range",
        allow_empty="nothing fails",
    ),
    height=8,
    title="Why not: routes and errors",
)

saturation = row(
    timeseries(
        "CPU against request",
        show(workloads.use_of_request("cpu"), "{{container}}"),
        description="Does it get by on what the scheduler set aside? Worst pod of each container; "
        "above 100% it depends on what its neighbours leave, which is well while they leave it.",
        unit=SHARE,
        width=12,
        links=[PODS],
        no_value=NO_REQUESTED,
    ),
    timeseries(
        "CPU against limit",
        show(workloads.use_of_limit("cpu"), "{{container}}"),
        description="How close is it to being held back? Worst pod of each container. Only "
        "containers with a limit are drawn.",
        unit=SHARE,
        width=12,
        thresholds=bad_from(warning=0.8, critical=0.95),
        links=[PODS],
        no_value=NO_LIMIT,
    ),
    timeseries(
        "CPU throttled",
        show(workloads.throttled(), "{{container}}"),
        description="Is it held back? Share of 100 ms periods in which the worst pod of each "
        "container used up its limit and had to wait. Slow answers with idle nodes come from here.",
        unit=SHARE,
        width=12,
        maximum=1,
        thresholds=bad_from(warning=0.25, critical=0.5),
        links=[PODS],
        no_value=NO_LIMIT,
    ),
    timeseries(
        "Memory against limit",
        show(workloads.use_of_limit("memory"), "{{container}}"),
        description="How close is it to being killed? Worst pod of each container; at 100% it is.",
        unit=SHARE,
        width=12,
        maximum=1,
        thresholds=bad_from(warning=0.8, critical=0.9),
        links=[PODS],
        no_value=NO_LIMIT,
    ),
    height=6,
    title="Why not: saturation",
)

DASHBOARD = dashboard(
    uid="todo-api",
    title="Todo API",
    description="Does the API answer, rightly and in time, and if not, which route and why?",
    folder=Folder.TODO,
    variables=[namespace_variable(), app_variable(), source_variable()],
    annotations=rollouts_and_alerts(),
    rows=[now, rate, errors, failing, saturation],
)
