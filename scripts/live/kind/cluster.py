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

from scripts.core import kubectl
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json

# Seconds for one kubectl: a manifest has a hundred objects.
_TIMEOUT = 180


class Cluster(NamedTuple):
    """The cluster that kubectl reaches while it is there.

    Attributes:
        folder: For files that only we may read; gone with the cluster.
    """

    folder: Path

    def ask(self, *arguments: str) -> str:
        """Return what kubectl prints.

        Raises:
            RepositoryError: With its reason, if it fails.
        """

        def failed(reason: str) -> RepositoryError:
            place, fix = f"kubectl {' '.join(arguments[:2])}", "see what the cluster says above"
            return RepositoryError(Finding(place, None, reason[:400], fix))

        answer = kubectl.run(("kubectl", *arguments), _TIMEOUT, failed)
        if answer.returncode:
            raise failed(kubectl.reason(answer.stderr))
        return answer.stdout

    def listed(self, *resources: str, selector: str = "") -> list[Json]:
        """Return every object of some resources, of all namespaces."""
        options = ["--all-namespaces", "--output=json"]
        options += [f"--field-selector={selector}"] if selector else []
        items: list[Json] = json.loads(self.ask("get", ",".join(resources), *options))["items"]
        return items

    def apply(self, content: bytes, *options: str) -> None:
        """Apply a manifest, from a file: arguments are seen by everybody on this machine."""
        path = self.folder / "manifest.yaml"
        path.write_bytes(content)
        self.ask("apply", "--server-side", "--force-conflicts", f"--filename={path}", *options)

    def create(self, *items: Json) -> None:
        """Apply objects."""
        self.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode())


@contextlib.contextmanager
def created(name: str, *, keep: bool) -> Iterator[Cluster]:
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
            yield Cluster(Path(folder))
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
