"""NetworkPolicies: whom they select, what they open, and whom they keep from each other.

As https://kubernetes.io/docs/concepts/services-networking/network-policies/ says: a pod that any
policy selects is reached by those alone whom one of them admits. Pods on the host's network are no
policy's, and which address a pod has is not known here, so that an ipBlock admits everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scripts.checks.rendered.links.model import Link
from scripts.checks.rendered.references import addresses_of
from scripts.core.yamlfile import Json, leaves
from scripts.model.rendered import Cluster, Item, Pod
from scripts.model.scraping import EXTERNAL, behind, endpoints, matches, targets

NAME = "kubernetes.io/metadata.name"
DNS = 53
DNS_PORTS = frozenset({DNS, "dns", "dns-tcp"})
# Pods that cert-manager makes for a challenge, and that nothing declares.
SOLVERS = {"acme.cert-manager.io/http01-solver": "true"}


def policies_select_pods(cluster: Cluster) -> Iterator[Link]:
    """A NetworkPolicy selects pods of its namespace; one of all pods, whatever comes."""
    for policy in cluster.of("NetworkPolicy"):
        pods = _selected(cluster, policy)
        selector = policy.spec.get("podSelector") or {}
        labels = ", ".join(f"{keys[-1]}={value}" for keys, value in leaves(dict(selector)))
        if not labels:
            continue
        yield Link(
            policy,
            "selects the pods with",
            labels,
            {labels} if pods or selector.get("matchLabels") == SOLVERS else (),
            f"there is none in {policy.namespace}, so it protects and opens nothing",
            "correct podSelector; kustomize's includeSelectors writes into it, too",
            tuple((("podSelector", *keys), value) for keys, value in leaves(dict(selector))),
        )


def opened_ports_exist(cluster: Cluster) -> Iterator[Link]:
    """The ports in a NetworkPolicy are ports of its pods; those of a Service do not count."""
    for policy in cluster.of("NetworkPolicy"):
        pods = _selected(cluster, policy)
        known = {str(name) for p in pods for name in (*p.ports, *p.ports.values())}
        for rule in policy.spec.get("ingress") or [] if pods else ():
            for port in rule.get("ports") or []:
                if "port" in port and "endPort" not in port:
                    yield Link(
                        policy,
                        "opens the port",
                        str(port["port"]),
                        known,
                        "no pod that it selects has it, and a Service's port does not count",
                        written=((("port",), port["port"]),),
                    )


def policies_admit_somebody(cluster: Cluster) -> Iterator[Link]:
    """A NetworkPolicy admits somebody, unless it is the one that closes its pods to all."""
    policies = cluster.of("NetworkPolicy")
    for policy in policies:
        rules = policy.spec.get("ingress")
        pods = _selected(cluster, policy)
        others = [
            other
            for other in policies
            if other is not policy and other.spec.get("ingress") and _of_type(other, "Ingress")
        ]
        useless = (
            _of_type(policy, "Ingress")
            and not rules
            and not policy.spec.get("egress")
            and pods
            and all(any(_selects(other, pod) for other in others) for pod in pods)
            and policy.spec.get("podSelector")
        )
        yield Link(
            policy,
            "has",
            "no rule in ingress",
            () if useless else ("no rule in ingress",),
            "it admits nobody, and other policies select the same pods: it does nothing",
            "write its rules, or remove it",
        )


def needed_traffic_admitted(cluster: Cluster) -> Iterator[Link]:
    """Policies admit the connections that are needed: scrapes, configured addresses, DNS."""
    policies = cluster.of("NetworkPolicy")
    for policy in policies:
        yield from _resolving(policies, policy, _selected(cluster, policy))
    kept: dict[tuple[str, str], list[str]] = {}
    for source, target, port in _pairs(cluster) if policies else ():
        for direction, selecting, peer in (("Ingress", target, source), ("Egress", source, target)):
            own = [p for p in policies if _of_type(p, direction) and _selects(p, selecting)]
            if own and not any(_admits(cluster, p, direction, peer, target, port) for p in own):
                names = f"{source.owner.name} from {target.owner.name} at {port}"
                pairs = kept.setdefault((own[0].name, direction), [])
                pairs += [names] if names not in pairs else []
    for policy in policies:
        for direction in ("Ingress", "Egress"):
            key = direction.lower()
            if not (found := kept.get((policy.name, direction))):
                continue
            if direction == "Egress" and not policy.spec.get(key):
                continue  # Nobody may ask for a name, either.
            more = f", and {len(found) - 1} pairs more" if found[1:] else ""
            yield Link(
                policy,
                "keeps",
                found[0] + more,
                (),
                f"no {key} rule of a policy that selects them admits that",
                f"admit it in an {key} rule",
                tuple(((key, *k), v) for k, v in leaves(policy.spec.get(key) or [])),
            )


def _resolving(policies: list[Item], policy: Item, pods: list[Pod]) -> Iterator[Link]:
    """Yield whether the pods of a policy may ask the cluster's DNS."""
    for pod in pods[:1] if _of_type(policy, "Egress") else ():
        own = [p for p in policies if _of_type(p, "Egress") and _selects(p, pod)]
        rules = [rule for p in own for rule in p.spec.get("egress") or []]
        asks = any(
            not rule.get("ports") or any(p.get("port", DNS) in DNS_PORTS for p in rule["ports"])
            for rule in rules
        )
        yield Link(
            policy,
            f"keeps {pod.owner.name} from",
            "the cluster's DNS",
            ("the cluster's DNS",) if asks else (),
            "policyTypes has Egress, and no egress rule opens port 53, so no name is resolved"
            + ("" if rules else ", nor is anything else reached"),
            "add egress rules, or take Egress out of policyTypes",
            tuple((("policyTypes", str(index)), "Egress") for index in range(2)),
        )


