"""`make agent-kubeconfig` by a real kubectl against a real API server, and what it gives."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import tools
from scripts.cluster.e2e import agents
from scripts.core import programs
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import load_all
from scripts.live.agent import kubeconfig as command
from scripts.model.manifests import NAMESPACES
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Client, Object, namespace
from scripts.servers.processes import Processes
from tests.fixtures import FROZEN

pytestmark = pytest.mark.e2e
ITEMS: list[Object] = [
    item
    for path in sorted((FROZEN / agents.COMPONENT).glob("*.yaml"))
    for item in load_all(path.read_text(), path.name)
    if item["kind"] not in {"Component", "NetworkPolicy"}
]
CLUSTER = {"server": "https://any", "certificate-authority-data": "AAAA"}


@pytest.fixture(scope="module")
def admin() -> Iterator[Client]:
    with Processes() as processes, pytest.MonkeyPatch.context() as patch:
        client = control_plane.api_server(processes)
        patch.setenv("KUBECONFIG", str(control_plane.kubeconfig(processes, client)))
        program = tools.path("kubectl").parent
        patch.setenv("PATH", f"{program}{os.pathsep}{os.environ['PATH']}")
        for name in NAMESPACES:
            client.apply(namespace(name), "owner")
        yield client


@pytest.fixture
def agent(admin: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    for item in ITEMS:
        admin.apply(item, "owner")
    run(tmp_path / "kubeconfig", monkeypatch)
    user = json.loads((tmp_path / "kubeconfig").read_text())["users"][0]["user"]
    return Client(admin.url, user["token"], admin.authority)


def run(path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["kubeconfig", f"--output={path}", *arguments])
    assert command.main() == 0


def test_what_it_writes_leads_kubectl_and_is_its_owners_alone(
    agent: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kubeconfig"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    kubectl = (str(tools.path("kubectl")), f"--kubeconfig={path}")
    done = programs.run((*kubectl, "get", "namespaces", "--output=name"), "")
    assert "namespace/monitoring" in done.stdout, done.stderr
    assert agent.token not in capsys.readouterr().out


def test_the_rights_are_to_read_and_no_more(agent: Client) -> None:
    assert list(agents.excess_rights(agents.rules(agent))) == []
    assert list(agents.not_refused(agent)) == []
    assert list(agents.not_readable(agent)) == []


@pytest.mark.parametrize(
    ("resource", "verb", "says"),
    [
        ("secrets", "get", "may read secrets"),
        ("pods/log", "get", "may read pods/log"),
        ("pods", "delete", "may delete pods"),
        ("*", "list", "may read *"),
    ],
)
def test_a_right_too_many_is_found(
    admin: Client, agent: Client, resource: str, verb: str, says: str
) -> None:
    role = next(item for item in ITEMS if item["kind"] == "ClusterRole")
    more = {"apiGroups": [""], "resources": [resource], "verbs": [verb]}
    admin.apply({**role, "rules": [*role["rules"], more]}, "owner")
    assert says in list(agents.excess_rights(agents.rules(agent)))
    assert resource == "*" or verb == "delete" or list(agents.not_refused(agent))


def test_a_right_too_few_is_found(admin: Client, agent: Client) -> None:
    role = next(item for item in ITEMS if item["kind"] == "ClusterRole")
    admin.apply({**role, "rules": role["rules"][1:]}, "owner")
    assert any("/api/v1/pods" in text for text in agents.not_readable(agent))


def test_without_the_opt_in_it_says_what_to_add(
    admin: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in ITEMS:
        if item["kind"] == "ServiceAccount":
            admin.apply(namespace(command.NAMESPACE), "owner")
            admin.delete(item)
    with pytest.raises(RepositoryError, match=agents.COMPONENT):
        run(tmp_path / "kubeconfig", monkeypatch)
    assert list(tmp_path.iterdir()) == []


def test_who_may_make_no_token_is_told(
    admin: Client, agent: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(RepositoryError, match="have somebody run it who may create"):
        run(tmp_path / "another", monkeypatch)


def test_a_cluster_that_anybody_can_play_gets_no_token() -> None:
    with pytest.raises(RepositoryError, match="the token would go to whoever answers"):
        command.kubeconfig({**CLUSTER, "insecure-skip-tls-verify": True}, "any")
    made = command.kubeconfig({**CLUSTER, "extensions": ["of a laptop"]}, "any")
    assert made["clusters"][0]["cluster"] == CLUSTER
