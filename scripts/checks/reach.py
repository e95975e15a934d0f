"""No file that no cluster reaches: such a file looks as if it did something."""

from __future__ import annotations

from pathlib import Path

from scripts.findings import Finding
from scripts.manifests import Repository, read_by

# Read by the checks, not by an engine.
NOT_APPLIED = ("overlays/*/budget.yaml",)


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each file below base, overlays and clusters that nothing reads."""
    root = repository.root
    reached: set[Path] = set()
    for entry in repository.entries:
        for unit in entry.units:
            folder = root / unit.path
            start = folder / "kustomization.yaml"
            reached |= set(read_by(folder)) if start.exists() else set(folder.rglob("*.yaml"))
    ignored = {path for pattern in NOT_APPLIED for path in root.glob(pattern)}
    files = {
        path
        for folder in ("base", "clusters", "overlays")
        for path in (root / folder).rglob("*")
        if path.is_file()
    }
    return [
        Finding(
            str(path.relative_to(root)),
            None,
            "no cluster reaches this file",
            "list it in a kustomization.yaml, or delete it",
        )
        for path in sorted(files - reached - ignored)
    ]
