"""Who is scraped, under which labels, and what it exposes.

Targets come from the rendered monitors. The labels that they get follow the Prometheus operator's
source at the version of `scripts/schemas.yaml` (pkg/prometheus/promcfg.go); relabelling itself is
left to Prometheus' own code, in the program `history`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.lab.simulation import application, kubernetes, stack
from scripts.lab.simulation import node as machines
from scripts.lab.simulation.model import Array, Exposed, Node, Pod
from scripts.lab.simulation.world import World
from scripts.model import scraping
from scripts.model.rendered import Item

Exporter = Callable[[], Iterable[Exposed]]


@dataclass(frozen=True, eq=False)
class Target:
    """One target of one monitor.

    Attributes:
        labels: Before relabelling, with `__address__` and `__metrics_path__`.
        settings: The keys of Prometheus' scrape configuration that decide what is stored.
        up: 1 while it answers, 0 while it does not, NaN while it is not there.
        exposed: What it shows.
    """

    labels: Mapping[str, str]
    settings: Mapping[str, Json]
    up: Array
    exposed: Exporter


def targets(world: World) -> Iterator[Target]:
    """Yield every target of every monitor of the cluster.

    Raises:
        RepositoryError: Where nobody has said what a monitor's targets expose.
    """
    for item in world.cluster.of("ServiceMonitor", "PodMonitor"):
        for endpoint in scraping.endpoints(item):
            of_endpoint = _pod_targets if item.kind == "PodMonitor" else _service_targets
            yield from of_endpoint(world, item, endpoint)
    for item in world.cluster.of("Probe"):
        yield _probe_target(world, item)
    for item in world.cluster.of("ScrapeConfig"):
        yield from _static_targets(world, item)


def _pod_targets(world: World, item: Item, endpoint: Mapping[str, Json]) -> Iterator[Target]:
    port = str(endpoint["port"])
    for pod in world.pods:
        if (
            port in pod.ports
            and scraping.in_scope(item, pod.namespace)
            and scraping.matches(item.spec["selector"], pod.labels)
        ):
            job = pod.labels.get(item.spec.get("jobLabel", ""), f"{item.namespace}/{item.name}")
            yield _of_pod(world, item, endpoint, pod, {"job": job})


def _service_targets(world: World, item: Item, endpoint: Mapping[str, Json]) -> Iterator[Target]:
    if item.name == "argocd":
        # Its Services are not in this repository; each has the labels of its pods.
        for pod in world.with_label("app.kubernetes.io/part-of", "argocd"):
            name = pod.labels["app.kubernetes.io/name"]
            labels = {"job": name, "service": f"{name}-metrics"}
            yield _of_pod(world, item, endpoint, pod, labels)
        return
    for found in scraping.targets(world.cluster, item, endpoint):
        service = found.service
        if service is None:
            continue
        job = service.labels.get(item.spec.get("jobLabel", ""), service.name)
        labels = {"job": job, "service": service.name, "namespace": service.namespace}
        if service.name == "kubernetes":
            labels |= {"endpoint": str(endpoint["port"]), "__address__": "10.0.0.2:6443"}
            yield _target(world, item, endpoint, labels, None, _exporter(world, item, endpoint))
        elif service.name in scraping.NO_PODS:
            for node in world.nodes:
                of_node = labels | {"node": node.name, "endpoint": str(endpoint["port"])}
                of_node["__address__"] = f"{node.ip}:10250"
                exporter = _exporter(world, item, endpoint, node=node)
                yield _target(world, item, endpoint, of_node, None, exporter)
        for template in found.pods:
            for pod in world.pods_of(template.owner.name, template.owner.namespace):
                yield _of_pod(world, item, endpoint, pod, labels)


def _of_pod(
    world: World, item: Item, endpoint: Mapping[str, Json], pod: Pod, labels: Mapping[str, str]
) -> Target:
    port = str(endpoint["port"])
    number = pod.ports.get(port) or next(iter(pod.ports.values()))
    named = {
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": _container(world, pod, port),
        "endpoint": port,
        "__address__": f"{pod.ip}:{number}",
        "__meta_kubernetes_namespace": pod.namespace,
        "__meta_kubernetes_pod_name": pod.name,
        "__meta_kubernetes_pod_node_name": pod.node.name if pod.node else "",
    }
    exporter = _exporter(world, item, endpoint, pod=pod)
    return _target(world, item, endpoint, named | dict(labels), pod, exporter)


def _container(world: World, pod: Pod, port: str) -> str:
    """Return the container that listens on a port."""
    template = world.rendered.get((pod.namespace, pod.workload[1]))
    for container in template.spec["containers"] if template else ():
        if any(p.get("name") == port for p in container.get("ports") or []):
            return str(container["name"])
    # The application's own container comes first, the sidecar last.
    return pod.containers[-1 if port.startswith("dapr") else 0].name


def _probe_target(world: World, item: Item) -> Target:
    address = item.spec["targets"]["staticConfig"]["static"][0]
    job = str(item.spec["jobName"])
    labels = {
        "job": job,
        "namespace": item.namespace,
        "instance": str(address),
        "__address__": str(item.spec["prober"]["url"]),
    }
    return _target(world, item, item.spec, labels, None, lambda: stack.probe(world, job))


def _static_targets(world: World, item: Item) -> Iterator[Target]:
    for group in item.spec["staticConfigs"]:
        for address in group["targets"]:
            labels = {"job": str(item.spec["jobName"]), "__address__": str(address)}
            exporter = _exporter(world, item, {"port": ""})
            yield _target(world, item, item.spec, labels, None, exporter)


def _target(
    world: World,
    item: Item,
    endpoint: Mapping[str, Json],
    labels: Mapping[str, str],
    pod: Pod | None,
    exposed: Exporter,
) -> Target:
    settings: dict[str, Json] = {
        "relabel_configs": _snake(endpoint.get("relabelings") or []),
        "metric_relabel_configs": _snake(endpoint.get("metricRelabelings") or []),
        "honor_labels": bool(endpoint.get("honorLabels")),
        # Limits are for two nodes; who has more has to raise them.
        "sample_limit": int(item.spec.get("sampleLimit") or 0) * (len(world.nodes) // 2),
    }
    up = world.clock.constant(1)
    if item.name == "traefik":
        up = 1 - world.during("target down")
    if pod:
        up = np.where(pod.exists > 0, up, np.nan)
    path = str(endpoint.get("path") or endpoint.get("metricsPath") or "/metrics")
    return Target({"__metrics_path__": path, **labels}, settings, up, exposed)


def _snake(configs: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """Return relabelling as Prometheus writes it; the operator's keys are in camel case."""
    return [
        {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): value for key, value in config.items()}
        for config in configs
    ]


