"""Helpers for exporters: histograms, and series that are there for a part of the day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from scripts.simulation.model import Array, Exposed, cumulative


def there(mask: Array) -> Array:
    """Return 1 where the mask is set, NaN elsewhere: a series that is there or not."""
    return np.where(mask > 0, 1.0, np.nan)


def ever(series: Iterable[Exposed]) -> Iterator[Exposed]:
    """Yield the series that are exposed at one step of the day at least."""
    return (one for one in series if not np.isnan(one[2]).all())


def once_seen(values: Array) -> Array:
    """Return a counter as a program exposes it that makes the series with its first increment."""
    return np.where(values > 0, values, np.nan)


def histogram(
    name: str,
    labels: Mapping[str, str],
    parts: Sequence[tuple[Array, Array]],
    bounds: Sequence[float],
    spread: float = 0.6,
) -> Iterator[Exposed]:
    """Yield a histogram's series for log-normally distributed observations of several kinds.

    Args:
        name: Without `_bucket`, `_sum`, `_count`.
        labels: Of every series.
        parts: Observations of each kind in each step, and their median in the metric's unit.
        bounds: Upper bounds of the buckets, without +Inf.
        spread: Standard deviation of the observations' logarithm.
    """
    kinds = [(count, np.log(np.maximum(median, 1e-9))) for count, median in parts]
    for bound in bounds:
        below = [c * _normal((np.log(bound) - center) / spread) for c, center in kinds]
        values = np.sum([np.floor(cumulative(part)) for part in below], axis=0)
        yield f"{name}_bucket", {**labels, "le": f"{bound:.12g}"}, values
    total = np.sum([cumulative(count) for count, _ in kinds], axis=0)
    yield f"{name}_bucket", {**labels, "le": "+Inf"}, total
    sums = [cumulative(c * np.exp(center + spread**2 / 2)) for c, center in kinds]
    yield f"{name}_sum", labels, np.sum(sums, axis=0)
    yield f"{name}_count", labels, total


def _normal(deviations: Array) -> Array:
    """Return the normal distribution function, by Abramowitz and Stegun 26.2.17 (error < 1e-7)."""
    x = np.abs(deviations)
    t = 1 / (1 + 0.2316419 * x)
    coefficients = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
    series = sum(c * t ** (n + 1) for n, c in enumerate(coefficients))
    upper = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * series
    below: Array = np.where(deviations > 0, 1 - upper, upper)
    return below
