"""Where each alert leads to: the dashboard that `base/config/alerts` or `slos` names for it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dashboards_py.namespaces import ROOT
from scripts.core.findings import SHAPE_ERRORS, RepositoryError, shape_findings
from scripts.core.yamlfile import Json, load

ALERTS, OBJECTIVES = Path("base/config/alerts"), Path("base/config/slos")


@cache
def dashboards() -> dict[str, str]:
    """Return the uid of each alert's dashboard, by the alert's name.

    Raises:
        RepositoryError: For a file that is not made as specifications of alerts and objectives are.
    """
    found: dict[str, str] = {}
    for folder, named in ((ALERTS, _of_alerts), (OBJECTIVES, _of_objectives)):
        for path in sorted((ROOT / folder).glob("*.yaml")):
            try:
                found |= dict(named(load(path, ROOT)[0]))
            except SHAPE_ERRORS as error:
                place = path.relative_to(ROOT).as_posix()
                raise RepositoryError(*shape_findings(place, error)) from error
    return found


def _of_alerts(specification: Json) -> Iterator[tuple[str, str]]:
    for group in specification["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                yield rule["alert"], _uid(rule["dashboard"])


def _of_objectives(specification: Json) -> Iterator[tuple[str, str]]:
    for objective in specification["slos"]:
        alerting = objective["alerting"]
        yield alerting["name"], _uid(alerting["annotations"]["dashboard"])


def _uid(dashboard: str) -> str:
    """Return the uid alone: what stands for its variables is known once the alert fires."""
    return str(dashboard).partition("?")[0]
