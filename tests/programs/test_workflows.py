"""What runs around the repository: workflows, hooks, and what Flux packs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import tools
from scripts.core import git
from scripts.core.yamlfile import load, load_all
from scripts.diff.model import Report
from scripts.diff.outputs import data, markdown
from scripts.model import revisions
from scripts.model.manifests import Repository
from tests.fixtures import CODE
from tests.programs.diff.diff_reports import EMPTY, SMALL

ROOT = CODE
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

Workflow = dict[str, Any]
READS = {"contents": "read"}
WRITES = {"actions": "read", "pull-requests": "write"}
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def commands(job: Workflow) -> Iterator[str]:
    """Every command of a job, for each value of its matrix."""
    matrix: dict[str, list[str]] = job.get("strategy", {}).get("matrix", {})
    for step in job["steps"]:
        for line in str(step.get("run", "")).splitlines():
            key = re.search(r"\$\{\{ matrix\.(\w+) \}\}", line)
            values = matrix[key[1]] if key else [""]
            yield from (line.replace(key[0], value) if key else line for value in values)


def made(command: str) -> list[str]:
    """The targets that a command makes, without variables; none if it is not `make`."""
    words = shlex.split(command) if command.startswith("make ") else []
    return [word for word in words[1:] if "=" not in word]


def triggers(workflow: Workflow) -> set[str]:
    """What starts a workflow; YAML 1.1 reads its key `on` as true."""
    return set(workflow[True])  # type: ignore[index]


def faults(text: str) -> Iterator[str]:
    """Say what a workflow does that it may not."""
    workflow: Workflow = load_all(text, "workflow")[0]
    # It runs with the repository's rights whatever the pull request, and so takes nothing of it.
    may_write = triggers(workflow) == {"workflow_run"}
    rights = WRITES if may_write else READS
    uses = [line.strip() for line in text.splitlines() if "uses:" in line]
    yield from (f"not pinned: {line}" for line in uses if not PINNED.search(line))
    if "pull_request_target" in text:
        yield "a fork's code would run with this repository's rights"
    if workflow.get("permissions") != {}:
        yield "permissions are not refused at the top"
    if "secrets." in text:
        yield "a fork has no secrets"
    jobs = workflow["jobs"]
    for name, job in jobs.items():
        if job.get("permissions", {}) not in ({}, rights):
            yield f"{name} may do more than {' and '.join(rights.values())}"
        if "timeout-minutes" not in job:
            yield f"{name} may hang for six hours"
        for step in job["steps"]:
            checkout = step.get("uses", "").startswith("actions/checkout@")
            if checkout and step.get("with", {}).get("persist-credentials") is not False:
                yield f"{name} leaves its token in .git/config"
            conditions = f"{job.get('if')} {step.get('if')}"
            elsewhere = "github.server_url != 'https://github.com'" in conditions
            if "github.token" in str(step) and not may_write and not elsewhere:
                yield f"{name} gives the token to what it runs on GitHub"
            here = "github.server_url == 'https://github.com'" in conditions
            if step.get("uses", "").startswith("actions/upload-artifact@") and not here:
                yield f"{name} would fail on Forgejo and Gitea, where this action refuses to run"
        if may_write:
            yield from _trusting(name, job)
            continue
        targets = [target for command in commands(job) for target in made(command)]
        yield from (f"{name}: no target {t}" for t in targets if t not in TARGETS)
        summary = set(job.get("needs", [])) == jobs.keys() - {name} and job.get("if") == "always()"
        if not targets and not summary:
            yield f"{name} runs no make target"


def _trusting(name: str, job: Workflow) -> Iterator[str]:
    """Say where a job that may write takes more of a pull request than a text."""
    if "github.event.workflow_run.event == 'pull_request'" not in job.get("if", ""):
        yield f"{name} would write for runs that are of no pull request"
    for step in job["steps"]:
        if "uses" in step:
            yield f"{name} may write, and uses {step['uses'].partition('@')[0]}"
        script = step.get("run", "")
        if "${{" in script:
            yield f"{name} lets others write its script"
        for command in re.findall(r"(?m)^ *(?:make|git|gh repo|gh pr) .*", script):
            yield f"{name} may write, and fetches or runs code: {command}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_pinned_run_make_and_write_only_apart_from_it(path: Path) -> None:
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r"checkout@\w+ # v7.0.1", "checkout@v7", "not pinned: - uses: actions/checkout@v7"),
        (r"(setup-python@\w+) # v7\.0\.0", r"\1", "not pinned"),
        ("pull_request:", "pull_request_target:", "a fork's code would run"),
        (r"permissions: \{\}", "permissions: read-all", "permissions are not refused"),
        ("contents: read", "contents: write", "make may do more than read"),
        ("timeout-minutes: 90", "continue-on-error: false", "make may hang"),
        ("persist-credentials: false", "fetch-depth: 1", "make leaves its token"),
        (r"\$\{\{ needs.make.result \}\}", "${{ secrets.RESULT }}", "a fork has no secrets"),
        ("- validate", "- validat", "make: no target validat"),
        ("- run: make ", "- run: echo ", "make runs no make target"),
        (r"if: always\(\)", "if: success()", "ci runs no make target"),
        (r"needs: \[make\]", "needs: []", "ci runs no make target"),
    ],
)
def test_a_broken_workflow_is_told_why(old: str, new: str, fault: str) -> None:
    text = (ROOT / ".github/workflows/ci.yaml").read_text()
    broken, times = re.subn(old, new, text)
    assert times == 1
    assert [f for f in faults(broken) if f.startswith(fault)]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r"github.server_url != 'https://github.com'", "true", "diff gives the token"),
        (r" && github.server_url == '\S+' \}\}(?=\n.*\n +name: diff)", " }}", "diff would fail on"),
    ],
)
def test_a_report_that_fails_on_a_forge_is_told_why(old: str, new: str, fault: str) -> None:
    text = (ROOT / ".github/workflows/diff.yaml").read_text()
    broken, times = re.subn(old, new, text)
    assert times == 1
    assert [f for f in faults(broken) if f.startswith(fault)]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r"workflow_run:\n    workflows.*\n    types.*", "pull_request:", "comment may do more"),
        ("actions: read", "contents: write", "comment may do more than read and write"),
        (r"github.event.workflow_run.event == 'pull_request' && ", "", "comment would write for"),
        ("- name: W", "- uses: a/checkout@v7\n      - name: W", "comment may write, and uses"),
        ("set -euo pipefail", "gh pr checkout 1", "comment may write, and fetches"),
        (r"pull request is at \$COMMIT", "${{ github.head_ref }}", "comment lets others write"),
        (r"GH_TOKEN: \$\{\{ github", "GH_TOKEN: ${{ secrets", "a fork has no secrets"),
    ],
)  # fmt: skip
def test_a_comment_that_trusts_is_told_why(old: str, new: str, fault: str) -> None:
    text = (ROOT / ".github/workflows/comment.yaml").read_text()
    broken, times = re.subn(old, lambda _: new, text)
    assert times == 1
    assert [f for f in faults(broken) if f.startswith(fault)]


def test_workflows_that_others_start_exist() -> None:
    workflows = [load(path, ROOT)[0] for path in WORKFLOWS]
    names = {workflow["name"] for workflow in workflows}
    started = {
        name
        for workflow in workflows
        if "workflow_run" in triggers(workflow)
        for name in workflow[True]["workflow_run"]["workflows"]
    }
    assert started
    assert started <= names


def test_a_missing_chart_fails_before_tests_could_be_skipped() -> None:
    jobs = [job for path in WORKFLOWS for job in load(path, ROOT)[0]["jobs"].values()]
    runs = [made(command) for job in jobs for command in commands(job)]
    assert [run for run in runs if "test" in run] == [["render", "test"]]


def test_the_report_waits_for_pictures_but_does_not_fail_with_them() -> None:
    steps = load(ROOT / ".github/workflows/diff.yaml", ROOT)[0]["jobs"]["diff"]["steps"]
    runs = {target: at for at, one in enumerate(steps) for target in made(str(one.get("run", "")))}
    assert runs["pictures"] < runs["diff"]
    drawing = steps[runs["pictures"]]
    assert drawing["continue-on-error"] is True
    assert drawing["timeout-minutes"] < 60
    assert "continue-on-error" not in steps[runs["diff"]]


def test_the_report_takes_the_programs_that_ci_has_built() -> None:
    """A cache is found by its key and its paths, and only what CI writes on main is for all."""

    def caches(workflow: str, job: str, action: str) -> set[tuple[str, str]]:
        steps = load(ROOT / ".github/workflows" / workflow, ROOT)[0]["jobs"][job]["steps"]
        return {
            (one["with"]["key"].replace("${{ matrix.targets }}", "preview"), one["with"]["path"])
            for one in steps
            if one.get("uses", "").startswith(f"{action}@")
        }

    restored = caches("diff.yaml", "diff", "actions/cache/restore")
    assert len(restored) == 1
    assert restored < caches("ci.yaml", "make", "actions/cache")


def test_ci_runs_the_oldest_supported_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = set(re.findall(r'python-version: "(.+)"', "".join(p.read_text() for p in WORKFLOWS)))
    assert len(versions) == 1
    minor, _, patch = versions.pop().rpartition(".")
    assert f">={minor}" == project["requires-python"]
    assert patch.isdigit(), "the newest patch is another Python each month"


def unlocked(text: str) -> Iterator[str]:
    """Say what a script installs that no lock file of this repository names with its hash."""
    for line in text.splitlines():
        code = re.sub(r"(^|\s)#.*", "", line)
        locked = all(o in code for o in ("--require-hashes", "--only-binary=:all:", " -r "))
        if re.search(r"(?<!uv )\bpip3? install\b", code) and not locked:
            yield f"pip may take another version: {line.strip()}"
        for command in re.findall(
            r"\b(?:uvx|pipx|npx|npm (?:i|install|exec)|uv (?:tool|run|sync|pip install)"
            r"|go (?:get|install|run)|curl|wget)\b",
            code,
        ):
            yield f"{command} may take another version: {line.strip()}"


SCRIPTS = (ROOT / "Makefile", ROOT / ".ci/run", ROOT / ".gitlab-ci.yml", *WORKFLOWS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_is_installed_is_locked(path: Path) -> None:
    assert list(unlocked(path.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "$(BIN)/pip install --quiet uv",
        "python -m pip install --require-hashes -r requirements.txt",
        "npx playwright install",
        "npm install",
        "go install sigs.k8s.io/kind@latest",
        "uv pip install ruff",
        "curl -sL https://example.com/kind",
    ],
)
def test_an_install_that_is_not_locked_is_told(line: str) -> None:
    assert len(list(unlocked(f"\t@{line}\n"))) == 1


def test_actionlint_finds_nothing() -> None:
    shellcheck = Path(sysconfig.get_path("scripts")) / "shellcheck"
    linted = tools.run("actionlint", "-shellcheck", shellcheck, cwd=ROOT)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_hooks_run_what_make_sets_up_and_watch_what_exists() -> None:
    config = load(ROOT / ".pre-commit-config.yaml", ROOT)[0]
    stages: dict[str, set[str]] = {stage: set() for stage in config["default_install_hook_types"]}
    for hook in config["repos"][0]["hooks"]:
        assert hook["entry"].startswith(".venv/bin/") or set(made(hook["entry"])) & TARGETS
        for path in hook.get("files", "").strip("^()/").split("|"):
            assert (ROOT / path).exists(), path
        for stage in hook.get("stages", config["default_stages"]):
            stages[stage].add(hook["id"])
    assert stages["pre-push"] == {"diff", "validate"}, "a push waits for what a commit has run"
    assert "diff" not in stages["pre-commit"], "a commit waits for charts"


def test_a_push_is_compared_where_it_can_change_a_cluster() -> None:
    hooks = load(ROOT / ".pre-commit-config.yaml", ROOT)[0]["repos"][0]["hooks"]
    (pattern,) = (hook["files"] for hook in hooks if hook["id"] == "diff")
    for path in revisions.INPUTS:
        assert re.match(pattern, path if (ROOT / path).is_file() else f"{path}/file")
    assert not re.match(pattern, "README.md")


def test_the_local_run_names_existing_targets_and_ends_with_the_tests() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    # Without comments, and without where the output of a command goes.
    words = [word for line in lines for word in made(re.split("[#>]", line)[0])]
    assert set(words) <= TARGETS
    assert {"prove", "e2e", "test"} <= set(words)
    assert lines[-1] == "make test"


def files(*options: str) -> set[str]:
    """Every file that is, or would be, committed; with git's options, some of them."""
    options = options or ("--exclude-standard",)
    listed = git.output(ROOT, "ls-files", "--cached", "--others", *options)
    return {path for path in listed.splitlines() if (ROOT / path).is_file()}


