"""What a module in `dashboards_py.dashboards` defines: a dashboard and its folder."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import attrs

from dashboards_py import grafana
from dashboards_py.layout import DashboardRow, place

# On every dashboard, so that the links at the top of each list them all.
TAG = "todo-monitoring"


class Folder(Enum):
    """A folder of Grafana; each is one ConfigMap in `base/dashboards/kustomization.yaml`."""

    TODO = "grafana-dashboards-todo"
    PLATFORM = "grafana-dashboards-platform"


@attrs.frozen
class Definition:
    """A dashboard and the folder that it belongs in."""

    folder: Folder
    board: grafana.Dashboard


def dashboard(
    *,
    uid: str,
    title: str,
    description: str,
    folder: Folder,
    rows: Sequence[DashboardRow],
    variables: Sequence[grafana.Variable],
    annotations: Sequence[grafana.Annotation] = (),
) -> Definition:
    """Put a dashboard together.

    Args:
        uid: Part of the address, and the name of the module with hyphens; never change it.
        title: As listed in Grafana.
        description: The question that the dashboard answers.
        folder: Where Grafana lists it.
        rows: From the top to the bottom.
        variables: A variable comes after those that its own query reads.
        annotations: Marked on all graphs.
    """
    board = grafana.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=[TAG],
        link_tags=[TAG],
        panels=place(rows),
        variables=variables,
        annotations=annotations,
    )
    return Definition(folder, board)
