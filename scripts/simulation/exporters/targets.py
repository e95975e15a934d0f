"""What the target of each monitor exposes: by hand, and by default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.rendered import Item
from scripts.simulation.exporters import (
    alloy,
    dapr,
    gitops,
    grafana,
    ingress,
    kube_state_metrics,
    kubernetes,
    loki,
    node_exporter,
    prometheus,
    redpanda,
    thanos,
)
from scripts.simulation.exporters.defaults import Exporter, Program
from scripts.simulation.model import Exposed, SimulatedNode, SimulatedPod
from scripts.simulation.state import Simulation

# Seconds of each phase of a probe that succeeds, and of one that gets no answer.
_PHASES = {"resolve": 0.004, "connect": 0.002, "tls": 0.0, "processing": 0.03, "transfer": 0.001}
_PROBE_TIMEOUT = 5.0

Key = tuple[str, str]  # Name of a monitor, and a port or the end of a path.


def _nothing(sim: Simulation, pod: SimulatedPod | None = None) -> Iterable[Exposed]:
    """Nothing but defaults."""
    return ()


_CHART = "kube-prometheus-stack"
_OF_CLUSTER: Mapping[Key, tuple[Callable[[Simulation], Iterable[Exposed]], Program]] = {
    (f"{_CHART}-kube-state-metrics", "http"): (
        kube_state_metrics.kube_state_metrics,
        Program("kube-state-metrics"),
    ),
    ("kube-state-metrics", "metrics"): (
        kube_state_metrics.kube_state_metrics_self,
        Program("kube-state-metrics", "kube_state_metrics_.+|(?!kube_|gotk_).+"),
    ),
    (f"{_CHART}-apiserver", "https"): (kubernetes.api_server, Program("kube-apiserver")),
    (f"{_CHART}-prometheus", "http-web"): (prometheus.prometheus, Program("prometheus")),
    (f"{_CHART}-alertmanager", "http-web"): (prometheus.alertmanager, Program("alertmanager")),
    (f"{_CHART}-operator", "http"): (prometheus.operator, Program("prometheus-operator")),
    ("blackbox-exporter", "http"): (_nothing, Program("blackbox-exporter", "(?!probe_).+")),
    ("grafana", "grafana"): (grafana.grafana, Program("grafana")),
    ("loki", "http-metrics"): (loki.loki, Program("loki")),
    ("ingress-nginx", "metrics"): (ingress.ingress_nginx, Program("ingress-nginx")),
    ("traefik", "metrics"): (ingress.traefik, Program("traefik")),
    ("gateway", "metrics"): (
        ingress.gateway,
        Program("traefik", "(?!traefik_service_request_duration_).+"),
    ),
    ("redpanda", ""): (redpanda.redpanda, Program("redpanda")),
}
_OF_POD: Mapping[Key, tuple[Callable[[Simulation, SimulatedPod], Iterable[Exposed]], Program]] = {
    (f"{_CHART}-prometheus", "reloader-web"): (_nothing, Program("prometheus-config-reloader")),
    (f"{_CHART}-alertmanager", "reloader-web"): (_nothing, Program("prometheus-config-reloader")),
    ("alloy", "http-metrics"): (alloy.alloy, Program("alloy")),
    ("flux", "http-prom"): (gitops.flux, Program("")),
    ("argocd", "metrics"): (gitops.argocd, Program("")),
    ("dapr-sidecars", "dapr-metrics"): (dapr.sidecar, Program("daprd")),
    ("dapr-control-plane", "metrics"): (dapr.dapr_control_plane, Program("")),
    ("thanos", "http"): (thanos.part, Program("")),
    ("thanos-sidecar", "http"): (
        thanos.sidecar,
        Program("thanos", "thanos_(build|objstore|shipper|sidecar)_.+|process_.+"),
    ),
}
_OF_NODE: Mapping[Key, tuple[Callable[[Simulation, SimulatedNode], Iterable[Exposed]], Program]] = {
    (f"{_CHART}-prometheus-node-exporter", "http-metrics"): (
        node_exporter.node_exporter,
        Program("node-exporter"),
    ),
    (f"{_CHART}-kubelet", "https-metrics"): (
        kubernetes.kubelet,
        Program("kubernetes", "kubelet_.+|kubernetes_build_info|rest_client_.+"),
    ),
    (f"{_CHART}-kubelet", "cadvisor"): (kubernetes.cadvisor, Program("cadvisor")),
}
# Workloads of one monitor whose families are not those of the others.
_OF_WORKLOAD: Mapping[str, Program] = {
    "source-controller": Program("flux-source-controller"),
    "kustomize-controller": Program("flux-kustomize-controller"),
    "helm-controller": Program("flux-helm-controller"),
    "notification-controller": Program("flux-kustomize-controller", "(?!gotk_).+"),
    "argocd-application-controller": Program(
        "argo-cd", "argocd_(app|cluster|kubectl)_.+|process_.+"
    ),
    "argocd-repo-server": Program("argo-cd", "argocd_(git|repo)_.+|process_.+"),
    "argocd-server": Program("argo-cd", "argocd_redis_.+|process_.+"),
    "thanos-compact": Program("thanos", "thanos_(blocks|build|compact|objstore)_.+|process_.+"),
    "thanos-store-gateway": Program(
        "thanos", "thanos_(blocks|bucket|build|objstore)_.+|process_.+"
    ),
    "thanos-query": Program(
        "thanos", "thanos_(build_|query_(?!frontend_|range_)|store_nodes_).+|process_.+"
    ),
    "thanos-query-frontend": Program(
        "thanos", "thanos_(build|frontend|query_(frontend|range))_.+|process_.+"
    ),
    "dapr-operator": Program("dapr-control-plane", "(?!dapr_).+|dapr_operator_.+"),
    "dapr-placement-server": Program("dapr-control-plane", "(?!dapr_).+|dapr_placement_.+"),
    "dapr-scheduler-server": Program("dapr-control-plane", "(?!dapr_).+|dapr_scheduler_.+"),
    "dapr-sentry": Program("dapr-control-plane", "(?!dapr_).+|dapr_sentry_.+"),
    "dapr-sidecar-injector": Program("dapr-control-plane", "(?!dapr_).+|dapr_injector_.+"),
}


def exporter(
    sim: Simulation,
    item: Item,
    endpoint: Mapping[str, Json],
    *,
    pod: SimulatedPod | None = None,
    node: SimulatedNode | None = None,
) -> Exporter:
    """Return what a monitor's target exposes.

    Raises:
        RepositoryError: Where nobody has said what it is.
    """
    port = str(endpoint.get("port", ""))
    key = (item.name, "cadvisor" if "cadvisor" in str(endpoint.get("path")) else port)
    machine = node or (pod.node if pod else None)
    if key in _OF_CLUSTER:
        of_cluster, program = _OF_CLUSTER[key]
        if of_cluster is kube_state_metrics.kube_state_metrics:
            program = kube_state_metrics.allowed(sim)
        return Exporter(program, sim.clock, lambda: of_cluster(sim))
    if pod and key in _OF_POD:
        of_pod, program = _OF_POD[key]
        program = _OF_WORKLOAD.get(pod.workload[1], program)
        return Exporter(program, sim.clock, lambda: of_pod(sim, pod))
    if machine and key in _OF_NODE:
        of_node, program = _OF_NODE[key]
        return Exporter(program, sim.clock, lambda: of_node(sim, machine))
    message = f"nobody simulates what {item} scrapes on port {port!r}"
    where = "scripts/simulation/exporters/targets.py"
    raise RepositoryError(Finding(where, None, message, "add an exporter"))


def probe(sim: Simulation, job: str) -> Exporter:
    """Return what one probe of an HTTP address exposes."""
    succeeds = sim.probes[job]
    seconds = np.where(succeeds > 0, sum(_PHASES.values()), _PROBE_TIMEOUT)
    exposed: list[Exposed] = [
        ("probe_success", {}, succeeds),
        # Where it fails here, nothing answers.
        ("probe_http_status_code", {}, 200 * succeeds),
        ("probe_duration_seconds", {}, seconds),
        *(
            ("probe_http_duration_seconds", {"phase": phase}, share * succeeds)
            for phase, share in _PHASES.items()
        ),
    ]
    if job == "grafana-public":
        # In thirty days at the day's end.
        end = sim.clock.constant(float(sim.clock.time[-1]) + 30 * 86400)
        exposed.append(("probe_ssl_earliest_cert_expiry", {}, end))
    return Exporter(Program("blackbox-exporter", "probe_.+"), sim.clock, lambda: exposed)
