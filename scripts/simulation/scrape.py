"""Who is scraped, under which labels, and what it exposes.

Targets come from the rendered monitors. The labels that they get follow the Prometheus operator's
source at the version of `scripts/schemas.yaml` (pkg/prometheus/promcfg.go); relabelling itself is
left to Prometheus' own code, in the program `history`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from scripts.core.yamlfile import Json
from scripts.model import scraping as scrape
from scripts.model.rendered import Item
from scripts.simulation.exporters.defaults import Exporter
from scripts.simulation.exporters.targets import exporter, probe
from scripts.simulation.model import Array, Exposed, SimulatedPod
from scripts.simulation.state import Simulation


@dataclass(frozen=True, eq=False)
class SimulatedTarget:
    """One target of one monitor.

    Attributes:
        labels: Before relabelling, with `__address__` and `__metrics_path__`.
        settings: The keys of Prometheus' scrape configuration that decide what is stored.
        up: 1 while it answers, 0 while it does not, NaN while it is not there.
        exporter: What it shows while it is there.
    """

    labels: Mapping[str, str]
    settings: Mapping[str, Json]
    up: Array
    exporter: Exporter

    def exposed(self) -> Iterator[Exposed]:
        """Yield its series."""
        gone = np.isnan(self.up)
        for name, labels, values in self.exporter.series():
            yield name, labels, np.where(gone, np.nan, values)


def targets(sim: Simulation) -> Iterator[SimulatedTarget]:
    """Yield every target of every monitor of the cluster.

    Raises:
        RepositoryError: Where nobody has said what a monitor's targets expose.
    """
    for item in sim.cluster.of("ServiceMonitor", "PodMonitor"):
        for endpoint in scrape.endpoints(item):
            of_endpoint = _pod_targets if item.kind == "PodMonitor" else _service_targets
            yield from of_endpoint(sim, item, endpoint)
    for item in sim.cluster.of("Probe"):
        yield _probe_target(sim, item)
    for item in sim.cluster.of("ScrapeConfig"):
        yield from _static_targets(sim, item)


def _pod_targets(
    sim: Simulation, item: Item, endpoint: Mapping[str, Json]
) -> Iterator[SimulatedTarget]:
    port = str(endpoint["port"])
    for pod in sim.pods:
        if (
            port in pod.ports
            and scrape.in_scope(item, pod.namespace)
            and scrape.matches(item.spec["selector"], pod.labels)
        ):
            job = pod.labels.get(item.spec.get("jobLabel", ""), f"{item.namespace}/{item.name}")
            yield _of_pod(sim, item, endpoint, pod, {"job": job})


def _service_targets(
    sim: Simulation, item: Item, endpoint: Mapping[str, Json]
) -> Iterator[SimulatedTarget]:
    if item.name == "argocd":
        # Its Services are not in this repository; each has the labels of its pods.
        for pod in sim.with_label("app.kubernetes.io/part-of", "argocd"):
            name = pod.labels["app.kubernetes.io/name"]
            labels = {"job": name, "service": f"{name}-metrics"}
            yield _of_pod(sim, item, endpoint, pod, labels)
        return
    for found in scrape.targets(sim.cluster, item, endpoint):
        service = found.service
        if service is None:
            continue
        job = service.labels.get(item.spec.get("jobLabel", ""), service.name)
        labels = {"job": job, "service": service.name, "namespace": service.namespace}
        if service.name == "kubernetes":
            labels |= {"endpoint": str(endpoint["port"]), "__address__": "10.0.0.2:6443"}
            yield _target(sim, item, endpoint, labels, None, exporter(sim, item, endpoint))
        elif service.name in scrape.NO_PODS:
            for node in sim.nodes:
                of_node = labels | {"node": node.name, "endpoint": str(endpoint["port"])}
                of_node["__address__"] = f"{node.ip}:10250"
                exposed = exporter(sim, item, endpoint, node=node)
                yield _target(sim, item, endpoint, of_node, None, exposed)
        for template in found.pods:
            for pod in sim.pods_of(template.owner.name, template.owner.namespace):
                yield _of_pod(sim, item, endpoint, pod, labels)


def _of_pod(
    sim: Simulation,
    item: Item,
    endpoint: Mapping[str, Json],
    pod: SimulatedPod,
    labels: Mapping[str, str],
) -> SimulatedTarget:
    port = str(endpoint["port"])
    number = pod.ports.get(port) or next(iter(pod.ports.values()))
    named = {
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": _container(sim, pod, port),
        "endpoint": port,
        "__address__": f"{pod.ip}:{number}",
        "__meta_kubernetes_namespace": pod.namespace,
        "__meta_kubernetes_pod_name": pod.name,
        "__meta_kubernetes_pod_node_name": pod.node.name if pod.node else "",
    }
    for name, value in pod.labels.items():
        # As Prometheus' Kubernetes discovery writes names.
        named[f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}"] = value
    exposed = exporter(sim, item, endpoint, pod=pod)
    return _target(sim, item, endpoint, named | dict(labels), pod, exposed)


def _container(sim: Simulation, pod: SimulatedPod, port: str) -> str:
    """Return the container that listens on a port."""
    template = sim.rendered.get((pod.namespace, pod.workload[1]))
    for container in template.spec["containers"] if template else ():
        if any(p.get("name") == port for p in container.get("ports") or []):
            return str(container["name"])
    # The application's own container comes first, the sidecar last.
    return pod.containers[-1 if port.startswith("dapr") else 0].name


def _probe_target(sim: Simulation, item: Item) -> SimulatedTarget:
    address = item.spec["targets"]["staticConfig"]["static"][0]
    job = str(item.spec["jobName"])
    labels = {
        "job": job,
        "namespace": item.namespace,
        "instance": str(address),
        "__address__": str(item.spec["prober"]["url"]),
    }
    return _target(sim, item, item.spec, labels, None, probe(sim, job))


def _static_targets(sim: Simulation, item: Item) -> Iterator[SimulatedTarget]:
    for group in item.spec["staticConfigs"]:
        for address in group["targets"]:
            labels = {"job": str(item.spec["jobName"]), "__address__": str(address)}
            exposed = exporter(sim, item, {"port": ""})
            yield _target(sim, item, item.spec, labels, None, exposed)


def _target(
    sim: Simulation,
    item: Item,
    endpoint: Mapping[str, Json],
    labels: Mapping[str, str],
    pod: SimulatedPod | None,
    exposed: Exporter,
) -> SimulatedTarget:
    settings: dict[str, Json] = {
        "relabel_configs": _snake(endpoint.get("relabelings") or []),
        "metric_relabel_configs": _snake(endpoint.get("metricRelabelings") or []),
        "honor_labels": bool(endpoint.get("honorLabels")),
        # Limits are for two nodes; who has more has to raise them.
        "sample_limit": int(item.spec.get("sampleLimit") or 0) * (len(sim.nodes) // 2),
    }
    up = sim.clock.constant(1)
    if item.name == "traefik":
        up = 1 - sim.during("target down")
    if pod:
        up = np.where(pod.exists > 0, up, np.nan)
    path = str(endpoint.get("path") or endpoint.get("metricsPath") or "/metrics")
    return SimulatedTarget({"__metrics_path__": path, **labels}, settings, up, exposed)


def _snake(configs: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """Return relabelling as Prometheus writes it; the operator's keys are in camel case."""
    return [
        {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): value for key, value in config.items()}
        for config in configs
    ]
