"""Every monitor is selected, limited, and finds what it is for, down to the container's port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster, Item, Pod

MONITORS = ("PodMonitor", "Probe", "ScrapeConfig", "ServiceMonitor")
SELECTORS = ("podMonitor", "probe", "rule", "scrapeConfig", "serviceMonitor")
# What these find is not in this repository.
EXTERNAL = {
    "argocd": "Argo CD itself",
    "dapr-control-plane": "Dapr",
    "dapr-sidecars": "the application's pods",
    "flux": "Flux itself",
    "ingress-nginx": "the cluster's ingress controller",
    "traefik": "the cluster's ingress controller",
}
# Services whose endpoints are no pods: each node's kubelet, the API servers.
NO_PODS = frozenset({"kubernetes", "kube-prometheus-stack-kubelet"})


@dataclass(frozen=True)
class Target:
    """What one endpoint of a monitor scrapes.

    Attributes:
        endpoint: The endpoint of the ServiceMonitor or PodMonitor.
        pods: The pods, where they are known.
        service: The Service that leads to them, for a ServiceMonitor.
    """

    endpoint: Mapping[str, Json]
    pods: tuple[Pod, ...]
    service: Item | None = None


def selected(cluster: Cluster) -> Iterator[Finding]:
    """Prometheus takes every monitor and rule of every namespace, not only its release's own."""
    for item in cluster.of("Prometheus"):
        for name in SELECTORS:
            if item.spec.get(f"{name}Selector") != {}:
                text = f"{name}Selector does not select everything"
                fix = f"prometheusSpec.{name}SelectorNilUsesHelmValues: false"
                yield cluster.finding(item, text, fix)
            if item.spec.get(f"{name}NamespaceSelector") != {}:
                text = f"{name}NamespaceSelector does not select everything"
                yield cluster.finding(item, text, "leave it at the chart's default")


def limited(cluster: Cluster) -> Iterator[Finding]:
    """Every monitor of a chart has a sampleLimit: the series budget is proved by them."""
    for item in cluster.rendered():
        if item.kind in MONITORS and not item.spec.get("sampleLimit"):
            text = "no sampleLimit, so one target can fill Prometheus"
            yield cluster.finding(item, text, "set about twice what a target has")


def targeted(cluster: Cluster) -> Iterator[Finding]:
    """Monitors find Services, their ports and the pods' ports, where these are ours."""
    for item in cluster.of("PodMonitor", "ServiceMonitor"):
        if item.name in EXTERNAL:
            continue
        for endpoint in endpoints(item):
            if "port" not in endpoint:
                yield cluster.finding(item, "an endpoint without a port's name", "name the port")
                continue
            found = targets(cluster, item, endpoint)
            fix = "correct selector, namespaceSelector or the port's name"
            if not found:
                what = "pod" if item.kind == "PodMonitor" else "Service"
                text = f"no {what} with a port {endpoint['port']} is selected"
                yield cluster.finding(item, text, fix)
            for target in found:
                service = target.service
                if service and service.name not in NO_PODS and not target.pods:
                    text = f"no pod behind the port {endpoint['port']} of {service}"
                    yield cluster.finding(item, text, fix)


def endpoints(item: Item) -> list[Mapping[str, Json]]:
    """Return the endpoints of a ServiceMonitor or PodMonitor."""
    key = "podMetricsEndpoints" if item.kind == "PodMonitor" else "endpoints"
    return list(item.spec.get(key) or [])


def targets(cluster: Cluster, item: Item, endpoint: Mapping[str, Json]) -> list[Target]:
    """Return what one endpoint of a ServiceMonitor or PodMonitor scrapes, as far as it is ours."""
    port = endpoint["port"]
    if item.kind == "PodMonitor":
        pods = tuple(
            pod
            for pod in cluster.pods
            if in_scope(item, pod.owner.namespace)
            and matches(item.spec["selector"], pod.labels)
            and port in pod.ports
        )
        return [Target(endpoint, pods)] if pods else []
    result = []
    for service in cluster.of("Service"):
        ports = {p.get("name"): p for p in service.spec.get("ports") or []}
        if (
            in_scope(item, service.namespace)
            and matches(item.spec["selector"], service.labels)
            and port in ports
        ):
            pods = tuple(_behind(cluster, service, ports[port]))
            result.append(Target(endpoint, pods, service))
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


def in_scope(item: Item, namespace: str) -> bool:
    """Say whether a monitor looks into a namespace."""
    scope = item.spec.get("namespaceSelector") or {}
    return bool(scope.get("any")) or namespace in (scope.get("matchNames") or [item.namespace])


def _behind(cluster: Cluster, service: Item, port: Mapping[str, Json]) -> Iterator[Pod]:
    selector = service.spec.get("selector")
    target = port.get("targetPort", port["port"])
    for pod in cluster.pods:
        if (
            selector
            and pod.owner.namespace == service.namespace
            and matches({"matchLabels": selector}, pod.labels)
            and (target in pod.ports if isinstance(target, str) else target in pod.ports.values())
        ):
            yield pod
