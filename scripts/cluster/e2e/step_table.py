"""A table of steps, printed line by line as they are done, and what they found."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from scripts.core.findings import GREEN, RED, Finding, RepositoryError, colour
from scripts.servers.http_client import TRANSIENT


class StepTable:
    """The steps of one cluster.

    Attributes:
        findings: Those of all steps so far.
    """

    def __init__(self, title: str) -> None:
        """Print the head of the table."""
        self.findings: list[Finding] = []
        print(f"\n{title:<62}{'s':>7}", flush=True)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[list[Finding]]:
        """Time a step, which adds what is wrong to the list that it gets.

        Raises:
            RepositoryError: What ended the step, and what was found before.
        """
        found: list[Finding] = []
        began = time.monotonic()
        try:
            yield found
        except (RepositoryError, *TRANSIENT) as error:
            self._print(text, began, colour("failed", RED))
            wrong = [Finding(text, None, str(error) or repr(error), "see what each program said")]
            if isinstance(error, RepositoryError):
                wrong = list(error.findings)
            raise RepositoryError(*self.findings, *wrong) from error
        self._print(text, began, colour("wrong", RED) if found else colour("ok", GREEN))
        self.findings += found

    def _print(self, text: str, began: float, verdict: str) -> None:
        print(f"{text:<62}{time.monotonic() - began:>7.1f}  {verdict}", flush=True)
