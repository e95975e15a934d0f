"""`make preflight` by a stand-in for kubectl: it reads only, and says what is missing."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.live.preflight import cluster_state
from scripts.model.rendered import Cluster
from tests.fixtures import CODE
from tests.programs.live.preflight_cluster import SECRETS, oke

VALUE = "hunter2-is-nobodys-business"
STAND_IN = """#!{python} -IS
import pathlib, sys
folder = pathlib.Path({folder!r})
arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
options = dict(a.split("=") for a in sys.argv[1:] if "=" in a)
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
name = "-".join([*arguments[-2:], options.get("--namespace", "")]).strip("-")
path = folder / (name + ".json")
if (folder / (name + ".error")).exists():
    sys.exit((folder / (name + ".error")).read_text())
if path.exists():
    sys.stdout.write(path.read_text())
"""


@dataclasses.dataclass
class StandIn:
    """A folder of answers, and the environment in which they are kubectl's."""

    folder: Path
    environment: Mapping[str, str]

    def write(self, name: str, document: Json) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(document))

    def refuse(self, name: str, text: str) -> None:
        (self.folder / f"{name}.error").write_text(text)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.fixtures.run", "scripts.live.preflight", *arguments],
            cwd=CODE,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def stand_in(tmp_path: Path, rendered: list[Cluster]) -> StandIn:
    assert rendered
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    cluster = StandIn(tmp_path, os.environ | {"PATH": path})
    cluster.write("version", {"serverVersion": {"gitVersion": "v1.36.1"}})
    for resource, items in oke().items():
        cluster.write(f"get-{resource}", {"apiVersion": "v1", "kind": "List", "items": items})
    value = base64.b64encode(VALUE.encode()).decode()
    for (space, name), keys in SECRETS.items():
        data = dict.fromkeys(sorted(keys or ()), value)
        cluster.write(f"secret-{name}-{space}", {"kind": "Secret", "data": data})
    return cluster


def test_a_ready_cluster_passes_and_is_only_read(stand_in: StandIn) -> None:
    answer = stand_in.run()
    assert (answer.returncode, answer.stderr) == (0, "· reading the cluster\n")
    first, *_, last = answer.stdout.splitlines()
    assert first == "clusters/oke-free on 10.0.10.12, 10.0.10.34"
    assert "  ok       CPU               475m needed, 1430m free on 2 nodes\n" in answer.stdout
    assert last == "0 missing, 0 to look at"
    assert {call.split()[1] for call in stand_in.calls()} == {"get", "version"}
    assert all("--output=json" in call for call in stand_in.calls())
    assert "\x1b" not in answer.stdout


def test_no_value_of_a_secret_is_shown_or_kept(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.write("secret-grafana-admin-monitoring", {"data": {"admin-user": VALUE}})
    broken = stand_in.folder / "secret-alloy-pseudonym-salt-monitoring.json"
    answer = stand_in.run()
    monkeypatch.setenv("PATH", stand_in.environment["PATH"])
    kept = repr(dataclasses.asdict(cluster_state.read(SECRETS, ["nodes"])))
    assert "monitoring/grafana-admin lacks admin-password" in answer.stdout
    broken.write_text(f'{{"data": {{"salt": "{VALUE}"')
    cut = stand_in.run()
    assert (answer.returncode, cut.returncode) == (1, 1)
    assert "its answer is not JSON" in cut.stderr
    for text in (answer.stdout, answer.stderr, cut.stdout, cut.stderr, kept):
        assert VALUE not in text
        assert base64.b64encode(VALUE.encode()).decode() not in text


def test_a_warning_passes_and_what_is_missing_does_not(stand_in: StandIn) -> None:
    (stand_in.folder / "secret-alertmanager-config-monitoring.json").unlink()
    answer = stand_in.run()
    assert answer.returncode == 0
    assert re.search(r"^  warning  Secrets +monitoring/alertmanager-config", answer.stdout, re.M)
    assert re.search(r"^ +fix: until it is created, .*nobody is told", answer.stdout, re.M)
    forbidden = 'Error from server (Forbidden): nodes is forbidden: User "me" cannot list'
    stand_in.refuse("get-nodes", forbidden)
    answer = stand_in.run()
    assert answer.returncode == 1
    assert re.search(r"^  missing  CPU +not checked: nodes may not be read$", answer.stdout, re.M)
    assert answer.stdout.startswith("clusters/oke-free on nodes that may not be read\n")
    assert "Traceback" not in answer.stderr


def test_buckets_are_asked_where_there_are_any(stand_in: StandIn) -> None:
    answer = stand_in.run("--buckets")
    assert (answer.returncode, answer.stderr) == (0, "· reading the cluster\n")
    assert "Object storage" not in answer.stdout


def test_no_access_is_one_clear_message(stand_in: StandIn, tmp_path: Path) -> None:
    refused = "E1 memcache.go\nThe connection to the server localhost:8080 was refused"
    stand_in.refuse("version", refused)
    answer = stand_in.run()
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[1:] == [
        "kubectl version: The connection to the server localhost:8080 was refused",
        "    fix: choose a context that reaches the cluster: `kubectl config get-contexts`",
    ]
    answer = stand_in.run(PATH=str(tmp_path))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "kubectl: is not on PATH\n    fix: install it: https://" in answer.stderr
