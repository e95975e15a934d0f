"""Asking again until something is there, or a limit is over."""

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
    """What is not there yet, and may still come."""


def until(attempt: Callable[[], Result], deadline: float, limit: float) -> Result:
    """Return what an attempt returns, the first that misses nothing.

    Args:
        attempt: Raises MissingError where it is to be made again.
        deadline: When to give up, in seconds of `time.monotonic()`; one attempt is always made.
        limit: Seconds that the wait was allowed, for the message.

    Raises:
        RepositoryError: With what the last attempt missed, or at once with what cannot change.
    """
    while True:
        try:
            return attempt()
        except MissingError as missing:
            if time.monotonic() >= deadline:
                after = f"after {limit:g} s"
                late = (replace(f, message=f"{f.message} ({after})") for f in missing.findings)
                raise RepositoryError(*late) from None
        time.sleep(PAUSE)
