"""Service level objectives, error budgets and burn rates, as sloth's rules record them.

An error budget is the share of events that may be bad within 30 days; a burn rate of 1 uses up
exactly that.
"""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Vector
from dashboards_py.queries.matchers import SLO


def budget_left() -> Vector:
    """Share of the error budget that is left of 30 days; below 0 the objective is missed."""
    return _chosen(m.SLO_BUDGET_LEFT(sloth_slo=SLO).value())


def budget_left_everywhere() -> Vector:
    """The same for every objective, whatever variable `slo` is."""
    return _chosen(m.SLO_BUDGET_LEFT().value())


def budget_left_worst() -> Vector:
    """The smallest share of an error budget that is left, with the name of its objective."""
    return budget_left_everywhere().smallest()


def burn_rate_now() -> Vector:
    """Burn rate over the last five minutes."""
    return _chosen(m.SLO_BURN_RATE(sloth_slo=SLO).value())


def burn_rate_everywhere() -> Vector:
    """The same for every objective."""
    return _chosen(m.SLO_BURN_RATE().value())


def burn_rate(window: str) -> Vector:
    """Burn rate over a window such as `1h`."""
    budget = _chosen(m.SLO_BUDGET(sloth_slo=SLO).value())
    return _chosen(m.SLO_ERRORS[window](sloth_slo=SLO).value()).ratio_to(budget)


def errors_everywhere(window: str) -> Vector:
    """Share of events that were bad, over a window such as `1h`, for every objective."""
    return _chosen(m.SLO_ERRORS[window]().value())


def objective_everywhere() -> Vector:
    """Share of events that must be good, for every objective."""
    return _chosen(m.SLO_OBJECTIVE().value())


def _chosen(vector: Vector) -> Vector:
    return vector.max("sloth_slo")
