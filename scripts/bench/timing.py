"""Wall-clock seconds of some work."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Do some work; return what it returns, and its seconds."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def median(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the median seconds of some work, after one round that warms the caches."""
    work()
    return statistics.median(timed(work)[1] for _ in range(rounds))
