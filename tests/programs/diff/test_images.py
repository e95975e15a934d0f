"""`make diff --registries`: images that a change brings, asked of a real registry."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core import git
from scripts.diff.__main__ import main
from scripts.model import image_registries
from scripts.model.manifests import Repository
from scripts.servers.processes import LOOPBACK, free_port
from tests.programs.image_registry import ImageRegistry, own_cache

pytest_plugins = ("tests.programs.image_registry",)

BLACKBOX = "base/releases/prometheus-blackbox-exporter.yaml"
BOTH = ("linux/amd64", "linux/arm64")
Diff = Callable[..., tuple[int, str, str]]


@pytest.fixture
def diff(
    copy: Repository,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    rendered: object,
) -> Diff:
    """Compare a clone with itself where the blackbox exporter runs another image."""
    assert rendered
    own_cache(tmp_path_factory.mktemp("own"), monkeypatch, "images")
    git.isolated(copy.root, "init", "--quiet", "--initial-branch=main")
    git.isolated(copy.root, "add", "--all")
    git.isolated(copy.root, "commit", "--quiet", "--message", "first")

    def command(image: str, *options: str) -> tuple[int, str, str]:
        host, _, rest = image.partition("/")
        name, _, digest = rest.partition("@")
        repository, _, tag = name.partition(":")
        lines = ["image:", f"  registry: {host}", f"  repository: {repository}", f'  tag: "{tag}"']
        lines += [f"  digest: {digest}"] if digest else []
        path = copy.root / BLACKBOX
        git.isolated(copy.root, "checkout", "--quiet", BLACKBOX)
        text = path.read_text()
        assert "    podSecurityContext:\n" in text
        block = "".join(f"    {line}\n" for line in lines)
        path.write_text(
            text.replace("    podSecurityContext:\n", f"{block}    podSecurityContext:\n")
        )
        code = main(["--base=HEAD", *options, str(copy.root)])
        told = capsys.readouterr()
        sys.stderr.write(told.err)
        return code, told.out, told.err

    return command


def section(out: str, title: str) -> str:
    """A section of the report on one line, as its lines are wrapped; empty without it."""
    found = re.search(rf"(?ms)^{title}\n(.*?)(?:\n\n|\Z)", out)
    return " ".join(found[1].split()) if found else ""


def line(copy: Repository, text: str) -> int:
    """The line of the exporter's file that has a text."""
    lines = (copy.root / BLACKBOX).read_text().splitlines()
    (found,) = (number for number, one in enumerate(lines, start=1) if text in one)
    return found


def test_an_image_that_is_there_is_not_worth_a_word(diff: Diff, registry: ImageRegistry) -> None:
    registry.push("team/app:0.28.1", *BOTH)
    code, out, _ = diff(f"{registry.host}/team/app:0.28.1", "--registries")
    assert (code, section(out, "Flags"), section(out, "Images")) == (0, "", "")
    # One image, in four clusters; what ran before is not asked.
    assert registry.asked == ["GET /v2/team/app/manifests/0.28.1"]


def test_nobody_is_asked_without_the_option(diff: Diff, registry: ImageRegistry) -> None:
    code, out, err = diff(f"{registry.host}/team/absent:1.0")
    assert (code, registry.asked) == (0, [])
    assert "image-missing" not in section(out, "Flags")
    assert "DIFF=--registries asks registries for 1 new image" in err


# As rwlove/home-ops#13840 and devantler-tech/platform#2249: a chart whose image was never pushed.
def test_a_tag_that_is_not_there_blocks(
    diff: Diff, registry: ImageRegistry, copy: Repository
) -> None:
    registry.push("team/app:0.28.1", *BOTH)
    image = f"{registry.host}/team/app:0.28.9"
    code, out, _ = diff(image, "--registries")
    assert code == 1
    flags = section(out, "Flags")
    assert flags.startswith(f"image-missing {BLACKBOX}:{line(copy, '0.28.9')} ")
    assert f"has no {image} (MANIFEST_UNKNOWN), which Deployment monitoring/blackbox" in flags
    assert "Correct the tag, or wait until it is pushed" in flags
    assert section(out, "Images") == ""


def test_a_repository_that_is_not_there_blocks(diff: Diff, registry: ImageRegistry) -> None:
    code, out, _ = diff(f"{registry.host}/team/nowhere:1.0", "--registries")
    assert code == 1
    assert "(NAME_UNKNOWN)" in section(out, "Flags")
    assert "Correct the repository's name" in section(out, "Flags")


