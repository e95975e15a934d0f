"""A real API server with objects of every kind that is watched, and the programs that watch it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from scripts import tools
from scripts.cluster.capture import documents
from scripts.cluster.capture.families import Captured, Families, parse, scrape
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load
from scripts.model.manifests import identity
from scripts.servers.kubernetes import flux as controllers
from scripts.servers.kubernetes.client import Client, KubernetesError
from scripts.servers.kubernetes.control_plane import api_server, apply_crds, kubeconfig
from scripts.servers.processes import LOOPBACK, Processes, free_port
from scripts.tools import sources

OBJECTS = Path(__file__).with_name("objects.yaml")
FLUX_OBJECTS = Path(__file__).with_name("flux-objects.yaml")
MANAGER = "capture"
KSM = "k8s.io/kube-state-metrics/v2"


def create(client: Client, item: Mapping[str, Json]) -> None:
    """Create an object, with its status if it has one.

    Raises:
        RepositoryError: If the API server refuses it.
    """
    try:
        client.apply(item, MANAGER)
        if "status" in item:
            client.apply(item, MANAGER, part="status")
    except KubernetesError as error:
        text = f"the API server refuses {identity(item)}: {error}"
        raise RepositoryError(
            Finding("scripts/cluster/capture", None, text, "correct the object")
        ) from error


def filled(processes: Processes) -> Client:
    """Run an API server that holds an object of each kind that is watched."""
    client = api_server(processes)
    for item in load(OBJECTS, tools.ROOT):
        create(client, item)
    return client


def kube_apiserver(processes: Processes) -> list[Captured]:
    """Scrape the API server; what it has no occasion for is in Kubernetes' list."""
    version = tools.version("kube-apiserver")
    found = parse(filled(processes).send("GET", "/metrics"))
    return [Captured(f"kube-apiserver {version}", "run with etcd and objects of each kind", found)]


def kube_state_metrics(processes: Processes) -> list[Captured]:
    """Run it with the collectors of our release, and take the rest from its documents."""
    version = tools.version("kube-state-metrics")
    release = next(
        item
        for item in load(tools.ROOT / "base/releases/kube-prometheus-stack.yaml", tools.ROOT)
        if item["kind"] == "HelmRelease"
    )
    values = release["spec"]["values"]["kube-state-metrics"]
    client = filled(processes)
    custom = values.get("customResourceState", {}).get("config")
    if custom:
        _flux_objects(processes, client)
    port, own = free_port(), free_port()
    processes.start(
        "kube-state-metrics",
        f"--kubeconfig={kubeconfig(processes, client)}",
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
    listed = documents.kube_state_metrics(sources.module(KSM, version))
    how = f"run with our release's collectors and custom resources on kube-apiserver {_apiserver()}"
    return [
        Captured(f"kube-state-metrics {version}", how, captured),
        Captured(
            f"kube-state-metrics {version}", f"document docs/metrics of the Go module {KSM}", listed
        ),
    ]


def _apiserver() -> str:
    return tools.version("kube-apiserver")


def prometheus_operator(processes: Processes) -> list[Captured]:
    """Run it with its own CRDs and one object of each kind that it turns into another."""
    version = tools.version("prometheus-operator")
    source = sources.module("github.com/prometheus-operator/prometheus-operator", version)
    client = filled(processes)
    apply_crds(processes, client, source / "example/prometheus-operator-crd")
    metadata = {"name": "capture", "namespace": "default"}
    for kind in ("Prometheus", "Alertmanager"):
        create(
            client,
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": kind,
                "metadata": metadata,
                "spec": {"replicas": 1},
            },
        )
    port = free_port()
    processes.start(
        "prometheus-operator",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--kubelet-service=default/kubelet",
        "--kubelet-endpoints=false",
        "--kubelet-endpointslice=true",
        "--prometheus-config-reloader=reloader",
        environment={"KUBECONFIG": str(kubeconfig(processes, client))},
    )
    url = f"http://{LOOPBACK}:{port}/metrics"
    processes.wait("prometheus-operator", url)
    time.sleep(10)  # The objects are reconciled.
    how = f"run against kube-apiserver {_apiserver()} with a Prometheus and an Alertmanager"
    return [Captured(f"prometheus-operator {version}", how, scrape(url))]


def _flux_objects(processes: Processes, client: Client) -> None:
    controllers.apply_crds(processes, client)
    for item in load(FLUX_OBJECTS, tools.ROOT):
        create(client, item)


def flux(name: str) -> Callable[[Processes], list[Captured]]:
    """Return how one of Flux's controllers is captured."""

    def capture(processes: Processes) -> list[Captured]:
        version = tools.version(name)
        client = filled(processes)
        _flux_objects(processes, client)
        url = controllers.start(processes, name, kubeconfig(processes, client))
        time.sleep(10)  # The objects are reconciled, without success.
        how = f"run against kube-apiserver {_apiserver()} with one object of each of its kinds"
        return [Captured(f"{name} {version}", how, scrape(url))]

    return capture


def blackbox_exporter(processes: Processes) -> list[Captured]:
    """Run it and probe over HTTP and TLS: itself, and the API server."""
    version = tools.version("blackbox_exporter")
    client = api_server(processes)
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
    probes = [f"{own}/probe?module=http_2xx&target={t}" for t in (own, f"{client.url}/readyz")]
    how = "run: probes of itself and, over TLS, of an API server; its own metrics"
    found: Families = scrape(*probes, f"{own}/metrics")
    return [Captured(f"blackbox_exporter {version}", how, found)]


def listed(_: Processes) -> list[Captured]:
    """Return what Kubernetes lists of all its components: the kubelet cannot run here."""
    version = _apiserver()
    found = documents.kubernetes(sources.module("k8s.io/kubernetes", version))
    path = "test/instrumentation/documentation/documentation-list.yaml"
    how = f"document {path} of the Go module k8s.io/kubernetes; a kubelet needs a container runtime"
    return [Captured(f"kubernetes {version}", how, found)]


def cadvisor(_: Processes) -> list[Captured]:
    """Return what the kubelet's cAdvisor declares."""
    kubernetes = sources.module("k8s.io/kubernetes", _apiserver())
    version = documents.required(kubernetes, documents.CADVISOR)
    found = documents.cadvisor(sources.module(documents.CADVISOR, version))
    how = f"document metrics/ of the Go module {documents.CADVISOR}, as the kubelet labels them"
    return [Captured(f"cadvisor {version}", how, found)]
