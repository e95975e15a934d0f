"""Several Lokis: what they keep by themselves, and for how long that matters."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import pytest
import yaml

from scripts.checks.rendered import loki
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import Edit, edited, named, pod

TODAY = datetime.datetime.now(datetime.UTC).date()
WEEK = 7


def configured(change: Edit) -> Edit:
    def edit(manifest: Json) -> None:
        (key,) = manifest["data"]
        config = yaml.safe_load(manifest["data"][key])
        change(config)
        manifest["data"][key] = yaml.safe_dump(config)

    return edit


def periods(*found: tuple[int, str]) -> Edit:
    """Periods of the schema, by how many days from now they begin and where they are."""
    configs = [{"from": str(day(since)), "object_store": store} for since, store in found]
    return lambda config: config["schema_config"].update(configs=configs)


def day(distance: int) -> datetime.date:
    return TODAY + datetime.timedelta(days=distance)


def several(cluster: Cluster, change: Edit, count: int = 3) -> Cluster:
    """As many Lokis, with this change of their configuration."""
    more = edited(cluster, "StatefulSet", "loki", lambda m: m["spec"].update(replicas=count))
    return edited(more, "ConfigMap", "loki", configured(change))


@pytest.mark.parametrize(
    ("found", "until"),
    [
        # The base keeps lines for a week.
        ([(-90, "filesystem"), (-3, "s3")], day(-3 + WEEK)),
        ([(-90, "filesystem"), (30, "s3")], day(30 + WEEK)),
        ([(-90, "s3"), (-60, "filesystem"), (-1, "s3")], day(-1 + WEEK)),
    ],
)
def test_lines_on_a_volume_are_missed_until_they_are_old(
    rendered: list[Cluster], found: Sequence[tuple[int, str]], until: datetime.date
) -> None:
    (finding,) = loki.periods_reached(several(named(rendered), periods(*found)))
    assert "is on a volume, of which each of 3 pods has one: queries miss lines" in finding.message
    assert finding.fix.startswith(f"run one until {until}, ")


def test_lines_on_a_volume_for_ever(rendered: list[Cluster]) -> None:
    only = several(named(rendered), periods((-90, "filesystem")))
    (finding,) = loki.periods_reached(only)
    assert finding.fix.startswith("run one, or take in")

    def kept(config: Json) -> None:
        periods((-90, "filesystem"), (-30, "s3"))(config)
        config["limits_config"]["retention_period"] = "0s"

    (finding,) = loki.periods_reached(several(named(rendered), kept))
    assert finding.fix.startswith("run one, or take in")


@pytest.mark.parametrize(
    "found",
    [
        [(-90, "s3")],
        [(-90, "filesystem"), (-WEEK, "s3")],
        [(-90, "filesystem"), (-60, "s3")],
    ],
)
def test_lines_that_every_loki_reads(
    rendered: list[Cluster], found: Sequence[tuple[int, str]]
) -> None:
    assert list(loki.periods_reached(several(named(rendered), periods(*found)))) == []


def test_one_loki_reads_its_volume(rendered: list[Cluster]) -> None:
    one = several(named(rendered), periods((-90, "filesystem"), (30, "s3")), count=1)
    assert list(loki.periods_reached(one)) == []


def test_a_log_that_ends_with_its_pod(rendered: list[Cluster]) -> None:
    scaled = named(rendered, "options/scale/flux")
    assert list(loki.survives_one(scaled)) == []

    def emptied(manifest: Json) -> None:
        (claim,) = manifest["spec"].pop("volumeClaimTemplates")
        volume = {"name": claim["metadata"]["name"], "emptyDir": {}}
        pod(manifest)["volumes"].append(volume)

    (finding,) = loki.survives_one(edited(scaled, "StatefulSet", "loki", emptied))
    assert "keeps its write-ahead log in the pod" in finding.message