def _exporter(
    world: World,
    item: Item,
    endpoint: Mapping[str, Json],
    *,
    pod: Pod | None = None,
    node: Node | None = None,
) -> Exporter:
    """Return what a monitor's target exposes."""
    chart = "kube-prometheus-stack"
    of_cluster: dict[tuple[str, str], Callable[[World], Iterable[Exposed]]] = {
        (f"{chart}-kube-state-metrics", "http"): kubernetes.kube_state_metrics,
        ("kube-state-metrics", "metrics"): stack.kube_state_metrics_self,
        (f"{chart}-apiserver", "https"): kubernetes.api_server,
        (f"{chart}-prometheus", "http-web"): stack.prometheus,
        (f"{chart}-alertmanager", "http-web"): stack.alertmanager,
        (f"{chart}-operator", "http"): stack.operator,
        ("blackbox-exporter", "http"): stack.blackbox,
        ("grafana", "grafana"): stack.grafana,
        ("loki", "http-metrics"): stack.loki,
        ("ingress-nginx", "metrics"): application.ingress_nginx,
        ("traefik", "metrics"): application.traefik,
        ("redpanda", ""): application.redpanda,
    }
    of_pod: dict[tuple[str, str], Callable[[World, Pod], Iterable[Exposed]]] = {
        (f"{chart}-prometheus", "reloader-web"): stack.reloader,
        (f"{chart}-alertmanager", "reloader-web"): stack.reloader,
        ("alloy", "http-metrics"): stack.alloy,
        ("flux", "http-prom"): stack.flux,
        ("argocd", "metrics"): stack.argocd,
        ("dapr-sidecars", "dapr-metrics"): application.sidecar,
        ("dapr-control-plane", "metrics"): application.dapr_control_plane,
    }
    key = (item.name, str(endpoint["port"]))
    if key in of_cluster:
        return lambda: of_cluster[key](world)
    if pod and key in of_pod:
        return lambda: of_pod[key](world, pod)
    machine = node or (pod.node if pod else None)
    if machine and item.name == f"{chart}-prometheus-node-exporter":
        return lambda: machines.node_exporter(world, machine)
    if machine and item.name == f"{chart}-kubelet":
        cadvisor = "cadvisor" in str(endpoint.get("path"))
        shown = machines.cadvisor if cadvisor else machines.kubelet
        return lambda: shown(world, machine)
    message = f"nobody simulates what {item} scrapes on port {key[1]!r}"
    raise RepositoryError(
        Finding("scripts/lab/simulation/scrape.py", None, message, "add an exporter")
    )
