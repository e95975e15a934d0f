"""A kubectl that runs on, and a port that it forwards from this machine to a pod."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from urllib.parse import urlsplit

from scripts.core import programs
from scripts.core.findings import Finding
from scripts.core.kubectl import INSTALL, Kubectl, reason
from scripts.core.waiting import MissingError


class Process:
    """A kubectl that runs on; its output, line by line, is in a queue, and None is its end."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start it.

        Raises:
            RepositoryError: If there is no kubectl.
        """
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except FileNotFoundError:
            raise programs.absent("kubectl", INSTALL) from None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # Read to the end, as kubectl stops where nobody reads what it says of each connection.
        for line in self._process.stdout or ():
            self.lines.put(line)
        self.lines.put(None)

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself, or was."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End it, and wait until it has."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if self._process.stdout and not self._reader.is_alive():
            self._process.stdout.close()


class PortForward:
    """A free port of this machine that leads to a port of a pod."""

    def __init__(self, kubectl: Kubectl, what: str, port: str) -> None:
        """Start kubectl, and wait for nothing.

        Args:
            kubectl: In the pod's namespace.
            what: Such as `pod/name`, or `service/name` for a pod of a Service.
            port: Of the container, or of the Service; its number or its name.
        """
        self._fix = kubectl.fix
        self._command = kubectl.command("port-forward", "--address=127.0.0.1", what)
        self._port = port
        self._process = Process((*self._command, f":{port}"))
        self._url = self._last_line = ""

    def close(self) -> None:
        """End kubectl."""
        self._process.end()

    def url(self) -> str:
        """Return where it answers, such as `http://127.0.0.1:41234`.

        Raises:
            MissingError: While kubectl names no port. It gives up when a connection fails, and is
                started again, with the port that it had.
        """
        ended = self._process.ended
        if ended:
            self._process.end()
        self._listen()
        if ended:
            had = urlsplit(self._url).port or ""
            self._process, self._url = Process((*self._command, f"{had}:{self._port}")), ""
        if not self._url:
            message = f"is not connected: {reason(self._last_line)}"
            raise MissingError(Finding("kubectl port-forward", None, message, self._fix))
        return self._url

    def _listen(self) -> None:
        while not self._process.lines.empty():
            line = self._process.lines.get() or ""
            self._last_line = line or self._last_line
            if found := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ->", line):
                self._url = f"http://127.0.0.1:{found[1]}"
