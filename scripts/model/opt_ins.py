"""Opt-ins of `base/optional` that a cluster takes in, and what its owner writes for them.

What an owner writes is a ConfigMap that reaches no cluster: components copy from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.core.yamlfile import Json, line_of, load_all
from scripts.model.kustomization import FILE
from scripts.model.manifests import ClusterSync, Repository

SCALE = "base/optional/scale"


@dataclass(frozen=True)
class OwnerConfig:
    """A ConfigMap that components copy from.

    Attributes:
        path: The file, relative to the repository.
        data: Its keys; none of them is empty.
        lines: The line of each key, the empty ones included, and that of `data` as the key "".
    """

    path: str
    data: Mapping[str, str]
    lines: Mapping[str, int | None]

    def place(self, key: str) -> tuple[str, int | None]:
        """Return the file, and the line of a key, or where it would be."""
        return self.path, self.lines.get(key, self.lines[""])


def takes(repository: Repository, sync: ClusterSync, part: str) -> bool:
    """Say whether a cluster takes in a folder, relative to the repository, or what includes it."""
    return f"{part}/{FILE}" in repository.files(sync)


def listed(repository: Repository, sync: ClusterSync, part: str) -> tuple[str, int | None]:
    """Return the file and line that take a folder in; where no owner's does, the folder's own."""
    for path in sorted(repository.files(sync)):
        if path.startswith(("clusters/", "overlays/", "tests/options/")) and path.endswith(FILE):
            lines = (repository.root / path).read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines, 1):
                if line.partition(" #")[0].strip(" -\"'").endswith(f"/{part}"):
                    return path, number
    return f"{part}/{FILE}", None


def owner_config(repository: Repository, sync: ClusterSync, name: str) -> OwnerConfig | None:
    """Return the ConfigMap of this name that a cluster's components copy from; None without one.

    Raises:
        RepositoryError: If its file is not YAML.
    """
    for path in sorted(repository.files(sync)):
        if not path.endswith(".yaml") or path.endswith(FILE):
            continue
        text = (repository.root / path).read_text(encoding="utf-8")
        if f"name: {name}\n" not in text:
            continue
        for number, item in enumerate(load_all(text, path)):
            metadata = item.get("metadata") or {}
            if item.get("kind") == "ConfigMap" and metadata.get("name") == name:
                data: Mapping[str, Json] = item.get("data") or {}
                lines = {key: line_of(text, "data", key, document=number) for key in data}
                lines[""] = line_of(text, "data", document=number)
                filled = {key: str(value) for key, value in data.items() if value not in (None, "")}
                return OwnerConfig(path, filled, lines)
    return None
