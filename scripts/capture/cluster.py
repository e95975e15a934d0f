"""A real API server with objects of every kind that is watched, and the programs that watch it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts import tools
from scripts.capture import documents
from scripts.capture.families import Block, Families
from scripts.capture.processes import LOOPBACK, Processes, free_port, request, scrape
from scripts.findings import Finding, RepositoryError
from scripts.yamlfile import load, load_all

Json = Any

OBJECTS = Path(__file__).with_name("objects.yaml")
FLUX_OBJECTS = Path(__file__).with_name("flux-objects.yaml")
TOKEN = "capture"  # noqa: S105 - of a server that only this machine reaches, for a minute
KSM = "k8s.io/kube-state-metrics/v2"


@dataclass(frozen=True)
class Cluster:
    """A running API server.

    Attributes:
        url: Where it listens.
        kubeconfig: A file that leads there.
    """

    url: str
    kubeconfig: Path

    def apply(self, item: Mapping[str, Json]) -> None:
        """Create an object, with its status if it has one.

        Raises:
            RepositoryError: If the API server refuses it.
        """
        name = str(item["metadata"]["name"])
        path = f"{self._path(item)}/{name}"
        self._patch(path, item)
        if "status" in item:
            self._patch(f"{path}/status", item)

    def _patch(self, path: str, item: Mapping[str, Json]) -> None:
        status, body = request(
            f"{self.url}{path}?fieldManager=capture&force=true",
            method="PATCH",
            body=json.dumps(item).encode(),
            headers={
                "Authorization": f"Bearer {TOKEN}",
                "Content-Type": "application/apply-patch+yaml",
            },
        )
        if status not in {200, 201}:
            text = f"the API server refuses {path}: {body.decode()[:400]}"
            raise RepositoryError(Finding("scripts/capture", None, text, "correct the object"))

    def _path(self, item: Mapping[str, Json]) -> str:
        group, _, version = str(item["apiVersion"]).rpartition("/")
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        _, body = request(f"{self.url}{root}", headers={"Authorization": f"Bearer {TOKEN}"})
        for resource in json.loads(body).get("resources", ()):
            if resource["kind"] == item["kind"] and "/" not in resource["name"]:
                namespace = item["metadata"].get("namespace", "default")
                scope = f"/namespaces/{namespace}" if resource["namespaced"] else ""
                return f"{root}{scope}/{resource['name']}"
        text = f"the API server knows no {item['kind']} of {item['apiVersion']}"
        raise RepositoryError(Finding("scripts/capture", None, text, "create its CRD first"))

    def define(self, folder: Path) -> None:
        """Create every CRD of a folder, and wait until they are served."""
        crds = [
            crd
            for path in sorted(folder.glob("*.yaml"))
            for crd in load_all(path.read_text(encoding="utf-8"), path.name)
            if crd.get("kind") == "CustomResourceDefinition"
        ]
        for crd in crds:
            self.apply({key: value for key, value in crd.items() if key != "status"})
        end = time.monotonic() + 60
        wanted = {
            (crd["spec"]["group"], version["name"], crd["spec"]["names"]["plural"])
            for crd in crds
            for version in crd["spec"]["versions"]
            if version["served"]
        }
        while time.monotonic() < end and not wanted <= self._served(wanted):
            time.sleep(0.2)

    def _served(self, wanted: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        found = set()
        for group, version in {(group, version) for group, version, _ in wanted}:
            _, body = request(
                f"{self.url}/apis/{group}/{version}", headers={"Authorization": f"Bearer {TOKEN}"}
            )
            if body.startswith(b"{"):
                resources = json.loads(body).get("resources", ())
                found |= {(group, version, resource["name"]) for resource in resources}
        return found


def start(processes: Processes) -> Cluster:
    """Run etcd and kube-apiserver, without any controller."""
    folder = processes.folder("cluster")
    client, peer, port = (free_port() for _ in range(3))
    etcd = f"http://{LOOPBACK}:{client}"
    processes.start(
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd}",
        f"--advertise-client-urls={etcd}",
        f"--listen-peer-urls=http://{LOOPBACK}:{peer}",
        f"--initial-advertise-peer-urls=http://{LOOPBACK}:{peer}",
        f"--initial-cluster=default=http://{LOOPBACK}:{peer}",
        "--unsafe-no-fsync",
    )
    processes.wait("etcd", f"{etcd}/health")
    key = folder / "accounts.key"
    if not shutil.which("openssl"):
        text = "openssl is not on PATH; kube-apiserver needs a key"
        raise RepositoryError(Finding("scripts/capture", None, text, "install it"))
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f'{TOKEN},capture,capture,"system:masters"\n')
    processes.start(
        "kube-apiserver",
        f"--etcd-servers={etcd}",
        f"--cert-dir={folder / 'certificates'}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        # No controller makes the account that it would want in each pod.
        "--disable-admission-plugins=ServiceAccount",
    )
    url = f"https://{LOOPBACK}:{port}"
    processes.wait("kube-apiserver", f"{url}/readyz", token=TOKEN)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(url)))
    return Cluster(url, kubeconfig)


def _kubeconfig(url: str) -> dict[str, Json]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "capture",
        "clusters": [
            {"name": "capture", "cluster": {"server": url, "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "capture", "user": {"token": TOKEN}}],
        "contexts": [{"name": "capture", "context": {"cluster": "capture", "user": "capture"}}],
    }


def filled(processes: Processes, objects: Path = OBJECTS) -> Cluster:
    """Run an API server that holds the objects of a file."""
    cluster = start(processes)
    for item in load(objects, tools.ROOT):
        cluster.apply(item)
    return cluster


def kube_apiserver(processes: Processes) -> list[Block]:
    """Scrape the API server; what it has no occasion for is in Kubernetes' list."""
    version = tools.version("kube-apiserver")
    cluster = filled(processes)
    found = scrape(f"{cluster.url}/metrics", token=TOKEN)
    return [Block(f"kube-apiserver {version}", "run with etcd and objects of each kind", found)]


