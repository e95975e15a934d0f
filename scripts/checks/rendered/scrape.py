"""Every monitor is selected, has a sample limit, and finds targets with its port."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scripts.core.findings import Finding
from scripts.model import catalogue, relabeling
from scripts.model.exporters import TARGETS
from scripts.model.rendered import Cluster, Item, operator_flags
from scripts.model.scraping import (
    ENDPOINTS,
    EXTERNAL,
    LOOKS,
    MONITORS,
    SAMPLE_LIMIT_ROOM,
    SELECTORS,
    endpoints,
    matches,
    targets,
)

# What Prometheus may discover: the operator's flag and its default, and the chart's value.
DISCOVERED = {
    "Endpoints": ("kubelet-endpoints", "true", "kubeletEndpointsEnabled"),
    "EndpointSlice": ("kubelet-endpointslice", "false", "kubeletEndpointSliceEnabled"),
}


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


def kubelet_discovered(cluster: Cluster) -> Iterator[Finding]:
    """The operator writes for the kubelet what Prometheus discovers of it."""
    flags = operator_flags(cluster.items)
    kinds = {
        kind
        for kind, (flag, default, _) in DISCOVERED.items()
        if flags.get(flag, default) == "true"
    }
    if "kubelet-service" not in flags or not kinds:
        return  # The operator refuses to write nothing at all.
    for item in cluster.of("Prometheus"):
        role = item.spec.get("serviceDiscoveryRole") or "Endpoints"
        if role in kinds:
            continue
        text = f"discovers the kubelet by {role}, which the operator does not write"
        yield cluster.finding(
            item,
            f"{text}: neither the kubelet nor cAdvisor is scraped",
            f"set serviceDiscoveryRole and prometheusOperator.{DISCOVERED[role][2]} alike",
            ((DISCOVERED[role][2],), False),
            (("serviceDiscoveryRole",), role),
        )


def sample_limit_set(cluster: Cluster) -> Iterator[Finding]:
    """Every monitor of a chart has a sampleLimit: the series budget relies on it."""
    for item in cluster.rendered():
        if item.kind in MONITORS and not item.spec.get("sampleLimit"):
            text = "no sampleLimit, so one target can fill Prometheus"
            yield cluster.finding(item, text, "set about twice what a target has")


def sample_limits_leave_room(cluster: Cluster) -> Iterator[Finding]:
    """Every sampleLimit leaves room over what the program showed when it was captured.

    That is the least that it shows. What Prometheus and others show in a cluster, `make e2e` sees.
    """
    monitors = {item.name: item for item in cluster.of(*ENDPOINTS)}
    for file, (name, port) in TARGETS.items():
        item = monitors.get(name)
        limit = item.spec.get("sampleLimit") if item else None
        if not item or not limit:
            continue  # Without a limit: `sample_limit_set`.
        captured = [family for family in catalogue.by_file()[file] if family.captured]
        samples = [
            (series, labels, family.samples.get(series, 1))
            for family in captured
            for series, labels in family.series().items()
        ]
        for endpoint in endpoints(item):
            if endpoint.get("port") != port:
                continue
            rules = relabeling.read(endpoint.get("metricRelabelings") or ())
            least = relabeling.kept(rules, samples)
            needed = math.ceil(least * SAMPLE_LIMIT_ROOM)
            if needed > int(limit):
                text = f"sampleLimit {limit}: {captured[0].source} has {least} samples or more"
                fix = f"set at least {needed}: one sample too many, and the target is down"
                yield cluster.finding(item, text, fix, (("sampleLimit",), limit))


def targets_found(cluster: Cluster) -> Iterator[Finding]:
    """Monitors find Services or pods with their ports: ours, and what is known of the others."""
    for item, port in missed(cluster):
        if port is None:
            yield cluster.finding(item, "an endpoint without a port's name", "name the port")
            continue
        what = "pod" if item.kind == "PodMonitor" else "Service"
        text = f"no {what} with a port {port} is selected"
        fix = "correct selector, namespaceSelector or the port's name"
        yield cluster.finding(item, text, fix, (("port",), port))


def missed(cluster: Cluster) -> Iterator[tuple[Item, str | None]]:
    """Yield each monitor that finds nothing, with the port of its endpoint; None if it has none."""
    for item in cluster.of("PodMonitor", "ServiceMonitor"):
        labels, ports = LOOKS.get(item.name, ({}, frozenset()))
        for endpoint in endpoints(item):
            port = endpoint.get("port")
            if item.name in LOOKS:
                found = port in ports and matches(item.spec["selector"], labels)
            elif item.name in EXTERNAL or port is None:
                found = port is not None
            else:
                found = bool(targets(cluster, item, endpoint))
            if not found:
                yield item, port
