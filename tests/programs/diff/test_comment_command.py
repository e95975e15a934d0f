"""`make comment` against as much of GitLab and of Forgejo as it needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.core.findings import RepositoryError
from scripts.diff import comment, forges
from scripts.diff.outputs import markdown
from tests.programs.diff import forge_servers
from tests.programs.diff.diff_reports import EMPTY, SMALL, hostile, huge
from tests.programs.diff.forge_servers import COMMIT, FORGEJO, GITLAB, OLDER, TOKEN, Forge

LABEL = comment.LABEL
WRITES = re.compile("POST|PUT|PATCH|DELETE")


class Job:
    """A job of a request, and the forge that it asks."""

    def __init__(self, forge: Forge, folder: Path) -> None:
        self.forge = forge
        self.folder = folder
        self.write(SMALL)

    def write(self, report: Any) -> None:
        (self.folder / "report.md").write_text(markdown.text(report, whole="report.html"))

    def run(self, **variables: str) -> int:
        environment = self.forge.variables(self.folder) | variables
        return comment.main([str(self.folder)], environment)

    @property
    def written(self) -> list[str]:
        """The requests that would change something."""
        return [call for call in self.forge.calls if WRITES.match(call)]


@pytest.fixture(params=[GITLAB, FORGEJO])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    with forge_servers.serving(Forge(request.param)) as forge:
        yield Job(forge, tmp_path)


def test_a_comment_is_written_once_and_then_anew(job: Job) -> None:
    job.forge.say("Somebody's own, with the mark in it: <!-- todo-monitoring-diff -->")
    job.forge.say("<!-- todo-monitoring-diff commit=0 -->", user=8)
    for number in range(120):
        job.forge.say(f"{number}", user=8)
    job.run()
    first = job.forge.bodies
    assert len(first) == 2
    job.forge.commit = OLDER
    job.run(**_at(job, OLDER))
    assert len(job.forge.bodies) == 2
    assert job.forge.bodies[1] == first[1].replace(COMMIT, OLDER)
    assert [call.split()[0] for call in job.written] == ["POST", _edits(job)]


def _edits(job: Job) -> str:
    return "PUT" if job.forge.kind == GITLAB else "PATCH"


def _at(job: Job, commit: str) -> dict[str, str]:
    """The variables of a job for another commit."""
    if job.forge.kind == GITLAB:
        return {"CI_COMMIT_SHA": commit}
    event = job.folder / "older.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": commit}}}))
    return {"GITHUB_EVENT_PATH": str(event)}


def test_a_comment_says_of_which_commit_it_is_and_where_all_of_it_is(job: Job) -> None:
    job.run()
    (body,) = job.forge.bodies
    mark, made, *_ = body.splitlines()
    assert mark == f"<!-- todo-monitoring-diff commit={COMMIT} -->"
    where = f"](http://127.0.0.1:{job.forge.port}/owner/repository/"
    where += "-/pipelines/9)" if job.forge.kind == GITLAB else "actions/runs/900)"
    assert COMMIT in made
    assert where in made
    assert markdown.text(SMALL, whole="report.html").partition("\n")[2] in body


def test_a_run_of_forgejo_has_its_number_in_its_address(tmp_path: Path) -> None:
    with forge_servers.serving(Forge(FORGEJO)) as forge:
        Job(forge, tmp_path).run(FORGEJO_ACTIONS="true", GITEA_ACTIONS="true")
    assert "/actions/runs/9)" in forge.bodies[0]


def test_flags_fail_until_the_label_is_added_to_what_is_said_of_this_commit(job: Job) -> None:
    assert job.run() == 1
    assert f"adds the label `{LABEL}`; a push takes it away.\n\n## " in job.forge.bodies[0]
    job.forge.labels = ["bug", LABEL]
    assert job.run() == 0
    assert f"adds the label `{LABEL}`" not in job.forge.bodies[0]
    assert job.forge.labels == ["bug", LABEL]
    # A push.
    job.forge.commit = OLDER
    assert job.run(**_at(job, OLDER)) == 1
    assert job.forge.labels == ["bug"]
    assert f"adds the label `{LABEL}`" in job.forge.bodies[0]


def test_a_label_from_before_the_first_comment_acknowledges_nothing(job: Job) -> None:
    job.forge.labels = [LABEL]
    assert job.run() == 1
    assert job.forge.labels == []


def test_another_label_acknowledges_nothing(job: Job) -> None:
    job.run()
    job.forge.labels = [f"{LABEL}-not"]
    assert job.run() == 1


def test_without_flags_nothing_is_to_be_acknowledged(job: Job) -> None:
    job.write(EMPTY)
    job.forge.labels = [LABEL]
    assert job.run() == 0
    assert job.forge.labels == [LABEL]
    assert LABEL not in job.forge.bodies[0]


@pytest.mark.parametrize("state", ["closed", "merged"])
def test_nothing_is_written_into_a_request_that_is_closed(state: str, job: Job) -> None:
    job.forge.state = state
    assert job.run() == 0
    assert job.written == []


def test_nothing_is_written_of_a_commit_that_was_pushed_over(job: Job) -> None:
    job.forge.commit = OLDER
    assert job.run() == 0
    assert job.written == []


def test_a_merge_of_both_branches_is_said_of_the_branch(tmp_path: Path) -> None:
    with forge_servers.serving(Forge(GITLAB)) as forge:
        job = Job(forge, tmp_path)
        job.run(CI_COMMIT_SHA=OLDER, CI_MERGE_REQUEST_SOURCE_BRANCH_SHA=COMMIT)
    assert COMMIT in forge.bodies[0]
    assert OLDER not in forge.bodies[0]


@pytest.mark.parametrize(
    "text", [None, "", "# Report\n", "<!-- todo-monitoring-diff flags=x -->\n"]
)
def test_what_is_no_report_is_not_shown(text: str | None, job: Job) -> None:
    path = job.folder / "report.md"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert job.run() == 1
    assert "**Nothing to show: the run wrote no report.**" in job.forge.bodies[0]
    assert "# Report" not in job.forge.bodies[0]


@pytest.mark.parametrize(
    "report", [EMPTY, SMALL, hostile(), huge()], ids=["empty", "small", "hostile", "huge"]
)
def test_no_line_of_a_report_orders_gitlab_to_do_something(report: Any, job: Job) -> None:
    """A line that begins with a slash is a quick action, unless it is in a block of code."""
    job.write(report)
    job.run()
    plain = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", job.forge.bodies[0])
    assert not re.findall(r"(?m)^\s*/\w+", plain)
    assert len(job.forge.bodies[0].encode("utf-16-le")) // 2 <= markdown.LIMIT


def test_without_a_token_nothing_is_asked_and_the_way_to_a_comment_is_named(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.run(COMMENT_TOKEN="") == 1
    job.write(EMPTY)
    assert job.run(COMMENT_TOKEN="") == 0
    assert job.forge.calls == []
    assert "COMMENT_TOKEN is not set; scripts/README.md" in capsys.readouterr().err


def test_a_token_is_not_sent_on_to_where_a_redirect_leads(job: Job) -> None:
    job.forge.refuses = 307
    with pytest.raises(RepositoryError, match="HTTP 307"):
        job.run()
    assert not [call for call in job.forge.calls if "elsewhere" in call]


@pytest.mark.parametrize(("status", "remedy"), [(403, True), (404, True), (500, False)])
def test_a_refusal_is_told_with_its_remedy_and_without_the_token(
    status: int, remedy: bool, job: Job
) -> None:
    job.forge.refuses = status
    with pytest.raises(RepositoryError, match=f"HTTP {status}") as error:
        job.run()
    (finding,) = error.value.findings
    own = "Reporter" if job.forge.kind == GITLAB else "a fork's pull request"
    assert (own in finding.fix) is remedy
    assert TOKEN not in str(error.value)


def test_a_wrong_token_and_a_server_that_is_gone_are_told(job: Job) -> None:
    with pytest.raises(RepositoryError, match="HTTP 401"):
        job.run(**{forges.TOKEN: "another"})
    nowhere = dict.fromkeys(("CI_API_V4_URL", "GITHUB_API_URL"), "http://127.0.0.1:1")
    with pytest.raises(RepositoryError, match="gets no answer"):
        job.run(**nowhere)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "no job of GitLab, Forgejo or Gitea"),
        ({"GITLAB_CI": "true"}, "of no merge request"),
        (
            {"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com"},
            "the workflow Comment writes",
        ),
        (
            {"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://codeberg.org"},
            "of no pull request",
        ),
    ],
)
def test_elsewhere_it_says_where_it_belongs(
    variables: dict[str, str], reason: str, tmp_path: Path
) -> None:
    event = tmp_path / "push.json"
    event.write_text("{}")
    given = {"COMMENT_TOKEN": TOKEN, "GITHUB_EVENT_PATH": str(event), **variables}
    with pytest.raises(RepositoryError, match=reason):
        comment.main([str(tmp_path)], given)
