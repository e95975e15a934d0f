"""Two clusters of one name: the compactor must stop, and the alert that says so must fire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.lab.scale.metrics.fleet import BUCKET, Fleet, Member
from scripts.servers.api import Api
from scripts.servers.monitoring import start_prometheus
from scripts.servers.processes import LOOPBACK
from scripts.servers.thanos import Component, blocks

ALERT = "ThanosCompactHalted"
PLACE = "base/optional/scale/thanos/thanos.yaml"
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Collision:
    """What became of the blocks of two clusters with the same name.

    Attributes:
        halted: Whether the compactor stopped.
        before: Blocks in the bucket before.
        after: Afterwards, without those that are marked for deletion.
    """

    halted: bool
    before: int
    after: int


def members(first: Path, second: Path, name: str) -> list[Member]:
    """Return a Prometheus of each of two clusters that have the same external labels.

    Args:
        first: The TSDB of the one.
        second: Of the other.
        name: Which both have.
    """
    return [
        Member(name, "replica-0", day, called=f"{name}-{number}")
        for number, day in enumerate((first, second))
    ]


def collide(fleet: Fleet, compactor: Component) -> Collision:
    """Let a compactor go through the bucket of `members`."""
    before = len(blocks(fleet.storage, BUCKET))
    halted = fleet.thanos.wait_for_compaction(compactor)
    return Collision(halted, before, len(blocks(fleet.storage, BUCKET)))


def check(collision: Collision) -> list[Finding]:
    """Return a finding where blocks of two clusters were mixed."""
    if collision.halted and collision.after == collision.before:
        return []
    text = (
        f"two clusters of one name: of their {collision.before} blocks the compactor made "
        f"{collision.after}, in which nobody can tell them apart any more"
    )
    return [Finding(PLACE, None, text, "turn its vertical compaction off")]


def wait_for_alert(fleet: Fleet, part: Component, rules: Sequence[Json], job: str) -> None:
    """Wait until the alert of the collision fires.

    Args:
        fleet: What the compactor belongs to.
        part: The compactor.
        rules: The groups that the alert is in; it need not last here.
        job: What its monitor calls it.

    Raises:
        RepositoryError: If it does not.
    """
    name = "prometheus-of-alerts"
    folder = fleet.processes.folder(name)
    target = {"targets": [f"{LOOPBACK}:{part.api.port}"], "labels": {"namespace": "monitoring"}}
    config: dict[str, Json] = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": job, "static_configs": [target]}],
        "rule_files": [str(folder / "rules.yml")],
    }
    (folder / "rules.yml").write_text(_text([_at_once(group) for group in rules]))
    api = Api(start_prometheus(fleet.processes, name, folder / "none", config))
    try:
        fleet.processes.until(name, lambda: _missing(api), _TIMEOUT)
    finally:
        api.close()


def _missing(api: Api) -> str:
    alerts = api.get("/api/v1/alerts")["data"]["alerts"]
    firing = {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}
    return "" if ALERT in firing else f"{ALERT} does not fire, but {sorted(firing)}"


def _at_once(group: Json) -> Json:
    rules = [{k: v for k, v in rule.items() if k != "for"} for rule in group["rules"]]
    return {**group, "interval": "1s", "rules": rules}


def _text(groups: Sequence[Mapping[str, Json]]) -> str:
    return str(yaml.safe_dump({"groups": list(groups)}))
