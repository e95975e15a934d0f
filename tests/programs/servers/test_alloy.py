"""A case goes through Alloy once for the same content, whatever the time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.servers import alloy

# Stands for Alloy: gives each line back, and notes which cases it was asked for.
PROGRAM = """#!{python}
import json, pathlib, sys
cases = json.load(sys.stdin)
with pathlib.Path({asked!r}).open("a") as file:
    file.write("".join(case["id"] + "\\n" for case in cases))
if any("refused" in line["line"] for case in cases for line in case["lines"]):
    sys.exit("pods.alloy:3:1: refused")
print(json.dumps([
    {{
        "id": case["id"],
        "target": case["target"],
        "entries": [
            {{"timestamp": line["timestamp"].replace("+00:00", "Z"), "line": line["line"][33:]}}
            for line in case["lines"]
        ],
        "metrics": "",
    }}
    for case in cases
]))
"""
Asked = Callable[[], list[str]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    program, notes = tmp_path / "alloy-1" / "alloy", tmp_path / "asked"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, asked=str(notes)))
    program.chmod(0o755)
    (tmp_path / "pods.alloy").write_text("one")
    monkeypatch.setattr(tools, "path", lambda _: program)
    monkeypatch.setattr(tools, "cache", lambda: tmp_path / "cache")

    def read() -> list[str]:
        found = notes.read_text().split() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return found

    return read


def case(folder: Path, name: str, *texts: str, minute: int = 0, after: float = 0) -> Json:
    stamps = [f"2026-11-24T10:{minute:02}:{n:02}.000001+00:00" for n in range(len(texts))]
    lines = [
        {"timestamp": s, "line": f"{s} {t}", "after": after}
        for s, t in zip(stamps, texts, strict=True)
    ]
    return {"id": name, "file": str(folder / "pods.alloy"), "target": {"app": "a"}, "lines": lines}


def test_the_same_lines_at_another_time_are_known(tmp_path: Path, asked: Asked) -> None:
    (first,) = alloy.pipeline([case(tmp_path, "a", "x", "y")], {})
    assert asked() == ["a"]
    again, other = alloy.pipeline(
        [case(tmp_path, "b", "x", "y", minute=1), case(tmp_path, "c", "z")], {}
    )
    assert asked() == ["c"]
    assert [e["line"] for e in again["entries"]] == [e["line"] for e in first["entries"]]
    assert [e["timestamp"][14:16] for r in (first, again) for e in r["entries"]] == [
        *("00", "00"),
        *("01", "01"),
    ]
    assert (again["id"], other["id"]) == ("b", "c")


def test_what_alloy_may_answer_otherwise_is_asked(tmp_path: Path, asked: Asked) -> None:
    alloy.pipeline([case(tmp_path, "a", "x")], {})
    alloy.pipeline([case(tmp_path, "silence", "x", after=1.5)], {})
    alloy.pipeline([case(tmp_path, "variable", "x")], {"CLUSTER": "b"})
    (tmp_path / "shared.alloy").write_text("two")
    alloy.pipeline([case(tmp_path, "configuration", "x")], {})
    assert asked() == ["a", "silence", "variable", "configuration"]


def test_what_alloy_refuses_is_told_and_not_kept(tmp_path: Path, asked: Asked) -> None:
    for _ in range(2):
        with pytest.raises(RepositoryError, match=r"pods\.alloy:3:1: refused"):
            alloy.pipeline([case(tmp_path, "a", "refused")], {})
    assert asked() == ["a", "a"]
