"""`make kind` by stand-ins for its programs: the order of its steps, and what each failure says."""

from __future__ import annotations

import base64
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core.findings import execute
from scripts.core.yamlfile import Json, load
from scripts.live.kind import __main__ as command
from scripts.live.kind import engines, readiness, screenshot, source
from scripts.model.manifests import ENGINES, Repository, identity
from scripts.servers import browser
from tests.fixtures import CODE
from tests.programs.live.grafana_server import HIDDEN, PASSWORD, playing
from tests.programs.live.grafana_server import Server as Grafana
from tests.programs.live.kind_objects import (
    COMMIT,
    FAILED,
    GRAFANA,
    OPERATED,
    PENDING,
    PODS,
    REF,
    SOURCE,
    URL,
    lists,
    pinned,
    sync_of,
)
from tests.programs.live.verify_cluster import KUBECTL, WARM, played

FAKE = """#!{python} -IS
import json, os, pathlib, shutil, signal, sys, time

folder = pathlib.Path(__file__).parent
name, arguments = pathlib.Path(__file__).name, sys.argv[1:]
state = json.loads((folder / "plays.json").read_text())
if arguments[0] == "--namespace=monitoring":
    # That is `make verify` and what is of it.
    os.execv(folder / "verified", [str(folder / "verified"), *arguments])
with (folder / "steps").open("a") as steps:
    print(name, *arguments, file=steps)
with (folder / "kubeconfigs").open("a") as file:
    print(os.environ.get("KUBECONFIG"), file=file)
verb = " ".join([name, *arguments[:2]])
if verb in state["signals"]:
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(20)
if verb in state["fails"]:
    sys.exit(state["fails"][verb])
if verb == "kind get clusters":
    print("\\n".join(state["clusters"]))
if verb.startswith("kubectl get "):
    print(json.dumps({{"items": state["lists"][arguments[1]]}}))
if verb.startswith("kubectl apply "):
    (path,) = [a.partition("=")[2] for a in arguments if a.startswith("--filename=")]
    number = len(list(folder.glob("applied-*")))
    shutil.copy(path, folder / f"applied-{{number}}")
if name == "node":
    job = json.loads(sys.stdin.read())
    pathlib.Path(job["picture"]).write_bytes(b"PNG")
    (folder / "login").write_text(json.dumps(job["login"]))
    print(json.dumps([state["panel"] | {{"title": title}} for title in job["titles"]]))
"""


@dataclass
class Machine:
    """What the programs on PATH play, and what they were asked."""

    folder: Path

    def set(self, **changes: Json) -> None:
        path = self.folder / "plays.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def steps(self) -> list[str]:
        """Each step without its options."""
        steps = (" ".join(w for w in s.split() if "=" not in w) for s in self.lines("steps"))
        return [step.partition(" -- ")[0] for step in steps]

    def applied(self, number: int) -> list[Json]:
        items: list[Json] = json.loads((self.folder / f"applied-{number}").read_text())["items"]
        return items


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with playing(Grafana()) as one:
        yield one


