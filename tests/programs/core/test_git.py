"""git and other programs of the user's: what they are kept from, and what is said of a failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scripts.core import git, programs
from scripts.core.findings import RepositoryError


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    git.isolated(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


def test_a_commit_of_ours_is_not_signed_as_the_user_s_are(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = clone / "gitconfig"
    settings.write_text("[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = false\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    commit = ("commit", "--quiet", "--allow-empty", "--message=first")
    with pytest.raises(RepositoryError, match="git commit fails: "):
        git.output(clone, *commit)
    git.isolated(clone, *commit)
    assert git.output(clone, "log", "--format=%an %cn") == "todo-monitoring todo-monitoring"


def test_no_index_is_refreshed(clone: Path) -> None:
    (clone / "file").write_text("one")
    git.isolated(clone, "add", "file")
    index = (clone / ".git/index").read_bytes()
    os.utime(clone / "file", (0, 0))
    assert git.output(clone, "status", "--porcelain", "file") == "A  file"
    assert (clone / ".git/index").read_bytes() == index


def test_names_of_files_are_not_quoted(clone: Path) -> None:
    (clone / "größe").touch()
    assert git.output(clone, "ls-files", "--others", "größe") == "größe"


def test_no_git_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match=r"git: is not on PATH\n.*install it: https://"):
        git.run(tmp_path, "version")


def test_a_program_that_takes_too_long_is_ended() -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    answer = programs.run(command, "", timeout=0.2)
    assert (answer.returncode, answer.stderr) == (programs.TIMED_OUT, "no answer within 0.2 s")
