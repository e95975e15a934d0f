"""Which monitor scrapes a metric, by the metric's name."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

# Every Go program exposes these; only the other labels of a selector say which program is meant.
BY_EVERY_PROGRAM = re.compile(r"(process|go)_.+")
# Recorded by Prometheus itself.
BY_PROMETHEUS = re.compile(r"ALERTS(_FOR_STATE)?|up|scrape_.+")
KUBELET = "kube-prometheus-stack-kubelet"
# A metric's name, its monitor, and the path or port if the monitor has several endpoints.
EXPORTERS: tuple[tuple[str, str, str], ...] = (
    (r"(container|machine)_.+", KUBELET, "/metrics/cadvisor"),
    (r"(kubelet|kubernetes|rest_client|storage_operation|volume_manager)_.+", KUBELET, "/metrics"),
    (r"kube_state_metrics_.+", "kube-state-metrics", "metrics"),
    (r"kube_(?!state_metrics_).+", "kube-prometheus-stack-kube-state-metrics", "http"),
    (r"node_.+", "kube-prometheus-stack-prometheus-node-exporter", "http-metrics"),
    (r"(aggregator|apiserver|etcd|workqueue)_.+", "kube-prometheus-stack-apiserver", "https"),
    (r"alertmanager_.+", "kube-prometheus-stack-alertmanager", "http-web"),
    (r"prometheus_operator_.+", "kube-prometheus-stack-operator", "http"),
    (r"prometheus_(?!operator_).+", "kube-prometheus-stack-prometheus", "http-web"),
    (r"(config_)?reloader_.+", "kube-prometheus-stack-prometheus", "reloader-web"),
    (r"(config_)?reloader_.+", "kube-prometheus-stack-alertmanager", "reloader-web"),
    (r"grafana_.+", "grafana", "grafana"),
    (r"loki_(write|source|process)_.+|alloy_.+|todo_.+", "alloy", "http-metrics"),
    (r"loki_(?!write_|source_|process_).+", "loki", "http-metrics"),
    (r"blackbox_.+", "blackbox-exporter", "http"),
    (r"probe_.+", "frontend", ""),
    (r"probe_.+", "backend", ""),
    (r"probe_.+", "grafana", ""),
    (r"probe_.+", "grafana-public", ""),
    (r"dapr_(placement|scheduler|sentry|injector|operator)_.+", "dapr-control-plane", "metrics"),
    (
        r"dapr_(?!placement_|scheduler_|sentry_|injector_|operator_).+",
        "dapr-sidecars",
        "dapr-metrics",
    ),
    # Flux' controllers expose no metric of whether an object is ready; kube-state-metrics does.
    (r"gotk_resource_info", "kube-prometheus-stack-kube-state-metrics", "http"),
    (r"(gotk_(?!resource_info)|controller_runtime_).+", "flux", "http-prom"),
    (r"argocd_.+", "argocd", "metrics"),
    (r"nginx_ingress_controller_.+", "ingress-nginx", "metrics"),
    (r"traefik_.+", "traefik", "metrics"),
    (r"traefik_service_requests_total", "gateway", "metrics"),
    (r"redpanda_.+", "redpanda", ""),
    (r"thanos_(sidecar|shipper)_.+", "thanos-sidecar", "http"),
    (r"thanos_(?!sidecar_|shipper_).+", "thanos", "http"),
    (r"thanos_(build|objstore)_.+", "thanos-sidecar", "http"),
)
# Files of the catalogue that are of one target each: its monitor, and the port if it has several.
TARGETS: Mapping[str, tuple[str, str]] = {
    "alertmanager": ("kube-prometheus-stack-alertmanager", "http-web"),
    "blackbox-exporter": ("blackbox-exporter", "http"),
    "daprd": ("dapr-sidecars", "dapr-metrics"),
    "flux-helm-controller": ("flux", "http-prom"),
    "flux-kustomize-controller": ("flux", "http-prom"),
    "flux-source-controller": ("flux", "http-prom"),
    "loki": ("loki", "http-metrics"),
    "node-exporter": ("kube-prometheus-stack-prometheus-node-exporter", "http-metrics"),
    "prometheus": ("kube-prometheus-stack-prometheus", "http-web"),
    "prometheus-operator": ("kube-prometheus-stack-operator", "http"),
}
# node_exporter's collectors by metric, where the name does not begin with the collector's.
# https://github.com/prometheus/node_exporter/blob/v1.12.1/README.md#collectors
COLLECTORS: tuple[tuple[str, str], ...] = (
    (r"node_disk_.+", "diskstats"),
    (r"node_load\d+", "loadavg"),
    (r"node_md_.+", "mdadm"),
    (r"node_memory_.+", "meminfo"),
    (r"node_network_(receive|transmit)_.+", "netdev"),
    (r"node_network_.+", "netclass"),
    (r"node_nf_conntrack_.+", "conntrack"),
    (r"node_(boot_time|context_switches|forks|intr|procs)_.+", "stat"),
    (r"node_(exporter|scrape)_.+", ""),
    (r"node_([a-z]+)_.+", r"\1"),
)


@functools.cache
def monitors(metric: str) -> list[tuple[str, str]]:
    """Return each monitor that scrapes a metric, with the path or port if it has several."""
    return [(name, place) for pattern, name, place in EXPORTERS if re.fullmatch(pattern, metric)]


def collector(metric: str) -> str:
    """Return the node_exporter collector of a metric; "" if it cannot be disabled."""
    for pattern, name in COLLECTORS:
        if match := re.fullmatch(pattern, metric):
            return match.expand(name)
    return ""
