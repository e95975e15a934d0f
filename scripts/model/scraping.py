"""What monitors scrape: Services, their ports and the pods behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster, Item, Pod

MONITORS = ("PodMonitor", "Probe", "ScrapeConfig", "ServiceMonitor")
# How much more a target may have than what its program exposes, before the sampleLimit refuses the
# whole of a scrape. A quarter: minor versions add as much, and a limit is felt as an outage.
SAMPLE_LIMIT_ROOM = 1.25
# The field that lists a monitor's endpoints; the other kinds are one endpoint themselves.
ENDPOINTS = {"PodMonitor": "podMetricsEndpoints", "ServiceMonitor": "endpoints"}
# What Prometheus selects; fields of its spec and values of its chart begin with these.
SELECTORS = ("podMonitor", "probe", "rule", "scrapeConfig", "serviceMonitor")
# Monitors whose targets this repository does not declare.
EXTERNAL = {
    "argocd": "Argo CD itself",
    "dapr-control-plane": "Dapr",
    "dapr-sidecars": "the application's pods",
    "flux": "Flux itself",
    "ingress-nginx": "the cluster's ingress controller",
    "traefik": "the cluster's ingress controller",
}
# What these look like by their charts, Dapr's injector and Flux' manifests: labels, names of ports.
LOOKS: Mapping[str, tuple[Mapping[str, str], frozenset[str]]] = {
    "argocd": (
        {"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/name": "argocd-metrics"},
        frozenset({"metrics"}),
    ),
    "dapr-control-plane": (
        {
            "app": "dapr-operator",
            "app.kubernetes.io/component": "operator",
            "app.kubernetes.io/name": "dapr",
            "app.kubernetes.io/part-of": "dapr",
        },
        frozenset({"metrics"}),
    ),
    "dapr-sidecars": (
        {
            "dapr.io/app-id": "todo-backend",
            "dapr.io/metrics-enabled": "true",
            "dapr.io/sidecar-injected": "true",
        },
        frozenset({"dapr-grpc", "dapr-http", "dapr-internal", "dapr-metrics"}),
    ),
    "flux": ({"app": "source-controller"}, frozenset({"http-prom"})),
    "ingress-nginx": (
        {"app.kubernetes.io/component": "controller", "app.kubernetes.io/name": "ingress-nginx"},
        frozenset({"http", "https", "metrics"}),
    ),
    "traefik": (
        {"app.kubernetes.io/name": "traefik"},
        frozenset({"metrics", "traefik", "web", "websecure"}),
    ),
}
# Services whose endpoints are no pods: each node's kubelet, the API servers.
NO_PODS = frozenset({"kubernetes", "kube-prometheus-stack-kubelet"})


@dataclass(frozen=True)
class ScrapeTarget:
    """What one endpoint of a monitor scrapes.

    Attributes:
        endpoint: The endpoint of the ServiceMonitor or PodMonitor.
        pods: The pods, where they are known.
        service: The Service that leads to them, for a ServiceMonitor.
    """

    endpoint: Mapping[str, Json]
    pods: tuple[Pod, ...]
    service: Item | None = None


def endpoints(item: Item) -> list[Mapping[str, Json]]:
    """Return the endpoints of a ServiceMonitor or PodMonitor; none of another kind."""
    return list(item.spec.get(ENDPOINTS.get(item.kind, "")) or [])


def targets(cluster: Cluster, item: Item, endpoint: Mapping[str, Json]) -> list[ScrapeTarget]:
    """Return the targets of an endpoint that this repository declares."""
    port = endpoint["port"]
    if item.kind == "PodMonitor":
        pods = tuple(
            pod
            for pod in cluster.pods
            if in_scope(item, pod.owner.namespace)
            and matches(item.spec["selector"], pod.labels)
            and port in pod.ports
        )
        return [ScrapeTarget(endpoint, pods)] if pods else []
    result = []
    for service in cluster.of("Service"):
        ports = {p.get("name"): p for p in service.spec.get("ports") or []}
        if (
            in_scope(item, service.namespace)
            and matches(item.spec["selector"], service.labels)
            and port in ports
        ):
            pods = tuple(_behind(cluster, service, ports[port]))
            result.append(ScrapeTarget(endpoint, pods, service))
    return result


def matches(selector: Mapping[str, Json], labels: Mapping[str, str]) -> bool:
    """Say whether a LabelSelector selects these labels."""
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or []:
        value = labels.get(expression["key"])
        values = expression.get("values") or []
        if not {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[expression["operator"]]:
            return False
    return True


def selected(cluster: Cluster, namespace: str, selector: Mapping[str, Json]) -> list[Pod]:
    """Return the pods of a namespace that a LabelSelector selects; an empty one selects all."""
    return [
        pod
        for pod in cluster.pods
        if pod.owner.namespace == namespace and matches(selector, pod.labels)
    ]


def behind(cluster: Cluster, service: Item) -> list[Pod]:
    """Return the pods behind a Service; none where it has no selector."""
    labels = service.spec.get("selector")
    return selected(cluster, service.namespace, {"matchLabels": labels}) if labels else []


def in_scope(item: Item, namespace: str) -> bool:
    """Say whether a monitor looks into a namespace."""
    scope = item.spec.get("namespaceSelector") or {}
    return bool(scope.get("any")) or namespace in (scope.get("matchNames") or [item.namespace])


def _behind(cluster: Cluster, service: Item, port: Mapping[str, Json]) -> Iterator[Pod]:
    target = port.get("targetPort", port["port"])
    for pod in behind(cluster, service):
        if target in (pod.ports if isinstance(target, str) else pod.ports.values()):
            yield pod
