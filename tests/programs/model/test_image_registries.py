"""What registries say of images: asked of a real one, which also refuses, is slow, or is gone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.model import image_registries
from scripts.model.image_registries import (
    Answer,
    Found,
    Missing,
    Question,
    Unknown,
    ask,
    questions,
)
from scripts.servers.processes import LOOPBACK, free_port
from tests.programs.image_registry import SOURCE, ImageRegistry, own_cache

pytest_plugins = ("tests.programs.image_registry",)

BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache(tmp_path, monkeypatch, "images")


def answer(image: str, *architectures: str) -> Answer:
    return ask(questions(image, architectures))[image_registries.pulled(image)]


def test_an_index_names_its_architectures(registry: ImageRegistry) -> None:
    attestation = ("unknown/unknown", "windows/amd64")
    digest = registry.push("team/app:1.0", *BOTH, *attestation, annotations={SOURCE: "https://s"})
    found = answer(f"{registry.host}/team/app:1.0", "arm64")
    assert isinstance(found, Found)
    assert (found.digest, found.architectures) == (digest, frozenset({"amd64", "arm64"}))
    assert (len(found.parts), found.source) == (4, "https://s")


@pytest.mark.parametrize(
    ("platform", "architectures"), [("linux/amd64", ["amd64"]), ("windows/amd64", [])]
)
def test_a_single_manifest_is_for_what_its_configuration_says(
    registry: ImageRegistry, platform: str, architectures: list[str]
) -> None:
    registry.push("team/single:1", platform, labels={SOURCE: "https://github.com/team/single"})
    found = answer(f"{registry.host}/team/single:1")
    assert isinstance(found, Found)
    assert found.architectures == frozenset(architectures)
    assert found.source == "https://github.com/team/single"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("team/present:2", "MANIFEST_UNKNOWN"),
        (f"team/present@sha256:{'0' * 64}", "MANIFEST_UNKNOWN"),
        ("team/absent:1", "NAME_UNKNOWN"),
        # No code, only a status.
        ("gone/app:1", "404"),
    ],
)
def test_what_is_not_there_is_missing(registry: ImageRegistry, name: str, code: str) -> None:
    registry.push("team/present:1", *BOTH)
    assert answer(f"{registry.host}/{name}") == Missing(code)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("private/app:1", "refuses to say (401 or 403)"),
        ("denied/app:1", "refuses to say (401 or 403)"),
        ("limited/app:1", "asked too often"),
        # A fault is no answer, whatever its message holds.
        ("broken/app:1", "answers INTERNAL_ERROR: MANIFEST_UNKNOWN: no"),
        ("slow/app:1", "has not answered within"),
        ("unread/app:1", "its manifest cannot be read"),
    ],
)
def test_what_a_registry_does_not_say_is_not_known(
    registry: ImageRegistry, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    limit = 1 if name.startswith("slow") else image_registries.LIMIT
    monkeypatch.setattr(image_registries, "LIMIT", limit)
    found = answer(f"{registry.host}/{name}")
    assert isinstance(found, Unknown)
    assert says in found.why


def test_a_registry_that_is_not_there_is_not_known() -> None:
    found = answer(f"{LOOPBACK}:{free_port()}/team/app:1")
    assert isinstance(found, Unknown)
    assert "cannot be reached (dial tcp" in found.why
    assert found.why.endswith("connection refused)")


def test_a_name_that_is_none_is_not_known() -> None:
    found = answer("registry.example.com/UPPER:1")
    assert found == Unknown("that is no name of an image, as crane reads it")


@pytest.mark.parametrize(
    "told",
    [
        # Of a server that is no registry: what is asked first is not there.
        "Error: fetching manifest a.example/b:1: GET https://a.example/v2/: unexpected status "
        "code 404 Not Found: <html>",
        "Error: fetching manifest a.example/b:1: GET https://a.example/token?scope=repository"
        "%3Ab%3Apull: unexpected status code 404 Not Found",
        "Error: fetching manifest a.example/b:1: GET https://a.example/v2/b/manifests/1: "
        "DENIED: MANIFEST_UNKNOWN: or private",
        "Error: fetching manifest a.example/MANIFEST_UNKNOWN:1: x509: certificate has expired",
        "",
    ],
)
def test_what_is_no_clear_answer_is_never_missing(told: str) -> None:
    assert isinstance(image_registries._refusal("a.example", told), Unknown)


@pytest.mark.parametrize(
    "told",
    [
        "Error: fetching manifest a/b:1: GET https://a/v2/b/manifests/1: MANIFEST_UNKNOWN: "
        "manifest unknown; unknown tag=1",
        "2026/01/31 20:00:00 retrying\nError: fetching manifest a/b:1: GET "
        "https://a/v2/b/manifests/1: multiple errors returned: MANIFEST_UNKNOWN: one;\n"
        "NAME_UNKNOWN: two",
    ],
)
def test_notes_and_lines_around_an_answer_do_not_matter(told: str) -> None:
    assert image_registries._refusal("a", told) == Missing("MANIFEST_UNKNOWN")


def test_a_digest_is_asked_once_and_a_tag_once_a_day(
    registry: ImageRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = registry.push("team/kept:1", *BOTH)
    by_tag, by_digest = f"{registry.host}/team/kept:1", f"{registry.host}/team/kept@{digest}"
    first = [answer(by_tag, "arm64"), answer(by_digest, "arm64")]
    registry.asked.clear()
    assert [answer(by_tag, "arm64"), answer(by_digest, "arm64")] == first
    assert registry.asked == []
    day = time.time() + image_registries._TAG_KEPT + 1
    monkeypatch.setattr(time, "time", lambda: day)
    assert [answer(by_tag, "arm64"), answer(by_digest, "arm64")] == first
    assert registry.asked == ["GET /v2/team/kept/manifests/1"]
    # Asked later than now: by another clock.
    monkeypatch.setattr(time, "time", lambda: day - 1000)
    answer(by_tag, "arm64")
    assert len(registry.asked) == 2


def test_what_is_missing_is_asked_again(registry: ImageRegistry) -> None:
    name = f"{registry.host}/team/later:1"
    assert answer(name, "arm64") == Missing("NAME_UNKNOWN")
    registry.push("team/later:1", "linux/amd64")
    found = answer(name, "arm64")
    assert isinstance(found, Found)
    assert found.architectures == frozenset({"amd64"})
    # The architecture that was missing comes under the same tag.
    registry.push("team/later:1", *BOTH)
    found = answer(name, "arm64")
    assert isinstance(found, Found)
    assert found.architectures == frozenset({"amd64", "arm64"})


def test_a_tag_beside_a_digest_is_asked_until_it_is_that(registry: ImageRegistry) -> None:
    old = registry.push("team/moved:1", *BOTH)
    new = registry.push("team/moved:1", *BOTH, "linux/s390x")
    assert old != new
    image = f"{registry.host}/team/moved:1@{old}"
    for _ in range(2):
        registry.asked.clear()
        answers = ask(questions(image, ["arm64"]))
        tag = answers[f"{registry.host}/team/moved:1"]
        assert isinstance(tag, Found)
        assert tag.digest == new
        assert "GET /v2/team/moved/manifests/1" in registry.asked
    assert isinstance(answers[f"{registry.host}/team/moved@{old}"], Found)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"asked": "now"}', '{"asked": 1e18}'])
def test_a_broken_cache_is_none(registry: ImageRegistry, content: str) -> None:
    registry.push("team/cached:1", *BOTH)
    name = f"{registry.host}/team/cached:1"
    tools.write(image_registries._file(name), content)
    assert isinstance(answer(name), Found)
    assert "digest" in json.loads(image_registries._file(name).read_text())


def test_one_that_is_slow_holds_back_no_other(
    registry: ImageRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image_registries, "LIMIT", 2)
    monkeypatch.setattr(image_registries, "PATIENCE", 1)
    registry.push("team/fast:1", *BOTH)
    names = [f"{registry.host}/slow/app:{number}" for number in range(6)]
    started = time.monotonic()
    found = ask([*map(Question, names), Question(f"{registry.host}/team/fast:1")])
    assert time.monotonic() - started < 6
    assert [isinstance(one, Unknown) for one in found.values()] == [True] * 6 + [False]
    assert "asking registries for 6 images" in capsys.readouterr().err


def test_without_crane_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, registry: ImageRegistry
) -> None:
    def absent(name: str) -> Path:
        finding = Finding(f"scripts/tools/{name}", None, "does not build", "see Go's words")
        raise RepositoryError(finding)

    monkeypatch.setattr(tools, "path", absent)
    found = answer(f"{registry.host}/team/fast:1")
    assert isinstance(found, Unknown)
    assert "does not build" in found.why
