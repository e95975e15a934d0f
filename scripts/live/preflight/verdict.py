"""What a point of the preflight comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a point stands, as it is printed."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Verdict:
    """How a point stands, and why.

    Attributes:
        state: Only `missing` fails the preflight.
        text: What was found and what is needed.
        fix: What to do; empty where there is nothing to do.
    """

    state: State
    text: str
    fix: str = ""


def ok(text: str) -> Verdict:
    """Return a verdict that asks for nothing."""
    return Verdict(State.OK, text)


def warning(text: str, fix: str) -> Verdict:
    """Return what an install can live with."""
    return Verdict(State.WARNING, text, fix)


def missing(text: str, fix: str) -> Verdict:
    """Return what an install would fail for, or what could not be checked."""
    return Verdict(State.MISSING, text, fix)
