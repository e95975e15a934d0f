"""Budgets: recording rules with the limits of `overlays/<environment>/budget.yaml`.

Dashboards and alerts compare with `todo:budget:limit`, so that each cluster shows its own budget,
and the base depends on no environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError
from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json, load
from scripts.model.budget import FILE
from scripts.rules import prometheus_rule

RECORD = "todo:budget:limit"
NAME = "budget"
# Below the environment's folder.
OUTPUT = Path("config/budget-rules.yaml")
# The same in every environment, so that an environment can be copied.
COMMENT = f"make rules made this of ../{FILE}: change that."
# The limits, as keys of the budget, which are also the values of the label `resource`.
LIMITS = (
    "requests.cpu",
    "requests.memory",
    "series.limit",
    "tier.cpu",
    "tier.memory",
    "tier.storage",
    "tier.bootVolume",
    "volumes.smallest",
)


def render(root: Path) -> dict[Path, str]:
    """Return the text of each environment's rule file, by its path below `root`.

    Raises:
        RepositoryError: For a budget that cannot be read, or a limit that is no quantity.
    """
    files = {}
    for path in sorted(root.glob(f"overlays/*/{FILE}")):
        place = path.relative_to(root)
        rules = [
            {"record": RECORD, "expr": f"vector({_number(value)})", "labels": {"resource": name}}
            for name, value in _limits(load(path, root), place)
        ]
        groups = [{"name": NAME, "rules": rules}]
        files[place.parent / OUTPUT] = prometheus_rule(NAME, groups, COMMENT)
    return files


def _limits(documents: list[Json], place: Path) -> Iterator[tuple[str, float]]:
    """Yield name and value, in base units, of each limit that an environment has."""
    for name in LIMITS:
        value: Json = documents[0] if documents else {}
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            continue
        try:
            yield name, quantity(value)
        except ValueError as error:
            fix = "write a number, or a quantity of Kubernetes such as 600m or 12Gi"
            message = f"{name}: {error}"
            raise RepositoryError(Finding(place.as_posix(), None, message, fix)) from error


def _number(value: float) -> str:
    """Return a number in full: bytes such as 1e+10 are hard to read."""
    return str(int(value)) if value == int(value) else f"{value:.12g}"
