"""What a running program says of itself: the samples at its `/metrics`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scripts.servers.api import Api

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
_SAMPLE = re.compile(
    r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    """A sample: its metric, its labels as they are written, its value."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(api: Api) -> Iterator[Sample]:
    """Yield every sample that a program exposes."""
    for found in _SAMPLE.finditer(api.text("/metrics")):
        labels = dict(_LABEL.findall(found["labels"] or ""))
        yield Sample(found["name"], labels, float(found["value"]))


def total(api: Api, name: str, **labels: str) -> float | None:
    """Return the sum of a metric over all series with these labels; None without any."""
    found = [
        sample.value
        for sample in samples(api)
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None
