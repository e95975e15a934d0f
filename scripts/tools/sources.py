"""Sources of Go modules: CRDs, configuration and documentation of programs."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress


def download(name: str, version: str) -> dict[str, str]:
    """Download a Go module and return Go's answer: `Dir` and `Sum`, or `Error`."""
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
    """Return the folder with the source of a Go module, from the module cache or the proxy.

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
