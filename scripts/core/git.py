"""Running git: without changes to the user's index and without prompts for passwords."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from scripts.core import programs
from scripts.core.findings import Finding, RepositoryError

_SETTINGS = (
    # File names are not quoted.
    "core.quotePath=false",
    # Remotes may be folders.
    "protocol.file.allow=always",
    # Revisions must be readable without the user's credentials.
    "credential.helper=",
)
_ENVIRONMENT = {
    # Otherwise `git diff` and `git status` refresh the user's index.
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
}
_IDENTITY = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
# For commits in temporary clones: a user's settings, such as signing or hooks, do not apply.
ISOLATED = {**dict.fromkeys(_IDENTITY, "todo-monitoring"), "GIT_CONFIG_GLOBAL": os.devnull}


def run(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run git to its end; the caller judges the exit code.

    Args:
        folder: Where it runs.
        arguments: The subcommand and what follows it.
        environment: Variables in addition to those of this process.
        timeout: In seconds, as of `programs.run`.

    Raises:
        RepositoryError: If there is no git.
    """
    settings = (word for setting in _SETTINGS for word in ("-c", setting))
    return programs.run(
        ("git", *settings, *arguments),
        "install it: https://git-scm.com/downloads",
        folder=folder,
        environment={**_ENVIRONMENT, **(environment or {})},
        timeout=timeout,
    )


def output(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run git and return what it prints, without blanks at the ends.

    Raises:
        RepositoryError: With git's message, if it fails.
    """
    answer = run(folder, *arguments, environment=environment)
    if answer.returncode:
        text = f"git {arguments[0]} fails: {answer.stderr.strip()[-400:]}"
        raise RepositoryError(Finding(str(folder), None, text, "see git's message"))
    return answer.stdout.strip()


def isolated(folder: Path, *arguments: str) -> str:
    """Run git without the user's settings, as in a clone of our own; return what it prints.

    Raises:
        RepositoryError: With git's message, if it fails.
    """
    return output(folder, *arguments, environment=ISOLATED)
