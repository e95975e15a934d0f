"""The cluster that a command is for, by default or by `--cluster`, and its environment's budget."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load

# The label that says whose a log line is, and a series or an alert once it has left its cluster.
LABEL = "cluster"
DEFAULT = "the only one, or the only one whose budget has volumes"


def add_cluster(parser: argparse.ArgumentParser, text: str = "a folder of clusters/") -> None:
    """Add `--cluster`; `chosen` implements its default."""
    parser.add_argument("--cluster", default="", help=f"{text} (default: {DEFAULT})")


def known(root: Path) -> list[str]:
    """Return the folders of `clusters/`."""
    return sorted(path.name for path in (root / "clusters").glob("*") if path.is_dir())


def chosen(root: Path, name: str, *, with_volumes: bool = True) -> str:
    """Return the cluster that is named, or the default if it is unambiguous.

    A cluster without volumes is for a laptop, so the default is the only one with volumes.

    Args:
        root: The repository.
        name: The value of `--cluster`; may be empty.
        with_volumes: Whether the default is a cluster with volumes, or one without.

    Raises:
        RepositoryError: If there is no such cluster, or the default is ambiguous.
    """
    existing = known(root)
    if name:
        if name in existing:
            return name
        text, fix = f"there is no cluster {name}", f"use one of {', '.join(existing)}"
        raise RepositoryError(Finding("clusters", None, text, fix))
    candidates = existing
    if len(existing) > 1:
        candidates = [one for one in existing if has_volumes(root, one) is with_volumes]
    if len(candidates) == 1:
        return candidates[0]
    text = f"which of {', '.join(existing)} is meant?" if existing else "there is none"
    fix = "make one: README.md, Where do I change"
    if existing:
        fix = f"name it: --cluster={existing[0]}"
    raise RepositoryError(Finding("clusters", None, text, fix))


def has_volumes(root: Path, name: str) -> bool:
    """Say whether a cluster has volumes, by its budget, and so keeps data without its pods."""
    return bool((budget(root, name).get("volumes") or {}).get("count"))


def smallest_with_volumes(root: Path, names: Sequence[str]) -> str:
    """Return the cluster with volumes on the fewest nodes, or the first one where none has any."""
    candidates = [name for name in names if has_volumes(root, name)]
    return min(
        candidates, key=lambda name: int(budget(root, name).get("nodes", 1)), default=names[0]
    )


def environments(root: Path, name: str) -> list[str]:
    """Return the folders of `overlays/` that a cluster's files name.

    Nothing is built, as a tree that is being adapted may not build.
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
