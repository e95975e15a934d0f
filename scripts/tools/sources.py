"""Sources of Go modules: documents, CRDs and configuration that programs bring along."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress


def download(name: str, version: str) -> dict[str, str]:
    """Download a Go module and return what Go says of it: `Dir` and `Sum`, or else `Error`."""
    tools.cache().mkdir(parents=True, exist_ok=True)
    run = subprocess.run(
        [str(tools.go()), "mod", "download", "-json", f"{name}@{version}"],
        cwd=tools.cache(),
        capture_output=True,
        text=True,
        check=False,
    )
    answer: dict[str, str] = json.loads(run.stdout or "{}")
    if run.returncode:
        return {"Error": answer.get("Error") or run.stderr.strip() or "Go gives no reason"}
    return answer


@functools.cache
def module(name: str, version: str) -> Path:
    """Return the folder of a Go module's source, from the module cache or the proxy.

    Raises:
        RepositoryError: If the proxy does not serve it.
    """
    progress(f"reading {name} {version}")
    answer = download(name, version)
    if "Error" in answer:
        text = f"Go module {name} {version} cannot be read: {answer['Error']}"
        raise RepositoryError(
            Finding("scripts/tools", None, text, "check the network, or take a newer version")
        )
    return Path(answer["Dir"])
