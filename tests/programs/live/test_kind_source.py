"""What the cluster pulls: a commit that is pushed, by a URL without credentials."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.core import git
from scripts.core.findings import RepositoryError
from scripts.live.kind import source
from tests.programs.live.grafana_server import PASSWORD
from tests.programs.live.kind_objects import REF, URL


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone, a commit ahead of its remote, which git reads from a folder in place of the web."""
    remote, tree = tmp_path / "remote", tmp_path / "tree"
    git.isolated(tmp_path, "init", "--quiet", "--bare", str(remote))
    git.isolated(tmp_path, "init", "--quiet", "--initial-branch=work", str(tree))
    git.isolated(tree, "remote", "add", "origin", "git@git.example.com:team/todo-monitoring.git")
    git.isolated(tree, "commit", "--quiet", "--allow-empty", "--message=first")
    git.isolated(tree, "push", "--quiet", str(remote), "work:refs/heads/main")
    git.isolated(tree, "commit", "--quiet", "--allow-empty", "--message=second")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{remote}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", URL)
    return tree


def test_a_commit_is_found_at_the_ref_of_its_pull_request(clone: Path) -> None:
    git.isolated(clone, "push", "--quiet", URL, f"HEAD:{REF}")
    assert source.of_head(clone) == (URL, REF, git.isolated(clone, "rev-parse", "HEAD"))


def test_a_branch_is_preferred_and_the_commit_of_a_tag_is_no_ref(clone: Path) -> None:
    git.isolated(clone, "tag", "--annotate", "v1", "--message=v1")
    git.isolated(clone, "push", "--quiet", URL, "v1")
    with pytest.raises(RepositoryError, match="is at no ref of"):
        source.of_head(clone)
    git.isolated(
        clone, "push", "--quiet", URL, f"HEAD:{REF}", "HEAD:refs/heads/work", "HEAD:refs/an/other"
    )
    assert source.of_head(clone).ref == "refs/heads/work"


def test_a_commit_that_is_not_pushed_is_told_so(clone: Path) -> None:
    commit = git.isolated(clone, "rev-parse", "HEAD")
    with pytest.raises(RepositoryError) as told:
        source.of_head(clone)
    (finding,) = told.value.findings
    assert finding.message.startswith(f"HEAD ({commit[:12]}) is at no ref of {URL}")
    assert finding.fix.startswith("push it to any branch")


def test_a_remote_that_cannot_be_read_is_told_in_the_words_of_git(clone: Path) -> None:
    shutil.rmtree(clone.parent / "remote")
    with pytest.raises(RepositoryError, match=r"git ls-remote: fatal: .*remote"):
        source.of_head(clone)


@pytest.mark.parametrize(
    "remote",
    [
        "git@git.example.com:team/todo-monitoring.git",
        "ssh://git@git.example.com/team/todo-monitoring.git",
        "ssh://git@git.example.com:2222/team/todo-monitoring.git",
        URL,
        f"https://somebody:{PASSWORD}@git.example.com/team/todo-monitoring.git",
    ],
)
def test_the_cluster_pulls_over_https_without_credentials(remote: str) -> None:
    assert source.anonymous(remote) == URL


@pytest.mark.parametrize("remote", ["/srv/todo", "file:///srv/todo", f"http://a:{PASSWORD}@b/todo"])
def test_a_remote_that_no_pod_reaches_is_refused_and_not_quoted(remote: str) -> None:
    with pytest.raises(RepositoryError, match="origin is reached neither over HTTPS") as told:
        source.anonymous(remote)
    assert remote not in str(told.value)
    assert PASSWORD not in str(told.value)