def test_what_flux_packs_builds_and_is_manifests_only(tmp_path: Path) -> None:
    packed = files() - files("--ignored", "--exclude-from=.sourceignore")
    assert {path.split("/")[0] for path in packed} == {"base", "clusters", "overlays"}
    assert not any(path.endswith(".md") for path in packed)
    for path in packed:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tmp_path / path)
    syncs = [sync.name for sync in Repository(ROOT).syncs if sync.synced]
    assert [sync.name for sync in Repository(tmp_path).syncs] == syncs


@pytest.mark.skipif(not shutil.which("jq"), reason="GitHub's runners have jq")
@pytest.mark.parametrize("report", [EMPTY, SMALL], ids=["empty", "small"])
def test_the_workflow_counts_the_flags(report: Report, tmp_path: Path) -> None:
    (tmp_path / "build/diff").mkdir(parents=True)
    for name, text in (("md", markdown.text(report)), ("json", data.text(report))):
        (tmp_path / f"build/diff/report.{name}").write_text(text)
    workflow = load((ROOT / ".github/workflows/diff.yaml"), ROOT)[0]
    (step,) = (one for one in workflow["jobs"]["diff"]["steps"] if one.get("id") == "report")
    files = {"GITHUB_OUTPUT": tmp_path / "output", "GITHUB_STEP_SUMMARY": tmp_path / "summary"}
    environment = {**os.environ, **{name: str(path) for name, path in files.items()}}
    subprocess.run(("bash", "-euc", step["run"]), cwd=tmp_path, env=environment, check=True)
    assert files["GITHUB_OUTPUT"].read_text() == f"flags={len(report.flags)}\n"
    assert files["GITHUB_STEP_SUMMARY"].read_text() == markdown.text(report)
