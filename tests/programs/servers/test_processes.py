"""Programs that are run beside a cluster: none outlives us, and none ends unseen."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import tools
from scripts.cluster.e2e.environment import Environment
from scripts.core.findings import RepositoryError
from scripts.model.manifests import ClusterSync
from scripts.servers.api import ApiError
from scripts.servers.kubernetes.client import Client, KubernetesError, Object
from scripts.servers.processes import Processes
from tests.fixtures import CODE


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Programs, all of which are a shell."""
    monkeypatch.setattr(tools, "path", lambda _: Path("/bin/sh"))
    monkeypatch.setattr(tools, "version", lambda _: "v0")
    with Processes() as running:
        yield running


class Gone(Client):
    """An API server that does not answer any more."""

    def __init__(self) -> None:
        """Talk to nobody."""

    def all(self, version: str, kind: str, namespace: str = "") -> list[Object]:
        raise KubernetesError(503, f"no {kind}")


def waiting_environment(processes: Processes) -> Environment:
    """An environment of which nothing but `until` is used, and whose API server is gone."""
    env = Environment.__new__(Environment)
    env.processes = processes
    env.sync = ClusterSync("one", "flux", [])
    env.client = Gone()
    return env


def test_a_program_that_ends_by_itself_ends_the_waiting(processes: Processes) -> None:
    processes.start("steady", "-c", "sleep 600")
    processes.start("broken", "-c", "echo no such file; exit 3")
    with pytest.raises(RepositoryError, match=r"broken ended with 3(.|\n)*no such file"):
        waiting_environment(processes).until(lambda: "something", "nothing comes", timeout=30)


@pytest.mark.parametrize("error", [KubernetesError(504, "late"), ApiError("late"), OSError("late")])
def test_a_server_that_fails_once_is_asked_again(processes: Processes, error: Exception) -> None:
    failures = [error]

    def asked() -> str:
        if failures:
            raise failures.pop()
        return ""

    def failing() -> str:
        raise error

    waiting_environment(processes).until(asked, "nothing comes", timeout=30)
    with pytest.raises(RepositoryError, match="nothing comes within 0 s: late"):
        waiting_environment(processes).until(failing, "nothing comes", timeout=0)


def test_what_programs_say_can_be_kept(processes: Processes, tmp_path: Path) -> None:
    processes.start("one", "-c", "echo said; sleep 600")
    processes.until("one", lambda: "" if processes.log("one") else "says nothing")
    processes.kill("one")
    processes.save_logs(tmp_path / "logs")
    assert (tmp_path / "logs/one.log").read_text() == "said\n"


def test_memory_of_a_program_that_was_ended_counts(processes: Processes) -> None:
    processes.start("one", "-c", "sleep 600")
    processes.kill("one")
    processes.kill("one")
    assert processes.peak_memory()["one"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent")
def test_programs_end_even_if_we_are_killed(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent("""
        import time
        from pathlib import Path
        from scripts import tools
        from scripts.servers import processes
        tools.path = lambda _: Path("/bin/sleep")
        tools.version = lambda _: "v0"
        with processes.Processes() as running:
            running.start("sleeper", "600")
            print(running._running["sleeper"].pid, flush=True)
            time.sleep(600)
        """)
    )
    command = (sys.executable, str(script))
    environment = {"PYTHONPATH": str(CODE)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as process:
        assert process.stdout
        child = Path(f"/proc/{process.stdout.readline().strip()}")
        assert child.exists()
        process.kill()
    end = time.monotonic() + 10
    while time.monotonic() < end and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(process: Path) -> bool:
    try:
        return " Z " not in (process / "stat").read_text()
    except OSError:
        return False
