"""As much of GitLab's and of Forgejo's API as a comment needs, on loopback.

GitLab's is known from its documentation alone: https://docs.gitlab.com/api/notes/,
https://docs.gitlab.com/api/merge_requests/. Forgejo's and Gitea's was compared with a real Gitea
1.27: the paths, the fields, the user -2 who writes for jobs, and that labels go by their ids.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "that-writes"  # noqa: S105 - no secret
COMMIT = "1f2e3d4c5b6a79880123456789abcdef01234567"
OLDER = COMMIT.replace("1f2e", "0000")
GITLAB, FORGEJO = "gitlab", "forgejo"
MERGE_REQUEST = "/api/v4/projects/5/merge_requests/7"
REPOSITORY = "/api/v1/repos/owner/repository"


@dataclass
class Forge:
    """A merge or pull request 7, and who asked for what.

    Attributes:
        kind: GITLAB or FORGEJO.
        port: Of the server.
        commit: At its head.
        state: As the forge names it.
        labels: Their names; the id of each is its index, from 30.
        comments: Each with `id`, `user` (its id) and `body`.
        calls: Method and path of each request, without the query.
        refuses: Status of every answer to a request that would write.
    """

    kind: str
    port: int = 0
    commit: str = COMMIT
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    refuses: int = 0

    @property
    def user(self) -> int:
        """The id of the user that the token is of."""
        return 42 if self.kind == GITLAB else -2

    @property
    def bodies(self) -> list[str]:
        """The text of every comment of that user."""
        return [one["body"] for one in self.comments if one["user"] == self.user]

    def say(self, body: str, user: int | None = None) -> None:
        """Add a comment."""
        user = self.user if user is None else user
        number = 100 + len(self.comments)
        self.comments.append({"id": number, "user": user, "body": body})

    def variables(self, folder: Path) -> dict[str, str]:
        """The variables of its job."""
        url = f"http://127.0.0.1:{self.port}"
        if self.kind == GITLAB:
            return {
                "GITLAB_CI": "true",
                "COMMENT_TOKEN": TOKEN,
                "CI_API_V4_URL": f"{url}/api/v4",
                "CI_COMMIT_SHA": COMMIT,
                "CI_MERGE_REQUEST_IID": "7",
                "CI_MERGE_REQUEST_PROJECT_ID": "5",
                "CI_PIPELINE_URL": f"{url}/owner/repository/-/pipelines/9",
            }
        event = folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": COMMIT}}}))
        return {
            "GITHUB_ACTIONS": "true",
            "COMMENT_TOKEN": TOKEN,
            "GITHUB_API_URL": f"{url}/api/v1",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "owner/repository",
            "GITHUB_RUN_ID": "900",
            "GITHUB_RUN_NUMBER": "9",
            # Gitea's ends with a slash, GitHub's does not.
            "GITHUB_SERVER_URL": f"{url}/",
        }

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Any:
        """What the forge says, as JSON; a number is a status without a text."""
        if method != "GET" and self.refuses:
            return self.refuses
        return (self._gitlab if self.kind == GITLAB else self._forgejo)(
            method, path, query, content
        )

    def _gitlab(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Any:
        edited = re.fullmatch(rf"{MERGE_REQUEST}/notes/(\d+)", path)
        if (method, path) == ("GET", MERGE_REQUEST):
            state = {"open": "opened"}.get(self.state, self.state)
            return {"state": state, "sha": self.commit, "labels": self.labels}
        if (method, path) == ("GET", "/api/v4/user"):
            return {"id": self.user}
        if (method, path) == ("PUT", MERGE_REQUEST):
            return self._without(content["remove_labels"])
        if (method, path) == ("GET", f"{MERGE_REQUEST}/notes"):
            assert (query["sort"], query["order_by"]) == (["asc"], ["created_at"])
            size, number = int(query["per_page"][0]), int(query["page"][0])
            shown = self.comments[(number - 1) * size : number * size]
            user = {"system": False}
            return [{**one, **user, "author": {"id": one["user"]}} for one in shown]
        if (method, path) == ("POST", f"{MERGE_REQUEST}/notes"):
            return self.say(content["body"])
        return self._edit(edited, content["body"]) if method == "PUT" and edited else 404

    def _forgejo(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Any:
        comments = f"{REPOSITORY}/issues/7/comments"
        edited = re.fullmatch(rf"{REPOSITORY}/issues/comments/(\d+)", path)
        label = re.fullmatch(rf"{REPOSITORY}/issues/7/labels/(\d+)", path)
        if (method, path) == ("GET", f"{REPOSITORY}/pulls/7"):
            labels = [{"id": 30 + at, "name": name} for at, name in enumerate(self.labels)]
            return {"state": self.state, "head": {"sha": self.commit}, "labels": labels}
        if (method, path) == ("GET", comments):
            return [{**one, "user": {"id": one["user"]}} for one in self.comments]
        if (method, path) == ("POST", comments):
            return self.say(content["body"])
        if method == "DELETE" and label:
            return self._without(self.labels[int(label[1]) - 30])
        return self._edit(edited, content["body"]) if method == "PATCH" and edited else 404

    def _edit(self, found: re.Match[str], body: str) -> None:
        (one,) = (one for one in self.comments if one["id"] == int(found[1]))
        one["body"] = body

    def _without(self, label: str) -> None:
        self.labels.remove(label)


@contextlib.contextmanager
def serving(forge: Forge) -> Iterator[Forge]:
    """Run a forge's server until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            forge.calls.append(f"{self.command} {parts.path}")
            size = int(self.headers.get("Content-Length") or 0)
            content = json.loads(self.rfile.read(size) or b"null")
            given = self.headers.get("PRIVATE-TOKEN", self.headers.get("Authorization", ""))
            known = given == (TOKEN if forge.kind == GITLAB else f"token {TOKEN}")
            said = (
                forge.answer(self.command, parts.path, parse_qs(parts.query), content)
                if known
                else 401
            )
            text = b"" if said is None or isinstance(said, int) else json.dumps(said).encode()
            self.send_response(said if isinstance(said, int) else 200 if text else 204)
            if isinstance(said, int) and 300 <= said < 400:
                self.send_header("Location", f"http://127.0.0.1:{forge.port}/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        forge.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield forge
        finally:
            server.shutdown()
