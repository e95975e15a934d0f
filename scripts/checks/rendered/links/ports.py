"""Ports that probes, Services and programs name, and ports of nodes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import yaml

from scripts.checks.rendered import loki
from scripts.checks.rendered.links.model import Link
from scripts.core.yamlfile import Json, get
from scripts.model import readers
from scripts.model.rendered import Cluster, Item, Pod, command_line
from scripts.model.scraping import behind

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
HOOKS = ("postStart", "preStop")
# How programs are told where to listen; what stands behind the last colon is the port.
_LISTEN = re.compile(r"--?(?:web\.listen-address|server\.http\.listen-addr|port)=(?:.*:)?(\d+)")
GRAFANA_PORT = "3000"
# What a node listens on itself: https://kubernetes.io/docs/reference/networking/ports-and-protocols/.
OF_NODES: Mapping[str, str] = {
    "22": "sshd",
    "2379": "etcd",
    "2380": "etcd",
    "6443": "the API server",
    "10248": "the kubelet",
    "10249": "kube-proxy",
    "10250": "the kubelet",
    "10256": "kube-proxy",
    "10257": "the controller manager",
    "10259": "the scheduler",
}
# The module that blackbox exporter takes where none is named.
MODULE = "http_2xx"
# What its modules may name: prober/handler.go and prober/utils.go of it.
PROBERS = frozenset({"dns", "grpc", "http", "icmp", "tcp", "unix"})
PREFERRED = "preferred_ip_protocol"


def probes_ask_own_ports(cluster: Cluster) -> Iterator[Link]:
    """Probes and lifecycle hooks name a port of their own container."""
    for pod in cluster.pods:
        for container in pod.containers:
            names = {str(p["name"]) for p in container.get("ports") or [] if "name" in p}
            hooks = container.get("lifecycle") or {}
            asked = [(key, container.get(key)) for key in PROBES]
            asked += [(key, hooks.get(key)) for key in HOOKS]
            for key, handler in asked:
                for way in ("httpGet", "tcpSocket"):
                    port = ((handler or {}).get(way) or {}).get("port")
                    if isinstance(port, str) and not port.isdigit():
                        yield Link(
                            pod.owner,
                            f"container {container['name']}: {key} asks the port",
                            port,
                            names,
                            "the container has no port of this name, so the pod is never ready",
                            written=(((key, way, "port"), port),),
                        )


def services_lead_to_pods(cluster: Cluster) -> Iterator[Link]:
    """A Service selects pods, and its targetPorts are ports of theirs."""
    for service in cluster.of("Service"):
        selector = service.spec.get("selector")
        if not selector:
            continue
        pods = behind(cluster, service)
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        found = {labels} if pods else set()
        fix = "correct its selector, or the pods' labels"
        yield Link(service, "selects", labels, found, "no pod has these labels", fix)
        names = {name for pod in pods for name in (*pod.ports, *map(str, pod.ports.values()))}
        for port in service.spec.get("ports") or []:
            target = str(port.get("targetPort", port["port"]))
            effect = "no pod behind it has this port, so nothing answers"
            if pods:
                written = (("targetPort",), port.get("targetPort"))
                source = f"the port {port['port']} leads to"
                yield Link(service, source, target, names, effect, written=(written,))


def programs_listen_on_declared_ports(cluster: Cluster) -> Iterator[Link]:
    """A program listens on a port that its container declares: probes and Services use that."""
    for pod in cluster.pods:
        for container in pod.spec["containers"]:
            declared = {str(p["containerPort"]) for p in container.get("ports") or []}
            if not declared:
                continue
            matched = [found for a in command_line(container) if (found := _LISTEN.fullmatch(a))]
            for port in [m[1] for m in matched] or _configured(cluster, pod, container):
                yield Link(
                    pod.owner,
                    f"container {container['name']} listens on the port",
                    port,
                    declared,
                    f"probes, Services and monitors ask for {', '.join(sorted(declared))}",
                    "change both, or neither",
                    tuple(
                        ((key,), value)
                        for key in ("http_port", "http_listen_port", "listenPort", "port")
                        for value in (int(port), port)
                    ),
                )


def node_ports_free(cluster: Cluster) -> Iterator[Link]:
    """A host port is taken neither by a program of the node, nor by another pod."""
    taken = Counter(port for pod in cluster.pods for port in _on_node(pod))
    for pod in cluster.pods:
        for port in sorted(_on_node(pod)):
            owner = OF_NODES.get(port) or ("another pod" if taken[port] > 1 else "")
            yield Link(
                pod.owner,
                "takes its node's port",
                port,
                () if owner else (port,),
                f"{owner} has it, so no pod is started",
                "use another port",
                tuple(((key,), int(port)) for key in ("targetPort", "port", "hostPort")),
            )


def probe_modules_fit(cluster: Cluster) -> Iterator[Link]:
    """A Probe names a module that blackbox exporter has, and that its targets can pass."""
    known: dict[str, Mapping[str, Json]] = {}
    for item in cluster.of("ConfigMap"):
        for text in item.data.values():
            if re.search(r"^modules:", str(text), re.MULTILINE):
                found = yaml.load(str(text), Loader=yaml.CSafeLoader).get("modules") or {}
                known |= found
                yield from _known(item, found)
    for probe in cluster.of("Probe") if known else ():
        name = probe.spec.get("module") or MODULE
        effect = "blackbox exporter has no such module, so every probe fails"
        written = ((("module",), name),)
        yield Link(probe, "names the module", name, known, effect, written=written)
        encrypted = get(known.get(name), "http", "fail_if_not_ssl")
        for target in get(probe.spec, "targets", "staticConfig", "static") or []:
            plain = str(target).startswith("http://")
            yield Link(
                probe,
                "asks",
                str(target),
                () if encrypted and plain else (str(target),),
                f"the module {name} fails without TLS (fail_if_not_ssl)",
                "use another module, or https://",
            )


def _known(item: Item, found: Mapping[str, Json]) -> Iterator[Link]:
    """What a module names is known to the exporter, which says nothing when it starts."""
    for name, module in found.items():
        prober = (module or {}).get("prober")
        yield Link(
            item,
            f"the module {name} has the prober",
            str(prober),
            PROBERS,
            "blackbox exporter has no such prober, and every probe fails",
            written=((("prober",), prober),),
        )
        for settings in (module or {}).values():
            preferred = settings.get(PREFERRED) if isinstance(settings, dict) else None
            if preferred is not None:
                yield Link(
                    item,
                    f"the module {name} has {PREFERRED}",
                    str(preferred),
                    ("ip4", "ip6"),
                    "blackbox exporter takes it for ip4, and does not say so",
                    written=(((PREFERRED,), preferred),),
                )


def _configured(cluster: Cluster, pod: Pod, container: Mapping[str, Json]) -> list[str]:
    """Return the port that a program's configuration file names."""
    items = cluster.mounted(pod, container)
    found = [
        settings.get("server", "http_port") or GRAFANA_PORT
        for settings in readers.grafana(cluster)
        if settings.item in items
    ]
    for one in loki.installed(cluster):
        port = get(one.config, "server", "http_listen_port")
        if one.item in items and port:
            found.append(str(port))
    return found


def _on_node(pod: Pod) -> set[str]:
    host = pod.spec.get("hostNetwork")
    return {
        str(port.get("hostPort") or port["containerPort"])
        for container in pod.containers
        for port in container.get("ports") or []
        if host or port.get("hostPort")
    }
