"""Waiting: an attempt is repeated until it succeeds or times out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from scripts.core.findings import RepositoryError

# Seconds between two attempts.
PAUSE = 0.1

Result = TypeVar("Result")


class MissingError(RepositoryError):
    """Something does not exist yet, and may still appear."""


def until(attempt: Callable[[], Result], timeout: float, pause: float = PAUSE) -> Result:
    """Return the result of the first attempt that succeeds.

    Args:
        attempt: Raises MissingError to be repeated.
        timeout: Seconds after which no attempt is repeated; one is always made.
        pause: Seconds between two attempts.

    Raises:
        RepositoryError: The findings of the last attempt, or at once an error of another kind.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return attempt()
        except MissingError as error:
            if time.monotonic() >= deadline:
                after = f"after {timeout:g} s"
                timed_out = (replace(f, message=f"{f.message} ({after})") for f in error.findings)
                raise RepositoryError(*timed_out) from None
        time.sleep(pause)
