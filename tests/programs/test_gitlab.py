"""GitLab's pipeline: the same targets, versions and caches as GitHub's workflows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.core import git
from scripts.core.yamlfile import load, load_all
from scripts.diff.forges import TOKEN
from tests.fixtures import CODE

PIPELINE = CODE / ".gitlab-ci.yml"
WORKFLOWS = CODE / ".github/workflows"
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (CODE / "Makefile").read_text(), re.MULTILINE))
KEYWORDS = {"default", "variables", "workflow"}
OF_REQUESTS = '$CI_PIPELINE_SOURCE == "merge_request_event"'


def pipeline(text: str) -> dict[str, Any]:
    found: dict[str, Any] = load_all(text, PIPELINE.name)[0]
    return found


def commands(job: dict[str, Any]) -> Iterator[str]:
    """Every command of a job, for each value of its matrix."""
    matrix = job.get("parallel", {}).get("matrix", [{}])[0].get("TARGETS", [""])
    for line in job["script"]:
        values = matrix if "$TARGETS" in line else [""]
        yield from (line.replace("$TARGETS", value) for value in values)


def made(job: dict[str, Any]) -> set[str]:
    lines = [shlex.split(line) for line in commands(job) if line.startswith("make ")]
    return {word for line in lines for word in line[1:] if "=" not in word}


def faults(text: str) -> Iterator[str]:
    """Say where the pipeline does not do what GitHub's workflows do."""
    found = pipeline(text)
    jobs = {name: job for name, job in found.items() if name not in KEYWORDS}
    for name, job in jobs.items():
        yield from (f"{name}: no target {target}" for target in made(job) - TARGETS)
        if not made(job):
            yield f"{name} runs no make target"
    github = load(WORKFLOWS / "ci.yaml", CODE)[0]["jobs"]["make"]
    for targets in jobs["make"]["parallel"]["matrix"][0]["TARGETS"]:
        if targets not in github["strategy"]["matrix"]["targets"]:
            yield f"GitHub has no job {targets}"
    python = re.search(r'python-version: "(.+)"', (WORKFLOWS / "ci.yaml").read_text())
    assert python
    if not found["default"]["image"].startswith(f"python:{python[1]}-"):
        yield "the image has another Python than GitHub's jobs"
    if re.search(rf"\b{TOKEN}\b", re.sub("(?m)^ *#.*", "", text)):
        yield "the token is handed on"
    yield from _caches(found, github["steps"])
    yield from _requests(jobs["diff"], jobs["flags"])


def _caches(found: dict[str, Any], github: list[dict[str, Any]]) -> Iterator[str]:
    files = git.output(CODE, "ls-files").splitlines()
    folder = found["variables"]["XDG_CACHE_HOME"].removeprefix("$CI_PROJECT_DIR/")
    kept = set()
    for cache in found["default"]["cache"]:
        for pattern in cache["key"]["files"]:
            if not any(Path(path).match(pattern.replace("**/*", "*/*")) for path in files):
                yield f"a cache's key is made of {pattern}, which is nothing"
        for path in cache["paths"]:
            if not path.startswith(f"{folder}/"):
                yield f"{path} is not where caches are"
            kept.add(path.replace(folder, "~/.cache", 1))
    wanted = {
        line.strip()
        for step in github
        if step.get("uses", "").startswith("actions/cache@")
        for line in step["with"]["path"].splitlines()
    }
    yield from (f"GitHub keeps {path}" for path in sorted(wanted - kept))


def _requests(diff: dict[str, Any], flags: dict[str, Any]) -> Iterator[str]:
    for name, job in (("diff", diff), ("flags", flags)):
        if [rule["if"] for rule in job.get("rules", [])] != [OF_REQUESTS]:
            yield f"{name} would run for what is no merge request"
    github = load(WORKFLOWS / "diff.yaml", CODE)[0]["jobs"]["diff"]["steps"]
    if _options(diff["script"]) != _options([step.get("run", "") for step in github]):
        yield "diff has other options than GitHub's"
    if str(diff.get("variables", {}).get("GIT_DEPTH")) != "0":
        yield "diff may not have the commit that it compares with"
    if diff["artifacts"].get("when") != "always":
        yield "the report of what cannot be compared is lost"
    if flags.get("allow_failure") is not True:
        yield "flags block, and advise on GitHub"
    if flags["rules"][0].get("when") != "always" or flags["needs"] != ["diff"]:
        yield "flags does not say that there is no report"


def _options(script: list[str]) -> list[str]:
    """What `make diff` is told besides the base, which is another variable on each forge."""
    lines = [shlex.split(line) for line in script if line.startswith("make diff ")]
    return [word for line in lines for word in line[2:] if not word.startswith("BASE=")]


