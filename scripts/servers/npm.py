"""npm packages in the per-user cache, pinned by the hashes of a lock file."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress

NODE = "Node.js 20 or newer, with npm, and put it on PATH"
LOCK = "package-lock.json"
FILES = ("package.json", LOCK, ".npmrc")


def program(names: Iterable[str], fix: str) -> str:
    """Return the first of some programs that is on PATH, or is a path.

    Raises:
        RepositoryError: If there is none; `fix` says what to install.
    """
    for name in names:
        if found := shutil.which(name):
            return found
    text = f"none of {', '.join(names)} is there"
    raise RepositoryError(Finding("make preview", None, text, f"install {fix}"))


def installed(folder: Path, make: Callable[[Path], Path], *sources: Path) -> Path:
    """Return the folder of the cache with what is made of a folder's packages, made once.

    Args:
        folder: With `package.json`, `package-lock.json` and, where npm needs it, `.npmrc`.
        make: Gets a folder in which the packages are installed, and returns that of its folders
            which is kept. All else is removed.
        sources: What it is made of besides the lock file.

    Raises:
        RepositoryError: If Node.js is missing, or npm fails.
    """
    digest = hashlib.sha256()
    for path in (folder / LOCK, *sources):
        digest.update(path.read_bytes())
    target = tools.cache() / "npm" / f"{folder.name}-{digest.hexdigest()[:12]}"
    kept = target / "kept"
    if not kept.exists():
        target.mkdir(parents=True, exist_ok=True)
        with (target / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                with tempfile.TemporaryDirectory(dir=target) as scratch:
                    _install(folder, Path(scratch))
                    make(Path(scratch)).rename(kept)
    return kept


def _install(folder: Path, scratch: Path) -> None:
    npm = program(("npm",), NODE)
    started = time.monotonic()
    for path in (folder / name for name in FILES):
        if path.exists():
            shutil.copy(path, scratch)
    command = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"npm ci failed: {done.stderr.strip()[-600:]}"
        fix = "check the network's access to the npm registry, or the pinned versions"
        lock = f"scripts/{folder.name}/{LOCK}"
        raise RepositoryError(Finding(lock, None, message, fix))
    progress(f"installed {folder.name}'s npm packages in {time.monotonic() - started:.0f} s")
