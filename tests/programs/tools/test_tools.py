"""Where programs come from: the one on PATH only if it is the pinned release."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.tools import sources

# How each release reports its version: the argument that it takes, and what it prints.
REPORTS = {
    "actionlint": (
        "--version",
        "{}\ninstalled by downloading from release page\n"
        "built with go1.26.5 compiler for linux/amd64",
    ),
    "amtool": (
        "--version",
        "amtool, version {} (branch: HEAD, revision: 1f7e9ba0)\n"
        "  build user:       root@0\n  go version:       go1.26.5\n  platform:         linux/amd64",
    ),
    "helm": (
        "version",
        'version.BuildInfo{{Version:"v{}", GitCommit:"c1b2d3", GitTreeState:"clean", '
        'GoVersion:"go1.26.5", KubeClientVersion:"v1.37"}}',
    ),
    "kubeconform": ("-v", "v{}"),
    "kustomize": ("version", "v{}"),
    "promtool": (
        "--version",
        "promtool, version {} (branch: HEAD, revision: d7598b71)\n"
        "  build user:       root@0\n  go version:       go1.26.5\n"
        "  platform:         linux/amd64\n  tags:             netgo,builtinassets",
    ),
}
Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a program on PATH that runs a shell script; nothing else is, and nothing is built."""

    def refuse(*_: object) -> None:
        raise AssertionError("built")

    def put(name: str, script: str) -> Path:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tools, "_build", refuse)
    tools.path.cache_clear()
    return put


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    """No test leaves a path that another takes."""
    yield
    tools.path.cache_clear()
    tools._go.cache_clear()


def reports(name: str, version: str) -> str:
    """A script that prints a version as the program's release does, and refuses all else."""
    argument, text = REPORTS[name]
    refusal = 'echo "unknown argument $1, try 0.0.0" >&2; exit 1'
    return f"[ \"$*\" = {argument} ] || {{ {refusal}; }}\nprintf '%s\\n' '{text.format(version)}'"


@pytest.mark.parametrize("name", REPORTS)
def test_the_pinned_release_is_taken_from_path(install: Install, name: str) -> None:
    program = install(name, reports(name, tools.released(name)))
    assert tools.path(name) == program


def test_what_is_built_is_known_without_a_build(install: Install, tmp_path: Path) -> None:
    name = next(iter(REPORTS))
    assert not tools.built(name)
    assert not tools.built("configcheck")
    install(name, reports(name, tools.released(name)))
    assert tools.built(name)
    program = tools._target("configcheck")
    assert tmp_path in program.parents
    tools.write(program, "")
    assert tools.built("configcheck")


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("other", ["{}1", "1{}", "{}-rc.1", "{}+local", "9.9.9"])
def test_another_version_is_not_taken(install: Install, name: str, other: str) -> None:
    install(name, reports(name, other.format(tools.released(name))))
    with pytest.raises(AssertionError, match="built"):
        tools.path(name)


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "exec /nowhere",
        "echo made with 1.0.0 for kustomize {}",
        "echo kustomize of go{}",
        "echo {} >&2",
    ],
)
def test_what_reports_no_version_of_its_own_is_not_taken(install: Install, script: str) -> None:
    install("kustomize", script.format(tools.released("kustomize")))
    with pytest.raises(AssertionError, match="built"):
        tools.path("kustomize")


def test_a_program_that_does_not_answer_is_not_taken(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(command: Sequence[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 10)

    install("kustomize", reports("kustomize", tools.released("kustomize")))
    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(AssertionError, match="built"):
        tools.path("kustomize")


@pytest.mark.parametrize(
    ("module", "pinned", "release"),
    [
        ("github.com/prometheus/prometheus", "v0.300.0", "3.0.0"),
        ("github.com/prometheus/prometheus", "v0.305.1", "3.5.1"),
        ("github.com/prometheus/prometheus", "v0.316.2-rc.0", "3.16.2-rc.0"),
        ("github.com/prometheus/prometheus", "v0.35.0", "2.35.0"),
        ("github.com/prometheus/prometheus", "v0.53.4", "2.53.4"),
        ("github.com/prometheus/alertmanager", "v0.34.2", "0.34.2"),
        ("github.com/example/other", "v0.316.0", "0.316.0"),
    ],
)
def test_a_module_s_version_is_the_release_that_it_is(
    module: str, pinned: str, release: str
) -> None:
    assert tools.release(module, pinned) == release


def go(version: str) -> str:
    """A script that reports a version of Go as Go does."""
    return f"echo go version go{version} linux/amd64"


def test_only_the_pinned_go_builds_and_any_new_one_downloads(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path / "venv"))
    ran: list[Sequence[str]] = []
    run = subprocess.run

    def no_pip(command: Sequence[str], **options: Any) -> Any:
        if "pip" in command:
            ran.append(command)
            return subprocess.CompletedProcess(command, 1, "", "no network")
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", no_pip)
    program = install("go", go(tools.go_version()))
    assert (tools.go("kustomize"), tools.go()) == (program, program)
    tools._go.cache_clear()
    install("go", go("9.1.0"))
    assert tools.go() == program
    with pytest.raises(RepositoryError, match=f"install Go {tools.go_version()}"):
        tools.go("kustomize")
    assert {"--require-hashes", "--only-binary=:all:"} <= set(ran[0])
    install("go", go("1.2"))
    tools._go.cache_clear()
    with pytest.raises(RepositoryError, match="could not be installed"):
        tools.go()


def test_files_that_a_module_lacks_are_built_in_of_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, folder, temporary = tmp_path / "cache", tmp_path / "tools/page", tmp_path / "temporary"
    (module / "ui").mkdir(parents=True)
    (module / "ui/web.go").write_text("package ui\n")
    (module / "ui").chmod(0o555)  # As Go leaves its module cache.
    folder.mkdir(parents=True)
    (folder / "go.sum").write_text("sum\n")
    mod = "module page\n\ntool example.com/page/cmd/page\n\nrequire example.com/page v1.2.3\n"
    (folder / "go.mod").write_text(mod)
    temporary.mkdir()
    monkeypatch.setattr(tools, "FOLDER", tmp_path / "tools")
    monkeypatch.setattr(
        sources, "module", lambda *asked: {("example.com/page", "v1.2.3"): module}[asked]
    )
    assert tools._module_with_missing_files("page", temporary) == []
    (folder / "missing").write_text("ui/app/dist/index.html\n")
    assert tools._module_with_missing_files("page", temporary) == [f"-modfile={temporary}/go.mod"]
    copy = temporary / "module"
    assert (copy / "ui/app/dist/index.html").read_bytes() == b""
    assert (copy / "ui/web.go").read_text() == "package ui\n"
    assert (temporary / "go.mod").read_text() == f"{mod}\nreplace example.com/page => {copy}\n"
    assert (temporary / "go.sum").read_text() == "sum\n"
    assert sorted(p.name for p in (module / "ui").iterdir()) == ["web.go"]
