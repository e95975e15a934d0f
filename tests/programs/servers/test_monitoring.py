"""Prometheus and Loki run as the charts render them, with the days' data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import simulation
from scripts.core.findings import RepositoryError
from scripts.model.rendered import Cluster
from scripts.servers import monitoring as real
from scripts.servers.api import ApiError
from scripts.servers.monitoring import Servers

pytest_plugins = ("tests.programs.small_day_servers",)
pytestmark = pytest.mark.prove


def test_prometheus_has_taken_every_rule_that_the_charts_render(running: Servers) -> None:
    groups = running.prometheus.get("/api/v1/rules")["data"]["groups"]
    assert sum(len(group["rules"]) for group in groups) > 100


def test_the_day_is_not_written_to(running: Servers, day: simulation.Day) -> None:
    assert {path.name for path in day.tsdb.rglob("*")} <= {
        *(path.name for path in day.tsdb.glob("*")),
        *("chunks", "000001", "index", "meta.json", "tombstones"),
    }


def test_a_rule_that_prometheus_refuses_ends_it_with_its_words(
    options: Cluster, day: simulation.Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"groups": [{"name": "bad", "rules": [{"record": "a:b", "expr": "sum(("}]}]}
    monkeypatch.setattr(real, "rule_files", lambda _: {"bad.yaml": bad})
    with (
        pytest.raises(RepositoryError, match="prometheus ended with 2") as caught,
        real.prometheus(options, day.tsdb),
    ):
        pass
    assert "parse error" in str(caught.value)


def test_servers_end_with_the_block(options: Cluster, day: simulation.Day) -> None:
    with pytest.raises(ZeroDivisionError), real.prometheus(options, day.tsdb) as api:
        raise ZeroDivisionError
    with pytest.raises(ApiError, match="no answer"):
        api.text("/-/ready")


def test_loki_runs_as_rendered_but_for_the_changes_listed(options: Cluster, tmp_path: Path) -> None:
    numbers = {"folder": "f", "http": 1, "grpc": 2, "gossip": 3}
    config = real.loki_config(options, tmp_path, numbers)
    maps = {i.name: i.manifest["data"] for i in options.of("ConfigMap") if i.release == "loki"}
    given = yaml.safe_load(maps["loki"]["config.yaml"])
    listed = {change.key for change in real.LOKI_OVERRIDES}
    differing = {
        key
        for key in _leaves(config).keys() | _leaves(given).keys()
        if _leaves(config).get(key) != _leaves(given).get(key)
        and not any(key == k or key.startswith(f"{k}.") for k in listed)
    }
    moved = {
        key for key, value in _leaves(given).items() if str(value).startswith(("/var", "/etc"))
    }
    assert differing == moved
    assert all(str(_leaves(config)[key]).startswith(str(tmp_path)) for key in moved)
    assert all(change.reason for change in real.LOKI_OVERRIDES)


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        key: leaf
        for name, inner in value.items()
        for key, leaf in _leaves(inner, f"{path}.{name}".lstrip(".")).items()
    }


def test_a_line_that_loki_refuses_is_said(
    running: Servers, day: simulation.Day, tmp_path: Path
) -> None:
    entry = json.loads(day.logs.read_text().splitlines()[0])
    old = {**entry, "timestamp": str(int(entry["timestamp"]) - 30 * 86400 * 10**9)}
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps(old))
    with pytest.raises(RepositoryError, match=r"Loki refuses lines of old\.jsonl"):
        real.push(running.loki, path)


def test_lost_lines_are_counted(running: Servers, day: simulation.Day, tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    entry = json.loads(day.logs.read_text().splitlines()[-1])
    entry["timestamp"] = str(int(entry["timestamp"]) + 7 * 10**9)
    path.write_text("\n".join([json.dumps(entry)] * 2))
    with pytest.raises(RepositoryError, match=r"Loki has 1 of 2 lines"):
        real.push(running.loki, path)
