"""What the free tier gives, and the stack's share of it: `overlays/oke-free/budget.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import attrs
import yaml

from dashboards_py.application import ROOT
from scripts.budget import quantity
from scripts.findings import Finding, RepositoryError

BUDGET = Path("overlays/oke-free/budget.yaml")


@attrs.frozen
class Budget:
    """Limits of the default environment.

    Attributes:
        cpu: Of all nodes, in cores.
        memory: Of all nodes, in bytes.
        storage: Of all block volumes, those that nodes boot from among them, in bytes.
        boot_volume: Of each node, in bytes.
        smallest_volume: What a smaller one is rounded up to, in bytes.
        series: The most that Prometheus may hold.
    """

    cpu: float
    memory: float
    storage: float
    boot_volume: float
    smallest_volume: float
    series: int


@cache
def free_tier() -> Budget:
    """Return the free tier's limits.

    Raises:
        RepositoryError: Where the file or one of its figures is missing.
    """
    try:
        document = yaml.safe_load((ROOT / BUDGET).read_text(encoding="utf-8"))
        tier = document["tier"]
        return Budget(
            cpu=quantity(tier["cpu"]),
            memory=quantity(tier["memory"]),
            storage=quantity(tier["storage"]),
            boot_volume=quantity(tier["bootVolume"]),
            smallest_volume=quantity(document["volumes"]["smallest"]),
            series=int(document["series"]["limit"]),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        fix = "give it `tier`, `volumes.smallest` and `series.limit`"
        message = f"no usable free tier: {error!r}"
        raise RepositoryError(Finding(BUDGET.as_posix(), None, message, fix)) from error
