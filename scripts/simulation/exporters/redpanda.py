"""What the broker exposes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.simulation.model import Exposed, cumulative
from scripts.simulation.state import Simulation
from scripts.simulation.traffic import backlog

_PARTITIONS = 3


def redpanda(sim: Simulation) -> Iterator[Exposed]:
    """Yield how many messages wait for each consumer group.

    A group is named as the app whose sidecar consumes, unless its component says otherwise.
    """
    for taken in sim.consumed:
        lag = backlog(sim, taken)
        sent = cumulative(taken.succeeded + taken.dropped) + lag
        lags = []
        for number in range(_PARTITIONS):
            most, waits = (np.floor((n + number) / _PARTITIONS) for n in (sent, lag))
            # Committed offsets only grow, also where the division does not come out even.
            lags.append(most - np.maximum.accumulate(np.maximum(0, most - waits)))
        group = {"redpanda_group": taken.app}
        yield "redpanda_kafka_consumer_group_lag_sum", group, np.sum(lags, axis=0)
        yield "redpanda_kafka_consumer_group_lag_max", group, np.max(lags, axis=0)
