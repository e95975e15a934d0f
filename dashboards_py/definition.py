"""What a module in `dashboards_py.dashboards` defines: a dashboard and its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum

import attrs

from dashboards_py import grafana
from dashboards_py.layout import DashboardRow, place
from dashboards_py.variables import cluster_variable

# On every dashboard, so that the menu at the top of each lists them all.
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
    fixed: Mapping[str, str] | None = None,
    annotations: Sequence[grafana.Annotation] = (),
) -> Definition:
    """Put a dashboard together.

    Args:
        uid: Part of the address, and the name of the module with hyphens; never change it.
        title: As listed in Grafana.
        description: The question that the dashboard answers.
        folder: Where Grafana lists it.
        rows: From the top to the bottom.
        variables: Beside `cluster`, which comes first. A variable comes after those that its own
            query reads. Each narrows most panels of the page: one that moves a few only would
            mislead.
        fixed: Variables that queries of this page name and its readers cannot choose: what stands
            for each.
        annotations: Marked on all graphs.
    """
    board = grafana.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=[TAG],
        link_tags=[TAG],
        panels=place([_with_fixed(row, fixed or {}) for row in rows]),
        variables=[cluster_variable(), *variables],
        annotations=[attrs.evolve(a, expr=_replaced(a.expr, fixed or {})) for a in annotations],
    )
    return Definition(folder, board)


def _with_fixed(row: DashboardRow, fixed: Mapping[str, str]) -> DashboardRow:
    panels = (
        attrs.evolve(p, targets=[attrs.evolve(t, expr=_replaced(t.expr, fixed)) for t in p.targets])
        for p in row.panels
    )
    return attrs.evolve(row, panels=tuple(panels))


def _replaced(expr: str, fixed: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: fixed.get(found[1], found[0]), expr)
