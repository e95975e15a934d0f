"""What the workflow that may write makes of a report, with GitHub's client played by a script."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts.core.yamlfile import load
from scripts.diff import comment as comment_command
from scripts.diff.comment import LABEL
from scripts.diff.outputs import markdown
from tests.fixtures import CODE
from tests.programs.diff.diff_reports import EMPTY, SMALL, hostile, huge

WORKFLOWS = CODE / ".github/workflows"
COMMIT = "1f2e3d4c5b6a79880123456789abcdef01234567"
ADDRESS = "https://github.com/owner/repository/actions/runs/5"
REPORT = markdown.text(SMALL)
MARK = "<!-- todo-monitoring-diff -->"
BOT = {"login": "github-actions[bot]"}

# Plays `gh api` and `gh run download` from the file `world`, and notes each call in `calls`.
GH = """
import json, pathlib, shutil, subprocess, sys
here = pathlib.Path(__file__).parent
world = json.loads((here / "world").read_text())
arguments = sys.argv[1:]
fields = {}
options = {"--method": "GET", "--jq": None}
words = []
while arguments:
    word = arguments.pop(0)
    if word in ("-f", "-F"):
        name, _, value = arguments.pop(0).partition("=")
        if word == "-F" and value.startswith("@"):
            value = pathlib.Path(value[1:]).read_bytes().decode(errors="replace")
        fields[name] = value
    elif word in ("--paginate", "--silent"):
        pass
    elif word.startswith("--"):
        options[word] = arguments.pop(0)
    else:
        words.append(word)
with (here / "calls").open("a") as calls:
    print(json.dumps([options["--method"], words, fields]), file=calls)
if words[:2] == ["run", "download"]:
    shutil.copytree(here / "artifact", options["--dir"], symlinks=True)
    sys.exit()
answer = world.get(f"{options['--method']} {words[1]}")
if answer is None:
    sys.exit(f"gh: Not Found (HTTP 404) {words[1]}")
if options["--jq"]:
    command = ("jq", "--raw-output", options["--jq"])
    subprocess.run(command, input=json.dumps(answer), text=True, check=True)
else:
    print(answer)
