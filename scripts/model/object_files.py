"""The objects of a cluster sync as files, for people and for programs that read manifests."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import yaml

from scripts.core.yamlfile import Json
from scripts.model.manifests import ClusterSync, identity


def write(sync: ClusterSync, rendered: dict[str, list[dict[str, Json]]], folder: Path) -> int:
    """Write a cluster sync's units and releases as one YAML file each.

    Args:
        sync: A cluster under one engine.
        rendered: Objects by release.
        folder: Replaced as a whole.

    Returns:
        How many objects were written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    files = {f"{unit.name}.yaml": unit.objects for unit in sync.units}
    files |= {f"releases/{name}.yaml": objects for name, objects in rendered.items()}
    for name, objects in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ordered = sorted(objects, key=identity)
        path.write_text("---\n".join(_yaml(json.dumps(item)) for item in ordered))
    return sum(map(len, files.values()))


@functools.cache
def _yaml(item: str) -> str:
    """Return an object as YAML; the engines of a cluster, and clusters, have most in common."""
    return yaml.dump(json.loads(item), Dumper=yaml.CSafeDumper, sort_keys=False)
