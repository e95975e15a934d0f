"""Data links: what a click on a value opens."""

from __future__ import annotations

from dashboards_py import layout
from dashboards_py.query import CLUSTER
from scripts.core.yamlfile import Json


def data_link(title: str, uid: str, *keep: str, **values: str) -> Json:
    """Link a value to another dashboard, for the same time range and the same clusters.

    Args:
        title: What the link shows, as the menu names it.
        uid: The dashboard that it opens.
        keep: Variables that both dashboards have, and that keep their value.
        values: Variable of that dashboard to value, such as `${__field.labels.app}`.
    """
    kept = "".join(f"&${{{name}:queryparam}}" for name in (CLUSTER, *keep))
    parameters = "".join(f"&var-{name}={value}" for name, value in values.items())
    return {"title": title, "url": f"/d/{uid}?${{__url_time_range}}{kept}{parameters}"}


def panel_link(title: str, uid: str, panel: str, *keep: str) -> Json:
    """Link to one panel of a dashboard, which then fills the screen.

    Args:
        title: What the link shows.
        uid: The dashboard.
        panel: The panel's title.
        keep: Variables that keep their value.
    """
    link = data_link(title, uid, *keep)
    return link | {"url": f"{link['url']}&viewPanel=panel-{layout.panel_id(panel)}"}


def outside_link(title: str, url: str) -> Json:
    """Link to a page that is not Grafana's, in a tab of its own."""
    return {"title": title, "url": url, "targetBlank": True}


# Where the next step is not another number: restarts, memory and CPU of what misbehaves.
PODS_OF_FIELD = data_link(
    "Pods of this namespace", "cluster-capacity", namespace="${__field.labels.namespace}"
)
PODS_OF_ROW = data_link("Pods of this namespace", "cluster-capacity", namespace="${__value.raw}")
PODS = data_link("Its pods", "cluster-capacity", namespace="monitoring")
# Alloy, which reads each node's files, is in a namespace of its own.
NODE_PODS = data_link("Its pods", "cluster-capacity", namespace="monitoring-node")
VOLUMES = panel_link("Which volume", "cluster-capacity", "Volumes")
ALERTS = panel_link("The alerts", "todo-overview", "Firing alerts")
WHO_WRITES = panel_link("Who writes it", "todo-logs", "Lines by app")