def kube_state_metrics(processes: Processes) -> list[Block]:
    """Run it with the collectors of our release, and take the rest from its documents."""
    version = tools.version("kube-state-metrics")
    release = next(
        item
        for item in load(tools.ROOT / "base/releases/kube-prometheus-stack.yaml", tools.ROOT)
        if item["kind"] == "HelmRelease"
    )
    values = release["spec"]["values"]["kube-state-metrics"]
    cluster = filled(processes)
    custom = values.get("customResourceState", {}).get("config")
    if custom:
        _flux_objects(cluster)
    port, own = free_port(), free_port()
    processes.start(
        "kube-state-metrics",
        f"--kubeconfig={cluster.kubeconfig}",
        f"--resources={','.join(values['collectors'])}",
        *([f"--custom-resource-state-config={yaml.safe_dump(custom)}"] if custom else ()),
        f"--host={LOOPBACK}",
        f"--port={port}",
        f"--telemetry-host={LOOPBACK}",
        f"--telemetry-port={own}",
    )
    url = f"http://{LOOPBACK}:{port}/metrics"
    processes.wait("kube-state-metrics", url)
    time.sleep(5)  # Each kind is listed on its own.
    captured = scrape(url, f"http://{LOOPBACK}:{own}/metrics")
    listed = documents.kube_state_metrics(documents.module(KSM, version))
    how = f"run with our release's collectors and custom resources on kube-apiserver {_apiserver()}"
    return [
        Block(f"kube-state-metrics {version}", how, captured),
        Block(
            f"kube-state-metrics {version}", f"document docs/metrics of the Go module {KSM}", listed
        ),
    ]


def _apiserver() -> str:
    return tools.version("kube-apiserver")


def prometheus_operator(processes: Processes) -> list[Block]:
    """Run it with its own CRDs and one object of each kind that it turns into another."""
    version = tools.version("prometheus-operator")
    source = documents.module("github.com/prometheus-operator/prometheus-operator", version)
    cluster = filled(processes)
    cluster.define(source / "example/prometheus-operator-crd")
    metadata = {"name": "capture", "namespace": "default"}
    for kind in ("Prometheus", "Alertmanager"):
        cluster.apply(
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": kind,
                "metadata": metadata,
                "spec": {"replicas": 1},
            }
        )
    port = free_port()
    processes.start(
        "prometheus-operator",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--kubelet-service=default/kubelet",
        "--kubelet-endpoints=false",
        "--kubelet-endpointslice=true",
        "--prometheus-config-reloader=reloader",
        environment={"KUBECONFIG": str(cluster.kubeconfig)},
    )
    url = f"http://{LOOPBACK}:{port}/metrics"
    processes.wait("prometheus-operator", url)
    time.sleep(10)  # The objects are reconciled.
    how = f"run against kube-apiserver {_apiserver()} with a Prometheus and an Alertmanager"
    return [Block(f"prometheus-operator {version}", how, scrape(url))]


