"""Which queries may return nothing, as the dashboards' Python says; their JSON does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from dashboards_py import __main__ as definitions
from dashboards_py import grafana
from scripts.grafana import model
from scripts.grafana.model import DashboardModel, Target


def committed() -> list[DashboardModel]:
    """Return the committed dashboards, each query with the reason why it may return nothing.

    Raises:
        RepositoryError: Where a definition does not build or a query has an unknown data source.
    """
    built = definitions.build()
    return [_marked(b, built[b.uid].board) for b in model.committed() if b.uid in built]


def _marked(dashboard: DashboardModel, board: grafana.Dashboard) -> DashboardModel:
    reasons = {
        (p.id, t.refId): t.allow_empty for p in _with_queries(board.panels) for t in p.targets
    }
    of_annotations = {a.name: a.allow_empty for a in board.annotations}

    def marked(panel: int, target: Target) -> Target:
        return replace(target, allow_empty=reasons.get((panel, target.ref), ""))

    return replace(
        dashboard,
        panels=tuple(
            replace(panel, targets=tuple(marked(panel.id, target) for target in panel.targets))
            for panel in dashboard.panels
        ),
        annotations=tuple(
            replace(a, target=replace(a.target, allow_empty=of_annotations.get(a.name, "")))
            for a in dashboard.annotations
        ),
    )


def _with_queries(panels: Iterable[Any]) -> Iterator[grafana.Panel]:
    for panel in panels:
        if isinstance(panel, grafana.RowPanel):
            yield from _with_queries(panel.panels)
        elif isinstance(panel, grafana.Panel):
            yield panel