"""


class Call(NamedTuple):
    """A request that was made."""

    method: str
    words: list[str]
    fields: dict[str, str]


class Runner:
    """A machine that runs the workflow's script, and the GitHub that it sees."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("jq"):
            pytest.skip("jq is not installed")
        self.folder = folder / "gh-folder"
        self.artifact = self.folder / "artifact"
        self.artifact.mkdir(parents=True)
        program = self.folder / "gh"
        program.write_text(f"#!{sys.executable} -IS\n{GH}")
        program.chmod(0o755)
        self.write(REPORT)
        repository = "repos/owner/repository"
        self.pulls = [{"number": 7, "head": {"sha": COMMIT}}]
        self.comments: list[dict[str, Any]] = []
        self.size = 1000
        self.conclusion = "success"
        self.rendered = "<p>harmless</p>"
        self.labels = f"{repository}/issues/7/labels/flags-acknowledged"
        self.repository = repository

    def write(self, report: str) -> None:
        (self.artifact / "report.md").write_text(report)

    def run(self, **environment: str) -> list[Call]:
        """Run the script and return what it asked for."""
        own = self.repository
        world = {
            f"GET {own}/pulls": self.pulls,
            f"GET {own}/actions/runs/5/artifacts?name=comment": {
                "artifacts": [{"size_in_bytes": self.size}] if self.size else []
            },
            f"GET {own}/actions/runs/5/jobs": {
                "jobs": [
                    {"name": "make diff", "conclusion": "success"},
                    {"name": "flags", "conclusion": self.conclusion},
                ]
            },
            "POST markdown": self.rendered,
            f"GET {own}/issues/7/comments": self.comments,
            f"POST {own}/issues/7/comments": {},
            f"PATCH {own}/issues/comments/11": {},
        }
        (self.folder / "world").write_text(json.dumps(world))
        (self.folder / "calls").write_text("")
        (workflow,) = load(WORKFLOWS / "comment.yaml", CODE)
        (step,) = workflow["jobs"]["comment"]["steps"]
        given = {
            "GH_TOKEN": "token",
            "REPOSITORY": "owner/repository",
            "RUN": "5",
            "ADDRESS": ADDRESS,
            "COMMIT": COMMIT,
            "HEAD": "fork:change",
        }
        assert given.keys() == step["env"].keys()
        work = self.folder.parent / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        done = subprocess.run(
            ("bash", "-e", "-c", step["run"]),
            cwd=work,
            env={
                **os.environ,
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                **given,
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert [path.name for path in work.iterdir() if path.name not in KNOWN] == []
        lines = (self.folder / "calls").read_text().splitlines()
        return [Call(*json.loads(line)) for line in lines]

    def body(self, **environment: str) -> str:
        """Run the script and return the comment that it wrote."""
        (body,) = [call.fields["body"] for call in self.run(**environment) if "body" in call.fields]
        return body


# What the script leaves in its folder.
KNOWN = ("body", "comment", "rendered", "utf-16")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_a_comment_is_written_once_and_then_anew(runner: Runner) -> None:
    first = runner.run()[-1]
    assert (first.method, first.words[1]) == ("POST", "repos/owner/repository/issues/7/comments")
    body = first.fields["body"]
    assert body.splitlines()[0] == MARK
    assert body.count("todo-monitoring-diff") == 1
    assert COMMIT in body
    assert ADDRESS in body
    assert REPORT.partition("\n")[2] in body
    runner.comments = [
        {"id": 9, "user": {"login": "somebody"}, "body": body},
        {"id": 10, "user": BOT, "body": f"A comment of another workflow. {MARK}"},
        {"id": 11, "user": BOT, "body": body},
        {"id": 12, "user": BOT, "body": body},
    ]
    second = runner.run()[-1]
    assert (second.method, second.words[1]) == (
        "PATCH",
        "repos/owner/repository/issues/comments/11",
    )


def test_the_pull_request_is_the_one_whose_branch_is_at_the_commit(runner: Runner) -> None:
    (asked, *_) = runner.run(HEAD='fork:a";touch x;"$(touch y)')
    assert asked.fields == {
        "state": "open",
        "base": "main",
        "head": 'fork:a";touch x;"$(touch y)',
    }
    runner.pulls[0]["head"] = {"sha": COMMIT.replace("1f2e", "0000")}
    assert len(runner.run()) == 1, "something is written for a commit that is no longer its head"
    runner.pulls = []
    assert len(runner.run()) == 1


@pytest.mark.parametrize(
    "report", [EMPTY, SMALL, hostile(), huge()], ids=["empty", "small", "hostile", "huge"]
)
def test_every_report_has_room_below_what_is_written_above_it(report: Any, runner: Runner) -> None:
    text = markdown.text(report)
    runner.write(text)
    runner.conclusion = "failure"
    body = runner.body()
    assert text.partition("\n")[2] in body
    assert len(body.encode("utf-16-le")) // 2 <= 65_536


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ("", "the report is not one of make diff"),
        (f"@octocat\n{REPORT}", "the report is not one of make diff"),
        (REPORT.replace("flags=2", "flags=2 --> @octocat <!--"), "the report is not one of make"),
        (f"{REPORT}{'a' * 65_000}", "the report is too long"),
        (f"{REPORT}{'😀' * 32_000}", "the report is too long"),
    ],
)
def test_what_is_no_report_is_not_shown(report: str, reason: str, runner: Runner) -> None:
    runner.write(report)
    body = runner.body()
    assert f"**Nothing to show: {reason}" in body
    assert "octocat" not in body
    assert "What changes" not in body


def test_an_artifact_of_another_kind_is_not_shown(runner: Runner, tmp_path: Path) -> None:
    (runner.artifact / "report.md").write_bytes(REPORT.encode() + b"\xff")
    assert "**Nothing to show: the report is not UTF-8.**" in runner.body()
    (tmp_path / "secret").write_text(REPORT)
    (runner.artifact / "report.md").unlink()
    (runner.artifact / "report.md").symlink_to(tmp_path / "secret")
    assert "**Nothing to show: the artifact holds no report.**" in runner.body()
    (runner.artifact / "report.md").unlink()
    assert "**Nothing to show: the artifact holds no report.**" in runner.body()


