"""Copies of a repository that may be changed, and the edits that change them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from scripts.core import git
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load

# What engines are given, clusters are judged by, and checks read besides.
PARTS = ("base", "clusters", "overlays", "tests/options")
FILES = (".sourceignore", "scripts/images.yaml")


def copied(root: Path, folder: Path) -> Path:
    """Copy the tree at root into a folder; return the folder."""
    for part in PARTS:
        shutil.copytree(root / part, folder / part)
    for file in FILES:
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(root / file, folder / file)
    return folder


def multiply(root: Path, folder: Path, copies: int) -> Path:
    """Copy the tree, then one cluster and its overlay, so that there are N of each."""
    copied(root, folder)
    for kind in ("clusters", "overlays"):
        # The last is the one that tests/options builds on.
        *others, first = sorted(path for path in (folder / kind).iterdir() if path.is_dir())
        for other in others:
            shutil.rmtree(other)
        for number in range(1, copies):
            name = f"{first.name}-{number}"
            shutil.copytree(first, first.with_name(name))
            for path in first.with_name(name).rglob("*.yaml"):
                text = re.sub(
                    rf"(clusters|overlays)/{first.name}/", rf"\1/{name}/", path.read_text()
                )
                path.write_text(text)
    return folder


def commit(root: Path) -> str:
    """Commit everything below a folder, a repository of its own; return the commit's id."""
    if not (root / ".git").exists():
        git.isolated(root, "init", "--quiet", "--initial-branch=main")
    git.isolated(root, "add", "--all")
    git.isolated(root, "commit", "--quiet", "--message=before")
    return git.isolated(root, "rev-parse", "HEAD")


def changes(file: Path) -> list[Json]:
    """Return each change of a list, with what checks have to report of it."""
    return list(load(file, file.parent)[0])


def bad_changes(folder: Path) -> list[Json]:
    """Return each change of the lists in a folder, with what checks have to report of it.

    A list is one kind of fault, named as its file: `who-may-read.yaml` is `who may read`.
    """
    return [
        {**change, "kind": path.stem.replace("-", " ")}
        for path in sorted(folder.glob("*.yaml"))
        for change in changes(path)
    ]


def apply(edit: Json, root: Path) -> None:
    """Do one edit of a file.

    Args:
        edit: `file`, relative to the root, and one of: `append`, a text; `cut`, the texts with
            which the part that goes begins and the part behind it, or an empty text for the end of
            the file; `swap`, the texts with which two parts begin, one behind the other, and the
            rest; `replace` and `by`, two texts; `to`, another path; `create`, the text of a new
            file. A text is where it comes first.
        root: The copy.

    Raises:
        RepositoryError: If the file does not have the text that the edit begins with.
    """
    path = root / edit["file"]
    if "to" in edit:
        path.rename(root / edit["to"])
        return
    if "create" in edit:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit["create"])
        return
    text = path.read_text()
    try:
        path.write_text(_edited(text, edit))
    except ValueError as error:
        message = f"does not have the text that this edit begins with: {edit}"
        fix = "adapt the edit to what the file has now"
        raise RepositoryError(Finding(edit["file"], None, message, fix)) from error


def _edited(text: str, edit: Json) -> str:
    if "append" in edit:
        return text + str(edit["append"])
    if "cut" in edit:
        # From the first text to the second one, or to the end of the file.
        first, last = edit["cut"]
        start = text.index(first)
        end = text.index(last, start + len(first)) if last else len(text)
        return text[:start] + text[end:]
    if "swap" in edit:
        # What begins at the first text and what begins at the second one.
        one, other, end = map(text.index, edit["swap"])
        return text[:one] + text[other:end] + text[one:other] + text[end:]
    start = text.index(edit["replace"])
    return text[:start] + str(edit["by"]) + text[start + len(edit["replace"]) :]
