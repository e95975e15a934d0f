"""What a runbook says to type can be typed, and programs read all that people do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from scripts import tools
from scripts.checks.static.alerts import alerts_of
from scripts.core.markdown import BLOCK
from scripts.model.files import RUNBOOKS_JSON, invalid
from scripts.model.manifests import Repository
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


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads((tools.ROOT / RUNBOOKS_JSON).read_text(encoding="utf-8"))


def test_every_alert_every_page_and_every_query_is_once_in_what_programs_read(
    document: Any, repository: Repository
) -> None:
    assert list(invalid(RUNBOOKS_JSON, document)) == []
    books = {book["alert"]: book for book in document["runbooks"]}
    assert len(books) == len(document["runbooks"])
    declared: dict[str, set[str]] = {}
    for sync in repository.syncs:
        for alert in alerts_of(sync):
            severities = declared.setdefault(alert.name, set())
            severities.add(str(alert.rule["labels"]["severity"]))
    assert {name: set(book["severities"]) for name, book in books.items()} == declared
    for path in PAGES:
        found = BLOCK.finditer(path.read_text(encoding="utf-8"))
        queries = [
            (block["language"], textwrap.dedent(block["text"]).strip())
            for block in found
            if block["language"] in {"promql", "logql"}
        ]
        book = books[path.stem]
        assert [(q["language"], q["query"]) for q in book["queries"]] == queries, path.stem
        assert (tools.ROOT / book["page"]) == path


def test_what_programs_read_names_what_is_there(document: Any) -> None:
    names = {path.stem for path in PAGES}
    for book in document["runbooks"]:
        assert {page for d in book["decisions"] for page in d["runbooks"]} <= names, book["alert"]
        asked = range(len(book["queries"]))
        assert all(d["query"] is None or d["query"] in asked for d in book["decisions"])
        text = (tools.ROOT / book["page"]).read_text(encoding="utf-8")
        assert all(sentence in text for sentence in book["never"] if "](" not in text)
