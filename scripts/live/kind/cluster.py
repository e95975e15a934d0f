"""A kind cluster of our own, and kubectl in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.kubectl import Kubectl
from scripts.core.yamlfile import Json

# It has long, as a manifest has a hundred objects.
_KUBECTL = Kubectl("see what the cluster says above", timeout=180, words=2)


class KindCluster(NamedTuple):
    """The cluster that kubectl reaches while it is there.

    Attributes:
        folder: For files that only we may read; gone with the cluster.
    """

    folder: Path

    def kubectl(self, *arguments: str) -> str:
        """Return what kubectl prints.

        Raises:
            RepositoryError: With its reason, if it fails.
        """
        return _KUBECTL.text(*arguments)

    def listed(self, *resources: str, selector: str = "") -> list[Json]:
        """Return every object of some resources, of all namespaces."""
        options = [f"--field-selector={selector}"] if selector else []
        found = _KUBECTL.json("get", ",".join(resources), "--all-namespaces", *options)
        items: list[Json] = found["items"]
        return items

    def apply(self, content: bytes, *options: str) -> None:
        """Apply a manifest, from a file: arguments are seen by everybody on this machine."""
        path = self.folder / "manifest.yaml"
        path.write_bytes(content)
        self.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={path}", *options)

    def create(self, *items: Json) -> None:
        """Apply objects."""
        self.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode())


@contextlib.contextmanager
def created(name: str, *, keep: bool) -> Iterator[KindCluster]:
    """Create a cluster, and delete it after the block unless it is to be kept.

    kubectl reaches it by a kubeconfig that is gone with it; the user's is not touched.

    Raises:
        RepositoryError: If there is one of that name, or kind fails.
    """
    if name in _kind("get", "clusters").split():
        fix = f"look whether it is needed, then `kind delete cluster --name={name}`"
        raise RepositoryError(Finding(f"kind cluster {name}", None, "is there already", fix))
    with tempfile.TemporaryDirectory(prefix="todo-monitoring-") as folder:
        own = (f"--name={name}", f"--kubeconfig={folder}/kubeconfig")
        os.environ["KUBECONFIG"] = f"{folder}/kubeconfig"
        try:
            progress(f"creating the kind cluster {name}")
            _kind("create", "cluster", *own, "--wait=3m")
            yield KindCluster(Path(folder))
        finally:
            if keep:
                progress(f"{name} is kept: `kind export kubeconfig --name={name}` leads to it")
            else:
                progress(f"deleting the kind cluster {name}")
                _kind("delete", "cluster", *own)


def _kind(*arguments: str) -> str:
    run = subprocess.run(("kind", *arguments), capture_output=True, text=True, check=False)
    if run.returncode:
        place, reason = f"kind {' '.join(arguments[:2])}", run.stderr.strip()[-600:]
        raise RepositoryError(Finding(place, None, reason, "see that `docker info` answers"))
    return run.stdout
