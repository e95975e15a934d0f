"""What `base/config` says of alerts and objectives: names, and where each alert leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

from dashboards_py.namespaces import ROOT
from scripts.core.findings import SHAPE_ERRORS, RepositoryError, shape_findings
from scripts.core.yamlfile import Json, load

T = TypeVar("T")

ALERTS, OBJECTIVES = Path("base/config/alerts"), Path("base/config/slos")


@cache
def dashboards() -> dict[str, str]:
    """Return the uid of each alert's dashboard, by the alert's name.

    Raises:
        RepositoryError: For a file that is not made as specifications of alerts and objectives are.
    """
    return dict((*_read(ALERTS, _of_alerts), *_read(OBJECTIVES, _of_objectives)))


@cache
def of_logs() -> tuple[str, ...]:
    """Return the names of the alerts that Loki evaluates, and Prometheus does not know.

    Raises:
        RepositoryError: As of `dashboards`.
    """

    def names(specification: Json) -> list[str]:
        logs = specification.get("datasource") == "loki"
        return [name for name, _ in _of_alerts(specification)] if logs else []

    return tuple(_read(ALERTS, names))


@cache
def objectives() -> tuple[str, ...]:
    """Return the names of the objectives.

    Raises:
        RepositoryError: As of `dashboards`.
    """
    return tuple(
        _read(OBJECTIVES, lambda specification: (s["name"] for s in specification["slos"]))
    )


def _read(folder: Path, found: Callable[[Json], Iterable[T]]) -> list[T]:
    """Return what is found in each specification of a folder."""
    everything: list[T] = []
    for path in sorted((ROOT / folder).glob("*.yaml")):
        try:
            everything += found(load(path, ROOT)[0])
        except SHAPE_ERRORS as error:
            place = path.relative_to(ROOT).as_posix()
            raise RepositoryError(*shape_findings(place, error)) from error
    return everything


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
