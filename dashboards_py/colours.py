"""Thresholds, value mappings, and the colours of series that have the same name everywhere."""

from __future__ import annotations

from itertools import cycle

from dashboards_py import alerts
from dashboards_py.grafana import Threshold
from scripts.core.yamlfile import Json

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"
# Of series that mean neither well nor ill, in the order in which a panel needs them: none is red,
# orange or yellow, and all can be told apart in both themes.
CALM = ("blue", "purple", "light-green", "super-light-blue", "super-light-purple", "dark-green")

NEUTRAL = (Threshold(BLUE),)

# A line whose level Alloy did not recognise has no label `level`. The word behind the label keeps
# the name of its series from being empty.
LEVEL_LEGEND = "{{level}} lines"


def bad_from(*, warning: float | None = None, critical: float | None = None) -> list[Threshold]:
    """Return thresholds for a value that should be small: green, then orange, then red."""
    steps = [(ORANGE, warning), (RED, critical)]
    return [Threshold(GREEN)] + [Threshold(c, value) for c, value in steps if value is not None]


def good_from(value: float) -> list[Threshold]:
    """Return thresholds for a value that should be large: red, then green from `value` on."""
    return [Threshold(RED), Threshold(GREEN, value)]


def bad_below(*, warning: float, critical: float) -> list[Threshold]:
    """Return thresholds for a value that should be large: red below `critical`, then orange, green.

    Args:
        warning: Green from here on.
        critical: Orange from here on.
    """
    return [Threshold(RED), Threshold(ORANGE, critical), Threshold(GREEN, warning)]


# Of the slowest twentieth of requests, in seconds: a chat waits for a language model.
SLOW = bad_from(warning=5, critical=10)
# Of the events that a consumer has not processed.
BACKLOG = bad_from(warning=20, critical=100)


def states(*, one: str, zero: str) -> list[Json]:
    """Return value mappings of a value that is 1 when all is well: 1 is green, 0 is red."""
    return _mappings(one, GREEN, zero, RED)


def faults(*, one: str, zero: str) -> list[Json]:
    """Return value mappings of a value that is 1 for a fault: 1 is red, 0 is green."""
    return _mappings(one, RED, zero, GREEN)


def _mappings(one: str, one_colour: str, zero: str, zero_colour: str) -> list[Json]:
    options = {
        "0": {"color": zero_colour, "index": 1, "text": zero},
        "1": {"color": one_colour, "index": 0, "text": one},
    }
    return [{"type": "value", "options": options}]


def level_colours() -> dict[str, str]:
    """Return a colour for each series of a graph whose legend is LEVEL_LEGEND."""
    levels = {"fatal": "dark-red", "error": RED, "warn": ORANGE, "info": GREEN, "debug": BLUE}
    return {f"{level} lines": colour for level, colour in levels.items()}


def objective_colours() -> dict[str, str]:
    """Return a colour for each objective, none of which means that it is missed."""
    return dict(zip(alerts.objectives(), cycle(CALM), strict=False))


def status_colours() -> dict[str, str]:
    """Return a colour for each class of HTTP status."""
    return {"2xx": GREEN, "3xx": BLUE, "4xx": ORANGE, "5xx": RED}


def outcome_colours() -> dict[str, str]:
    """Return a colour for each outcome of an event, a job or a call to a model."""
    good, bad = ("success", "triggered", "answered"), ("drop", "failed")
    doubtful = ("retry", "undelivered", "limited")
    colours = ((good, GREEN), (doubtful, ORANGE), (bad, RED))
    return {name: colour for names, colour in colours for name in names}
