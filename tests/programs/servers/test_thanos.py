"""Thanos' parts: their arguments, and what they do with blocks of a pair and of one name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.core.findings import RepositoryError
from scripts.lab.scale.metrics import names
from scripts.lab.scale.metrics.fleet import BUCKET, Fleet, Member, pair
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.model.rendered import REPLICA_LABEL, Cluster
from scripts.servers import thanos
from scripts.servers.processes import Processes
from scripts.simulation import Day
from tests.programs.thanos_arguments import DECLARED
from tests.programs.tsdb_fixtures import small_day

MIXING = [
    "compact",
    "--wait",
    "--compact.enable-vertical-compaction",
    f"--deduplication.replica-label={REPLICA_LABEL}",
]
RULES = [
    {
        "name": "thanos",
        "rules": [
            {"alert": names.ALERT, "expr": "thanos_compact_halted == 1", "for": "5m"},
        ],
    }
]
PODS = "count by (cluster) (pod_info)"


def test_every_value_of_a_flag_is_replaced_and_all_else_kept() -> None:
    rendered = ["query", "--endpoint=a", "--endpoint=b", "--query.auto-downsampling"]
    replaced = {"--endpoint": ["c"], "--http-address": ["d"], "--absent": []}
    assert thanos.with_replaced(rendered, replaced) == [
        "query",
        "--query.auto-downsampling",
        "--endpoint=c",
        "--http-address=d",
    ]


def test_a_cluster_without_thanos_is_told(rendered: list[Cluster]) -> None:
    without = next(c for c in rendered if all(r.name != "thanos" for r in c.sync.releases))
    with pytest.raises(RepositoryError, match="renders no Thanos sidecar, store"):
        thanos.declared(without)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return small_day(tmp_path_factory.mktemp("day"))


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes() as running:
        yield running


def asked(fleet: Fleet, part: thanos.Component, query: str, at: float) -> dict[str, float]:
    data = part.api.get("/api/v1/query", {"query": query, "time": str(at)})["data"]
    return {s["metric"].get("cluster", ""): float(s["value"][1]) for s in data["result"]}


@pytest.mark.prove
def test_a_pair_is_one_and_a_gap_of_one_is_not_seen(processes: Processes, day: Day) -> None:
    gap = Changes(gap=(day.at - 1200, day.at))
    members = [*pair("a", day.tsdb, gap, Changes()), *pair("b", day.tsdb)]
    fleet = Fleet(processes, DECLARED, members)
    store = fleet.thanos.store()
    live = [fleet.sidecars["a-replica-0"], fleet.sidecars["a-replica-1"], store]
    frontend = fleet.thanos.frontend(fleet.thanos.query(live))
    at = day.at - 1
    alone = fleet.prometheus["a-replica-0"]
    own = alone.get("/api/v1/query", {"query": PODS, "time": str(at)})["data"]["result"]
    assert own == []
    assert asked(fleet, frontend, PODS, at) == {"a": 2, "b": 2}
    # Without the label of replicas, each pod is there as often as there are Prometheis.
    twice = fleet.thanos.query(live, "query-twice", without=["--query.replica-label"])
    assert asked(fleet, twice, PODS, at - 1800) == {"a": 4, "b": 4}
    fleet.kill("a-replica-1")
    assert asked(fleet, frontend, PODS, at) == {"a": 2, "b": 2}
    fleet.close()


@pytest.mark.prove
def test_two_clusters_of_one_name_halt_the_compactor_and_an_alert_says_so(
    processes: Processes, day: Day
) -> None:
    fleet = Fleet(processes, DECLARED, names.members(day.tsdb, day.tsdb, "same"))
    compactor = fleet.thanos.compact()
    collision = names.collide(fleet, compactor)
    assert collision.halted
    assert names.check(collision) == []
    names.wait_for_alert(fleet, compactor, RULES, "thanos-compact")
    fleet.close()


@pytest.mark.prove
def test_a_compactor_that_merges_overlapping_blocks_mixes_them_unnoticed(
    processes: Processes, day: Day
) -> None:
    fleet = Fleet(processes, {**DECLARED, "compact": MIXING}, same_names(day.tsdb))
    collision = names.collide(fleet, fleet.thanos.compact())
    assert not collision.halted
    (finding,) = names.check(collision)
    assert "nobody can tell them apart" in finding.message
    fleet.close()


@pytest.mark.prove
def test_clusters_with_names_of_their_own_are_compacted(processes: Processes, day: Day) -> None:
    fleet = Fleet(processes, DECLARED, [Member(name, "replica-0", day.tsdb) for name in "ab"])
    before = thanos.blocks(fleet.storage, BUCKET)
    assert not fleet.thanos.wait_for_compaction(fleet.thanos.compact())
    assert len(before) == 24
    assert len(thanos.blocks(fleet.storage, BUCKET)) < 24
    fleet.close()


def same_names(tsdb: Path) -> list[Member]:
    return names.members(tsdb, tsdb, "same")
