"""Running the user's kubectl, and its errors."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from scripts.core import programs
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json

INSTALL = "install it: https://kubernetes.io/docs/tasks/tools/"
# Seconds to read a kubeconfig.
CONFIG_TIMEOUT = 30
FORBIDDEN = "Error from server (Forbidden)"
# The error for a kind whose CRD is not installed.
UNKNOWN_KIND = "the server doesn't have a resource type"


class ForbiddenError(RepositoryError):
    """The API server does not let this user do something."""


class UnknownKindError(RepositoryError):
    """The API server has no such kind of object."""


@dataclass(frozen=True)
class Kubectl:
    """How kubectl is run, and how its errors are shown.

    Attributes:
        fix: What to do where it fails.
        timeout: Seconds that it may take.
        options: Options of each command, such as the namespace.
        words: How many words of a command an error shows; None for all.
    """

    fix: str
    timeout: float
    options: tuple[str, ...] = ()
    words: int | None = None

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Return the whole command."""
        return ("kubectl", *self.options, *arguments)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end, as `programs.run` does; the caller judges the exit code.

        Raises:
            RepositoryError: If there is no kubectl.
        """
        return programs.run(self.command(*arguments), INSTALL, stdin=stdin, timeout=self.timeout)

    def text(self, *arguments: str) -> str:
        """Return what kubectl prints.

        Raises:
            ForbiddenError: If the user may not do that.
            UnknownKindError: If there is no such kind.
            RepositoryError: If there is no kubectl, or it fails.
        """
        return self._text(arguments)

    def json(self, *arguments: str) -> Json:
        """Return the JSON that kubectl prints; None where it prints nothing.

        Raises:
            RepositoryError: As `text` does, and for an answer that is not JSON.
        """
        answer = self._text(arguments, "--output=json")
        try:
            return json.loads(answer or "null")
        except json.JSONDecodeError as error:
            # Not `from error`, and no excerpt: what could not be parsed may be a Secret.
            text = f"its answer is not JSON at character {error.pos}"
            raise RepositoryError(self.finding(arguments, text)) from None

    def _text(self, arguments: tuple[str, ...], *options: str) -> str:
        answer = self.run(*arguments, *options)
        if answer.returncode:
            kinds = {FORBIDDEN: ForbiddenError, UNKNOWN_KIND: UnknownKindError}
            error = next((kinds[text] for text in kinds if text in answer.stderr), RepositoryError)
            raise error(self.finding(arguments, reason(answer.stderr)))
        return answer.stdout

    def finding(self, arguments: tuple[str, ...], text: str) -> Finding:
        """Return the finding for a command that failed."""
        place = " ".join(("kubectl", *arguments[: self.words]))
        return Finding(place, None, text[:400], self.fix)


def context() -> str:
    """Return the name of the current context; empty in a pod, where there is none.

    Raises:
        RepositoryError: If there is no kubectl, or no answer of it.
    """
    kubectl = Kubectl("check KUBECONFIG", CONFIG_TIMEOUT, words=1)
    arguments = ("config", "current-context")
    answer = kubectl.run(*arguments)
    if answer.returncode == programs.TIMED_OUT:
        raise RepositoryError(kubectl.finding(arguments, answer.stderr))
    return answer.stdout.strip() if not answer.returncode else ""


def reason(text: str) -> str:
    """Return the last line of kubectl's standard error, which says why it failed."""
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it gives no reason"