@pytest.fixture
def machine(
    tmp_path: Path, grafana: Grafana, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """A machine on which everything is ready at once, under Flux; PATH has no other programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "verified": KUBECTL,
        **dict.fromkeys(("kind", "kubectl", "node"), FAKE),
    }.items():
        (folder / name).write_text(text.format(python=sys.executable))
        (folder / name).chmod(0o755)
    (folder / "state.json").write_text(json.dumps(played(grafana.port)))
    plays = {
        "clusters": ["another"],
        "fails": {},
        "signals": [],
        "panel": {"drawn": True, "failed": False, "text": "1"},
        "lists": lists(sync_of(repository, "flux")) | lists(sync_of(repository, "argocd")),
    }
    (folder / "plays.json").write_text(json.dumps(plays))
    pinned(monkeypatch, tmp_path)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-the-user"))
    monkeypatch.setenv("GRAFANA_TOKEN", "of another Grafana")
    monkeypatch.setattr(browser, "modules", lambda: Path("node_modules"))
    monkeypatch.setattr(browser, "executable", lambda: "chromium")
    monkeypatch.setattr(source, "of_head", lambda _: SOURCE)
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: PASSWORD)
    monkeypatch.setattr(command, "ROUNDS", 1)
    monkeypatch.setattr(command, "VERIFY", ("tests.fixtures.run", "scripts.live.verify"))
    monkeypatch.setattr(command, "LIMIT", 30.0)
    monkeypatch.setattr(command, "OUTPUT", tmp_path / "build")
    monkeypatch.setattr(readiness, "PAUSE", 0.01)
    return Machine(folder)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kind(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """The command, as a person runs it: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kind", *arguments])
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                execute(command.interruptible)
        finally:
            signal.signal(signal.SIGTERM, handler)
        told = capfd.readouterr()
        seen = told.out + told.err + "".join(machine.lines("steps") + machine.lines("calls"))
        assert not [secret for secret in HIDDEN if secret in seen]
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out, told.err

    return run


BEFORE = ["kind get clusters", "kind create cluster"]
AFTER = ["kind delete cluster"]
INSTALL = [
    "kubectl apply --server-side --force-conflicts",
    "kubectl create deployment todo-ai-chatbot-release-frontend",
    "kubectl expose deployment todo-ai-chatbot-release-frontend",
    "kubectl create deployment todo-ai-chatbot-release-backend",
    "kubectl expose deployment todo-ai-chatbot-release-backend",
    "kubectl apply --server-side --force-conflicts",
    "kubectl wait crd --all",
    "kubectl apply --server-side --force-conflicts",
]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cluster_is_made_synced_pictured_measured_and_deleted(
    engine: str, machine: Machine, kind: Run, repository: Repository, tmp_path: Path
) -> None:
    code, out, _ = kind(engine)
    assert code == 0
    looks = [",".join(readiness.RESOURCES[engine]), PODS, OPERATED]
    asked = [f"kubectl get {look} --all-namespaces" for look in looks]
    browsed = [f"node {screenshot.SCRIPT} node_modules chromium"]
    assert machine.steps() == BEFORE + INSTALL + asked + browsed + AFTER
    assert f"local/{engine}: {REF} of {URL}, at {COMMIT}" in out
    assert "dashboard after" in out, "make verify has measured"
    assert (tmp_path / "build" / f"{engine}.png").read_bytes() == b"PNG"
    assert json.loads((machine.folder / "login").read_text())["password"] == PASSWORD
    namespaces = {i["metadata"]["name"] for i in machine.applied(0) if i["kind"] == "Namespace"}
    assert namespaces == {"monitoring", "monitoring-node", command.NAMESPACES[engine]}
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    assert encoded in (machine.folder / "applied-0").read_text()
    assert (machine.folder / "applied-1").read_bytes() == (tmp_path / "v1.yaml").read_bytes()
    assert machine.applied(2) == engines.sync(sync_of(repository, engine), SOURCE)


def test_the_cluster_has_a_name_and_a_kubeconfig_of_its_own(machine: Machine, kind: Run) -> None:
    assert kind("flux")[0] == 0
    of_kind = [step for step in machine.lines("steps") if step.startswith("kind ")]
    assert ["--name=todo-monitoring-flux" in step for step in of_kind] == [False, True, True]
    before, *after = machine.lines("kubeconfigs")
    (config,) = set(after)
    assert config != before
    assert all(f"--kubeconfig={config}" in step for step in of_kind[1:])
    assert not Path(config).parent.exists()


def test_a_cluster_that_is_there_is_neither_used_nor_deleted(machine: Machine, kind: Run) -> None:
    machine.set(clusters=["todo-monitoring-flux"])
    code, _, err = kind("flux")
    assert code == 1
    assert "kind cluster todo-monitoring-flux: is there already" in err
    assert machine.steps() == BEFORE[:1]


@pytest.mark.parametrize("name", ["kind", "kubectl", "node"])
def test_a_missing_program_is_told_before_anything_is_done(
    name: str, machine: Machine, kind: Run
) -> None:
    (machine.folder / name).unlink()
    code, _, err = kind("flux")
    assert code == 1
    assert f"{name}: is not on PATH" in err
    assert "fix: install" in err
    assert machine.steps() == []


def test_without_docker_the_words_of_kind_are_told(machine: Machine, kind: Run) -> None:
    machine.set(fails={"kind get clusters": "ERROR: Cannot connect to the Docker daemon"})
    code, _, err = kind("flux")
    assert code == 1
    assert "kind get clusters: ERROR: Cannot connect to the Docker daemon" in err
    assert machine.steps() == BEFORE[:1]


@pytest.mark.parametrize(
    "step",
    ["kind create cluster", "kubectl apply --server-side", "kubectl wait crd", "kubectl get pods"],
)
def test_the_cluster_is_deleted_after_a_step_that_fails(
    step: str, machine: Machine, kind: Run
) -> None:
    machine.set(fails={step: "error: no space left on device"})
    code, _, err = kind("flux")
    assert code == 1
    assert f"{step}: " in err
    assert "no space left on device" in err
    assert machine.steps()[-1:] == AFTER


def test_an_order_to_end_deletes_the_cluster(machine: Machine, kind: Run) -> None:
    machine.set(signals=["kubectl wait crd"])
    code, _, _ = kind("flux")
    assert code == 128 + signal.SIGTERM
    assert machine.steps()[-2:] == ["kubectl wait crd --all", *AFTER]


def test_what_is_not_ready_in_time_is_told_with_pods_and_warnings(
    machine: Machine, kind: Run, repository: Repository
) -> None:
    sync = sync_of(repository, "flux")
    answers = lists(sync)
    (release,) = [i for i in next(iter(answers.values())) if identity(i) == GRAFANA]
    release["status"] |= FAILED
    answers[PODS].append(PENDING)
    about = {"kind": "Pod", "namespace": "monitoring", "name": "loki-0"}
    answers["events"] = [
        {
            "involvedObject": about,
            "lastTimestamp": f"2026-01-01T00:00:{second:02}Z",
            "reason": "FailedScheduling",
            "message": f"at {second}",
        }
        for second in (30, 20)
    ]
    machine.set(lists=answers)
    code, out, err = kind("flux", "--limit=0.2")
    assert code == 1
    assert f"not ready yet: {GRAFANA}" in err
    assert f"{GRAFANA}: InstallFailed: context deadline exceeded (after 0.2 s)" in err
    at = [
        err.index(text)
        for text in (
            "what the cluster says:",
            "Pod monitoring/loki-0: Unschedulable no node has the memory",
            "Pod monitoring/loki-0: FailedScheduling: at 20",
            "Pod monitoring/loki-0: FailedScheduling: at 30",
        )
    ]
    assert at == sorted(at)
    assert "--field-selector=type=Warning" in machine.lines("steps")[-2]
    assert machine.steps()[-1:] == AFTER
    assert "everything is ready" not in out


def test_a_first_row_without_data_fails_before_a_picture(
    machine: Machine, kind: Run, grafana: Grafana, tmp_path: Path
) -> None:
    grafana.whole = (200, b'{"results": {}}')
    code, _, err = kind("flux", "--limit=4")
    assert code == 1
    assert "panel 'Probes': query A has no data (after 4 s)" in err
    assert not (tmp_path / "build").exists()
    assert machine.steps()[-1:] == AFTER


def test_a_measurement_that_fails_fails_the_run_and_leaves_the_picture(
    machine: Machine, kind: Run, tmp_path: Path
) -> None:
    path = machine.folder / "state.json"
    cold = {"events": {"*": [WARM | {"message": "Successfully pulled image"}]}}
    path.write_text(json.dumps(json.loads(path.read_text()) | cold))
    code, out, err = kind("flux")
    assert code == 1
    assert "no warm round" in out
    assert "make verify: the home page is not there, or not in time" in err
    assert (tmp_path / "build/flux.png").exists()
    assert machine.steps()[-1:] == AFTER


@pytest.mark.parametrize(
    ("panel", "text", "first"),
    [
        ({"drawn": False}, "panel 'Pods': is not drawn", False),
        ({"failed": True}, "panel 'Pods': shows an error", False),
        (
            {"text": "no objective evaluated yet"},
            "panel 'Budget': has no data: no objective evaluated yet",
            True,
        ),
    ],
)
def test_a_panel_that_a_person_would_miss_fails_the_run(
    panel: Json, text: str, first: bool, machine: Machine, kind: Run
) -> None:
    machine.set(panel={"drawn": True, "failed": False, "text": "1"} | panel)
    code, out, err = kind("flux")
    assert code == 1
    assert f"home page, {text}" in err
    # It says the same in place of data, and may.
    assert ("panel 'Error budget left'" in err) is not first
    assert "dashboard after" in out, "it is measured all the same"


def test_a_browser_that_fails_is_told_without_the_password(machine: Machine, kind: Run) -> None:
    verb = f"node {screenshot.SCRIPT} node_modules"
    machine.set(fails={verb: f"Error: the login {PASSWORD} answers 401"})
    code, _, err = kind("flux")
    assert code == 1
    assert "home page: cannot be opened: Error: the login … answers 401" in err


def test_a_cluster_may_be_kept(machine: Machine, kind: Run) -> None:
    code, _, err = kind("flux", "--keep")
    assert code == 0
    assert "kind export kubeconfig --name=todo-monitoring-flux" in err
    assert "kind delete cluster" not in machine.steps()


def test_an_unknown_engine_is_refused(machine: Machine, kind: Run) -> None:
    code, _, err = kind("helm")
    assert code == 2
    assert "invalid choice: 'helm'" in err
    assert machine.steps() == []


def test_the_workflow_runs_both_engines_and_keeps_their_pictures() -> None:
    workflow = load(CODE / ".github/workflows/kind.yaml", CODE)[0]
    # YAML 1.1 takes the key `on` for a boolean.
    for path in workflow[True]["pull_request"]["paths"]:
        assert (CODE / path.removesuffix("/**")).exists(), path
    (job,) = workflow["jobs"].values()
    assert job["strategy"]["matrix"]["engine"] == list(ENGINES)
    (make,) = [step for step in job["steps"] if step.get("run") == "make kind"]
    assert make["env"] == {"ENGINE": "${{ matrix.engine }}"}
    (upload,) = [s for s in job["steps"] if "upload-artifact" in s.get("uses", "")]
    assert CODE / upload["with"]["path"] == command.OUTPUT
