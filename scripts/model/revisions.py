"""Revisions in git: by name, unpacked into a folder, and compared.

Nothing here writes to the user's working tree, index or branches.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.core import git
from scripts.core.findings import Finding, RepositoryError
from scripts.model.images import IMAGES

# What clusters are built from and checked by.
INPUTS = ("base", "clusters", "overlays", IMAGES)
# Names of the main branch; the remote's come first.
MAIN = ("origin/HEAD", "origin/main", "main", "origin/master", "master")
WORKING_TREE = "working tree"


@dataclass(frozen=True)
class Revision:
    """A commit, or the working tree.

    Attributes:
        commit: Its id; empty for the working tree.
        title: As the user named it, with its short id.
    """

    commit: str
    title: str


def base(root: Path, name: str | None, head: Revision) -> Revision:
    """Return the revision to compare with.

    Args:
        root: The repository.
        name: As the user named it; None for the merge base with the main branch.
        head: The revision that is compared.

    Raises:
        RepositoryError: If it does not exist.
    """
    if name:
        return named(root, name)
    for branch in MAIN:
        if (
            git.run(root, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}").returncode
            == 0
        ):
            found = git.run(root, "merge-base", head.commit or "HEAD", branch)
            if found.returncode == 0:
                commit = found.stdout.strip()
                return Revision(commit, f"merge base with {branch} ({_short(root, commit)})")
            text = f"this and {branch} have no commit in common{_shallow(root)}"
            raise RepositoryError(Finding("git", None, text, _deeper(root)))
    text = f"no main branch here: neither of {', '.join(MAIN)}"
    fix = "name what to compare with, as in make diff BASE=<revision>"
    raise RepositoryError(Finding("git", None, text, fix))


def named(root: Path, name: str) -> Revision:
    """Return the commit of this name.

    Raises:
        RepositoryError: If there is none.
    """
    found = git.run(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    if found.returncode:
        text = f"no revision {name}{_shallow(root)}"
        raise RepositoryError(Finding("git", None, text, _deeper(root)))
    commit = found.stdout.strip()
    return Revision(commit, f"{name} ({_short(root, commit)})")


def working_tree(root: Path) -> Revision:
    """Return the working tree.

    Raises:
        RepositoryError: If it is no git repository, or has no commit yet.
    """
    found = git.run(root, "rev-parse", "--verify", "HEAD")
    if found.returncode:
        text = f"git knows no commit here: {_reason(found)}"
        raise RepositoryError(Finding("git", None, text, "run it in a clone of this repository"))
    return Revision("", WORKING_TREE)


def differs(root: Path, before: Revision, after: Revision) -> bool:
    """Say whether any file that clusters are built from or checked by differs.

    Raises:
        RepositoryError: If git cannot compare them.
    """
    return any(differing(root, before, after, INPUTS))


def differing(root: Path, before: Revision, after: Revision, paths: Iterable[str]) -> Iterator[str]:
    """Yield files below these paths that differ between two revisions.

    Raises:
        RepositoryError: If git cannot compare them.
    """
    commits = filter(None, [before.commit, after.commit])
    commands = [("diff", "--name-only", "--no-renames", "--relative", *commits)]
    if not after.commit:
        commands.append(("ls-files", "--others", "--exclude-standard"))
    for command in commands:
        answer = git.run(root, *command, "--", *paths)
        if answer.returncode:
            text = f"git {command[0]} fails: {_reason(answer)}"
            raise RepositoryError(Finding("git", None, text, "run `git fsck`"))
        yield from answer.stdout.splitlines()


def content(root: Path, revision: Revision, path: str) -> str | None:
    """Return a file's text, None where the revision has no such file.

    Raises:
        RepositoryError: If git cannot read it.
        UnicodeDecodeError: If it is not UTF-8.
    """
    if not revision.commit:
        file = root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None
    listed = git.run(root, "ls-tree", "--name-only", revision.commit, "--", path)
    if listed.returncode == 0 and not listed.stdout:
        return None
    # Not `git show`, which may run a program of the user's configuration (textconv).
    blob = git.run(root, "cat-file", "blob", f"{revision.commit}:./{path}")
    if blob.returncode:
        text = f"git cannot read {path} of {revision.title}: {_reason(blob)}"
        raise RepositoryError(Finding("git", None, text, "run `git fetch`, then `git fsck`"))
    return blob.stdout


def unpack(root: Path, revision: Revision, folder: Path) -> Path:
    """Return a folder with the revision's files: written into `folder`, or the working tree.

    Raises:
        RepositoryError: If git cannot read them.
    """
    if not revision.commit:
        return root
    folder.mkdir(parents=True)
    command = ["git", "-C", str(root), "archive", "--format=tar", revision.commit]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as archive:
        unpacked = subprocess.run(
            ["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=False
        )
    if archive.returncode or unpacked.returncode:
        text = f"git cannot read the files of {revision.title}"
        raise RepositoryError(Finding("git", None, text, "run `git fetch`, then `git fsck`"))
    return folder


def _short(root: Path, commit: str) -> str:
    return git.run(root, "rev-parse", "--short", commit).stdout.strip()


def _shallow(root: Path) -> str:
    """Return an explanation that applies to a shallow clone."""
    shallow = git.run(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
    return " in this shallow clone" if shallow else ""


def _deeper(root: Path) -> str:
    if _shallow(root):
        return "run `git fetch --unshallow`; for actions/checkout, set fetch-depth: 0"
    return "run `git fetch`, or name another, as in make diff BASE=<revision>"


def _reason(answer: subprocess.CompletedProcess[str]) -> str:
    return (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
