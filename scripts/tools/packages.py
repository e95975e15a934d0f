"""Python packages that few need, each set in a folder of its own in the cache, by a lock file."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress


def mcp_sdk() -> Path:
    """Return the folder with PyPI's `mcp` and what it needs, which is filled on first use.

    It stands on the end of `sys.path`, or in PYTHONPATH of another process.

    Raises:
        RepositoryError: If pip cannot install it.
    """
    return _installed("mcp")


def _installed(name: str) -> Path:
    """Install `requirements-<name>.txt`, only wheels, as make does with requirements.txt."""
    lock_file = tools.FOLDER / f"requirements-{name}.txt"
    python = f"{sys.implementation.cache_tag}-{sys.platform}"
    digest = hashlib.sha256(lock_file.read_bytes()).hexdigest()[:12]
    target = tools.cache() / "python" / f"{name}-{python}-{digest}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _install(lock_file, target)
    return target


def _install(lock_file: Path, target: Path) -> None:
    progress(f"installing {lock_file.relative_to(tools.ROOT)} (once)")
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name) / "packages"
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        safe = ("--require-hashes", "--only-binary=:all:")
        command = (*pip, *safe, f"--target={folder}", f"--requirement={lock_file}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            text = f"cannot be installed: {done.stderr.strip()[-400:]}"
            fix = "check the network's access to PyPI"
            place = str(lock_file.relative_to(tools.ROOT))
            raise RepositoryError(Finding(place, None, text, fix))
        folder.rename(target)