def _pairs(cluster: Cluster) -> Iterator[tuple[Pod, Pod, int]]:
    """Yield who has to reach whom: Prometheus its targets, and each pod what it is told of."""
    scrapers = [p for p in cluster.pods if p.labels.get("app.kubernetes.io/name") == "prometheus"]
    for monitor in cluster.of("PodMonitor", "ServiceMonitor"):
        for endpoint in endpoints(monitor) if monitor.name not in EXTERNAL else ():
            for found in targets(cluster, monitor, endpoint) if "port" in endpoint else ():
                for pod in found.pods:
                    port = pod.ports.get(str(endpoint["port"]))
                    for scraper in scrapers if port else ():
                        yield scraper, pod, int(port or 0)
    for source in cluster.pods:
        told = [source.owner]
        for container in source.spec["containers"]:
            told += cluster.mounted(source, container)
        for item in told:
            for _, address, port in sorted(addresses_of(item), key=str):
                for pod, number in _behind(cluster, address, port):
                    if pod is not source:
                        yield source, pod, number


def _behind(
    cluster: Cluster, address: tuple[str, str], port: int | None
) -> Iterator[tuple[Pod, int]]:
    for service in cluster.of("Service"):
        if (service.namespace, service.name) != address:
            continue
        for one in service.spec.get("ports") or []:
            if one["port"] != port:
                continue
            target = one.get("targetPort", one["port"])
            for pod in behind(cluster, service):
                number = target if isinstance(target, int) else pod.ports.get(target)
                if number:
                    yield pod, number


def _selected(cluster: Cluster, policy: Item) -> list[Pod]:
    return [pod for pod in cluster.pods if _selects(policy, pod)]


def _selects(policy: Item, pod: Pod) -> bool:
    if pod.owner.namespace != policy.namespace or pod.spec.get("hostNetwork"):
        return False
    return matches(policy.spec.get("podSelector") or {}, pod.labels)


def _of_type(policy: Item, direction: str) -> bool:
    default = ["Ingress", "Egress"] if policy.spec.get("egress") else ["Ingress"]
    return direction in (policy.spec.get("policyTypes") or default)


def _admits(
    cluster: Cluster, policy: Item, direction: str, peer: Pod, target: Pod, port: int
) -> bool:
    side = "from" if direction == "Ingress" else "to"
    names = {number: name for name, number in target.ports.items()}
    for rule in policy.spec.get(direction.lower()) or []:
        ports = rule.get("ports") or []
        open_ = not ports or any(
            "port" not in p
            or p["port"] in {port, names.get(port)}
            or ("endPort" in p and int(p["port"]) <= port <= int(p["endPort"]))
            for p in ports
        )
        peers = rule.get(side)
        if open_ and (not peers or any(_is(cluster, policy, one, peer) for one in peers)):
            return True
    return False


def _is(cluster: Cluster, policy: Item, peer: Mapping[str, Json], pod: Pod) -> bool:
    if "ipBlock" in peer or pod.spec.get("hostNetwork"):
        return True
    place = pod.owner.namespace
    if peer.get("namespaceSelector") is None:
        inside = place == policy.namespace
    else:
        labels = next((dict(i.labels) for i in cluster.of("Namespace") if i.name == place), {})
        inside = matches(peer["namespaceSelector"], {**labels, NAME: place})
    return inside and matches(peer.get("podSelector") or {}, pod.labels)
