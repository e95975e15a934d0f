"""What of the application would make monitoring blind, or leave it no room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json
from scripts.live.discover.objects import ObjectSet
from scripts.live.discover.recognition import Application, is_system
from scripts.live.preflight.capacity import EXACT, shown
from scripts.model.budget import effective
from scripts.model.rendered import Item, Pod
from scripts.model.scraping import matches

ENABLED = "dapr.io/enabled"
DNS = 53
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
# What the nodes keep for themselves, and what the system's pods and Flux request on two nodes of
# OKE: `scripts/cluster/e2e/background_workloads.py` has the same, pod by pod.
SYSTEM: Mapping[str, float] = {"cpu": 1.08, "memory": 3.7 * 2**30}


@dataclass(frozen=True)
class Risk:
    """One warning.

    Attributes:
        name: A short id.
        text: What is wrong, in one sentence.
        fix: What to do, in one sentence.
    """

    name: str
    text: str
    fix: str


def of_objects(
    objects: ObjectSet, found: Application, limits: Mapping[str, Json]
) -> Iterator[Risk]:
    """Yield what the objects themselves say; `limits` is the environment's `budget.yaml`."""
    yield from _annotated(found.pods)
    yield from _policies(objects, found)
    if "tier" in limits:
        yield from _balanced(objects)


def without_room(objects: ObjectSet, limits: Mapping[str, Json]) -> Iterator[Risk]:
    """Compare what manifests request with what an environment's tier leaves to them.

    Args:
        objects: The application's manifests, with the databases and brokers among them.
        limits: The environment's `budget.yaml`.

    Raises:
        ValueError: If a request is no quantity.
    """
    tier, ours = limits.get("tier", {}), limits.get("requests", {})
    for resource in sorted(tier.keys() & SYSTEM.keys()):
        taken = sum(
            (pod.replicas or 0) * effective(pod.spec, resource, "requests")
            for pod in objects.pods
            if not is_system(pod.owner.namespace)
        )
        left = quantity(tier[resource]) - quantity(ours.get(resource, 0)) - SYSTEM[resource]
        if taken > left + EXACT:
            name = "CPU" if resource == "cpu" else resource
            text = (
                f"the manifests request {shown(resource, taken)} of {name}; beside the system,"
                f" an engine and the monitoring the tier has {shown(resource, left)}"
            )
            yield Risk("no-room", text, f"lower its {name} requests, or its replicas")


def of_metrics(where: str) -> Risk:
    """Return the warning of a /metrics that is JSON."""
    text = f"{where} serves JSON at /metrics: a scrape of it fails, and would page"
    fix = "give it no ServiceMonitor, as requests are counted in logs; or serve Prometheus' text"
    return Risk("metrics-json", text, fix)


def _annotated(pods: Iterable[Pod]) -> Iterator[Risk]:
    wrong = [
        str(pod.owner)
        for pod in pods
        if ENABLED in pod.owner.annotations
        and ENABLED not in (pod.owner.spec["template"].get("metadata", {}).get("annotations") or {})
    ]
    if wrong:
        text = f"Dapr's annotations are not on the pods of {', '.join(wrong)}: they get no sidecar"
        fix = "move them from metadata.annotations to spec.template.metadata.annotations"
        yield Risk("dapr-annotations", text, fix)


def _policies(objects: ObjectSet, found: Application) -> Iterator[Risk]:
    policies = objects.of("NetworkPolicy")
    if pods := ", ".join(_shut(found.pods, policies, "Egress", _leads_to_dns)):
        text = f"network policies keep DNS from {pods}: it reaches no database, broker or sidecar"
        fix = "let its pods reach port 53, UDP and TCP, of the namespace kube-system"
        yield Risk("egress-without-dns", text, fix)
    probed = [part.pod for part in (found.backend, found.frontend) if part]
    if pods := ", ".join(_shut(probed, policies, "Ingress", _admits_monitoring)):
        text = f"network policies keep the namespace monitoring from {pods}: its probes fail"
        fix = "admit it: a namespaceSelector with kubernetes.io/metadata.name: monitoring"
        yield Risk("ingress-closed", text, fix)


def _shut(
    pods: Iterable[Pod],
    policies: Iterable[Item],
    kind: str,
    opens: Callable[[Mapping[str, Json]], bool],
) -> Iterator[str]:
    """Yield workloads whose pods policies of one type choose, none with a rule that opens."""
    for pod in pods:
        own = [
            policy
            for policy in policies
            if policy.namespace == pod.owner.namespace
            and kind in _types(policy)
            and matches(policy.spec.get("podSelector") or {}, pod.labels)
        ]
        rules = [rule for policy in own for rule in policy.spec.get(kind.lower()) or ()]
        if own and not any(map(opens, rules)):
            yield f"{pod.owner} ({', '.join(policy.name for policy in own)})"


def _types(policy: Item) -> list[str]:
    # https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
    implied = ["Ingress", *(["Egress"] if policy.spec.get("egress") else [])]
    return policy.spec.get("policyTypes") or implied


def _leads_to_dns(rule: Mapping[str, Json]) -> bool:
    peers = rule.get("to") or [{"namespaceSelector": {}}]
    # Pods of the same namespace alone are not Kubernetes' DNS.
    outside = any("ipBlock" in peer or "namespaceSelector" in peer for peer in peers)
    ports = rule.get("ports") or [{"protocol": "UDP"}]
    return outside and any(map(_is_dns, ports))


def _is_dns(port: Mapping[str, Json]) -> bool:
    if port.get("protocol", "TCP") != "UDP":
        return False
    number = port.get("port", DNS)
    if not isinstance(number, int):
        return str(number).startswith("dns")
    return number <= DNS <= int(port.get("endPort", number))


def _admits_monitoring(rule: Mapping[str, Json]) -> bool:
    return not rule.get("from") or any(
        "ipBlock" in peer
        or ("namespaceSelector" in peer and matches(peer["namespaceSelector"] or {}, MONITORING))
        for peer in rule["from"]
    )


def _balanced(objects: ObjectSet) -> Iterator[Risk]:
    taken = [
        f"{service.namespace}/{service.name}"
        for service in objects.of("Service")
        if service.spec.get("type") == "LoadBalancer"
    ]
    if taken:
        text = f"the free tier has one load balancer, and {', '.join(taken)} takes it"
        if len(taken) > 1:
            text = f"the free tier has one load balancer, and {', '.join(taken)} ask for one each"
        fix = "let an Ingress have it for all, or open Grafana by `kubectl port-forward`"
        yield Risk("load-balancer-taken", text, fix)
