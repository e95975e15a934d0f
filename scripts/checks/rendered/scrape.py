"""Every monitor is selected, has a sample limit, and finds targets with its port."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.core.findings import Finding
from scripts.model.rendered import Cluster
from scripts.model.scraping import EXTERNAL, MONITORS, NO_PODS, SELECTORS, endpoints, targets


def monitors_selected(cluster: Cluster) -> Iterator[Finding]:
    """Prometheus selects every monitor and rule of every namespace, not only of its release."""
    for item in cluster.of("Prometheus"):
        for name in SELECTORS:
            if item.spec.get(f"{name}Selector") != {}:
                text = f"{name}Selector does not select everything"
                fix = f"prometheusSpec.{name}SelectorNilUsesHelmValues: false"
                yield cluster.finding(item, text, fix)
            if item.spec.get(f"{name}NamespaceSelector") != {}:
                text = f"{name}NamespaceSelector does not select everything"
                yield cluster.finding(item, text, "leave it at the chart's default")


def sample_limit_set(cluster: Cluster) -> Iterator[Finding]:
    """Every monitor of a chart has a sampleLimit: the series budget relies on it."""
    for item in cluster.rendered():
        if item.kind in MONITORS and not item.spec.get("sampleLimit"):
            text = "no sampleLimit, so one target can fill Prometheus"
            yield cluster.finding(item, text, "set about twice what a target has")


def targets_found(cluster: Cluster) -> Iterator[Finding]:
    """Monitors find Services, their ports and the ports of pods that this repository declares."""
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
