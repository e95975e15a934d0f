"""Running a program that the user has installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError

# Exit code of a program that took too long, as `timeout` of GNU coreutils has it.
TIMED_OUT = 124


def absent(name: str, fix: str) -> RepositoryError:
    """Return the error for a program that is not installed."""
    return RepositoryError(Finding(name, None, "is not on PATH", fix))


def run(
    command: Sequence[str],
    install: str,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program; the caller judges the exit code.

    Args:
        command: The program and its arguments.
        install: What to do where the program is missing.
        folder: Where it runs.
        environment: Variables in addition to those of this process.
        stdin: Its standard input.
        timeout: Seconds after which it is ended, with the exit code TIMED_OUT and the reason on
            standard error.

    Raises:
        RepositoryError: If the program is not on PATH.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError:
        raise absent(command[0], install) from None
    except subprocess.TimeoutExpired:
        text = f"no answer within {timeout:g} s"
        return subprocess.CompletedProcess(command, TIMED_OUT, "", text)
