"""What `make e2e` is made of, as far as it needs no cluster."""

from __future__ import annotations

import base64
import gzip
import re
import socket
import struct
import tarfile
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import yaml

from scripts.cluster.e2e import (
    background_workloads,
    disruptions,
    environment,
    monitoring_checks,
    monitoring_programs,
    prometheus_operator,
)
from scripts.cluster.e2e.infrastructure import Infrastructure
from scripts.cluster.e2e.pod_proxy import PodProxy
from scripts.cluster.e2e.socks_proxy import SocksProxy
from scripts.cluster.e2e.sync_latency import APPLIED, STEPS, SyncLatency
from scripts.core import git
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from scripts.model.requirements import Claim, Requirements
from scripts.servers.git_remote import GitRemote, append_to_list
from scripts.servers.processes import LOOPBACK
from scripts.servers.registry import renumbered
from scripts.servers.tcp_proxy import TcpProxy


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with two commits."""
    folder = tmp_path / "source"
    folder.mkdir()
    git.isolated(folder, "init", "--quiet", "--initial-branch=elsewhere")
    for text in ("one", "two"):
        (folder / "file").write_text(text)
        git.isolated(folder, "add", "file")
        git.isolated(folder, "commit", "--quiet", f"--message={text}")
    return folder


@pytest.fixture
def remote(tmp_path: Path, source: Path) -> Iterator[GitRemote]:
    (tmp_path / "remote").mkdir()
    made = GitRemote(tmp_path / "remote", source)
    made.up()
    yield made
    made.down()


def cloned(remote: GitRemote, folder: Path) -> str:
    git.isolated(folder, "clone", "--quiet", "--branch=main", remote.url, "clone")
    return (folder / "clone/file").read_text()


def test_the_remote_serves_the_commits_and_leaves_the_source_as_it_is(
    remote: GitRemote, source: Path, tmp_path: Path
) -> None:
    before = (
        git.isolated(source, "rev-parse", "HEAD"),
        git.isolated(source, "status", "--porcelain"),
    )
    commit = remote.commit("three", lambda tree: (tree / "file").write_text("three"))
    assert cloned(remote, tmp_path) == "three"
    assert git.isolated(tmp_path / "clone", "rev-parse", "HEAD") == commit
    remote.revert()
    git.isolated(tmp_path / "clone", "pull", "--quiet")
    assert (tmp_path / "clone/file").read_text() == "two"
    assert (
        git.isolated(source, "rev-parse", "HEAD"),
        git.isolated(source, "status", "--porcelain"),
    ) == before


def test_the_remote_may_start_at_an_older_revision(source: Path, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    assert (GitRemote(tmp_path / "remote", source, "HEAD~1").tree / "file").read_text() == "one"


def test_an_unknown_revision_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    with pytest.raises(RepositoryError, match="git rev-parse fails"):
        GitRemote(tmp_path / "remote", source, "nowhere")


def test_a_remote_that_is_down_refuses_and_is_there_again(
    remote: GitRemote, tmp_path: Path
) -> None:
    remote.down()
    with pytest.raises(RepositoryError, match="clone fails"):
        cloned(remote, tmp_path)
    remote.up()
    assert cloned(remote, tmp_path) == "two"


def test_what_a_list_has_already_is_not_added_again(tmp_path: Path) -> None:
    path = tmp_path / "kustomization.yaml"
    path.write_text("# Ours.\nresources: [one]\n")
    append_to_list(path, "resources", "one", "two")
    append_to_list(path, "components", "three")
    assert yaml.safe_load(path.read_text()) == {
        "resources": ["one", "two"],
        "components": ["three"],
    }


@pytest.fixture
def greeting() -> Iterator[int]:
    """A server that says hello; yields its port."""

    class GreetingHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"hello {self.path}".encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = HTTPServer((LOOPBACK, 0), GreetingHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def asked(url: str, proxy: str = "") -> str:
    handler = urllib.request.ProxyHandler({"http": proxy} if proxy else {})
    with urllib.request.build_opener(handler).open(url, timeout=5) as answer:
        return str(answer.read().decode())


def test_a_tcp_proxy_forwards_to_a_server_while_it_is_open(greeting: int) -> None:
    proxy = TcpProxy(greeting)
    with pytest.raises(urllib.error.URLError):
        asked(f"http://{proxy.host}/")
    for _ in range(2):
        proxy.open()
        assert asked(f"http://{proxy.host}/a") == "hello /a"
        proxy.close()
        with pytest.raises(urllib.error.URLError):
            asked(f"http://{proxy.host}/")


def test_the_proxy_leads_from_addresses_of_pods_and_refuses_others(greeting: int) -> None:
    proxy = PodProxy()
    proxy.routes["10.244.0.7:9090"] = greeting
    place = f"http://{LOOPBACK}:{proxy.port}"
    assert asked("http://10.244.0.7:9090/metrics?a=1", place) == "hello /metrics?a=1"
    with pytest.raises(urllib.error.HTTPError, match="nothing runs there"):
        asked("http://10.244.0.8:9090/metrics", place)
    proxy.close()


def through_socks(proxy: SocksProxy, kind: int, host: bytes, port: int) -> tuple[int, bytes]:
    """Ask for a page by way of a SOCKS proxy; return what it replies, and the page."""
    address = urlsplit(proxy.url)
    with socket.create_connection((str(address.hostname), address.port or 0)) as client:
        client.sendall(b"\x05\x01\x00")
        assert client.recv(2) == b"\x05\x00"
        client.sendall(bytes([5, 1, 0, kind]) + host + struct.pack("!H", port))
        reply = client.recv(10)
        client.sendall(b"GET /a HTTP/1.0\r\n\r\n")
        # What it answers may come in several pieces; HTTP/1.0 ends with the connection.
        return reply[1], client.makefile("rb").read() if reply[1] == 0 else b""


def test_the_socks_proxy_leads_from_addresses_and_names_and_refuses_others(greeting: int) -> None:
    routes = {"10.244.0.7:3000": greeting, "grafana.monitoring.svc:80": greeting}
    proxy = SocksProxy(routes)
    name = b"grafana.monitoring.svc"
    for kind, host, port in (
        (1, bytes([10, 244, 0, 7]), 3000),
        (3, bytes([len(name)]) + name, 80),
    ):
        code, page = through_socks(proxy, kind, host, port)
        assert (code, page.endswith(b"hello /a")) == (0, True)
        assert through_socks(proxy, kind, host, 81) == (5, b"")
    routes["10.244.0.8:81"] = greeting
    assert through_socks(proxy, 1, bytes([10, 244, 0, 8]), 81)[0] == 0
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


def test_layouts_have_names_of_their_own_and_a_sidecar_each() -> None:
    every = [w for layout in background_workloads.LAYOUTS.values() for w in layout]
    assert len({(w.namespace, w.name) for w in every}) == len(every)
    for workload in every:
        deployment, service = workload.objects()
        pod = deployment["spec"]["template"]
        assert pod["metadata"]["labels"]["dapr.io/app-id"] == workload.app_id
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


def test_what_a_monitor_looks_for_everywhere_is_there(repository: Repository) -> None:
    clusters = [e for e in repository.syncs if e.engine == "flux"]
    there = [*background_workloads.APPLICATION, *background_workloads.SYSTEM]
    made = {
        e.cluster: background_workloads.monitored_everywhere(e.objects(), there) for e in clusters
    }
    assert [w for name, w in made.items() if name != "options" and w] == []
    assert {w.name for w in made["options"]} == {"traefik", "ingress-nginx"}
    for workload in made["options"]:
        pod = next(workload.objects())["spec"]["template"]
        assert pod["metadata"]["labels"] == {"app.kubernetes.io/name": workload.name}
        assert pod["spec"]["containers"][0]["ports"][0]["name"] == "metrics"


def infrastructure(*claims: Claim, **budget: Any) -> Infrastructure:
    return Infrastructure(cast(Requirements, SimpleNamespace(limits=budget, claims=claims)))


def test_nodes_are_no_larger_than_their_share_of_the_tier() -> None:
    made = infrastructure(nodes=2, architecture="arm64", tier={"cpu": 2, "memory": "12Gi"})
    nodes = list(made.nodes())
    found = [n["status"]["allocatable"] for n in nodes]
    assert [(one["cpu"], one["memory"]) for one in found] == [("940m", "4608Mi")] * 2
    assert {n["metadata"]["labels"]["kubernetes.io/arch"] for n in nodes} == {"arm64"}


def test_an_environment_without_a_tier_has_as_many_nodes_as_its_budget_says() -> None:
    assert len(list(infrastructure(nodes=3).nodes())) == 3


def test_each_claim_has_a_class_and_a_volume_that_is_large_enough() -> None:
    claims = [Claim("a", "-0", 3 * 2**30, "fast"), Claim("a", "-1", 2**30, None)]
    made = infrastructure(*claims)
    classes = {c["metadata"]["name"]: c["metadata"]["annotations"] for c in made.storage_classes()}
    assert classes["fast"] == {}
    default = [name for name, annotations in classes.items() if annotations]
    volumes = list(made.volumes())
    assert [v["spec"]["storageClassName"] for v in volumes] == ["fast", *default]
    assert {v["spec"]["capacity"]["storage"] for v in volumes} == {str(4 * 2**30)}
    assert list(infrastructure().volumes()) == []


def test_a_cluster_takes_its_charts_from_the_registry_beside_it(copy: Repository) -> None:
    pinned = copy.root / "base/releases/loki.yaml"
    text = re.sub(r"(\n  ref:\n)", rf"\1    digest: sha256:{'0' * 64}\n", pinned.read_text())
    pinned.write_text(text)
    environment.use_mirror(copy.root, "oke-free", "127.0.0.1:5000")
    (sync,) = (e for e in Repository(copy.root).syncs if e.name == "oke-free/flux")
    for item in sync.objects():
        if item["kind"] in {"OCIRepository", "HelmRepository"}:
            assert item["spec"]["url"].startswith("oci://127.0.0.1:5000/")
            assert item["spec"]["insecure"] is True
            assert "digest" not in item["spec"].get("ref", {})


def test_encrypted_secrets_are_not_synced_and_all_else_is(copy: Repository) -> None:
    path = copy.root / "clusters/oke-free/flux/secrets.yaml"
    path.write_text("spec: {path: ./clusters/oke-free/secrets}\n---\nspec: {path: ./other}\n")
    files = {p: p.read_bytes() for p in path.parent.glob("*.yaml") if p != path}
    environment.exclude_encrypted(copy.root, "oke-free")
    assert list(yaml.safe_load_all(path.read_text())) == [{"spec": {"path": "./other"}}]
    assert {p: p.read_bytes() for p in files} == files


CHANGES = [
    (disruptions._bad_value, "HelmRelease loki"),
    (disruptions._bump_chart, "OCIRepository grafana"),
    (disruptions._pin_what_is_not_there, "OCIRepository grafana"),
    (disruptions._resize_volume, "HelmRelease loki"),
    (disruptions._more_cpu, "HelmRelease grafana"),
]


def built(root: Path, environment: str) -> dict[str, Json]:
    """What an environment is built to, by kind and name."""
    paths = [f"overlays/{environment}/{part}" for part in ("releases", "config")]
    found = [item for path in paths for item in Repository(root).build(path)]
    return {f"{item['kind']} {item['metadata']['name']}": item for item in found}


def env_of(root: Path, cluster: str) -> Any:
    sync = next(e for e in Repository(root).syncs if e.name == f"{cluster}/flux")
    return SimpleNamespace(sync=sync)


@pytest.mark.parametrize("cluster", ["local", "oke-free"])
@pytest.mark.parametrize(("change", "name"), CHANGES, ids=lambda one: getattr(one, "__name__", ""))
def test_a_disruption_changes_one_object_whatever_the_environment_says_of_it(
    change: Callable[[Any, Path], None], name: str, cluster: str, copy: Repository
) -> None:
    before = built(copy.root, cluster)
    change(env_of(copy.root, cluster), copy.root)
    after = built(copy.root, cluster)
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == {
        name
    }


def test_a_disruption_leaves_out_a_dashboard_and_a_rule(copy: Repository) -> None:
    before = built(copy.root, "oke-free")
    disruptions._remove_dashboard_and_rule(env_of(copy.root, "oke-free"), copy.root)
    after = built(copy.root, "oke-free")
    (gone,) = before.keys() - after.keys()
    (other,) = (key for key in after if before[key] != after[key])
    assert gone.startswith("PrometheusRule ")
    assert len(before[other]["data"]) == len(after[other]["data"]) + 1


def test_a_disruption_does_not_build(copy: Repository) -> None:
    disruptions._unbuildable(env_of(copy.root, "oke-free"), copy.root)
    with pytest.raises(RepositoryError, match=r"missing\.yaml"):
        built(copy.root, "oke-free")


def test_a_latency_is_a_table_of_steps_by_time() -> None:
    first, last = STEPS[0].text, APPLIED
    lines = SyncLatency({last: 3.25, first: 0.0}).table().splitlines()
    assert lines[1] == f"{first:<48}{0.0:>7.2f}{0.0:>7.2f}"
    assert lines[2] == f"{last:<48}{3.25:>7.2f}{3.25:>7.2f}"
    assert SyncLatency({last: 3.25}).added == 3.25


def test_outside_of_a_pod_prometheus_has_other_files_and_a_proxy(tmp_path: Path) -> None:
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
    (job,) = monitoring_programs.outside_of_pod(config, account, token, authority, "http://proxy")[
        "scrape_configs"
    ]
    assert job == {
        "job_name": "a",
        "scrape_interval": "4s",
        "scrape_timeout": "3s",
        "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(account)}],
        "tls_config": {"ca_file": str(authority)},
        "authorization": {"credentials_file": str(token)},
        "proxy_url": "http://proxy",
    }


def test_a_configuration_of_the_operator_is_unpacked() -> None:
    data = base64.b64encode(gzip.compress(b"a: 1\n")).decode()
    assert prometheus_operator.unpacked({"data": {"key.gz": data}}, "key.gz") == {"a": 1}


@pytest.mark.parametrize(
    ("annotations", "owner"),
    [
        ({"meta.helm.sh/release-name": "loki"}, "loki"),
        ({"argocd.argoproj.io/tracking-id": "loki:/ConfigMap:monitoring/loki"}, "loki"),
        ({}, None),
    ],
)
def test_an_object_says_what_installed_it(annotations: dict[str, str], owner: str | None) -> None:
    assert monitoring_programs.installed_by({"metadata": {"annotations": annotations}}) == owner


def evaluated(*rules: Json) -> list[str]:
    """Say what is found where Prometheus should have two rules, and Loki one."""
    rule = {"spec": {"groups": [{"rules": [{"alert": "A"}, {"record": "r"}]}]}}
    text = yaml.safe_dump({"groups": [{"rules": [{"alert": "L"}]}]})

    def until(missing: Callable[[], str], what: str, timeout: float) -> float:
        assert timeout
        if answer := missing():
            raise RepositoryError(Finding("one", None, f"{what}: {answer}", "f"))
        return 0.0

    def api(*own: Json) -> Any:
        return SimpleNamespace(get=lambda _: {"data": {"groups": [{"rules": list(own)}]}})

    client = SimpleNamespace(all=lambda *_: [rule], get=lambda *_: {"data": {"f.yaml": text}})
    there = SimpleNamespace(client=client, until=until)
    servers = SimpleNamespace(
        prometheus=api(*rules), loki=api({"name": "L", "health": "ok"}), alertmanager=None
    )
    return [
        one.message for one in monitoring_checks.check_rules(cast(Any, there), cast(Any, servers))
    ]


A = {"name": "A", "health": "ok"}
R = {"name": "r", "health": "ok"}


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([A], "Prometheus lacks r"),
        ([A, R, A], "Prometheus has A, which nothing declares"),
        ([A, {**R, "health": "unknown"}], "Prometheus, r: unknown"),
        ([A, {**R, "health": "err", "lastError": "many-to-many"}], "Prometheus, r: many-to-many"),
    ],
)
def test_a_rule_that_is_not_evaluated_is_a_finding(rules: list[Json], says: str) -> None:
    assert says in evaluated(*rules)[0]


def test_rules_that_are_evaluated_are_no_finding() -> None:
    assert evaluated(R, A) == []


def limits_left(samples: int, limit: int) -> list[str]:
    """Say what is found of a target with so many samples, and of one without a limit."""
    own = {"job": "a", "namespace": "monitoring", "pod": "a-0", "instance": "10.0.0.1:80"}
    other = {"job": "b", "namespace": "monitoring", "instance": "10.0.0.2:80"}
    answers = {
        "scrape_sample_limit": [(own, limit), (other, 0)],
        "scrape_samples_post_metric_relabeling": [(other, 9000), (own, samples)],
    }

    def get(path: str, query: dict[str, str]) -> Json:
        (metric,) = (name for name in answers if name in query["query"])
        result = [{"metric": m, "value": [0, str(value)]} for m, value in answers[metric]]
        return {"data": {"result": result}}

    env = SimpleNamespace(sync=SimpleNamespace(name="one"))
    programs = SimpleNamespace(prometheus=SimpleNamespace(get=get))
    return [
        str(one)
        for one in monitoring_checks.check_sample_limits(cast(Any, env), cast(Any, programs))
    ]


def test_a_target_near_its_sample_limit_is_a_finding() -> None:
    assert limits_left(80, 100) == []
    for samples in (81, 200):
        (found,) = limits_left(samples, 100)
        assert f"one a monitoring a-0 10.0.0.1:80: has {samples} samples after relabeling" in found


def test_a_prometheus_that_tells_no_limit_is_a_finding() -> None:
    (found,) = limits_left(80, 0)
    assert "tells no sample limit" in found
