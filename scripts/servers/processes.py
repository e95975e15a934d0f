"""Programs of `scripts/tools`, run on loopback, on free ports, and never longer than needed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.servers.http_client import request
from scripts.servers.polling import poll

LOOPBACK = "127.0.0.1"
# Seconds that a program may take until it answers, on a busy machine.
_TIMEOUT = 120.0
# prctl(2): the signal that a process gets when the one that started it is gone.
_PR_SET_PDEATHSIG = 1


def openssl(place: str, need: str, *arguments: str) -> None:
    """Make a key or a certificate with openssl, which is not built here.

    Args:
        place: Who needs it.
        need: What for, in a sentence.
        arguments: As it takes them.

    Raises:
        RepositoryError: If it is not installed.
    """
    if not shutil.which("openssl"):
        raise RepositoryError(Finding(place, None, f"openssl is not on PATH; {need}", "install it"))
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)


def free_ports(number: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]


class Processes:
    """Runs programs; leaving the block ends all of them, whatever happened.

    They are killed, not asked: nothing of them is kept, and kube-apiserver would take a minute.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._folder = tempfile.TemporaryDirectory(prefix="todo-monitoring-")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._restart: dict[str, Callable[[], subprocess.Popen[bytes]]] = {}
        self._peaks: dict[str, int] = {}
        self._restore: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        """Begin; an order to end arrives as an exception, so that the rest is still ended."""
        if threading.current_thread() is threading.main_thread():
            before = signal.signal(signal.SIGTERM, _terminate)
            self._restore = lambda: signal.signal(signal.SIGTERM, before)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every program and remove what it wrote."""
        for name in list(self._running):
            self.kill(name)
        self._folder.cleanup()
        self._restore()

    def folder(self, name: str) -> Path:
        """Return a folder for a program's files, made if it is not there."""
        path = Path(self._folder.name) / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, name: str) -> str:
        """Return what a program has said so far."""
        return (self.folder(name) / "log").read_text(errors="replace")

    def start(
        self,
        name: str,
        *arguments: str | Path,
        tool: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Start a program of `scripts/tools`, built first if need be.

        Args:
            name: What to call it here; a program of that name must have ended.
            arguments: Its arguments.
            tool: The folder in `scripts/tools`, where it is not the name.
            environment: Variables besides ours.

        Returns:
            The name.
        """
        program = tools.path(tool or name)
        progress(f"starting {name} {tools.version(tool or name)}")
        command: Sequence[str] = [str(program), *map(str, arguments)]

        def run() -> subprocess.Popen[bytes]:
            with (self.folder(name) / "log").open("ab") as log:
                return subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    cwd=self.folder(name),
                    env={**os.environ, **(environment or {})},
                    start_new_session=True,
                    preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                )

        self._restart[name] = run
        self._running[name] = run()
        return name

    def restart(self, name: str) -> None:
        """Start a program that was killed again, as it was started before."""
        self._running[name] = self._restart[name]()

    def check_running(self) -> None:
        """Check that no program has ended by itself.

        Raises:
            RepositoryError: With the end of its log, if one has.
        """
        for name in self._running:
            self._check(name)

    def save_logs(self, folder: Path) -> None:
        """Copy what every program has said so far, each to a file of its name."""
        folder.mkdir(parents=True, exist_ok=True)
        for log in Path(self._folder.name).glob("*/log"):
            shutil.copyfile(log, folder / f"{log.parent.name}.log")

    def wait(self, name: str, url: str, status: int = 200) -> None:
        """Wait until a program answers at an address of this machine with a status.

        Raises:
            RepositoryError: With the end of its log, if it ends or takes too long.
        """

        def missing() -> str:
            code, _, content = request(url)
            return "" if code == status else f"{code} {content[:200]!r}"

        self.until(name, missing)

    def until(self, name: str, missing: Callable[[], str], timeout: float = _TIMEOUT) -> None:
        """Wait until a program is as it should be.

        Args:
            name: The program.
            missing: Says what is missing; empty if nothing is.
            timeout: In seconds.

        Raises:
            RepositoryError: With the end of its log, if it ends or takes too long.
        """
        if answer := poll(missing, timeout, lambda: self._check(name)):
            raise self._failure(name, f"is not ready ({answer})")

    def _check(self, name: str) -> None:
        code = self._running[name].poll()
        if code is not None:
            raise self._failure(name, f"ended with {code}")

    def _failure(self, name: str, state: str) -> RepositoryError:
        log = "\n".join(self.log(name).splitlines()[-15:])
        text, fix = f"{name} {state}; it says:\n{log}", "correct the configuration that it names"
        return RepositoryError(Finding(f"scripts/tools/{name}", None, text, fix))

    def kill(self, name: str) -> None:
        """End a program at once, as a power cut would; nothing happens if it does not run."""
        process = self._running.pop(name, None)
        if process is None:
            return
        self._measure(name, process.pid)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self, *names: str) -> None:
        """Ask programs to end, all at once, and wait until they have; those that run only.

        Raises:
            RepositoryError: With the end of its log, if one takes too long.
        """
        asked = [name for name in names if name in self._running]
        for name in asked:
            self._running[name].terminate()
        for name in asked:
            try:
                self._running[name].wait(_TIMEOUT)
            except subprocess.TimeoutExpired as error:
                raise self._failure(name, "does not end") from error
            self._measure(name, self._running.pop(name).pid)

    def peak_memory(self) -> dict[str, int]:
        """Return the most resident memory that each program has had so far, in bytes (Linux)."""
        for name, process in self._running.items():
            self._measure(name, process.pid)
        return dict(self._peaks)

    def cpu_seconds(self, name: str) -> float:
        """Return the CPU time that a program that runs has used so far (Linux)."""
        text = Path(f"/proc/{self._running[name].pid}/stat").read_text()
        # The name, in brackets, may have spaces; user and system time are fields 14 and 15.
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _measure(self, name: str, pid: int) -> None:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    most = int(line.split()[1]) * 1024
                    self._peaks[name] = max(most, self._peaks.get(name, 0))


def _terminate(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _die_with_parent() -> None:
    """Let the new process end with ours, even if ours is killed and can end nothing any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
