"""Merge requests of GitLab and pull requests of Forgejo and Gitea, as a job of theirs reaches them.

What is asked for is in https://docs.gitlab.com/api/notes/, https://docs.gitlab.com/api/merge_requests/
and, of Forgejo and Gitea, in `/api/swagger` of each server.
"""

from __future__ import annotations

import abc
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from scripts.core.findings import Finding, RepositoryError
from scripts.core.redirects import NoRedirects
from scripts.core.yamlfile import Json

# Where the pipelines put the token that may write.
TOKEN = "COMMENT_TOKEN"  # noqa: S105 - a name
TIMEOUT = 30
# Comments of a page, as many as GitLab gives.
PAGE = 100
# Who writes with the token of a job: https://forgejo.org/docs/latest/user/actions/ names the user,
# the id is that of `ActionsUserID` in Forgejo and in Gitea.
ACTIONS_USER = -2


@dataclass(frozen=True)
class State:
    """What a request is now.

    Attributes:
        open: Whether it is open.
        commit: At the head of its branch.
        labels: Their names, each with what the forge removes it by.
    """

    open: bool
    commit: str
    labels: Mapping[str, str | int]


@dataclass(frozen=True)
class Comment:
    """A comment that the token's user wrote.

    Attributes:
        number: Its id.
        body: Its text.
    """

    number: int
    body: str


class Request(abc.ABC):
    """A merge request or pull request.

    Every method asks the forge, and raises RepositoryError if it does not do what it is asked.

    Attributes:
        commit: The commit that this job is about.
        noun: What it is called on its forge.
        whole: What has all of the report, with a link, as the end of a sentence.
    """

    commit: str
    noun: str
    whole: str

    @abc.abstractmethod
    def state(self) -> State:
        """Return what it is now."""

    @abc.abstractmethod
    def own(self) -> Iterator[Comment]:
        """Yield the comments of the token's user, the oldest first."""

    @abc.abstractmethod
    def write(self, body: str, comment: Comment | None) -> None:
        """Write a comment, or in place of one that is there."""

    @abc.abstractmethod
    def unlabel(self, label: str | int) -> None:
        """Take a label away, by what the state has for it."""


def request(environment: Mapping[str, str]) -> Request:
    """Return the request that a job runs for.

    Args:
        environment: The job's variables.

    Raises:
        RepositoryError: If this is no job of a request, or of a forge that is not known here.
    """
    if environment.get("GITLAB_CI"):
        if not environment.get("CI_MERGE_REQUEST_IID"):
            raise _elsewhere("this pipeline is of no merge request")
        return _MergeRequest(environment)
    if environment.get("GITHUB_ACTIONS"):
        if environment["GITHUB_SERVER_URL"] == "https://github.com":
            raise _elsewhere("on GitHub, the workflow Comment writes the comment")
        event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text())
        if "pull_request" not in event:
            raise _elsewhere("this run is of no pull request")
        return _PullRequest(environment, event["pull_request"])
    raise _elsewhere("this is no job of GitLab, Forgejo or Gitea")


def _elsewhere(message: str) -> RepositoryError:
    fix = "run it in a pipeline of a merge or pull request; elsewhere `make diff` shows the report"
    return RepositoryError(Finding("make comment", None, message, fix))


@dataclass(frozen=True)
class _Api:
    """A forge's API.

    Attributes:
        url: Where it begins, without a slash at its end.
        credentials: The header with the token.
        refused: What to do if the token may not do what is asked.
    """

    url: str
    credentials: Mapping[str, str]
    refused: str

    def ask(self, method: str, path: str, content: Json = None) -> Json:
        """Return the JSON of an answer; None where it has none.

        Raises:
            RepositoryError: If there is no answer or not the one that is asked for.
        """
        asked = urllib.request.Request(  # noqa: S310 - the forge gives its address
            f"{self.url}/{path}",
            json.dumps(content).encode() if content is not None else None,
            {**self.credentials, "Content-Type": "application/json", "Accept": "application/json"},
            method=method,
        )
        fix = "run the job again; if it says the same, look at the forge's own status"
        try:
            with urllib.request.build_opener(NoRedirects).open(asked, timeout=TIMEOUT) as answer:
                text = answer.read()
            return json.loads(text) if text.strip() else None
        except urllib.error.HTTPError as error:
            said = error.read(400).decode(errors="replace").strip()
            message = f"{method} is answered with HTTP {error.code}: {said or error.reason}"
            if error.code in (401, 403, 404):
                fix = self.refused
        except (OSError, http.client.HTTPException) as error:
            message = f"{method} gets no answer: {error}"
        except ValueError:
            message = f"{method} is answered with something that is no JSON"
        raise RepositoryError(Finding(f"{self.url}/{path}", None, message, fix))


