"""What `make diff` says of how long data is kept, and in which form."""

from __future__ import annotations

import datetime
import json

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import retention
from scripts.diff.model import Flag
from tests.programs.diff.diff_pairs import cluster, manifest, pair


def configured(limits: Json, *, deletes: bool = True, periods: tuple[Json, ...] = ()) -> Json:
    compactor = f"compactor: {{retention_enabled: {json.dumps(deletes)}}}\n"
    schema = f"schema_config: {json.dumps({'configs': list(periods)})}\n"
    return manifest(
        "ConfigMap", data={"c.yaml": f"{compactor}limits_config: {json.dumps(limits)}\n{schema}"}
    )


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (configured({"retention_period": "7d"}), configured({"retention_period": "168h"}), 0),
        (configured({"retention_period": "7d"}), configured({"retention_period": "6d"}), 1),
        (configured({"retention_period": "0s"}), configured({"retention_period": "6d"}), 1),
        (configured({"retention_period": "7d"}), configured({}), 0),
        (
            configured({"retention_period": "7d"}, deletes=False),
            configured({"retention_period": "7d"}),
            1,
        ),
        (
            configured({"retention_period": "7d"}),
            configured(
                {
                    "retention_period": "7d",
                    "retention_stream": [{"selector": "{a}", "period": "1d"}],
                }
            ),
            1,
        ),
    ],
)
def test_retention(before: Json, after: Json, flags: int) -> None:
    found = list(retention.retention(pair(cluster(before), cluster(after))))
    assert sum(isinstance(one, Flag) for one in found) == flags


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        ({"retention": "30d"}, {"retention": ""}, 1),
        ({"retention": "24h"}, {}, 0),
        ({"retention": "30d", "retentionSize": "9GiB"}, {"retentionSize": "9GiB"}, 0),
        ({"retentionSize": "9GiB"}, {"retentionSize": ""}, 1),
        ({"retention": "30d"}, None, 0),
    ],
)
def test_retention_of_prometheus(before: Json, after: Json | None, flags: int) -> None:
    loki = configured({"retention_period": "7d"})
    one, other = (
        [manifest("Prometheus", spec=spec)] if spec is not None else [] for spec in (before, after)
    )
    found = list(retention.retention(pair(cluster(loki, *one), cluster(loki, *other))))
    assert sum(isinstance(one, Flag) for one in found) == flags


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (["2020-01-01"], ["2020-01-01"], 0),
        (["2020-01-01"], ["2020-01-01", "2030-06-02"], 0),
        (["2020-01-01"], ["2020-01-01", "2030-06-01"], 1),
        (["2020-01-01", "2025-01-01"], ["2020-01-01"], 1),
        # It has not begun, so nothing is stored by it.
        (["2020-01-01", "2030-07-01"], ["2020-01-01"], 0),
    ],
)
def test_periods_of_the_schema(before: list[str], after: list[str], flags: int) -> None:
    one, other = (
        configured({}, periods=tuple({"from": start} for start in side)) for side in (before, after)
    )
    today = datetime.date(2030, 6, 1)
    found = list(retention.schema(pair(cluster(one), cluster(other)), today))
    assert sum(isinstance(one, Flag) for one in found) == flags
