"""Each redaction, and each stage that makes routes, is needed by a case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.log_pipeline import LOGS, alloy, plant, run

# One entry for each sign, which has no other.
SIGNS = plant(
    """\
accessToken=@opaque@
ACCESS_TOKEN=@opaque@
clientSecret=@opaque@
CLIENT_SECRET=@opaque@
api_key=@opaque@
apiKey=@opaque@
API_KEY=@opaque@
password=@password@
PASSWORD=@password@
passphrase=@password@
PASSPHRASE=@password@
pwd=@password@
Pwd=@password@
PWD=@password@
Authorization: Basic @session@
AUTHORIZATION: Basic @session@
retry with bearer @opaque@
BEARER @opaque@
Cookie: a=@session@
COOKIE: a=@session@
session_id=@opaque@
SESSION_ID=@opaque@
jwt payload: @row@
Jwt payload: @row@
JWT payload: @row@
Decoded data: @row@
DECODED data: @row@
{'sub': 'u1', 'exp': 1796158315}
refused @jwt@
refused @openai@
refused @google@
refused @stripe@
cloned by @github@
pulled by @docker@
started by @gitlab@
posted by @slack@
loaded by @huggingface@
assumed @aws@
assumed @aws:temporary@
GET /callback?code=@session@
GET /callback?state=@session@
amqp://todo:@session@@rabbit
[parameters: (@row@)]
[generated in 1s] (@row@)
[cached since 1s ago] (@row@)
Failing row contains (@row@)
GET /blob?sig=@session@
GET /blob?X-Amz-Signature=@session@
C: AUTH PLAIN @session@
{ user: 'todo', pass: '@session@' }
pass='@session@'
{'pass': '@session@'}
{"pass": "@session@"}
PASS: '@session@'
MAIL_PASS=@session@
{'PASS': '@session@'}
{"PASS": "@session@"}
"""
)


def blocks(text: str, start: str) -> list[tuple[int, int]]:
    """Return the span of every block that begins with a line of this start, by its indentation."""
    spans = []
    for match in re.finditer(rf"^([\t ]*){re.escape(start)}.*\{{\n", text, re.MULTILINE):
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


@pytest.fixture(scope="module")
def unredacted(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the entries of every case as they come to the redaction."""
    folder = tmp_path_factory.mktemp("unredacted")
    for source in LOGS.glob("*.alloy"):
        (folder / source.name).write_text(source.read_text())
    text = (LOGS / "shared.alloy").read_text()
    start, end = text.index('loki.process "redact"'), text.index('loki.process "count"')
    head = text.index("\n\n", start)
    foot = text.rindex("\t}\n", start, end)
    (folder / "shared.alloy").write_text(text[:head] + "\n" + text[foot:])
    return sorted({entry["line"] for r in run(folder) for entry in r.entries})


def redacted(folder: Path, lines: list[str]) -> list[list[str]]:
    answer = alloy("stages", folder / "pods.alloy", "redact", stdin=json.dumps(lines))
    assert answer.returncode == 0, answer.stderr
    found: list[list[str]] = json.loads(answer.stdout)
    return found


@pytest.mark.mutation
def test_every_redaction_is_needed(tmp_path: Path, unredacted: list[str]) -> None:
    spans = [
        span
        for span in blocks((LOGS / "shared.alloy").read_text(), "stage.replace")
        if "<redacted:" in (LOGS / "shared.alloy").read_text()[slice(*span)]
    ]
    assert spans
    wanted = redacted(LOGS, unredacted)
    for block, folder in emptied(tmp_path, spans):
        assert redacted(folder, unredacted) != wanted, f"nothing changes without\n{block}"


def emptied(tmp_path: Path, spans: list[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    """Yield copies in which one stage finds nothing: a stage.match may not be without stages."""
    text = (LOGS / "shared.alloy").read_text()
    for block, folder in mutated(tmp_path, "shared.alloy", spans):
        stage = re.sub(
            r"expression = .*?\n(\t+)replace",
            r"expression = `(\\x00)`\n\1replace",
            block,
            flags=re.DOTALL,
        )
        (folder / "shared.alloy").write_text(text.replace(block, stage, 1))
        yield block, folder


@pytest.mark.mutation
def test_every_alternative_of_a_redaction_is_needed(tmp_path: Path, unredacted: list[str]) -> None:
    text = (LOGS / "shared.alloy").read_text()
    spans = [m.span() for m in re.finditer(r"^\t+`.*`,\n", text, re.MULTILINE)]
    assert spans
    wanted = redacted(LOGS, unredacted)
    unneeded = [
        line
        for line, folder in mutated(tmp_path, "shared.alloy", spans)
        if redacted(folder, unredacted) == wanted
    ]
    assert unneeded == []


@pytest.mark.mutation
def test_every_sign_of_a_credential_is_needed(tmp_path: Path, unredacted: list[str]) -> None:
    """An entry that has none of these skips the redaction of credentials."""
    text = (LOGS / "shared.alloy").read_text()
    start, end = text.index('"oken"'), text.index("static_labels")
    signs = [
        (start + m.start(), start + m.end()) for m in re.finditer(r'"[^"\n]+", ?', text[start:end])
    ]
    assert len(signs) > 20
    lines = [line for line in SIGNS.splitlines() if line]
    wanted = redacted(LOGS, lines)
    assert all(line not in after for line, after in zip(lines, wanted, strict=True))
    for sign, folder in mutated(tmp_path, "shared.alloy", signs):
        assert redacted(folder, lines) != wanted, f"nothing changes without {sign}"


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
