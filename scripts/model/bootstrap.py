"""What `flux bootstrap` commits: the source of a cluster, and the Kustomization that syncs it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.core.yamlfile import Json, load_all
from scripts.model.manifests import BOOTSTRAP

# Most of these files are the controllers and their CRDs, megabytes that nothing here asks for.
_WANTED = re.compile(
    r"^kind: *(?:GitRepository|OCIRepository|Bucket|Kustomization)\b", re.MULTILINE
)
# The folder's own kustomization.yaml, which is no object.
_OF_KUSTOMIZE = re.compile(r"(?m)^apiVersion: *kustomize\.config\.k8s\.io/")
_BETWEEN = re.compile(r"(?m)^---.*$")


def objects(root: Path, cluster: str) -> Iterator[tuple[str, Json]]:
    """Yield the sources and Kustomizations in a cluster's `flux-system`, each with its file.

    Args:
        root: The repository's.
        cluster: The folder's name below `clusters/`.

    Raises:
        RepositoryError: If a file is no YAML.
    """
    for path in sorted((root / "clusters" / cluster / "flux" / BOOTSTRAP).glob("*.yaml")):
        file = path.relative_to(root).as_posix()
        yield from ((file, item) for item in _wanted(path.read_text(encoding="utf-8"), file))


# Asked again for each object that is removed.
@functools.lru_cache(maxsize=64)
def _wanted(text: str, file: str) -> tuple[Json, ...]:
    parts = (
        part
        for part in _BETWEEN.split(text)
        if _WANTED.search(part) and not _OF_KUSTOMIZE.search(part)
    )
    return tuple(item for part in parts for item in load_all(part, file))
