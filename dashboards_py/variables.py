"""The variables at the top of dashboards."""

from __future__ import annotations

from dashboards_py import grafana, logql, metrics, namespaces
from dashboards_py.promql import Series
from dashboards_py.query import CLUSTER, check_labels, regex
from scripts.core.yamlfile import Json

# What "All" stands for.
EVERY_APP = ".+"


def cluster_variable() -> grafana.Variable:
    """Return variable `cluster`, which every dashboard has: those that Thanos has metrics of.

    Without Thanos nothing has the label, and "All" is the only choice.
    """
    return grafana.Variable(
        name=CLUSTER,
        label="Cluster",
        description="Clusters whose metrics Thanos has; without it, all is of one. Numbers without "
        "a name, and log lines, are added up over those that are chosen.",
        kind="query",
        # `Series.selector` would ask for what is chosen here.
        query=_label_values(f'{metrics.NODE_INFO.name}{{job="kube-state-metrics"}}', CLUSTER),
        datasource=grafana.PROMETHEUS,
        all_value=".*",
    )


def namespace_variable() -> grafana.Variable:
    """Return variable `namespace`: "All" are the application's namespaces, known without a query.

    So panels that read Loki work while Prometheus is down.
    """
    own = namespaces.application()
    series = metrics.POD_INFO(namespace=regex(own))
    return grafana.Variable(
        name="namespace",
        label="Namespace",
        description="Namespaces of the application (NAMESPACES in base/application).",
        kind="query",
        query=_values_of(series, "namespace"),
        datasource=grafana.PROMETHEUS,
        all_value=own,
    )


def any_namespace_variable() -> grafana.Variable:
    """Return variable `namespace` of a dashboard of the whole cluster: those that have pods."""
    return grafana.Variable(
        name="namespace",
        label="Namespace",
        description="Namespaces of the cluster that have pods.",
        kind="query",
        query=_values_of(metrics.POD_INFO(), "namespace"),
        datasource=grafana.PROMETHEUS,
        all_value=".+",
    )


def node_variable() -> grafana.Variable:
    """Return variable `node`."""
    return grafana.Variable(
        name="node",
        label="Node",
        description="Nodes of the cluster; pods that wait for one are on none of them.",
        kind="query",
        query=_values_of(metrics.NODE_INFO(), "node"),
        datasource=grafana.PROMETHEUS,
        all_value=".+",
    )


def app_variable() -> grafana.Variable:
    """Return variable `app`: those that wrote a log line in the time range."""
    return _log_label("app", "App", "Narrows requests and logs: apps that wrote a line.", EVERY_APP)


def level_variable() -> grafana.Variable:
    """Return variable `level`: the levels seen in the time range."""
    # .* matches a line without the label, too: one whose level Alloy did not recognise.
    return _log_label("level", "Level", "Levels of log lines.", ".*")


def slo_variable() -> grafana.Variable:
    """Return variable `slo`: the objectives that rules record."""
    return grafana.Variable(
        name="slo",
        label="Objective",
        description="Service level objectives (base/config/slos).",
        kind="query",
        query=_values_of(metrics.SLO_OBJECTIVE(), "sloth_slo"),
        datasource=grafana.PROMETHEUS,
        all_value=".+",
    )


def source_variable() -> grafana.Variable:
    """Return variable `source`, with one value: sources count the same requests."""
    options = ("access_log", "dapr", "ingress_nginx", "traefik")
    return grafana.Variable(
        name="source",
        label="Requests from",
        description="Who counted the requests. Dapr does not see what browsers send directly.",
        kind="custom",
        query=",".join(options),
        options=options,
        default=options[0],
    )


def text_variable(name: str, label: str, description: str, default: str = "") -> grafana.Variable:
    """Return a variable of type "Text box"."""
    return grafana.Variable(
        name=name,
        label=label,
        description=description,
        kind="textbox",
        query=default,
        default=default,
    )


def _values_of(series: Series, label: str) -> Json:
    check_labels(series.metric.name, (label,), series.metric.labels)
    return _label_values(series.selector(), label)


def _label_values(selector: str, label: str) -> Json:
    return {
        # 1: label values.
        "qryType": 1,
        "query": f"label_values({selector}, {label})",
        "refId": "PrometheusVariableQueryEditor-VariableQuery",
    }


def _log_label(name: str, label: str, description: str, all_value: str) -> grafana.Variable:
    stream = logql.stream(regex("$namespace"), container=regex(".+"))
    return grafana.Variable(
        name=name,
        label=label,
        description=description,
        kind="query",
        query={
            "label": name,
            "refId": "LokiVariableQueryEditor-VariableQuery",
            "stream": stream.text,
            # 1: label values.
            "type": 1,
        },
        datasource=grafana.LOKI,
        all_value=all_value,
    )
