"""Waiting for something by asking for it again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

from scripts.servers.http_client import TRANSIENT


def poll(
    missing: Callable[[], str], timeout: float, check: Callable[[], object] = lambda: None
) -> str:
    """Wait until nothing is missing, and return what still is when the timeout is over.

    A server that refuses a request, or does not answer in time, is asked again.

    Args:
        missing: Says what is missing; empty if nothing is.
        timeout: In seconds; what is missing is asked at least once.
        check: Called before each attempt; what it raises ends the wait.
    """
    began = time.monotonic()
    while True:
        check()
        try:
            answer = missing()
        except TRANSIENT as error:
            answer = str(error) or repr(error)
        elapsed = time.monotonic() - began
        if not answer or elapsed > timeout:
            return answer
        # Right to a twentieth: asking is work for the server, on the machine that it runs on.
        time.sleep(min(max(0.1, elapsed / 20), 1.0))
