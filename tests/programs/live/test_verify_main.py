"""`make verify`: its rounds, what fails it, and what it asks before it deletes a pod."""

from __future__ import annotations

import base64
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core.findings import execute
from scripts.core.yamlfile import Json
from scripts.grafana import model
from scripts.live.verify import __main__ as command
from scripts.live.verify import home_dashboard, summary
from tests.fixtures import CODE
from tests.programs.live.certificates import issued
from tests.programs.live.grafana_server import (
    ACCOUNTS,
    HIDDEN,
    PASSWORD,
    TOKEN,
    Server,
    nothing,
    playing,
    rows,
)
from tests.programs.live.verify_cluster import COLD, WARM, Cluster

pytest_plugins = (
    "tests.programs.live.grafana_server",
    "tests.programs.live.verify_cluster",
)
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


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate that is trusted; made before the stand-in is all that there is on PATH."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return issued(tmp_path, "R99")


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
    asked = [scheme for scheme, path in server.askers if not path.startswith(ACCOUNTS)]
    page = 1 + len(home_dashboard.of_release(model.release_values()).panels)
    assert asked == 2 * (["Basic"] * page + ["Bearer"] * page)
    assert f"through {server.url} asks a Viewer that is made for each round, and removed" in out
    assert not server.accounts.known
    assert cluster.lines("deleted")


def test_the_public_clock_goes_through_https(
    server: Server, tls: ssl.SSLContext, cluster: Cluster, verify: Verify
) -> None:
    with playing(Server(accounts=server.accounts), tls=tls) as public:
        url = public.url.replace("http:", "https:")
        code, out, _ = verify("--yes", "--rounds=1", f"--url={url}")
    assert code == 0
    assert {scheme for scheme, _ in public.askers} == {"Bearer"}
    assert "certificate of Let's Encrypt R99 for 40 days more; no Strict-Transport-Sec" in out
    assert not server.accounts.known
    assert cluster.lines("deleted")


def test_a_certificate_that_is_not_trusted_ends_it_before_anything_is_deleted(
    server: Server,
    tls: ssl.SSLContext,
    cluster: Cluster,
    verify: Verify,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with playing(Server(accounts=server.accounts), tls=tls) as public:
        url = public.url.replace("http:", "https:")
        code, _, err = verify("--yes", f"--url={url}")
    assert (code, f"{url}: its certificate is not trusted" in err) == (1, True)
    assert not public.paths
    assert not server.accounts.known
    assert not cluster.lines("deleted")


def test_who_is_named_asks_on_every_way(
    cluster: Cluster, server: Server, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
    code, out, _ = verify("--yes", "--rounds=1", f"--url={server.url}")
    assert (code, {scheme for scheme, _ in server.askers}) == (0, {"Bearer"})
    assert not any(path.startswith(ACCOUNTS) for path in server.paths)
    assert "asked with the token of GRAFANA_TOKEN" in out
    assert "Viewer" not in out


POST = f"POST {ACCOUNTS}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"refuses": {POST: 404}}, "/api/serviceaccounts answers 404: not today"),
        (
            {"refuses": {POST: 403}},
            "the Secret grafana-admin may not ask /api/serviceaccounts (403)",
        ),
        ({"role": "Editor"}, "makes an Editor of who is to be a Viewer"),
    ],
    ids=["none", "refused", "another role"],
)
def test_without_a_viewer_nothing_is_deleted(
    cluster: Cluster, server: Server, verify: Verify, changes: Json, message: str
) -> None:
    for name, value in changes.items():
        setattr(server.accounts, name, value)
    code, _, err = verify("--yes", f"--url={server.url}")
    assert (code, message in err) == (1, True)
    assert not server.accounts.known, "what was made is left"
    assert not cluster.lines("deleted")


def test_the_viewer_is_removed_after_an_error(
    cluster: Cluster, server: Server, verify: Verify
) -> None:
    asked: list[int] = []

    def empty_in_public(query: Json) -> Json:
        asked.append(len(server.accounts.known))
        return nothing(query) if server.accounts.known else rows(query)

    server.result = empty_in_public
    code, _, err = verify("--yes", f"--url={server.url}", "--limit=0.2")
    assert (code, "has no data" in err) == (1, True)
    assert 1 in asked
    assert not server.accounts.known


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
    page = home_dashboard.of_release(model.release_values())
    good = 2 * sum(len(panel.targets) for panel in page.panels)
    server.result = lambda q: rows(q) if len(server.queries) <= good else nothing(q)
    code, out, err = verify("--yes", "--limit=1")
    assert code == 1
    assert next(line.split()[0] for line in out.splitlines() if " warm " in line) == "1"
    assert re.search(r"panel '[^']+': query A has no data \(after 1 s\)", err)
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
