"""What `make diff` says of versions and digests that do not move together."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.diff.analyzers import digests
from scripts.diff.model import Flag
from scripts.model import charts
from scripts.model.manifests import Release
from tests.programs.diff.diff_pairs import CONTAINER, DEPLOYMENT, analyzed, cluster, pair, put

A, B = (f"sha256:{character * 64}" for character in "ab")


def image_flags(before: str, after: str | None) -> list[str]:
    old = {**DEPLOYMENT["spec"]["template"]["spec"]["containers"][0], "image": before}
    manifest: Json = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "template": {}}}
    manifest["spec"]["template"] = {"spec": {"containers": [old]}}
    return [
        text.split(":")[0]
        for text in analyzed(digests.of_images, manifest, put(f"{CONTAINER}/image", after))
    ]


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (f"r/i:1.2.3@{A}", f"r/i:1.2.3@{B}", ["digest-changed"]),
        (f"r/i:v1.2.3-alpine@{A}", f"r/i:v1.2.3-alpine@{B}", ["digest-changed"]),
        (f"r/i:1.2.3@{A}", f"r/i:1.2.4@{A}", ["digest-stale"]),
        # The tag is not what is pulled, wherever from.
        (f"r/i:1.2.3@{A}", f"mirror.example/i:1.2.4@{A}", ["digest-stale"]),
        (f"r/i:1.2.3@{A}", "r/i:1.2.3", ["digest-removed"]),
        (f"r/i:1.2.3@{A}", "r/i:1.2.4", ["digest-removed"]),
        (f"r/i@{A}", "r/i:1.2.3", ["digest-removed"]),
        # Both move, or neither; a first digest.
        (f"r/i:1.2.3@{A}", f"r/i:1.2.4@{B}", []),
        (f"r/i:1.2.3@{A}", f"r/i:1.2.3@{A}", []),
        ("r/i:1.2.3", f"r/i:1.2.3@{A}", []),
        ("r/i:1.2.3", f"r/i:1.2.4@{A}", []),
        ("r/i:1.2.3", "r/i:1.2.4", []),
        # Tags that are meant to be pushed again, or are made whole.
        (f"r/i:3@{A}", f"r/i:3@{B}", []),
        (f"r/i:latest@{A}", f"r/i:latest@{B}", []),
        (f"r/i:1.2@{A}", f"r/i:1.2.3@{A}", []),
        (f"r/i:v1.2.3@{A}", f"r/i:1.2.3@{A}", []),
        (f"r/i@{A}", f"r/i@{B}", []),
        # Another image, or one from elsewhere, is another one.
        (f"r/i:1.2.3@{A}", f"r/other:1.2.3@{B}", []),
        ("", f"r/i:1.2.3@{A}", []),
    ],
)
def test_images(before: str, after: str, flags: list[str]) -> None:
    assert image_flags(before, after) == flags


def test_a_container_that_is_new_or_gone() -> None:
    edit = put("spec/template/spec/containers", [{"name": "d", "image": f"r/i:1.2.3@{B}"}])
    assert analyzed(digests.of_images, DEPLOYMENT, edit) == []
    assert analyzed(digests.of_images, DEPLOYMENT, None) == []


def release(version: str, digest: str = "", repository: str = "r/charts") -> Release:
    return Release("one", "n", "c", version, repository, {}, ("HelmRelease", "one"), digest=digest)


def chart_flags(before: Release, after: Release) -> list[Flag]:
    clusters = (cluster(releases=[one]) for one in (before, after))
    return [one for one in digests.of_charts(pair(*clusters)) if isinstance(one, Flag)]


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "archive", lambda _: Path("c-1.2.3.tgz"))


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Release) -> Path:
        raise RepositoryError(Finding("chart c", None, "nobody has it", "ask another"))

    monkeypatch.setattr(charts, "archive", refuse)


@pytest.mark.usefixtures("out_of_reach")
@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (release("1.2.3", A), release("1.2.3", B), ["digest-changed"]),
        (release("1.2.3", A), release("1.2.4", A), ["digest-stale"]),
        (release("1.2.3", A), release("1.2.3"), ["digest-removed"]),
        (release("1.2.3", A), release("1.2.4"), ["digest-removed"]),
        (release("1.2.3", A), release("1.2.4", B), []),
        (release("1.2.3", A), release("1.2.3", A), []),
        (release("1.2.3"), release("1.2.3", A), []),
        (release("1.2.3"), release("1.2.4", A), []),
        # A mirror that its owner has filled by `helm push`: another source is flagged, as such.
        (release("1.2.3", A), release("1.2.3", B, "mirror.example/charts"), []),
        # What pinned nothing, as no registry knows it, is corrected.
        (release("1.2.3", A.removeprefix("sha256:")), release("1.2.3", B), []),
        (release("1.2.3", A.removeprefix("sha256:")), release("1.2.3"), []),
    ],
)
def test_charts(before: Release, after: Release, flags: list[str]) -> None:
    found = chart_flags(before, after)
    assert [str(flag.name) for flag in found] == flags
    assert {flag.where for flag in found} <= {"release one"}
    assert all(text.endswith(".") for flag in found for text in (flag.why, flag.fix))


@pytest.mark.usefixtures("by_hand")
def test_what_an_archive_that_was_put_there_cannot_show_is_said() -> None:
    (changed,) = chart_flags(release("1.2.3", A), release("1.2.3", B))
    assert changed.why.endswith("put there by hand: what that changes is not shown.")
    (stale,) = chart_flags(release("1.2.3", A), release("1.2.4", A))
    assert "by hand" not in stale.why
    assert "`crane digest r/charts/c:1.2.4`" in stale.fix


@pytest.mark.usefixtures("by_hand")
def test_a_new_release_and_one_that_goes() -> None:
    one, none = cluster(releases=[release("1.2.3", A)]), cluster()
    assert [*digests.of_charts(pair(one, none)), *digests.of_charts(pair(none, one))] == []