class _MergeRequest(Request):
    noun = "merge request"

    def __init__(self, environment: Mapping[str, str]) -> None:
        # Of a pipeline for merged results, the merge is no commit of the branch.
        merged = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
        self.commit = merged or environment["CI_COMMIT_SHA"]
        pipeline = f"[its pipeline]({environment['CI_PIPELINE_URL']})"
        self.whole = f"{pipeline} has the page and both rendered trees"
        self._api = _Api(
            environment["CI_API_V4_URL"].rstrip("/"),
            {"PRIVATE-TOKEN": environment[TOKEN]},
            f"give the variable {TOKEN} a project access token with the role Reporter and the scope"
            " api, which has not expired",
        )
        project = environment["CI_MERGE_REQUEST_PROJECT_ID"]
        self._path = f"projects/{project}/merge_requests/{environment['CI_MERGE_REQUEST_IID']}"

    def state(self) -> State:
        now = self._api.ask("GET", self._path)
        return State(now["state"] == "opened", now["sha"], {name: name for name in now["labels"]})

    def own(self) -> Iterator[Comment]:
        user = self._api.ask("GET", "user")["id"]
        number = 1
        while True:
            page = {"sort": "asc", "order_by": "created_at", "per_page": PAGE, "page": number}
            notes = self._api.ask("GET", f"{self._path}/notes?{urlencode(page)}")
            for note in notes:
                if note["author"]["id"] == user and not note["system"]:
                    yield Comment(note["id"], note["body"])
            if len(notes) < PAGE:
                return
            number += 1

    def write(self, body: str, comment: Comment | None) -> None:
        if comment:
            self._api.ask("PUT", f"{self._path}/notes/{comment.number}", {"body": body})
        else:
            self._api.ask("POST", f"{self._path}/notes", {"body": body})

    def unlabel(self, label: str | int) -> None:
        self._api.ask("PUT", self._path, {"remove_labels": label})


class _PullRequest(Request):
    noun = "pull request"

    def __init__(self, environment: Mapping[str, str], pull: Mapping[str, Json]) -> None:
        self.commit = pull["head"]["sha"]
        server, repository = environment["GITHUB_SERVER_URL"], environment["GITHUB_REPOSITORY"]
        # Forgejo's addresses have a run's number in the repository, Gitea's its id.
        which = "GITHUB_RUN_NUMBER" if environment.get("FORGEJO_ACTIONS") else "GITHUB_RUN_ID"
        run = f"{server.rstrip('/')}/{repository}/actions/runs/{environment[which]}"
        self.whole = f"[its log]({run}) has all of it"
        self._api = _Api(
            environment["GITHUB_API_URL"].rstrip("/"),
            {"Authorization": f"token {environment[TOKEN]}"},
            "of a fork's pull request, where the token may only read, read the job's log; on Gitea,"
            " add `pull-requests: write` to the job's permissions",
        )
        self._repository = f"repos/{repository}"
        self._number = pull["number"]

    def state(self) -> State:
        now = self._api.ask("GET", f"{self._repository}/pulls/{self._number}")
        labels = {label["name"]: label["id"] for label in now["labels"] or ()}
        return State(now["state"] == "open", now["head"]["sha"], labels)

    def own(self) -> Iterator[Comment]:
        for one in self._api.ask("GET", f"{self._repository}/issues/{self._number}/comments"):
            if one["user"]["id"] == ACTIONS_USER:
                yield Comment(one["id"], one["body"])

    def write(self, body: str, comment: Comment | None) -> None:
        if comment:
            path = f"{self._repository}/issues/comments/{comment.number}"
            self._api.ask("PATCH", path, {"body": body})
        else:
            path = f"{self._repository}/issues/{self._number}/comments"
            self._api.ask("POST", path, {"body": body})

    def unlabel(self, label: str | int) -> None:
        self._api.ask("DELETE", f"{self._repository}/issues/{self._number}/labels/{label}")
