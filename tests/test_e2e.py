"""What `make e2e` is made of, as far as it needs no cluster."""

from __future__ import annotations

import base64
import gzip
import subprocess
import sys
import tarfile
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
import yaml

from scripts import tools
from scripts.e2e import checks, faults, neighbours, stack, world
from scripts.e2e.gate import Gate
from scripts.e2e.registry import renumbered
from scripts.e2e.remote import Remote, git, replace
from scripts.e2e.timeline import APPLIED, STEPS, Timeline
from scripts.findings import RepositoryError
from scripts.kubernetes.client import Client, stated
from scripts.manifests import Repository
from scripts.processes import LOOPBACK


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with two commits."""
    folder = tmp_path / "source"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=elsewhere")
    for text in ("one", "two"):
        (folder / "file").write_text(text)
        git(folder, "add", "file")
        git(folder, "commit", "--quiet", f"--message={text}")
    return folder


@pytest.fixture
def remote(tmp_path: Path, source: Path) -> Iterator[Remote]:
    (tmp_path / "remote").mkdir()
    made = Remote(tmp_path / "remote", source)
    made.up()
    yield made
    made.down()


def cloned(remote: Remote, folder: Path) -> str:
    git(folder, "clone", "--quiet", "--branch=main", remote.url, "clone")
    return (folder / "clone/file").read_text()


def test_the_remote_serves_the_commits_and_leaves_the_source_as_it_is(
    remote: Remote, source: Path, tmp_path: Path
) -> None:
    before = git(source, "rev-parse", "HEAD"), git(source, "status", "--porcelain")
    commit = remote.commit("three", lambda tree: (tree / "file").write_text("three"))
    assert cloned(remote, tmp_path) == "three"
    assert git(tmp_path / "clone", "rev-parse", "HEAD") == commit
    remote.revert()
    git(tmp_path / "clone", "pull", "--quiet")
    assert (tmp_path / "clone/file").read_text() == "two"
    assert (git(source, "rev-parse", "HEAD"), git(source, "status", "--porcelain")) == before


def test_the_remote_may_start_at_an_older_revision(source: Path, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    assert (Remote(tmp_path / "remote", source, "HEAD~1").tree / "file").read_text() == "one"


def test_an_unknown_revision_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    with pytest.raises(RepositoryError, match="git rev-parse fails"):
        Remote(tmp_path / "remote", source, "nowhere")


def test_a_remote_that_is_down_refuses_and_is_there_again(remote: Remote, tmp_path: Path) -> None:
    remote.down()
    with pytest.raises(RepositoryError, match="clone fails"):
        cloned(remote, tmp_path)
    remote.up()
    assert cloned(remote, tmp_path) == "two"


def test_a_text_that_is_not_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one one")
    replace(tmp_path / "file", "one", "two")
    assert (tmp_path / "file").read_text() == "two one"
    with pytest.raises(RepositoryError, match="has no 'three' to replace"):
        replace(tmp_path / "file", "three", "four")


@pytest.fixture
def greeting() -> Iterator[int]:
    """A server that says hello; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"hello {self.path}".encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = HTTPServer((LOOPBACK, 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def asked(url: str, proxy: str = "") -> str:
    handler = urllib.request.ProxyHandler({"http": proxy} if proxy else {})
    with urllib.request.build_opener(handler).open(url, timeout=5) as answer:
        return str(answer.read().decode())


def test_a_gate_leads_to_a_server_while_it_is_open(greeting: int) -> None:
    gate = Gate(greeting)
    with pytest.raises(urllib.error.URLError):
        asked(f"http://{gate.host}/")
    for _ in range(2):
        gate.open()
        assert asked(f"http://{gate.host}/a") == "hello /a"
        gate.close()
        with pytest.raises(urllib.error.URLError):
            asked(f"http://{gate.host}/")


def test_the_proxy_leads_from_addresses_of_pods_and_refuses_others(greeting: int) -> None:
    proxy = stack.Proxy()
    proxy.routes["10.244.0.7:9090"] = greeting
    place = f"http://{LOOPBACK}:{proxy.port}"
    assert asked("http://10.244.0.7:9090/metrics?a=1", place) == "hello /metrics?a=1"
    with pytest.raises(urllib.error.HTTPError, match="nothing runs there"):
        asked("http://10.244.0.8:9090/metrics", place)
    proxy.close()


def test_a_renumbered_chart_differs_in_its_version_alone(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text('name: chart\nversion: 1.2.3\nappVersion: "9"\n')
    (chart / "templates/a.yaml").write_text("a: 1\n")
    with tarfile.open(tmp_path / "chart-1.2.3.tgz", "w:gz") as archive:
        archive.add(chart, "chart")
    made = renumbered(tmp_path / "chart-1.2.3.tgz", "1.2.4", tmp_path)
    with tarfile.open(made) as archive:
        read = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
    assert made.name == "chart-1.2.4.tgz"
    assert read == {
        "chart/Chart.yaml": b'name: chart\nversion: 1.2.4\nappVersion: "9"\n',
        "chart/templates/a.yaml": b"a: 1\n",
    }


def labelled(value: str) -> dict[str, Any]:
    labels = {"helm.sh/chart": value, "app": value}
    return {"metadata": {"labels": labels}, "spec": {"template": {"metadata": {"labels": labels}}}}


def test_only_a_digest_that_flux_appends_is_taken_over() -> None:
    live = labelled("loki-1.2.3_0123456789ab")
    taken = checks.with_digests(labelled("loki-1.2.3"), live)
    for part in (taken, taken["spec"]["template"]):
        assert part["metadata"]["labels"] == {
            "helm.sh/chart": "loki-1.2.3_0123456789ab",
            "app": "loki-1.2.3",
        }
    other = labelled("loki-1.2.4_0123456789ab")
    assert checks.with_digests(labelled("loki-1.2.3"), other) == labelled("loki-1.2.3")
    longer = labelled("loki-1.2.3-beta")
    assert checks.with_digests(labelled("loki-1.2.3"), longer) == labelled("loki-1.2.3")


def test_what_the_server_writes_is_not_stated() -> None:
    metadata = {"name": "a", "uid": "1", "resourceVersion": "2", "managedFields": []}
    item = {"metadata": metadata, "spec": {}, "status": {"a": 1}}
    assert stated(item) == {"metadata": {"name": "a"}, "spec": {}}


@pytest.mark.parametrize(
    ("name", "explained"),
    [
        ("Secret monitoring/sh.helm.release.v1.grafana.v1", True),
        ("Secret monitoring/grafana-admin", False),
        ("ConfigMap monitoring/kube-root-ca.crt", True),
        ("ConfigMap monitoring/stray", False),
        ("Service kube-system/kube-prometheus-stack-kubelet", True),
        ("Service monitoring/stray", False),
        ("GitRepository.source.toolkit.fluxcd.io flux-system/flux-system", True),
        ("Kustomization.kustomize.toolkit.fluxcd.io flux-system/stray", False),
        ("PersistentVolume stray", False),
        ("ClusterRole.rbac.authorization.k8s.io stray", False),
    ],
)
def test_only_what_has_a_reason_may_be_there_besides(name: str, explained: bool) -> None:
    assert checks.explained(name) is explained


class Stored:
    """An API server's answers, of what it is made with."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = items

    def all(self, _: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        return [
            item
            for item in self.items
            if item["kind"] == kind and namespace in ("", item["metadata"].get("namespace"))
        ]


def warning(reason: str, note: str, kind: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "type": "Warning",
        "metadata": {"name": f"{name}.1", "namespace": "monitoring"},
        "regarding": {"kind": kind, "name": name, "namespace": "monitoring"},
        "reason": reason,
        "note": note,
    }


def unallocated() -> list[dict[str, Any]]:
    """Return a warning that a Service has no address, its address, and the Service."""
    note = "Cluster IP [IPv4]: 10.96.0.7 is not allocated; repairing"
    loki = {"name": "loki", "namespace": "monitoring"}
    address = {
        "kind": "IPAddress",
        "metadata": {"name": "10.96.0.7"},
        "spec": {"parentRef": {"resource": "services", **loki}},
    }
    service = {"kind": "Service", "metadata": loki, "spec": {"clusterIPs": ["10.96.0.7"]}}
    return [warning("ClusterIPNotAllocated", note, "Service", "loki"), address, service]


def unclaimed() -> list[dict[str, Any]]:
    """Return a warning that a pod's claim is not there, the claim, and the pod."""
    note = '0/2 nodes are available: persistentvolumeclaim "data-loki-0" not found. not found'
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-loki-0", "namespace": "monitoring"},
        "status": {"phase": "Bound"},
    }
    pod = {
        "kind": "Pod",
        "metadata": {"name": "loki-0", "namespace": "monitoring"},
        "spec": {"nodeName": "node-1"},
    }
    return [warning("FailedScheduling", note, "Pod", "loki-0"), claim, pod]


Edit = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]


def warned(items: list[dict[str, Any]], edit: Edit = lambda *_: None) -> list[str]:
    """Return what a warning is found to be beside what it missed, both edited."""
    edit(*items)
    client = cast(Client, Stored(*items))
    return [str(finding) for finding in checks.warnings(client, {}, "local/flux")]


@pytest.mark.parametrize(
    "edit",
    [
        lambda event, *_: event.update(reason="FailedScheduling"),
        lambda event, *_: event["regarding"].update(name="gone"),
        lambda _, address, __: address["metadata"].update(name="10.96.0.8"),
        lambda _, address, __: address["spec"]["parentRef"].update(name="grafana"),
        lambda _, address, __: address["spec"]["parentRef"].update(group="gateway.example.org"),
    ],
)
def test_a_missing_address_is_a_finding(edit: Edit) -> None:
    assert warned(unallocated(), edit)


@pytest.mark.parametrize(
    "edit",
    [
        lambda event, *_: event.update(reason="FailedCreate"),
        lambda event, *_: event.update(note="0/2 nodes are available: 2 Insufficient memory."),
        lambda event, *_: event["regarding"].update(name="loki-1"),
        lambda _, claim, __: claim["metadata"].update(name="data-loki-1"),
        lambda _, claim, __: claim["metadata"].update(namespace="todo"),
        lambda _, claim, __: claim["status"].update(phase="Pending"),
        lambda _, __, pod: pod["spec"].pop("nodeName"),
    ],
)
def test_a_missing_claim_is_a_finding(edit: Edit) -> None:
    assert warned(unclaimed(), edit)


@pytest.mark.parametrize("items", [unallocated, unclaimed])
def test_a_warning_of_what_is_there_is_none(items: Callable[[], list[dict[str, Any]]]) -> None:
    assert warned(items()) == []


def test_what_is_normal_is_no_warning() -> None:
    assert warned(unclaimed(), lambda event, *_: event.update(type="Normal", note="any")) == []


def test_layouts_have_names_of_their_own_and_a_sidecar_each() -> None:
    every = [w for layout in neighbours.LAYOUTS.values() for w in layout]
    assert len({(w.namespace, w.name) for w in every}) == len(every)
    for workload in every:
        deployment, service = workload.objects()
        pod = deployment["spec"]["template"]
        assert pod["metadata"]["labels"]["dapr.io/app-id"] == workload.app_id
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


def test_two_nodes_are_no_larger_than_the_free_tier() -> None:
    nodes = list(world.nodes())
    assert [n["status"]["allocatable"]["cpu"] for n in nodes] == ["940m", "940m"]
    assert len(list(world.volumes())) == 2


def test_the_secrets_are_those_of_the_readme() -> None:
    text = (tools.ROOT / "README.md").read_text()
    for secret in world.secrets():
        metadata = secret["metadata"]
        row = f"| `{metadata['name']}` | `{metadata['namespace']}` |"
        (line,) = (line for line in text.splitlines() if line.startswith(row))
        assert all(f"`{key}`" in line for key in secret["stringData"])


def test_a_cluster_takes_its_charts_from_the_registry_beside_it(copy: Repository) -> None:
    world.mirrored(copy.root, "oke-free", "127.0.0.1:5000")
    (entry,) = (e for e in Repository(copy.root).entries if e.name == "oke-free/flux")
    for item in entry.objects():
        if item["kind"] in {"OCIRepository", "HelmRepository"}:
            assert item["spec"]["url"].startswith("oci://127.0.0.1:5000/")
            assert item["spec"]["insecure"] is True


def test_every_change_of_a_fault_still_applies(copy: Repository) -> None:
    class Stage:
        cluster = "oke-free"
        entry = next(e for e in copy.entries if e.name == "oke-free/flux")

    for change in faults.CHANGES:
        before = {p: p.read_bytes() for p in copy.root.rglob("*.yaml")}
        change(Stage(), copy.root)  # type: ignore[arg-type]
        assert {p: p.read_bytes() for p in copy.root.rglob("*.yaml")} != before
        for path, content in before.items():
            path.write_bytes(content)


def test_a_timeline_is_a_table_by_time() -> None:
    first, last = STEPS[0].text, APPLIED
    lines = Timeline({last: 3.25, first: 0.0}).table().splitlines()
    assert lines[1] == f"{first:<48}{0.0:>7.2f}{0.0:>7.2f}"
    assert lines[2] == f"{last:<48}{3.25:>7.2f}{3.25:>7.2f}"
    assert Timeline({last: 3.25}).added == 3.25


def test_what_prometheus_reads_of_a_pod_is_led_elsewhere(tmp_path: Path) -> None:
    config = yaml.safe_load(
        textwrap.dedent("""
        scrape_configs:
          - job_name: a
            scrape_interval: 30s
            scrape_timeout: 10s
            kubernetes_sd_configs: [{role: pod}]
            tls_config: {ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt}
            authorization:
              credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token
        """)
    )
    account, token, authority = tmp_path / "config", tmp_path / "token", tmp_path / "ca"
    (job,) = stack.adapted(config, account, token, authority, "http://proxy")["scrape_configs"]
    assert job == {
        "job_name": "a",
        "scrape_interval": "4s",
        "scrape_timeout": "3s",
        "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(account)}],
        "tls_config": {"ca_file": str(authority)},
        "authorization": {"credentials_file": str(token)},
        "proxy_url": "http://proxy",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent")
def test_programs_end_even_if_we_are_killed(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent("""
        import time
        from pathlib import Path
        from scripts import processes, tools
        tools.path = lambda _: Path("/bin/sleep")
        tools.version = lambda _: "v0"
        with processes.Processes() as running:
            running.start("sleeper", "600")
            print(running._running["sleeper"].pid, flush=True)
            time.sleep(600)
        """)
    )
    command = (sys.executable, str(script))
    environment = {"PYTHONPATH": str(tools.ROOT)}
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


def test_a_configuration_of_the_operator_is_unpacked() -> None:
    data = base64.b64encode(gzip.compress(b"a: 1\n")).decode()
    assert stack.unpacked({"data": {"key.gz": data}}, "key.gz") == {"a": 1}
