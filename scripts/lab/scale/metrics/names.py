"""Two clusters of one name: what the compactor makes of their blocks, and which alert says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.findings import Finding, progress
from scripts.core.yamlfile import Json
from scripts.lab.scale.metrics.fleet import BUCKET, Fleet, Member
from scripts.servers.api import Api
from scripts.servers.monitoring import start_prometheus
from scripts.servers.processes import LOOPBACK, Processes
from scripts.servers.thanos import REPLICA, Component, blocks

ALERT = "ThanosCompactHalted"
_VERTICAL = ("--compact.enable-vertical-compaction", "--deduplication.replica-label")
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Collision:
    """What became of the blocks of two clusters with the same name.

    Attributes:
        halted: Whether the compactor stopped.
        before: Blocks in the bucket before.
        after: Afterwards, without those that are marked for deletion.
        firing: Whether the alert fires.
    """

    halted: bool
    before: int
    after: int
    firing: bool


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
