"""Pods that anybody may reach, or that may reach anything, where NetworkPolicies forbade it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from scripts.core.yamlfile import Json
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model.rendered import Item, Pod
from scripts.model.scraping import matches

# Of a policy's types: where its rules and a rule's peers stand, and what it means to have none.
TYPES = {
    "Ingress": ("ingress", "from", "Anybody may reach it"),
    "Egress": ("egress", "to", "It may reach anything"),
}
EVERYWHERE = frozenset({"0.0.0.0/0", "::/0"})
EVERY_PORT = "every port"


def analyze(pair: ClusterPair) -> Analysis:
    """Find pods that the policies open to all; `removal` reports a policy that is removed."""
    before = {str(policy): policy for policy in pair.before.of("NetworkPolicy")}
    kept = before | {str(policy): policy for policy in pair.after.of("NetworkPolicy")}
    for old, pod in pair.pods:
        for kind, (_, _, what) in TYPES.items():
            known = set(_open_ports(old, before.values(), kind))
            now = sorted(set(_open_ports(pod, kept.values(), kind)) - known)
            if now and EVERY_PORT not in known:
                ports = EVERY_PORT if EVERY_PORT in now else listed(now)
                why = f"{what} on {ports}, which its NetworkPolicies did not allow."
                fix = "Name who needs it in the policies that choose its pods."
                yield Flag(Danger.NETWORK_OPENED, str(pod.owner), why, fix)


def _open_ports(pod: Pod, policies: Iterable[Item], kind: str) -> Iterator[str]:
    """Yield the ports on which all may reach pods, or on which these may reach all."""
    own = [policy for policy in policies if kind in _policy_types(policy) and _selects(policy, pod)]
    if not own:
        yield EVERY_PORT
    rules, peers, _ = TYPES[kind]
    for policy in own:
        for rule in policy.spec.get(rules) or ():
            if not rule.get(peers) or any(map(_is_everywhere, rule[peers])):
                yield from map(_port_name, rule.get("ports") or [{}])


def _policy_types(policy: Item) -> list[str]:
    # https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
    implied = ["Ingress", *(["Egress"] if policy.spec.get("egress") else [])]
    return policy.spec.get("policyTypes") or implied


def _selects(policy: Item, pod: Pod) -> bool:
    selector = policy.spec.get("podSelector") or {}
    return policy.namespace == pod.owner.namespace and matches(selector, pod.labels)


def _is_everywhere(peer: Mapping[str, Json]) -> bool:
    """Say whether a peer is every address, or every pod of every namespace."""
    if "ipBlock" in peer:
        return peer["ipBlock"]["cidr"] in EVERYWHERE
    return peer.get("namespaceSelector") == {} and not peer.get("podSelector")


def _port_name(port: Mapping[str, Json]) -> str:
    protocol = port.get("protocol", "TCP")
    if "port" not in port:
        return f"every {protocol} port" if port else EVERY_PORT
    last = f"-{port['endPort']}" if "endPort" in port else ""
    return f"{protocol} port {port['port']}{last}"
