"""`make agent-mcp` with a stand-in of kubectl and of Grafana: what it makes, and that it ends."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.waiting import MissingError
from scripts.core.yamlfile import Json
from scripts.live.agent import mcp as command
from scripts.live.port_forward import PortForward
from scripts.live.verify import viewer
from scripts.live.verify.grafana_pods import GrafanaNamespace
from scripts.servers.http_client import request
from scripts.servers.processes import Processes
from tests.fixtures import CODE
from tests.programs.live.grafana_server import PASSWORD, Server
from tests.programs.live.verify_cluster import Cluster

pytest_plugins = (
    "tests.programs.live.grafana_server",
    "tests.programs.live.verify_cluster",
)
SEARCH = "GET /api/serviceaccounts/search"


@pytest.fixture(autouse=True)
def not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """mcp-grafana is not run here: that is test_agent_mcp_server's."""
    monkeypatch.setattr(tools, "path", lambda name: Path("/programs") / name)


class Session:
    """What there was while the assistant was let in."""

    file: Path
    mode: int
    client: Json
    accounts: list[Json]


def run(
    server: Server,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: BaseException | None = None,
    arguments: Sequence[str] = (),
) -> Session:
    """Run the command; the time that it holds the way open is short, and may end in an error."""
    seen = Session()
    seen.file = folder / "build" / "client.json"

    def hold(*_: object) -> None:
        seen.mode = stat.S_IMODE(seen.file.stat().st_mode)
        entries = json.loads(seen.file.read_text())["mcpServers"]
        seen.client = entries[command.NAME]
        seen.accounts = list(server.accounts.known.values())
        if end:
            raise end

    monkeypatch.setattr(command, "hold", hold)
    given = ["mcp", "--lifetime=30m", f"--output={seen.file}", *arguments]
    monkeypatch.setattr(sys, "argv", given)
    assert command.main() == 0
    return seen


def test_a_client_gets_a_viewers_token_that_ends(
    cluster: Cluster,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = run(server, cluster.folder, monkeypatch)
    assert seen.mode == 0o600
    assert [(a["role"], a["seconds"]) for a in seen.accounts] == [("Viewer", 1800)]
    key = f"glsa_{seen.accounts[0]['name']}"
    assert seen.client == {
        "command": "/programs/mcp-grafana",
        "args": list(command.FLAGS),
        "env": {"GRAFANA_URL": server.url, "GRAFANA_SERVICE_ACCOUNT_TOKEN": key},
    }
    said = "".join(capsys.readouterr())
    assert str(seen.file) in said
    assert not [secret for secret in (key, PASSWORD) if secret in said]


def test_nothing_is_left_and_nothing_else_is_written(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = run(server, cluster.folder, monkeypatch)
    assert not list(seen.file.parent.iterdir())
    assert server.accounts.known == {}
    assert cluster.forwards_left() == []
    base = viewer.ACCOUNTS
    wanted = [f"POST {base}", f"POST {base}/1/tokens", f"DELETE {base}/1"]
    assert server.accounts.written == wanted
    assert all(path.startswith(base) for path in server.paths)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143)], ids=["Ctrl+C", "SIGTERM"])
