"""Loki as the environment with object storage gets it, with other parts of base/optional/scale."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import yaml

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.model import object_storage, rendered
from scripts.model.manifests import Repository
from scripts.model.opt_ins import SCALE
from scripts.model.rendered import Cluster

BUCKET, NEW, FROM_VOLUME = "object-storage", "object-storage/new", "object-storage/from-volume"
REPLICAS, DISTRIBUTED = "loki-replicas", "loki-distributed"
_PARTS = (BUCKET, NEW, FROM_VOLUME, REPLICAS, DISTRIBUTED)
_TREE = ("base", "clusters", "overlays")


def variant(*parts: str, since: str = "") -> Cluster:
    """Return the environment's cluster with these parts in place of those that it has for Loki.

    Args:
        parts: Of _PARTS, in the order in which they are to be taken in; with none, there is one
            Loki, which keeps everything on its volume.
        since: LOGS_SINCE, the date of the schema's period in the bucket (YYYY-MM-DD).

    Raises:
        RepositoryError: Where a chart is missing, or no environment has the bucket.
    """
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        root = Path(name)
        for folder in _TREE:
            shutil.copytree(tools.ROOT / folder, root / folder)
        environment, path = _environment(root)
        own = yaml.safe_load(path.read_text())
        prefix = f"../../../{SCALE}/"
        kept = [c for c in own["components"] if c.removeprefix(prefix) not in _PARTS]
        path.write_text(
            yaml.safe_dump(own | {"components": [*kept, *(prefix + part for part in parts)]})
        )
        if since:
            _set_since(path.parent, since)
        repository = Repository(root)
        # Loki is the same under either engine.
        sync = repository.sync(environment, "flux")
        return rendered.clusters(repository, [sync])[0]


def _environment(root: Path) -> tuple[str, Path]:
    """Return the first environment that has the bucket, and the file that takes it in."""
    for path in sorted(root.glob("overlays/*/releases/kustomization.yaml")):
        environment = path.parents[1].name
        if f"{SCALE}/{BUCKET}" in path.read_text() and (root / "clusters" / environment).is_dir():
            return environment, path
    text = f"no environment takes in {SCALE}/{BUCKET}"
    raise RepositoryError(Finding("overlays", None, text, "there is nothing to prove without one"))


def _set_since(folder: Path, since: str) -> None:
    for path in folder.glob("*.yaml"):
        documents = list(yaml.safe_load_all(path.read_text()))
        for document in documents:
            if (
                document["kind"] == "ConfigMap"
                and document["metadata"]["name"] == object_storage.NAME
            ):
                document["data"][object_storage.SINCE] = since
                path.write_text(yaml.safe_dump_all(documents))
