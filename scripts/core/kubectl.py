"""The user's kubectl: run in one way, and what is said where it cannot be."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from scripts.core.findings import Finding, RepositoryError

# Seconds to read a file.
_CONFIG = 30


def run(
    command: tuple[str, ...],
    timeout: int,
    failed: Callable[[str], RepositoryError],
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run kubectl to its end; the caller judges the exit code.

    Args:
        command: All of it.
        timeout: Seconds that it may take.
        failed: Makes an error of a reason.
        stdin: What it reads.

    Raises:
        RepositoryError: If there is no kubectl, or no answer in time.
    """
    try:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError:
        raise absent() from None
    except subprocess.TimeoutExpired:
        raise failed(f"no answer within {timeout} s") from None


def context() -> str:
    """Return the name of the context that kubectl is set to; within a cluster there is none.

    Raises:
        RepositoryError: If there is no kubectl.
    """
    command = ("kubectl", "config", "current-context")
    answer = run(command, _CONFIG, _silent)
    return answer.stdout.strip() if not answer.returncode else ""


def _silent(reason: str) -> RepositoryError:
    return RepositoryError(Finding("kubectl config", None, reason, "check KUBECONFIG"))


def absent() -> RepositoryError:
    """Return the error for a machine without kubectl."""
    fix = "install it: https://kubernetes.io/docs/tasks/tools/"
    return RepositoryError(Finding("kubectl", None, "is not on PATH", fix))


def reason(text: str) -> str:
    """Return the last line that kubectl said, which is its reason."""
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it gives no reason"
