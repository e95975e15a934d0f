"""Clusters that are mixed up, and replicas that are shown twice, are seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from scripts.grafana import model
from scripts.lab.scale.metrics import clusters, outages
from scripts.lab.scale.metrics.clusters import HUB, MEMBER, Asked
from scripts.lab.scale.metrics.fleet import Fleet, pair
from scripts.servers.api import Api
from scripts.servers.processes import Processes
from scripts.simulation import Day
from tests.programs.thanos_arguments import DECLARED
from tests.programs.tsdb_fixtures import board, panel, small_day

pytestmark = pytest.mark.prove

CHOSEN = 'cluster=~"$cluster|"'
VARIABLE = {
    "name": "cluster",
    "type": "query",
    "query": "label_values(pod_info, cluster)",
    "datasource": {"type": "prometheus", "uid": "prometheus"},
    "includeAll": True,
    "multi": True,
    "allValue": ".*",
    "current": {"value": ["$__all"]},
}


def of(expr: str) -> list[model.DashboardModel]:
    """A dashboard of one query."""
    whole: dict[str, Any] = board(panel("Panel", expr), templating={"list": [VARIABLE]})
    return [model.read(whole, model.datasources())]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Day]:
    """The incident has a series that the healthy day lacks."""
    return {
        HUB: small_day(tmp_path_factory.mktemp("hub")),
        MEMBER: small_day(tmp_path_factory.mktemp("member"), "incident"),
    }


@pytest.fixture(scope="module")
def fleet(days: dict[str, Day]) -> Iterator[Fleet]:
    with Processes() as processes:
        members = [one for name, day in days.items() for one in pair(name, day.tsdb)]
        running = Fleet(processes, DECLARED, members)
        yield running
        running.close()


@pytest.fixture(scope="module")
def frontend(fleet: Fleet) -> Api:
    return fleet.through([f"{HUB}-replica-0", f"{HUB}-replica-1"]).api


@pytest.fixture(scope="module")
def asked(fleet: Fleet, days: dict[str, Day]) -> list[Asked]:
    """As the command asks."""
    return clusters.of(fleet, days)


def found(asked: list[Asked], through: Api, expr: str) -> list[str]:
    _, findings = clusters.compare(asked, through, of(expr))
    return [finding.message for finding in findings]


KEPT_APART = f"sum by (cluster, pod) (rate(cpu_seconds_total{{{CHOSEN}}}[5m]))"
BROKEN = f"sum by (cluster) (broken{{{CHOSEN}}}) or sum by (cluster) (pod_info{{{CHOSEN}}}) + 10"


@pytest.mark.parametrize("expr", [KEPT_APART, BROKEN])
def test_each_cluster_and_all_of_them_are_right(
    asked: list[Asked], frontend: Api, expr: str
) -> None:
    assert found(asked, frontend, expr) == []


def test_a_query_that_does_not_choose_shows_the_other_cluster(
    asked: list[Asked], frontend: Api
) -> None:
    messages = found(asked[:1], frontend, "sum(pod_info)")
    assert messages == [
        f"{HUB}, through Thanos: board: panel 'Panel', query A: {{}} is 4, and not 2: sum(pod_info)"
    ]


def test_clusters_that_are_swapped_are_seen(asked: list[Asked], frontend: Api) -> None:
    hub, member, _ = asked
    swapped = [replace(hub, cluster=MEMBER), replace(member, cluster=HUB)]
    assert len(found(swapped, frontend, BROKEN)) == 2


def test_replicas_that_are_not_told_from_clusters_are_seen(
    asked: list[Asked], fleet: Fleet, frontend: Api
) -> None:
    endpoints = [fleet.thanos.parts["store"]]
    twice = fleet.thanos.query(endpoints, "query-twice", without=["--query.replica-label"])
    messages = found(asked[:1], twice.api, f"sum(pod_info{{{CHOSEN}}})")
    assert messages
    assert "is 4, and not 2" in messages[0]


def test_a_pair_of_which_one_was_away_shows_no_gap(days: dict[str, Day]) -> None:
    day = days[HUB]
    with Processes() as processes:
        fleet = Fleet(processes, DECLARED, outages.members(HUB, day.tsdb, day.at))
        seen, findings = outages.prove(fleet, HUB, of(KEPT_APART), day.at)
        fleet.close()
    assert findings == []
    assert [one.gaps for one in seen] == [1, 0, 0, 0]
