"""How soon the home page is there: a Grafana, a kubectl that plays a cluster, and the clocks."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.core.findings import RepositoryError, execute
from scripts.core.yamlfile import Json
from scripts.grafana import model
from scripts.lab.proof import definitions
from scripts.live.verify import __main__ as command
from scripts.live.verify import grafana, home, summary, waiting
from scripts.live.verify.grafana import Credentials, Grafana, Visit
from scripts.live.verify.kubectl import Kubectl, Pod
from scripts.live.verify.rounds import Round
from scripts.live.verify.waiting import MissingError, until
from tests.fixtures import CODE

PASSWORD, TOKEN = "correct-horse-battery", "glsa_not-a-real-token"
ADMIN = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
HEADERS = {f"Basic {ADMIN}", f"Bearer {TOKEN}"}
HIDDEN = (PASSWORD, TOKEN, ADMIN, base64.b64encode(PASSWORD.encode()).decode())


# A Grafana


def rows(query: Json) -> Json:
    """What Grafana answers to a query that has a result."""
    fields = [{"name": "Time", "type": "time"}, {"name": "Value", "type": "number"}]
    frame = {"schema": {"refId": query["refId"], "fields": fields}}
    return {"status": 200, "frames": [frame | {"data": {"values": [[1_700_000_000_000], [1]]}}]}


def nothing(_: Json) -> Json:
    """What it answers to a query of Prometheus that finds no series."""
    return {"status": 200, "frames": [{"schema": {"fields": []}, "data": {"values": []}}]}


@dataclass
class Server:
    """Grafana's documented API; what it does may be changed while it runs.

    Attributes:
        unavailable: How many requests are still answered with 503.
        dashboard: Status of the home dashboard.
        whole: Status and body of every request for data, in place of results.
        result: Of one query.
        queries: Each that was asked, in order.
        paths: Of each request.
    """

    port: int = 0
    unavailable: int = 0
    dashboard: int = 200
    whole: tuple[int, bytes] | None = None
    result: Callable[[Json], Json] = rows
    queries: list[Json] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def playing(server: Server, silent: float = 0) -> Iterator[Server]:
    """Run a Grafana; for some seconds its port refuses connections."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.welcome():
                self.answer(server.dashboard, {"message": "Dashboard not found", "dashboard": {}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.welcome():
                return
            if server.whole:
                self.send(*server.whole)
                return
            server.queries += body["queries"]
            results = {q["refId"]: server.result(q) for q in body["queries"]}
            failed = any("error" in result for result in results.values())
            self.answer(400 if failed else 200, {"results": results})

        def welcome(self) -> bool:
            server.paths.append(self.path)
            if server.unavailable:
                server.unavailable -= 1
                self.send(503, b"no healthy upstream")
                return False
            if self.headers["Authorization"] not in HEADERS:
                self.answer(401, {"message": "Invalid username or password"})
                return False
            return True

        def answer(self, status: int, document: Json) -> None:
            self.send(status, json.dumps(document).encode())

        def send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{server.url}/login")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    http = Quiet(("127.0.0.1", 0), Handler, bind_and_activate=False)
    http.server_bind()
    server.port = http.server_address[1]
    stopped = threading.Event()

    def run() -> None:
        if not stopped.wait(silent):
            http.serve_forever(poll_interval=0.02)

    if not silent:
        http.server_activate()
    else:
        threading.Timer(silent * 0.9, http.server_activate).start()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server
    finally:
        stopped.set()
        http.shutdown() if not silent or server.paths else None
        thread.join()
        http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with playing(Server()) as one:
        yield one


# A kubectl that plays a cluster

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
    monkeypatch.setattr(waiting, "PAUSE", 0.02)
    for name in ("GRAFANA_TOKEN", "GRAFANA_USER", "GRAFANA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return Cluster(tmp_path)


Verify = Callable[..., tuple[int, str, str]]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    """The command, as a person runs it: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["verify", *arguments])
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                execute(command.interruptible)
        finally:
            signal.signal(signal.SIGTERM, handler)
        said = capsys.readouterr()
        assert not [secret for secret in HIDDEN if secret in said.out + said.err]
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


# The whole of it


def test_every_round_deletes_the_pod_and_the_slowest_warm_one_counts(
    cluster: Cluster, verify: Verify
) -> None:
    cluster.set(ready=0.3)
    code, out, _ = verify("--yes", "--rounds=2")
    assert code == 0
    deletes = [call for call in cluster.lines("calls") if " delete " in call]
    assert [call.split()[3] for call in deletes] == ["grafana-0", "grafana-1"]
    lines = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in lines if line[-1:] == ["out"]][-4:] == [
        ["1", "warm"],
        ["2", "warm"],
        ["median", "warm"],
        ["maximum", "warm"],
    ]
    assert "that is the administrator, not a viewer" in out
    assert len(cluster.lines("forwards")) == 3
    assert not cluster.forwards_left()
    pod, dashboard = (float(lines[-2][index]) for index in (2, 4))
    assert 0 < pod <= dashboard
    assert out.splitlines()[-1].endswith("in 2 warm rounds: within the target of 30 s")


def test_cold_rounds_are_told_apart_and_do_not_count(cluster: Cluster, verify: Verify) -> None:
    cluster.set(events={"grafana-1": [WARM, COLD], "*": [WARM]})
    code, out, _ = verify("--yes", "--rounds=2")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines() if "left out" in line][1:] == [
        ["1", "cold"],
        ["2", "warm"],
        ["median", "warm"],
        ["maximum", "warm"],
        ["median", "cold"],
        ["maximum", "cold"],
    ]
    assert "in 1 warm round:" in out


@pytest.mark.parametrize(
    ("events", "warm"),
    [([WARM, WARM], True), ([WARM, COLD], False), ([], False), ([{"reason": "Started"}], False)],
    ids=["all present", "one pulled", "no event", "other events"],
)
def test_a_round_is_warm_where_every_image_was_present(
    cluster: Cluster, events: list[Json], warm: bool
) -> None:
    cluster.set(events={"*": events})
    pod = Pod("grafana-1", "uid", "", "Running", ready=True, gone=False, reason="")
    assert Kubectl("monitoring").warm(pod) is warm


def test_cold_rounds_alone_prove_nothing(cluster: Cluster, verify: Verify) -> None:
    cluster.set(events={"*": [COLD]})
    code, out, _ = verify("--yes", "--rounds=1")
    assert (code, out.splitlines()[-1][:13]) == (1, "no warm round")


def test_a_slow_dashboard_fails_the_command(
    cluster: Cluster, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "TARGET", 0.01)
    code, out, _ = verify("--yes", "--rounds=1")
    assert cluster.lines("deleted")
    assert (code, "over the target" in out) == (1, True)


def test_the_public_url_has_a_clock_of_its_own(
    cluster: Cluster, server: Server, verify: Verify
) -> None:
    code, out, _ = verify("--yes", "--rounds=1", f"--url={server.url}/")
    assert code == 0
    assert "left out" not in out
    assert len(server.paths) == 4 * (1 + len(home.of_release(model.release_values()).panels))
    assert cluster.lines("deleted")


# Who asks


@pytest.mark.parametrize(
    ("variables", "header", "who"),
    [
        ({}, f"Basic {ADMIN}", "the Secret grafana-admin"),
        ({"GRAFANA_TOKEN": TOKEN}, f"Bearer {TOKEN}", "the token of GRAFANA_TOKEN"),
        (
            {"GRAFANA_USER": "admin", "GRAFANA_PASSWORD": PASSWORD},
            f"Basic {ADMIN}",
            "the user of GRAFANA_USER",
        ),
    ],
    ids=["nobody", "token", "user"],
)
def test_the_secret_is_read_only_where_nobody_is_named(
    cluster: Cluster, variables: dict[str, str], header: str, who: str
) -> None:
    found = grafana.credentials(variables, Kubectl("monitoring"), model.release_values())
    assert (found.header, found.who, found.admin) == (header, who, not variables)
    assert len(cluster.lines("calls")) == (0 if variables else 1)
    assert header.split()[1] not in repr(found)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"GRAFANA_USER": "viewer"}, "GRAFANA_PASSWORD is not set"),
        ({"GRAFANA_PASSWORD": PASSWORD}, "GRAFANA_USER is not set"),
        ({"GRAFANA_TOKEN": f"{TOKEN}\n"}, "a character that HTTP does not allow"),
        ({"GRAFANA_TOKEN": "wrong"}, "the token of GRAFANA_TOKEN is refused (401)"),
    ],
    ids=["user", "password", "line break", "wrong"],
)
def test_bad_credentials_end_it_before_anything_is_deleted(
    cluster: Cluster,
    server: Server,
    verify: Verify,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    message: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, _, err = verify("--yes")
    assert (code, message in err) == (1, True)
    assert len(server.paths) <= 1, "each further attempt may lock the user out"
    assert not cluster.lines("deleted")
    assert not cluster.forwards_left()


@pytest.mark.parametrize("value", [None, "no base64"])
def test_an_unusable_secret_is_named_and_not_shown(
    cluster: Cluster, verify: Verify, value: str | None
) -> None:
    cluster.set(secret={"admin-user": base64.b64encode(b"admin").decode(), "admin-password": value})
    if value is None:
        cluster.set(secret={})
    code, _, err = verify("--yes")
    assert code == 1
    assert "Secret grafana-admin: has no usable admin-user and admin-password" in err
    assert "no base64" not in err


# What is deleted, and when not


@pytest.mark.parametrize(("answer", "deleted"), [("y", 1), ("", 0), ("no", 0)])
def test_on_a_terminal_somebody_is_asked(
    cluster: Cluster,
    verify: Verify,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    deleted: int,
) -> None:
    asked: list[str] = []

    def person(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", person)
    code, _, _ = verify("--rounds=1")
    assert asked == [
        "Delete Grafana's pod once in namespace monitoring of context a-context? [y/N] "
    ]
    assert (code, len(cluster.lines("deleted"))) == (1 - deleted, deleted)


def test_off_a_terminal_nothing_is_deleted_unasked(cluster: Cluster, verify: Verify) -> None:
    code, _, err = verify()
    assert (code, "fix: add --yes" in err) == (1, True)
    assert not cluster.lines("deleted")


REFUSED = "Unable to connect to the server: dial tcp 203.0.113.1:6443: i/o timeout"
FORBIDDEN = 'Error from server (Forbidden): pods "grafana-0" is forbidden'


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fails": {"get pods": REFUSED}}, f"kubectl get pods: {REFUSED}"),
        ({"fails": {"delete pod": FORBIDDEN}}, f"kubectl delete pod: {FORBIDDEN}"),
        ({"pods": 0, "namespace": False}, "namespace monitoring: does not exist"),
        ({"pods": 0}, "no pod has the label app.kubernetes.io/name=grafana"),
        (
            {"pods": 0, "fails": {"get namespace": "error: forbidden"}},
            "no pod has the label app.kubernetes.io/name=grafana",
        ),
        ({"pods": 2}, "2 pods have the label"),
    ],
    ids=["no access", "no right", "no namespace", "no pod", "one namespace's rights", "two pods"],
)
def test_a_cluster_that_cannot_be_measured_is_named(
    cluster: Cluster, verify: Verify, changes: Json, message: str
) -> None:
    cluster.set(**changes)
    code, _, err = verify("--yes")
    assert (code, message in err) == (1, True)
    assert not cluster.lines("deleted")


def test_a_missing_kubectl_is_named(
    cluster: Cluster, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(cluster.folder / "nowhere"))
    assert "kubectl: is not on PATH" in verify("--yes")[2]


def test_a_pod_that_is_not_ready_is_not_deleted(cluster: Cluster, verify: Verify) -> None:
    cluster.set(ready=1e12, running=1e12)
    code, _, err = verify("--yes")
    assert code == 1
    assert "Pod grafana-0: is not Ready: ImagePullBackOff Back-off pulling image" in err


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        ({"running": 60}, "grafana-1", "Pod grafana-1: is not Ready: ImagePullBackOff"),
        ({"ready": 60}, "grafana-1", "Pod grafana-1: is not Ready: Running"),
        ({"replaces": False}, "grafana-rs", "ReplicaSet grafana-rs: made no pod in place of"),
    ],
    ids=["not running", "not ready", "not made"],
)
def test_a_pod_that_does_not_come_back_is_explained_by_events(
    cluster: Cluster, verify: Verify, changes: Json, name: str, message: str
) -> None:
    event = {"reason": "FailedScheduling", "message": "0/2 nodes are available"}
    cluster.set(**changes, events={name: [event], "*": []})
    code, _, err = verify("--yes", "--limit=0.5")
    assert (code, message in err) == (1, True)
    assert "(after 0.5 s); events: FailedScheduling: 0/2 nodes are available" in err
    assert not cluster.forwards_left()


def test_what_was_measured_before_an_error_is_shown(
    cluster: Cluster, server: Server, verify: Verify
) -> None:
    page = home.of_release(model.release_values())
    good = 2 * sum(len(panel.targets) for panel in page.panels)
    server.result = lambda q: rows(q) if len(server.queries) <= good else nothing(q)
    code, out, err = verify("--yes", "--limit=1")
    assert code == 1
    assert next(line.split()[0] for line in out.splitlines() if " warm " in line) == "1"
    assert "panel 'Memory': query A has no data (after 1 s)" in err
    assert len(cluster.lines("deleted")) == 2


def test_control_c_ends_the_port_forward(cluster: Cluster, server: Server) -> None:
    server.result = nothing
    arguments = (sys.executable, "-m", "tests.fixtures.run", "scripts.live.verify", "--yes")
    # Who starts the tests in the background may have had them ignore it, and a child would, too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(arguments, cwd=CODE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 20
    heard = cluster.folder / "heard"
    while not (server.queries and heard.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert heard.exists(), "kubectl's output is not read"
    assert cluster.forwards_left()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not cluster.forwards_left()


def test_a_port_forward_that_gave_up_is_started_again(cluster: Cluster, server: Server) -> None:
    (cluster.folder / "gives-up").touch()
    pod = Pod("grafana-0", "uid", "", "Running", ready=True, gone=False, reason="")
    with contextlib.closing(Kubectl("monitoring").forward(pod)) as forward:
        while not forward._process.ended:
            time.sleep(0.01)
        with pytest.raises(MissingError, match="is not connected: lost connection to pod"):
            forward.url()
        assert until(forward.url, time.monotonic() + 5, 5) == server.url


# The home page


def at(server: Server, url: str = "") -> Visit:
    place = url or server.url
    who = Credentials(f"Bearer {TOKEN}", "somebody")
    page = home.of_release(model.release_values())
    return Visit(Grafana("Grafana", lambda: place, who, local=True), page)


def opened(visit: Visit, limit: float = 0) -> None:
    until(visit.attempt, time.monotonic() + limit, limit)


def test_a_grafana_that_starts_late_is_waited_for() -> None:
    with playing(Server(unavailable=2), silent=0.3) as server:
        began = time.monotonic()
        opened(at(server), 5)
    assert time.monotonic() - began > 0.3
    assert server.unavailable == 0


def test_only_panels_without_data_are_asked_again(server: Server) -> None:
    visit = at(server)
    server.result = lambda q: nothing(q) if "memory" in q["expr"] else rows(q)
    with pytest.raises(MissingError) as missing:
        visit.attempt()
    assert [f.path for f in missing.value.findings] == ["Grafana, panel 'Memory'"]
    server.result, asked = rows, len(server.queries)
    visit.attempt()
    assert len(server.queries) == asked + 1


def test_each_query_of_a_panel_must_have_data(server: Server) -> None:
    server.result = lambda q: nothing(q) if q["refId"] == "C" else rows(q)
    with pytest.raises(RepositoryError, match="panel 'Pods': query C has no data"):
        opened(at(server))


def failing(_: Json) -> Json:
    return {"status": 500, "error": "dial tcp: lookup prometheus-operated: no such host"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dashboard": 404}, "/api/dashboards/uid/todo-overview answers 404: Dashboard not found"),
        ({"result": failing}, "query A fails (500): dial tcp: lookup prometheus-operated"),
        ({"result": lambda _: {"status": 200}}, "query A has no data"),
        ({"whole": (404, b'{"message": "Data source not found"}')}, "(404): Data source not found"),
        ({"whole": (403, b"{}")}, "somebody may not ask /api/ds/query (403)"),
        ({"whole": (302, b"")}, "/api/ds/query is redirected (302)"),
        ({"whole": (200, b"<html>Sign in</html>")}, "/api/ds/query answers 200, and no JSON"),
        ({"unavailable": 1}, "/api/dashboards/uid/todo-overview answers 503, and no JSON"),
    ],
    ids=["404", "error", "no frame", "no source", "403", "redirect", "login page", "503"],
)
def test_what_is_wrong_is_said(server: Server, changes: Json, message: str) -> None:
    for name, value in changes.items():
        setattr(server, name, value)
    with pytest.raises(RepositoryError) as error:
        opened(at(server))
    assert message in str(error.value)
    assert "/login" not in server.paths, "the credentials would go wherever a redirect leads"


def test_a_tls_failure_is_said(server: Server) -> None:
    with pytest.raises(RepositoryError, match=r"(?s)no answer: \[SSL.*correct the certificate"):
        opened(at(server, server.url.replace("http:", "https:")))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://grafana.example.org", "would send credentials in the clear"),
        (f"https://admin:{PASSWORD}@grafana.example.org", "has credentials in it"),
        ("grafana.example.org", "is no URL of a web server"),
    ],
)
def test_credentials_go_to_no_doubtful_url(
    cluster: Cluster, verify: Verify, url: str, message: str
) -> None:
    code, _, err = verify("--yes", f"--url={url}")
    assert (code, message in err) == (1, True)
    assert not cluster.lines("calls")


def test_the_committed_public_url_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"data": {"GRAFANA_URL": "https://grafana.example.org/"}}
    monkeypatch.setattr(command, "load", lambda *_: [named])
    assert command.public_url(None) == "https://grafana.example.org"
    assert command.public_url("https://other.example.org") == "https://other.example.org"


# What is asked


def test_queries_are_asked_as_a_browser_would(server: Server) -> None:
    opened(at(server))
    assert len(server.queries) == 9
    for query in server.queries:
        assert query["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert (query["instant"], query["range"]) == (True, False)
        assert "$" not in query["expr"]
    assert any('namespace=~"default"' in query["expr"] for query in server.queries)


def test_no_query_of_the_first_row_may_rightly_be_empty() -> None:
    page = home.of_release(model.release_values())
    defined = next(board for board in definitions.committed() if board.uid == page.uid)
    first = defined.panels[: len(page.panels)]
    assert [panel.id for panel in first] == [panel.id for panel in page.panels]
    assert {target.quiet for panel in first for target in panel.targets} == {""}


def board(*variables: Json) -> Json:
    def panel(number: int, y: int, kind: str, **target: Json) -> Json:
        return {
            "id": number,
            "type": "stat",
            "title": kind,
            "gridPos": {"x": 0, "y": y, "w": 12, "h": 4},
            "datasource": {"type": kind, "uid": kind},
            "targets": [{"refId": "A", **target}],
        }

    row = {"id": 9, "type": "row", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}, "panels": []}
    rate = "sum(rate(http_requests_total{app=~'$app'}[$__rate_interval]))"
    lines = 'sum(count_over_time({app=~"$app"}[$__auto]))'
    return {
        "uid": "b",
        "title": "b",
        "templating": {"list": list(variables)},
        "panels": [
            row,
            panel(1, 1, "prometheus", expr=rate),
            panel(2, 1, "loki", expr=lines, queryType="instant"),
            panel(3, 5, "prometheus", expr="up"),
        ],
    }


def variable(**changes: Json) -> Json:
    everything = {"includeAll": True, "multi": True, "current": {"value": ["$__all"]}}
    source = {"type": "prometheus", "uid": "prometheus"}
    return {"name": "app", "type": "query", "datasource": source, **everything, **changes}


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"allValue": ".+"}, ".+"),
        ({"current": {"value": ["api", "web"]}}, "(api|web)"),
        ({"current": {"value": "api"}, "multi": False, "includeAll": False}, "api"),
    ],
    ids=["all", "several", "one"],
)
def test_variables_and_macros_are_replaced(changes: Json, value: str) -> None:
    page = home.of_dashboard(board(variable(**changes)))
    assert [panel.id for panel in page.panels] == [1, 2]
    metric, lines = (page.queries(panel)["queries"][0] for panel in page.panels)
    assert metric["expr"] == f"sum(rate(http_requests_total{{app=~'{value}'}}[2m0s]))"
    assert (metric["instant"], metric["range"]) == (False, True)
    assert lines["expr"].endswith("[21600s]))")
    assert (lines["queryType"], lines["datasource"]["uid"]) == ("instant", "loki")


def test_a_variable_that_only_grafana_can_resolve_is_refused() -> None:
    with pytest.raises(RepositoryError, match="variable 'app' is at All"):
        home.of_dashboard(board(variable()))


def test_the_release_must_name_a_committed_dashboard() -> None:
    path = {"default_home_dashboard_path": "/var/lib/grafana/dashboards/todo/other.json"}
    with pytest.raises(RepositoryError, match="is not in base/dashboards"):
        home.of_release({"grafana.ini": {"dashboards": path}})


# The numbers


def one(dashboard: float, public: float | None = None, *, warm: bool = True) -> Round:
    return Round(warm, dashboard - 1, dashboard, public)


def test_median_and_maximum_are_of_rounds_of_one_kind() -> None:
    done = [one(44, 45, warm=False), one(9, 9.5), one(7, 7.5), one(29, 29.5)]
    assert summary.table(done).splitlines() == [
        "round    images     pod  dashboard  public",
        "1        cold    43.0 s     44.0 s  45.0 s",
        "2        warm     8.0 s      9.0 s   9.5 s",
        "3        warm     6.0 s      7.0 s   7.5 s",
        "4        warm    28.0 s     29.0 s  29.5 s",
        "median   warm     8.0 s      9.0 s   9.5 s",
        "maximum  warm    28.0 s     29.0 s  29.5 s",
        "median   cold    43.0 s     44.0 s  45.0 s",
        "maximum  cold    43.0 s     44.0 s  45.0 s",
    ]


@pytest.mark.parametrize(
    ("done", "kept"),
    [
        ([one(6), one(30.0)], True),
        ([one(6), one(30.01)], False),
        ([one(6, 99.0), one(99, warm=False)], True),
        ([one(6, warm=False)], False),
        ([], False),
    ],
    ids=["at the target", "over it", "public and cold do not count", "cold", "none"],
)
def test_the_slowest_warm_dashboard_decides(done: list[Round], kept: bool) -> None:
    assert summary.verdict(done)[0] is kept
