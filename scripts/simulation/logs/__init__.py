"""What the containers write in a day, and what Loki gets of it.

`written` says who writes which lines, how often in each step, and what the counters made from logs
count of them. Lines of one kind differ in ids only, so the real pipeline (`pipeline`) sees each
distinct line once and then lays them out over the day.
"""

from __future__ import annotations

import functools

from scripts.simulation.logs import application, events, platform, requests
from scripts.simulation.logs.lines import LinePlan, Written
from scripts.simulation.model import Array
from scripts.simulation.state import Simulation


@functools.lru_cache(maxsize=4)
def written(sim: Simulation) -> tuple[Written, ...]:
    """Return everything that is written in a day."""
    plan = LinePlan(sim)
    requests.add(plan)
    application.add(plan)
    platform.add(plan)
    events.add(plan)
    return tuple(plan.found)


def truth(sim: Simulation) -> dict[str, Array]:
    """Return what panels on logs must show: `log_lines/<app>`, entries per second of each step."""
    found: dict[str, Array] = {}
    for kind in written(sim):
        if kind.kept:
            key = f"log_lines/{kind.app}"
            found[key] = found.get(key, sim.clock.constant(0)) + kind.total / sim.clock.step
    return found
