"""The Git remote that Flux pulls: this repository's HEAD, served over HTTP by git itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from scripts.core import git
from scripts.core.yamlfile import Json
from scripts.servers.processes import LOOPBACK, free_port

BRANCH = "main"


def edit_yaml(path: Path, change: Callable[[Json], object]) -> None:
    """Change a YAML file of one document; its comments are lost, in a clone that nobody reads.

    Args:
        path: The file.
        change: Changes the document that it is given.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def append_to_list(path: Path, key: str, *values: Json) -> None:
    """Append to a list of a kustomization what it does not have yet."""

    def change(content: Json) -> None:
        there = content.setdefault(key, [])
        there.extend(value for value in values if value not in there)

    edit_yaml(path, change)


class GitRemote:
    """A bare repository that a server on loopback offers, and a clone of it to commit in."""

    def __init__(self, folder: Path, source: Path, revision: str = "HEAD") -> None:
        """Take the state of a repository at a revision; nothing is served yet.

        Args:
            folder: An empty folder for both.
            source: The repository; it is only read.
            revision: Which commit of it the branch starts at.

        Raises:
            RepositoryError: If git knows no such revision.
        """
        self._bare = folder / "todo-monitoring.git"
        self.tree = folder / "clone"
        commit = git.isolated(source, "rev-parse", "--verify", f"{revision}^{{commit}}")
        git.isolated(
            folder, "clone", "--quiet", "--no-checkout", "--shared", str(source), str(self.tree)
        )
        git.isolated(self.tree, "checkout", "--quiet", "-B", BRANCH, commit)
        git.isolated(
            folder, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(self._bare)
        )
        self._port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self.push()

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://{LOOPBACK}:{self._port}/{self._bare.name}"

    def commit(self, message: str, change: Callable[[Path], object]) -> str:
        """Change the tree, commit and push; return the commit's id.

        Args:
            message: The commit's.
            change: Changes files below the folder that it is given.
        """
        change(self.tree)
        git.isolated(self.tree, "add", "--all")
        git.isolated(self.tree, "commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.push()

    def revert(self) -> str:
        """Take the last commit back with a new one; return the new commit's id."""
        git.isolated(self.tree, "revert", "--no-edit", "HEAD")
        return self.push()

    def push(self) -> str:
        """Push the branch; return the id of its commit."""
        git.isolated(self.tree, "push", "--quiet", str(self._bare), BRANCH)
        return git.isolated(self.tree, "rev-parse", "HEAD")

    def up(self) -> None:
        """Serve it, at the same address each time."""
        root = self._bare.parent

        class GitHandler(_GitBackend):
            folder = root

        self._server = ThreadingHTTPServer((LOOPBACK, self._port), GitHandler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        """Serve it no longer: connections are refused."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _GitBackend(BaseHTTPRequestHandler):
    """Hands each request to `git http-backend`, by the CGI that it speaks (RFC 3875)."""

    folder: Path

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: Flux's log has what matters."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        environment = {
            **os.environ,
            **git.ISOLATED,
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "REMOTE_ADDR": LOOPBACK,
        }
        run = subprocess.run(
            ("git", "http-backend"),
            input=self.rfile.read(length),
            env=environment,
            capture_output=True,
            check=False,
        )
        head, _, body = run.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        status = int(headers.pop("Status", "200").split()[0]) if head else 500
        # Flux may have gone away meanwhile, as it does when a test kills it.
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
