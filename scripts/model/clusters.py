"""Which cluster a command is about where nobody names one, and what its environment may take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load

DEFAULT = "the only one, or the only one whose budget has volumes"


def add_cluster(parser: argparse.ArgumentParser, text: str = "a folder of clusters/") -> None:
    """Add `--cluster`; `chosen` says what it means where it is not given."""
    parser.add_argument("--cluster", default="", help=f"{text} (default: {DEFAULT})")


def known(root: Path) -> list[str]:
    """Return the folders of `clusters/`."""
    return sorted(path.name for path in (root / "clusters").glob("*") if path.is_dir())


def chosen(root: Path, name: str, *, kept: bool = True) -> str:
    """Return the cluster that is named, or the one that there is no doubt about.

    One that keeps nothing is for a laptop: of several, the only one with volumes is meant.

    Args:
        root: The repository.
        name: What somebody named; may be empty.
        kept: Whether one with volumes is meant, or one without.

    Raises:
        RepositoryError: If there is no such cluster, or there are several to choose from.
    """
    there = known(root)
    if name:
        if name in there:
            return name
        text, fix = f"there is no cluster {name}", f"use one of {', '.join(there)}"
        raise RepositoryError(Finding("clusters", None, text, fix))
    found = there if len(there) == 1 else [one for one in there if has_volumes(root, one) is kept]
    if len(found) == 1:
        return found[0]
    text = f"which of {', '.join(there)} is meant?" if there else "there is none"
    fix = f"name it: --cluster={there[0]}" if there else "make one: README.md, Where do I change"
    raise RepositoryError(Finding("clusters", None, text, fix))


def has_volumes(root: Path, name: str) -> bool:
    """Say whether a cluster keeps anything when its pods are gone: its budget has volumes."""
    return bool((budget(root, name).get("volumes") or {}).get("count"))


def first_with_volumes(root: Path, names: Sequence[str]) -> str:
    """Return the first of some clusters that keeps anything, or the first where none does."""
    return next((name for name in names if has_volumes(root, name)), names[0])


def environments(root: Path, name: str) -> list[str]:
    """Return the folders of `overlays/` that a cluster syncs, by what its files name.

    Nothing is built for it, as a tree that is being adapted may not build.
    """
    paths = (root / "clusters" / name).rglob("*.yaml")
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return sorted({e for text in texts for e in re.findall(r"\boverlays/([\w.-]+)", text)})


def budget(root: Path, name: str) -> dict[str, Json]:
    """Return the `budget.yaml` of the environment that a cluster syncs; empty without one.

    Raises:
        RepositoryError: If the file is no YAML.
    """
    for environment in environments(root, name):
        path = root / "overlays" / environment / "budget.yaml"
        if path.exists():
            content = next(iter(load(path, root)), None)
            return content if isinstance(content, dict) else {}
    return {}
