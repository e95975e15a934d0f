"""Each redaction, and each stage that makes routes, is needed by a case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.log_pipeline import LOGS, leaks, passes, run


def blocks(text: str, start: str) -> list[tuple[int, int]]:
    """Return the span of every block that begins with a line of this start, by its indentation."""
    spans = []
    for match in re.finditer(rf"^( *){re.escape(start)}.*\{{\n", text, re.MULTILINE):
        end = re.compile(rf"^{match[1]}\}}\n", re.MULTILINE).search(text, match.end())
        assert end
        spans.append((match.start(), end.end()))
    return spans


def mutated(tmp_path: Path, file: str, spans: list[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    text = (LOGS / file).read_text()
    for number, (start, end) in enumerate(spans):
        folder = tmp_path / str(number)
        folder.mkdir()
        for source in LOGS.glob("*.alloy"):
            (folder / source.name).write_text(source.read_text())
        (folder / file).write_text(text[:start] + text[end:])
        yield text[start:end], folder


@pytest.mark.mutation
def test_every_redaction_is_needed(tmp_path: Path) -> None:
    spans = blocks((LOGS / "shared.alloy").read_text(), "stage.replace")
    assert spans
    for block, folder in mutated(tmp_path, "shared.alloy", spans):
        assert leaks(run(folder, {"secrets"})), f"nothing leaks without\n{block}"


@pytest.mark.mutation
def test_every_alternative_of_a_redaction_is_needed(tmp_path: Path) -> None:
    text = (LOGS / "shared.alloy").read_text()
    spans = [m.span() for m in re.finditer(r"^ +`.*`,\n", text, re.MULTILINE)]
    assert spans
    for line, folder in mutated(tmp_path, "shared.alloy", spans):
        broken = run(folder, {"secrets"})
        assert leaks(broken) or not all(map(passes, broken)), f"nothing changes without\n{line}"


@pytest.mark.mutation
def test_every_stage_that_makes_routes_is_needed(tmp_path: Path) -> None:
    text = (LOGS / "pods.alloy").read_text()
    requests = text.index('loki.process "requests"')
    spans = [
        span
        for start in ("stage.replace", "stage.template", "stage.regex")
        for span in blocks(text, start)
        if requests < span[0] < text.index('loki.process "parse"')
    ]
    assert spans
    for block, folder in mutated(tmp_path, "pods.alloy", spans):
        (case,) = [r for r in run(folder, {"python"}) if "routes become" in r.name]
        counted = case.counters("todo_http_requests_total", "method", "route", "status_class")
        assert counted != case.case["counters"]["requests"], f"nothing changes without\n{block}"
