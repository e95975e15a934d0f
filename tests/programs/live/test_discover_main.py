"""`make discover` asks before it writes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.live.discover import __main__ as command
from scripts.live.discover import inventory
from scripts.model.files import INVENTORY
from tests.programs.live.discover_manifests import BACKEND, FRONTEND, Write, run

pytest_plugins = ("tests.programs.live.discover_manifests",)


def test_without_a_terminal_nothing_is_written(root: Path, written: Write) -> None:
    before = (root / INVENTORY).read_bytes()
    source = written(*BACKEND, *FRONTEND)
    answer = run(root, source)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"discover: would write {INVENTORY}, and there is no terminal to ask on\n"
        "    fix: add --yes\n"
    )
    assert "+  NAMESPACES: todo" in answer.stdout
    assert '-  NAMESPACES: "old"  # of before' in answer.stdout
    assert "warning health-path-assumed: " in answer.stdout
    assert "note: no OpenAPI document was found" in answer.stdout
    assert (root / INVENTORY).read_bytes() == before
    assert "\x1b" not in answer.stdout


def test_yes_writes_it_and_says_what_comes_next(root: Path, written: Write) -> None:
    source = written(*BACKEND, *FRONTEND)
    answer = run(root, source, "--yes")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "is written; `make dashboards rules`" in answer.stdout
    assert inventory.values((root / INVENTORY).read_text())["NAMESPACES"] == "todo"
    again = run(root, source)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith(f"{INVENTORY} is as it should be\n")


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y", True), ("YES ", True), ("", False), ("n", False)]
)
def test_a_person_is_asked(
    root: Path, written: Write, monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool
) -> None:
    asked: list[str] = []

    def person(text: str) -> str:
        asked.append(text)
        return typed

    source = written(*BACKEND, *FRONTEND)
    monkeypatch.setattr(sys, "argv", ["discover", source, f"--root={root}"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", person)
    assert command.main() == (0 if agreed else 1)
    assert asked == [f"Write {INVENTORY}? [y/N] "]
    assert ("NAMESPACES: todo " in (root / INVENTORY).read_text()) == agreed
