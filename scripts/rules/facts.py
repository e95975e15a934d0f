"""Values of placeholders in specifications: thresholds and facts of the application."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError
from scripts.core.quantities import duration_text
from scripts.core.yamlfile import Json, line_with, load
from scripts.model.files import INVENTORY

THRESHOLDS = Path("base/config/thresholds.yaml")
# The specifications of rules.
SPECIFICATIONS = ("base/config/alerts/*.yaml", "base/config/slos/*.yaml")
# Facts of the application that every alert's links begin with.
LINKS = frozenset({"GRAFANA_URL", "RUNBOOKS_URL"})
# ${name} or ${name|form}. Prometheus' own templates are {{ $value }}.
PLACEHOLDER = re.compile(r"\$\{(?P<name>\w+)(?:\|(?P<form>\w+))?\}")


@dataclass(frozen=True)
class Facts:
    """Values by name.

    Attributes:
        thresholds: Numbers in base units: ratios from 0 to 1, seconds, bytes, counts.
        application: `data` of the application's inventory.
    """

    thresholds: Mapping[str, float]
    application: Mapping[str, str]

    @classmethod
    def of(cls, root: Path) -> Facts:
        """Read both files.

        Raises:
            RepositoryError: If one is missing, is no YAML, or a threshold is no number.
        """
        numbers = _mapping(root / THRESHOLDS, root)
        data = _mapping(root / INVENTORY, root)["data"]
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                message = f"{name} is {value!r}, no number"
                fix = "write it in its base unit: a ratio, seconds, bytes or a count"
                line = line_with(root / THRESHOLDS, f"{name}:")
                raise RepositoryError(Finding(THRESHOLDS.as_posix(), line, message, fix))
        return cls(numbers, data)

    def with_thresholds(self, **numbers: float) -> Facts:
        """Return a copy with further numbers, such as those of a single specification."""
        return dataclasses.replace(self, thresholds={**self.thresholds, **numbers})

    def fill(self, text: str, path: Path, root: Path) -> str:
        """Return a text of `path` with each placeholder replaced.

        Raises:
            RepositoryError: For a name or a form that is not known, with its line.
        """

        def value(found: re.Match[str]) -> str:
            name, form = found["name"], found["form"]
            if name in self.thresholds and form in FORMS:
                return FORMS[form](self.thresholds[name])
            if name in self.application and not form:
                return self.application[name]
            known = sorted({*self.thresholds, *self.application})
            message = f"{found[0]} is not known"
            fix = f"add it to {THRESHOLDS}, or use one of {', '.join(known)}"
            if form not in FORMS:
                fix = f"use one of the forms {', '.join(filter(None, FORMS))}"
            line = line_with(path, found[0])
            raise RepositoryError(Finding(path.relative_to(root).as_posix(), line, message, fix))

        return PLACEHOLDER.sub(value, text)

    def runbook(self, alert: str) -> str:
        """Return the address of an alert's runbook."""
        return f"{self.application['RUNBOOKS_URL'].rstrip('/')}/{alert}.md"

    def dashboard(self, path: str) -> str:
        """Return the address of a dashboard, given by its uid and perhaps variables."""
        return f"{self.application['GRAFANA_URL'].rstrip('/')}/d/{path}"


def names_used(root: Path) -> Iterator[str]:
    """Yield the name of each fact or threshold that a specification or link uses."""
    yield from LINKS
    for pattern in SPECIFICATIONS:
        for path in root.glob(pattern):
            for found in PLACEHOLDER.finditer(path.read_text(encoding="utf-8")):
                yield found["name"]


def _mapping(path: Path, root: Path) -> dict[str, Json]:
    try:
        (found,) = load(path, root)
        return dict(found)
    except (OSError, TypeError, ValueError) as error:
        place = path.relative_to(root).as_posix()
        message = f"is no file of names and values: {error}"
        raise RepositoryError(Finding(place, None, message, "restore it")) from error


def _number(value: float) -> str:
    return f"{value:g}" if value < 1e6 else str(int(value))


def _percent(value: float) -> str:
    return f"{100 * value:g}%"


FORMS = {None: _number, "percent": _percent, "duration": duration_text}