def test_the_pipeline_does_what_the_workflows_do() -> None:
    assert list(faults(PIPELINE.read_text())) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("- validate", "- validat", "make: no target validat"),
        ("- make comment", "- echo", "flags runs no make target"),
        ("- lint\n", "- lint render\n", "GitHub has no job lint render"),
        (r"python:3\.11", "python:3.12", "the image has another Python"),
        (r"scripts/schemas\.\*", "scripts/schema.*", "a cache's key is made of"),
        (r"- \.venv/cache/pip", "- .cache/pip", ".cache/pip is not where"),
        (r"- \.venv/cache/todo-monitoring/charts", "- .venv/cache/c", "GitHub keeps ~/.cache"),
        (r"(?<=flags:\n  rules:\n    - if: ).*", "$CI", "flags would run"),
        (" --registries", "", "diff has other options"),
        ("GIT_DEPTH: 0", "GIT_DEPTH: 2", "diff may not have the commit"),
        ("allow_failure: true", "allow_failure: false", "flags block"),
        (r"(?<=event\"\n      )when: always", "when: on_success", "flags does not say"),
        (r"(?<=artifacts:\n    )when: always", "when: on_failure", "the report of what"),
        ("- make comment", "- make comment COMMENT_TOKEN=x", "the token is handed on"),
    ],
)  # fmt: skip
def test_a_pipeline_that_does_not_is_told_why(old: str, new: str, fault: str) -> None:
    broken, times = re.subn(old, lambda _: new, PIPELINE.read_text())
    assert times == 1
    assert [found for found in faults(broken) if found.startswith(fault)]


class Repository:
    """A branch that left main, which went on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")
        self.base = self.commit("base")
        self.git("switch", "--quiet", "--create=change")
        self.change = self.commit("change")
        self.git("switch", "--quiet", "main")
        self.main = self.commit("main")

    def git(self, *arguments: str) -> str:
        return git.isolated(self.folder, *arguments)

    def commit(self, text: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", f"--message={text}")
        return self.git("rev-parse", "HEAD")

    def merge(self) -> str:
        """What GitHub checks out, and GitLab in a pipeline for merged results."""
        self.git("switch", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--message=merge", "change")
        return self.git("rev-parse", "HEAD")

    def clone(self, head: str) -> Path:
        """A clone at a commit without local branches, as jobs have it."""
        clone = self.folder.parent / "clone"
        shutil.rmtree(clone, ignore_errors=True)
        self.git("clone", "--quiet", "--no-checkout", str(self.folder), str(clone))
        git.isolated(clone, "fetch", "--quiet", "origin", head)
        git.isolated(clone, "checkout", "--quiet", "--detach", head)
        for branch in git.output(clone, "branch", "--format=%(refname:short)").splitlines():
            if not branch.startswith("("):
                git.isolated(clone, "branch", "--quiet", "-D", branch)
        return clone


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "origin").mkdir()
    return Repository(tmp_path / "origin")


def named(clone: Path, command: str, **variables: str) -> str:
    """The commit that a job's command gives the name of the target branch."""
    environment = {"PATH": os.environ["PATH"], **git.ISOLATED, **variables}
    subprocess.run(("bash", "-euc", command), cwd=clone, env=environment, check=True)
    return git.output(clone, "rev-parse", "refs/heads/main")


@pytest.mark.parametrize("merged", [False, True])
def test_gitlab_compares_with_where_the_branch_left_or_what_it_was_merged_with(
    merged: bool, repository: Repository
) -> None:
    clone = repository.clone(repository.merge() if merged else repository.change)
    job = pipeline(PIPELINE.read_text())["diff"]
    (command,) = (line for line in job["script"] if line.startswith("git branch"))
    variables = {
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": repository.base,
        **({"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": repository.main} if merged else {}),
    }
    assert named(clone, command, **variables) == (repository.main if merged else repository.base)


@pytest.mark.parametrize("merged", [False, True], ids=["forgejo", "github"])
def test_the_workflow_compares_with_where_the_branch_left_or_what_it_was_merged_with(
    merged: bool, repository: Repository
) -> None:
    clone = repository.clone(repository.merge() if merged else repository.change)
    steps = load(WORKFLOWS / "diff.yaml", CODE)[0]["jobs"]["diff"]["steps"]
    (command,) = (one["run"] for one in steps if str(one.get("run")).startswith("git branch"))
    found = named(clone, command, GITHUB_BASE_REF="main")
    assert found == (repository.main if merged else repository.base)
