"""The result of one check of the preflight."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """The status of a check, as it is printed."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class CheckResult:
    """The status of a check, and why.

    Attributes:
        status: Only `missing` fails the preflight.
        text: What was found and what is needed.
        fix: What to do; empty where there is nothing to do.
    """

    status: CheckStatus
    text: str
    fix: str = ""


def ok(text: str) -> CheckResult:
    """Return a result that asks for nothing."""
    return CheckResult(CheckStatus.OK, text)


def warning(text: str, fix: str) -> CheckResult:
    """Return what an install can live with."""
    return CheckResult(CheckStatus.WARNING, text, fix)


def missing(text: str, fix: str) -> CheckResult:
    """Return what an install would fail for, or what could not be checked."""
    return CheckResult(CheckStatus.MISSING, text, fix)
