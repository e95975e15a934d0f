"""Real servers with the small day in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scripts.proof import evaluation, model
from scripts.proof import servers as real
from scripts.proof.evaluation import Opened
from scripts.proof.servers import Servers
from scripts.rendered import Cluster
from tests.programs.days import SmallDay, small_day

CPU = "sum by (namespace, pod) (rate(cpu_seconds_total[$__rate_interval]))"


@pytest.fixture(scope="session")
def options(rendered: list[Cluster]) -> Cluster:
    """The entry with every opt-in."""
    return next(c for c in rendered if c.name == "options/flux")


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> SmallDay:
    return small_day(tmp_path_factory.mktemp("healthy"))


@pytest.fixture(scope="session")
def running(options: Cluster, day: SmallDay) -> Iterator[Servers]:
    with real.servers(options, day.tsdb, day.logs) as both:
        yield both


def opened(running: Servers, day: SmallDay, json: dict[str, Any]) -> Opened:
    dashboard = model.read(json, model.datasources())
    return evaluation.open_dashboard(running, dashboard, evaluation.window(day.at))
