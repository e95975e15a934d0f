"""Programs run for a capture: on loopback, on free ports, and never longer than the capture."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts import tools
from scripts.capture.families import Families, merge, parse
from scripts.findings import Finding, RepositoryError, progress

LOOPBACK = "127.0.0.1"
# Seconds that a program may take until it answers, on a busy machine.
_PATIENCE = 120.0


def _opener() -> urllib.request.OpenerDirector:
    # The API server's certificate is its own, made as it starts; nothing leaves this machine.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )


_OPENER = _opener()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def request(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send one request to this machine and return status and body, whatever the status."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(url)
    asked = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))  # noqa: S310
    try:
        with _OPENER.open(asked, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def scrape(*urls: str, token: str = "") -> Families:
    """Return what is exposed at some addresses, as Prometheus would read it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    found = []
    for url in urls:
        status, body = request(url, headers=headers)
        if status != 200:
            raise RepositoryError(
                Finding("scripts/capture", None, f"{url} answers {status}", "see the program's log")
            )
        found.append(parse(body.decode()))
    return merge(*found)


class Processes:
    """Runs programs; leaving the block ends all of them, whatever happened.

    They are killed, not asked: nothing of them is kept, and kube-apiserver would take a minute.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._folder = tempfile.TemporaryDirectory(prefix="capture-")
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Begin; an order to end arrives as an exception, so that the rest is still ended."""
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every program and remove what it wrote."""
        for process in self._running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._folder.cleanup()

    def folder(self, name: str) -> Path:
        """Return a folder for a program's files, made if it is not there."""
        path = Path(self._folder.name) / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def start(
        self,
        name: str,
        *arguments: str | Path,
        tool: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Start a program of `scripts/tools`, built first if need be.

        Args:
            name: What to call it here.
            arguments: Its arguments.
            tool: The folder in `scripts/tools`, where it is not the name.
            environment: Variables besides ours.

        Returns:
            The name.
        """
        program = tools.path(tool or name)
        progress(f"starting {name} {tools.version(tool or name)}")
        command: Sequence[str] = [str(program), *map(str, arguments)]
        with (self.folder(name) / "log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder(name),
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        return name

    def wait(self, name: str, url: str, status: int = 200, token: str = "") -> None:
        """Wait until a program answers with a status.

        Raises:
            RepositoryError: With the end of its log, if it ends or takes too long.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        end = time.monotonic() + _PATIENCE
        last = "nothing"
        while time.monotonic() < end and self._running[name].poll() is None:
            try:
                code, body = request(url, headers=headers)
                if code == status:
                    return
                last = f"{code} {body[:200]!r}"
            except OSError as error:
                last = str(error)
            time.sleep(0.2)
        log = (self.folder(name) / "log").read_text(errors="replace")[-1500:]
        text = f"{name} does not answer at {url} ({last}): {log}"
        raise RepositoryError(Finding("scripts/capture", None, text, "correct its arguments"))