def _flux_objects(cluster: Cluster) -> None:
    for controller in ("source-controller", "kustomize-controller", "helm-controller"):
        name = f"github.com/fluxcd/{controller}"
        cluster.define(documents.module(name, tools.version(controller)) / "config/crd/bases")
    for item in load(FLUX_OBJECTS, tools.ROOT):
        cluster.apply(item)


def flux(name: str) -> Callable[[Processes], list[Block]]:
    """Return how one of Flux's controllers is captured."""

    def capture(processes: Processes) -> list[Block]:
        version = tools.version(name)
        cluster = filled(processes)
        _flux_objects(cluster)
        port = free_port()
        arguments = [
            f"--metrics-addr={LOOPBACK}:{port}",
            f"--health-addr={LOOPBACK}:{free_port()}",
            "--events-addr=",
            "--enable-leader-election=false",
        ]
        if name == "source-controller":
            storage = free_port()
            arguments += [
                f"--storage-path={processes.folder('storage')}",
                f"--storage-addr={LOOPBACK}:{storage}",
                f"--storage-adv-addr={LOOPBACK}:{storage}",
            ]
        processes.start(
            name,
            *arguments,
            environment={
                "KUBECONFIG": str(cluster.kubeconfig),
                "RUNTIME_NAMESPACE": "flux-system",
            },
        )
        url = f"http://{LOOPBACK}:{port}/metrics"
        processes.wait(name, url)
        time.sleep(10)  # The objects are reconciled, without success.
        how = f"run against kube-apiserver {_apiserver()} with one object of each of its kinds"
        return [Block(f"{name} {version}", how, scrape(url))]

    return capture


def blackbox_exporter(processes: Processes) -> list[Block]:
    """Run it and probe over HTTP and TLS: itself, and the API server."""
    version = tools.version("blackbox_exporter")
    cluster = start(processes)
    folder, port = processes.folder("blackbox"), free_port()
    insecure = {"tls_config": {"insecure_skip_verify": True}, "valid_status_codes": [200, 401, 403]}
    modules = {"http_2xx": {"prober": "http", "timeout": "5s", "http": insecure}}
    (folder / "blackbox.yml").write_text(yaml.safe_dump({"modules": modules}))
    processes.start(
        "blackbox_exporter",
        f"--config.file={folder / 'blackbox.yml'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    )
    own = f"http://{LOOPBACK}:{port}"
    processes.wait("blackbox_exporter", f"{own}/-/healthy")
    probes = [f"{own}/probe?module=http_2xx&target={t}" for t in (own, f"{cluster.url}/readyz")]
    how = "run: probes of itself and, over TLS, of an API server; its own metrics"
    found: Families = scrape(*probes, f"{own}/metrics")
    return [Block(f"blackbox_exporter {version}", how, found)]


def listed(_: Processes) -> list[Block]:
    """Return what Kubernetes lists of all its components: the kubelet cannot run here."""
    version = _apiserver()
    found = documents.kubernetes(documents.module("k8s.io/kubernetes", version))
    path = "test/instrumentation/documentation/documentation-list.yaml"
    how = f"document {path} of the Go module k8s.io/kubernetes; a kubelet needs a container runtime"
    return [Block(f"kubernetes {version}", how, found)]


def cadvisor(_: Processes) -> list[Block]:
    """Return what the kubelet's cAdvisor declares."""
    kubernetes = documents.module("k8s.io/kubernetes", _apiserver())
    version = documents.required(kubernetes, documents.CADVISOR)
    found = documents.cadvisor(documents.module(documents.CADVISOR, version))
    how = f"document metrics/ of the Go module {documents.CADVISOR}, as the kubelet labels them"
    return [Block(f"cadvisor {version}", how, found)]