def test_an_interruption_takes_it_all_back(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    with pytest.raises(type(end)):
        run(server, cluster.folder, monkeypatch, end)
    assert not list((cluster.folder / "build").iterdir())
    assert server.accounts.known == {}
    assert cluster.forwards_left() == []


def test_accounts_of_before_go_when_they_have_ended_and_no_others(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = server.accounts
    accounts.add(command.ACCOUNT + "ended", 0)
    accounts.add(command.ACCOUNT + "without-token", None)
    live = accounts.add(command.ACCOUNT + "of-a-colleague", 60)
    other = accounts.add(f"not-{command.ACCOUNT}ended", 0)
    run(server, cluster.folder, monkeypatch)
    assert set(accounts.known) == {live, other}


def refused(server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """The command ends with one finding, and nothing is there but what was before."""
    before = dict(server.accounts.known)
    with pytest.raises(RepositoryError, match=says) as caught:
        run(server, cluster.folder, monkeypatch)
    assert len(caught.value.findings) == 1
    assert PASSWORD not in str(caught.value)
    assert not (cluster.folder / "build").exists()
    assert server.accounts.known == before
    assert cluster.forwards_left() == []


def test_without_a_cluster_it_says_what_kubectl_says(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Unable to connect to the server: dial tcp: lookup nowhere"
    cluster.set(fails={"get pods": text})
    refused(server, cluster, monkeypatch, text)


def test_without_the_secret_it_names_the_command_for_it(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'Error from server (NotFound): secrets "grafana-admin" not found'
    cluster.set(fails={"get secret": text})
    refused(server, cluster, monkeypatch, "(?s)Secret grafana-admin: is not in.*`make secrets`")


def test_a_password_that_grafana_does_not_know_is_told(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.set(secret={"admin-user": "YWRtaW4=", "admin-password": "b2xk"})
    refused(server, cluster, monkeypatch, r"(?s)refused \(401\).*changed after Grafana's pod began")


def test_a_grafana_that_answers_late_is_waited_for(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.unavailable = 3
    run(server, cluster.folder, monkeypatch)


def test_a_grafana_that_answers_too_late_is_told(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.unavailable = 1000
    monkeypatch.setattr(viewer, "_PATIENCE", 0.3)
    refused(server, cluster, monkeypatch, r"answers 503, and no JSON \(after 0.3 s\)")


@pytest.mark.parametrize(
    "request_", [SEARCH, "POST /api/serviceaccounts", "POST /api/serviceaccounts/1/tokens"]
)
def test_a_grafana_that_refuses_is_told(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    server.accounts.refuses[request_] = 400
    refused(server, cluster, monkeypatch, "answers 400: not today")


def test_an_account_that_cannot_be_deleted_is_named(
    cluster: Cluster,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.accounts.refuses["DELETE /api/serviceaccounts/1"] = 500
    seen = run(server, cluster.folder, monkeypatch)
    assert f"keeps the service account {seen.accounts[0]['name']}" in capsys.readouterr().err
    assert not list(seen.file.parent.iterdir())


class Forward:
    """A port-forward that is connected as often as it is said to be."""

    def __init__(self, connected: int) -> None:
        self.left = connected

    def url(self) -> str:
        self.left -= 1
        if self.left < 0:
            raise MissingError(Finding("kubectl port-forward", None, "is not connected", "any"))
        return "http://127.0.0.1:1"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_PAUSE", 0.01)
    monkeypatch.setattr(command, "_PATIENCE", 0.0)


@pytest.mark.usefixtures("quick")
def test_the_way_is_held_open_until_the_token_ends() -> None:
    ends = time.time() + 0.2
    forward = Forward(1000)
    with Processes() as processes:
        command.hold(cast(PortForward, forward), lambda: True, processes, ends)
    assert ends <= time.time() < ends + 5
    assert forward.left < 1000


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("same_pod", "says"),
    [(True, "is not connected"), (False, "another one now, with a new database")],
)
def test_a_way_that_stays_closed_is_told_with_its_reason(same_pod: bool, says: str) -> None:
    with Processes() as processes, pytest.raises(RepositoryError, match=says):
        command.hold(cast(PortForward, Forward(3)), lambda: same_pod, processes, time.time() + 60)


def test_a_pod_that_was_replaced_is_another(cluster: Cluster) -> None:
    namespace = GrafanaNamespace("monitoring")
    pod = namespace.pod()
    assert command.is_still(namespace, pod)
    namespace.delete(pod)
    assert not command.is_still(namespace, pod)


@pytest.mark.prove
def test_ctrl_c_takes_all_of_it_back(cluster: Cluster, server: Server) -> None:
    """The whole command, with the real mcp-grafana; a terminal interrupts kubectl, too."""
    file = cluster.folder / "build" / "client.json"
    command_line = (sys.executable, "-m", "scripts.live.agent.mcp", "--http", f"--output={file}")
    # A shell has what it runs in the background ignore it, and what that starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command_line, cwd=CODE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            assert said == f"wrote {file}\n"
            entry = json.loads(file.read_text())["mcpServers"][command.NAME]
            assert request(entry["url"], method="POST").status == 401
            assert len(server.accounts.known) == 1
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) == 128 + signal.SIGINT
        finally:
            process.kill()
    assert not list(file.parent.iterdir())
    assert server.accounts.known == {}
    assert cluster.forwards_left() == []
    with pytest.raises(OSError, match="no answer"):
        request(entry["url"], method="POST")
