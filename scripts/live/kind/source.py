"""Where a cluster finds this commit: a ref of `origin` that can be read without credentials."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts.core import git
from scripts.core.findings import Finding, RepositoryError

# Seconds that the remote has for an answer.
_TIMEOUT = 60
# ssh://git@host:22/owner/name.git, or git@host:owner/name.git.
_SSH = re.compile(r"(?:ssh://)?[\w.-]+@(?P<host>[\w.-]+)(?::\d+(?=/))?[:/]/?(?P<path>.+)")


class GitSource(NamedTuple):
    """A commit as a cluster reaches it.

    Attributes:
        url: Of the repository, over HTTPS.
        ref: A full name, such as refs/heads/main, or refs/pull/1/merge on GitHub's runners.
        commit: What the ref is at.
    """

    url: str
    ref: str
    commit: str


def of_head(root: Path) -> GitSource:
    """Return where HEAD is found.

    Raises:
        RepositoryError: If `origin` is nowhere that a pod can reach, or HEAD is not pushed.
    """
    commit = _git(root, "rev-parse", "HEAD")
    url = anonymous(_git(root, "remote", "get-url", "origin"))
    lines = [line.split("\t") for line in _git(root, "ls-remote", url, "refs/*").splitlines()]
    # `^{}` marks the commit of an annotated tag, and names no ref.
    refs = [ref for found, ref in lines if found == commit and not ref.endswith("^{}")]
    if not refs:
        text = f"HEAD ({commit[:12]}) is at no ref of {url}, which is what the cluster pulls"
        fix = "push it to any branch; on a runner, start a new run, as the base has moved on"
        raise RepositoryError(Finding("git", None, text, fix))
    return GitSource(
        url, min(refs, key=lambda ref: (not ref.startswith("refs/heads/"), ref)), commit
    )


def anonymous(url: str) -> str:
    """Return a remote's address over HTTPS, without credentials.

    Raises:
        RepositoryError: If it has none. It is not quoted, as it may hold a password.
    """
    if found := _SSH.fullmatch(url):
        return f"https://{found['host']}/{found['path']}"
    parts = urlsplit(url)
    if parts.scheme == "https":
        return f"https://{parts.netloc.rpartition('@')[2]}{parts.path}"
    text = "origin is reached neither over HTTPS nor over SSH, so no pod can pull from it"
    fix = "push to a public repository, and name it by `git remote set-url origin`"
    raise RepositoryError(Finding("git", None, text, fix))


def _git(root: Path, *arguments: str) -> str:
    answer = git.run(root, *arguments, timeout=_TIMEOUT)
    if answer.returncode:
        reason = answer.stderr.strip()[-400:]
        fix = "see git's message; the repository must be readable without credentials"
        raise RepositoryError(Finding(f"git {arguments[0]}", None, reason, fix))
    return answer.stdout.strip()