# grafana/grafana#47833, Freika/dawarich#1840: a release without its image for Arm.
def test_an_architecture_that_is_not_there_blocks_where_nodes_have_it(
    diff: Diff, registry: ImageRegistry
) -> None:
    registry.push("team/amd:1.0", "linux/amd64", "unknown/unknown")
    image = f"{registry.host}/team/amd:1.0"
    code, out, _ = diff(image, "--registries")
    flags = section(out, "Flags")
    assert code == 1
    assert flags.count("image-architecture") == 1
    assert "oke-free (argocd, flux)" in flags
    assert "local" not in flags
    assert f"{image}, which Deployment monitoring/blackbox-exporter would pull, is for" in flags
    assert "is for amd64, and nodes are arm64." in flags


def test_what_a_registry_says_wins_over_the_list(diff: Diff, registry: ImageRegistry) -> None:
    registry.push("team/unlisted:1.0", *BOTH)
    image = f"{registry.host}/team/unlisted:1.0"
    code, out, _ = diff(image)
    assert code == 0
    assert f"Whether {registry.host}/team/unlisted runs on arm64 is not known" in section(
        out, "Flags"
    )
    assert diff(image, "--registries")[0] == 0
    assert section(diff(image, "--registries")[1], "Flags") == ""


# kiwigrid/k8s-sidecar#468, awslabs/ferret-scan#323: a tag that was pushed again.
def test_a_digest_counts_and_the_tag_beside_it_is_told(diff: Diff, registry: ImageRegistry) -> None:
    same = registry.push("team/pinned:1.0", *BOTH)
    code, out, _ = diff(f"{registry.host}/team/pinned:1.0@{same}", "--registries")
    assert (code, section(out, "Flags"), section(out, "Images")) == (0, "", "")
    old = registry.push("team/moved:1.0", *BOTH)
    new = registry.push("team/moved:1.0", *BOTH, "linux/s390x")
    code, out, _ = diff(f"{registry.host}/team/moved:1.0@{old}", "--registries")
    assert (code, section(out, "Flags")) == (0, "")
    assert f"the tag is {new[:19]}… by now" in section(out, "Images")
    code, out, _ = diff(f"{registry.host}/team/pinned:1.0@sha256:{'0' * 64}", "--registries")
    assert code == 1
    assert "Correct the digest" in section(out, "Flags")


def test_a_digest_of_one_platform_is_what_the_tag_lists(
    diff: Diff, registry: ImageRegistry
) -> None:
    single = registry.push("team/part:arm", "linux/arm64")
    registry.push("team/part:1.0", *BOTH)
    image = f"{registry.host}/team/part:1.0@{single}"
    code, out, _ = diff(image, "--registries")
    assert (code, section(out, "Flags"), section(out, "Images")) == (0, "", "")
    amd = registry.push("team/part:amd", "linux/amd64")
    code, out, _ = diff(f"{registry.host}/team/part:1.0@{amd}", "--registries")
    assert code == 1
    assert "is for amd64, and nodes are arm64" in section(out, "Flags")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("private/app", "refuses to say (401 or 403), as it does for what is private"),
        ("limited/app", "asked too often"),
        ("broken/app", "answers INTERNAL_ERROR"),
        ("slow/app", "has not answered within 2 s"),
    ],
)
def test_what_a_registry_does_not_say_is_a_sentence_and_the_list_counts(
    diff: Diff, registry: ImageRegistry, monkeypatch: pytest.MonkeyPatch, path: str, why: str
) -> None:
    if path.startswith("slow"):
        monkeypatch.setattr(image_registries, "LIMIT", 2)
    image = f"{registry.host}/{path}:1.0"
    code, out, _ = diff(image, "--registries")
    assert code == 0
    assert section(out, "Images").count(f"Whether {image} exists is not known: ") == 1
    assert why in section(out, "Images")
    flags = section(out, "Flags")
    assert f"Whether {registry.host}/{path} runs on arm64 is not known" in flags


def test_a_registry_that_is_gone_holds_up_nothing(diff: Diff) -> None:
    code, out, _ = diff(f"{LOOPBACK}:{free_port()}/team/app:1.0", "--registries")
    assert code == 0
    assert "cannot be reached" in section(out, "Images")


def test_other_processors_ask_for_all_images(
    copy: Repository, diff: Diff, registry: ImageRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(questions: object) -> dict[str, image_registries.Answer]:
        found = list(questions)  # type: ignore[call-overload]
        asked.extend(one.image for one in found if one.architectures == {"amd64"})
        unknown = image_registries.Unknown("nobody is asked here")
        return {one.image: unknown for one in found}

    monkeypatch.setattr(image_registries, "ask", ask)
    budget: Path = copy.root / "overlays/oke-free/budget.yaml"
    text = budget.read_text()
    assert "architecture: arm64" in text
    budget.write_text(text.replace("architecture: arm64", "architecture: amd64"))
    diff(f"{registry.host}/team/app:0.28.1", "--registries")
    assert len(set(asked)) > 5
    assert f"{registry.host}/team/app:0.28.1" in asked
