"""Real servers with the small day in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scripts import simulation
from scripts.grafana import evaluation, model
from scripts.grafana.evaluation import OpenedDashboard
from scripts.model.rendered import Cluster
from scripts.servers import monitoring as real
from scripts.servers.monitoring import Servers
from tests.programs.tsdb_fixtures import small_day

CPU = "sum by (namespace, pod) (rate(cpu_seconds_total[$__rate_interval]))"


@pytest.fixture(scope="session")
def options(rendered: list[Cluster]) -> Cluster:
    """The cluster sync with every opt-in."""
    return next(c for c in rendered if c.name == "options/flux")


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> simulation.Day:
    return small_day(tmp_path_factory.mktemp("healthy"))


@pytest.fixture(scope="session")
def running(options: Cluster, day: simulation.Day) -> Iterator[Servers]:
    with real.servers(options, day.tsdb, day.logs) as both:
        yield both


def opened(running: Servers, day: simulation.Day, json: dict[str, Any]) -> OpenedDashboard:
    dashboard = model.read(json, model.datasources())
    return evaluation.open_dashboard(running, dashboard, evaluation.time_range_at(day.at))
