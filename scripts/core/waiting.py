"""Waiting: an attempt is repeated until it succeeds, or until its time is over."""

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


def until(attempt: Callable[[], Result], timeout: float, pause: float = PAUSE) -> Result:
    """Return the result of the first attempt that succeeds.

    Args:
        attempt: Raises MissingError to be repeated.
        timeout: Seconds after which no attempt is repeated; one is always made.
        pause: Seconds between two attempts.

    Raises:
        RepositoryError: What the last attempt missed, or at once what no repetition can change.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return attempt()
        except MissingError as missing:
            if time.monotonic() >= deadline:
                after = f"after {timeout:g} s"
                late = (replace(f, message=f"{f.message} ({after})") for f in missing.findings)
                raise RepositoryError(*late) from None
        time.sleep(pause)
