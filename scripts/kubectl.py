"""What is said of the user's kubectl, wherever it is run."""

from __future__ import annotations

from scripts.findings import Finding, RepositoryError


def absent() -> RepositoryError:
    """Return the error for a machine without kubectl."""
    fix = "install it: https://kubernetes.io/docs/tasks/tools/"
    return RepositoryError(Finding("kubectl", None, "is not on PATH", fix))


def reason(text: str) -> str:
    """Return the last line that kubectl said, which is its reason."""
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it gives no reason"
