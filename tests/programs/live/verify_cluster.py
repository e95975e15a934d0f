"""A stand-in for kubectl whose cluster runs the Grafana of `grafana_server`."""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.live.verify.measurement import Round
from tests.programs.live.grafana_server import PASSWORD, Server

KUBECTL = '''#!{python} -IS
"""Plays kubectl: state.json says what the cluster does, `deleted` when its pods were deleted."""
import json, os, pathlib, sys, time

folder = pathlib.Path(__file__).parent
state = json.loads((folder / "state.json").read_text())
arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
verb = " ".join(arguments[:2])
with (folder / "calls").open("a") as calls:
    print(" ".join(sys.argv[1:]), file=calls)
if verb in state["fails"]:
    sys.exit(state["fails"][verb])


def deleted():
    path = folder / "deleted"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def pods():
    times = deleted()
    age = time.time() - times[-1] if times else 1e9
    running, ready = age >= state["running"], age >= state["ready"]
    if times and state["replaces"] is False:
        return []
    waiting = {{"waiting": {{"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}}
    return [
        {{
            "metadata": {{
                "name": f"grafana-{{number}}",
                "uid": f"uid-{{number}}",
                "ownerReferences": [{{"kind": "ReplicaSet", "name": "grafana-rs"}}],
            }},
            "status": {{
                "phase": "Running" if running else "Pending",
                "conditions": [{{"type": "Ready", "status": "True" if ready else "False"}}],
                "containerStatuses": [{{"state": {{}} if running else waiting}}],
                # A change that means nothing, between Running and Ready.
                "startTime": age >= (state["running"] + state["ready"]) / 2,
            }},
        }}
        for number in range(len(times), len(times) + state["pods"])
    ]


if verb == "get pods" and "--watch" in sys.argv:
    seen, before, present, started = [], len(deleted()), pods(), time.time()
    while time.time() < started + 20:
        late = []
        if len(deleted()) > before:
            # What is still said of the pod that goes, which is Ready to its end.
            late = [pod | {{"late": True}} for pod in present]
            ending = {{"deletionTimestamp": "now"}}
            late += [{{**pod, "metadata": pod["metadata"] | ending}} for pod in late]
        for pod in late + pods():
            if pod not in seen:
                seen.append(pod)
                print(json.dumps(pod, indent=4), flush=True)
        time.sleep(0.01)
elif verb == "get pods":
    print(json.dumps({{"items": pods()}}))
elif verb == "get namespace":
    print("namespace/monitoring" if state["namespace"] else "", end="")
elif arguments[0] == "delete":
    with (folder / "deleted").open("a") as file:
        print(time.time(), file=file)
elif verb == "get events":
    name = next(a for a in sys.argv if a.startswith("--field-selector")).rpartition("=")[2]
    print(json.dumps({{"items": state["events"].get(name, state["events"]["*"])}}))
elif verb == "get secret":
    print(json.dumps({{"data": state["secret"]}}))
elif verb == "config current-context":
    print("a-context")
elif arguments[0] == "port-forward":
    with (folder / "forwards").open("a") as file:
        print(os.getpid(), file=file)
    print(f"Forwarding from 127.0.0.1:{{state['port']}} -> 3000", flush=True)
    # Whoever does not read this blocks kubectl, as the pipe is full.
    print("Handling connection for 1\\n" * 4000, flush=True)
    (folder / "heard").touch()
    if not (folder / "gives-up").exists():
        time.sleep(20)
    (folder / "gives-up").unlink()
    sys.exit("error: lost connection to pod")
'''
WARM = {"reason": "Pulled", "message": 'Container image "g" already present on machine'}
COLD = {"reason": "Pulled", "message": 'Successfully pulled image "g" in 21s'}


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Cluster:
    """What the stand-in reads and writes."""

    folder: Path

    def set(self, **changes: Json) -> None:
        path = self.folder / "state.json"
        path.write_text(json.dumps((json.loads(path.read_text())) | changes))

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def forwards_left(self) -> list[int]:
        """Which port-forwards run on."""
        return [pid for pid in map(int, self.lines("forwards")) if runs(pid)]


def played(port: int) -> Json:
    """The state of a KUBECTL whose cluster has a Grafana that is Ready at once."""
    data = {"admin-user": "admin", "admin-password": PASSWORD}
    return {
        "port": port,
        "pods": 1,
        "namespace": True,
        "replaces": True,
        "running": 0.0,
        "ready": 0.0,
        "fails": {},
        "events": {"*": [WARM]},
        "secret": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


@pytest.fixture
def cluster(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster with a Grafana that is Ready at once; no other program is on PATH."""
    script = tmp_path / "kubectl"
    script.write_text(KUBECTL.format(python=sys.executable))
    script.chmod(0o755)
    (tmp_path / "state.json").write_text(json.dumps(played(server.port)))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("GRAFANA_TOKEN", "GRAFANA_USER", "GRAFANA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return Cluster(tmp_path)


def one(dashboard: float, public: float | None = None, *, warm: bool = True) -> Round:
    return Round(warm, dashboard - 1, dashboard, public)
