"""What a runbook says to type can be typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.markdown import BLOCK
from scripts.model.runbooks import RUNBOOKS

PAGES = sorted((tools.ROOT / RUNBOOKS).glob("*.md"))
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
LANGUAGES = {"sh", "promql", "logql"}


def blocks(path: Path, language: str) -> list[str]:
    found = BLOCK.finditer(path.read_text(encoding="utf-8"))
    return [f["text"] for f in found if f["language"] == language]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_command_is_one_that_a_shell_takes(path: Path, tmp_path: Path) -> None:
    # A page's blocks are typed one after the other, into one shell.
    script = tmp_path / "page.sh"
    script.write_text("#!/usr/bin/env bash\n" + "\n".join(blocks(path, "sh")))
    run = subprocess.run([SHELLCHECK, script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_read_in_a_minute_and_its_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 90
    assert {found["language"] for found in BLOCK.finditer(text)} <= LANGUAGES
    links = re.findall(r"\]\(([^)]+)\)", text)
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


def test_no_page_shows_what_a_secret_holds() -> None:
    shown = re.compile(r"kubectl[^\n]*get secrets?\b[^\n]*-o")
    assert [p.name for p in PAGES if shown.search(p.read_text(encoding="utf-8"))] == []