@pytest.mark.parametrize(
    ("size", "reason"), [(0, "the run wrote no report"), (10_000_000, "the report is too large")]
)
def test_only_a_small_artifact_is_downloaded(size: int, reason: str, runner: Runner) -> None:
    runner.size = size
    calls = runner.run()
    assert not [call for call in calls if "download" in call.words]
    assert f"**Nothing to show: {reason}.**" in calls[-1].fields["body"]


@pytest.mark.parametrize(
    "rendered",
    [
        '<a class="user-mention notranslate" href="https://github.com/octocat">@octocat</a>',
        '<a class="team-mention js-team-mention notranslate">@owner/team</a>',
        '<a class="issue-link js-issue-link" href="…/issues/1">#1</a>',
        '<img src="https://camo.githubusercontent.com/0">',
    ],
)
def test_a_report_that_github_would_make_something_of_is_not_shown(
    rendered: str, runner: Runner
) -> None:
    runner.rendered = rendered
    body = runner.body()
    assert "**Nothing to show: the report calls people, names issues or loads pictures.**" in body
    assert "What changes" not in body
    runner.rendered = None  # type: ignore[assignment]
    assert "**Nothing to show: the report cannot be rendered.**" in runner.body()


def test_flags_that_nobody_acknowledged_lose_a_label_of_an_older_commit(runner: Runner) -> None:
    deleted = ("DELETE", ["api", runner.labels])
    runner.conclusion = "failure"
    calls = runner.run()
    assert deleted in [call[:2] for call in calls]
    assert "adds the label `flags-acknowledged`" in calls[-1].fields["body"]
    runner.conclusion = "success"
    calls = runner.run()
    assert deleted not in [call[:2] for call in calls]
    assert "flags-acknowledged" not in calls[-1].fields["body"]


# What the workflow that runs the pull request's code hands over


def steps(job: str) -> list[dict[str, Any]]:
    (workflow,) = load(WORKFLOWS / "diff.yaml", CODE)
    found: list[dict[str, Any]] = workflow["jobs"][job]["steps"]
    return found


@pytest.mark.parametrize(
    ("flags", "acknowledged", "passes"),
    [("0", "false", True), ("2", "false", False), ("2", "true", True), ("", "false", False)],
)
def test_flags_are_red_until_the_label_is_there(
    flags: str, acknowledged: str, passes: bool
) -> None:
    (step,) = steps("flags")
    environment = {**os.environ, "FLAGS": flags, "ACKNOWLEDGED": acknowledged}
    done = subprocess.run(("bash", "-e", "-c", step["run"]), env=environment, check=False)
    assert (done.returncode == 0) is passes


@pytest.mark.parametrize(
    ("action", "label", "acknowledged"),
    [
        ("labeled", "flags-acknowledged", True),
        ("labeled", "other", False),
        ("unlabeled", "flags-acknowledged", False),
        ("synchronize", "", False),
        # It may have been pushed to while it was closed, with the label of an older commit.
        ("reopened", "", False),
        ("opened", "", False),
    ],
)
def test_only_adding_the_label_acknowledges(action: str, label: str, acknowledged: bool) -> None:
    (step,) = steps("flags")
    # On Forgejo and Gitea, make comment says whether they are acknowledged.
    elsewhere = re.escape("needs.diff.outputs.comment == 'success' || ")
    condition = re.fullmatch(rf"\$\{{\{{ {elsewhere}(.+) \}}\}}", step["env"]["ACKNOWLEDGED"])
    assert condition
    terms = re.findall(r"github\.event\.([\w.]+) == '([\w-]+)'(?: && |$)", condition[1])
    assert " && ".join(f"github.event.{at} == '{value}'" for at, value in terms) == condition[1]
    event = {"action": action, "label.name": label}
    assert all(event[at] == value for at, value in terms) is acknowledged


def test_both_workflows_name_the_same_artifact_and_label() -> None:
    diff, comment = ((WORKFLOWS / f"{name}.yaml").read_text() for name in ("diff", "comment"))
    uploaded = re.findall(r"name: (\w+)\n +path: build/diff/report.md", diff)
    assert uploaded == list(dict.fromkeys(re.findall(r"--name (\w+)", comment)))
    labels = re.compile(r"[\w-]+-acknowledged")
    assert set(labels.findall(diff)) == set(labels.findall(comment)) == {LABEL}
    assert f'"{comment_command.MARK} -->"' in comment
