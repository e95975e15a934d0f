"""Whether the cluster and the world have what a public address needs.

Nothing here applies to a cluster whose Grafana is only reached from inside. What is needed is what
is rendered: no part of `base/optional/public` is named, but where a message tells to take it in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts.checks.rendered.access import root_url
from scripts.checks.rendered.links import public_address as links
from scripts.checks.rendered.links.model import Link
from scripts.checks.rendered.public_address import OCI_TYPE, opened, public_host
from scripts.core.findings import counted
from scripts.core.quantities import version_numbers
from scripts.core.yamlfile import Json, get, load_all
from scripts.live.preflight import custom_resources, resolver
from scripts.live.preflight.check_result import CheckResult, missing, ok, warning
from scripts.live.preflight.cluster_state import ClusterState
from scripts.live.preflight.custom_resources import CRDS
from scripts.live.verify.grafana import is_local
from scripts.model import schemas
from scripts.model.files import INVENTORY
from scripts.model.manifests import group
from scripts.model.rendered import Cluster, Item
from scripts.model.requirements import Requirements

GATEWAY_API, CERT_MANAGER = "gateway.networking.k8s.io", "cert-manager.io"
# With their group, as other projects have kinds of these names.
GATEWAYS, CLASSES = f"gateways.{GATEWAY_API}", f"gatewayclasses.{GATEWAY_API}"
# Annotations of the Gateway API's CRDs: https://gateway-api.sigs.k8s.io/concepts/versioning/
BUNDLE, CHANNEL = f"{GATEWAY_API}/bundle-version", f"{GATEWAY_API}/channel"
DOWNLOADS = "https://github.com/kubernetes-sigs/gateway-api/releases/download"
CONTROLLER = re.compile(r"(^|/)cert-manager-controller([:@]|$)")
# The kind of the file by which cert-manager's controller is configured.
CONFIGURATION = "ControllerConfiguration"
# How the nodes of Oracle's cloud, and those of kind, begin their providerID.
OCI, KIND = ("oci://", "ocid1."), "kind://"
PARTS = "base/optional/public"


class Door(NamedTuple):
    """What has the address that the host has to lead to.

    Attributes:
        label: Its kind, namespace and name.
        command: How to look at it.
        there: Whether the cluster has it.
        addresses: Its IP addresses, and names that resolve to them.
    """

    label: str
    command: str
    there: bool
    addresses: frozenset[str]


def gateway_api(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for the Gateway API's CRDs: each kind and field that is applied, and their version."""
    pinned = _pinned()
    wanted, channel = pinned.get(BUNDLE, ""), pinned.get(CHANNEL, "")
    apply = f"kubectl apply --server-side -f {DOWNLOADS}/{wanted}/{channel}-install.yaml"
    there = _crds_of(GATEWAY_API, cluster)
    applied = _applied(required, GATEWAY_API)
    if not there:
        kinds = ", ".join(sorted({item.kind for item in applied}))
        reason = f"{kinds} cannot be applied" if kinds else "cert-manager does not start"
        return missing(f"no CRD of it is there: {reason}", apply)
    found = {
        custom_resources.annotations_of(item).get(BUNDLE, "an unknown version") for item in there
    }
    text = ", ".join(sorted(found))
    if unknown := custom_resources.unknown((dict(item.manifest) for item in applied), cluster):
        return missing(f"{text} does not know {', '.join(unknown)}", apply)
    if any(version_numbers(version) < version_numbers(wanted) for version in found):
        text = f"{text}, and everything here is checked against {wanted}"
        return warning(text, f"upgrade what brings them, or {apply}")
    return ok(f"{text}, and everything here is checked against {wanted}")


def needs_gateway_api(required: Requirements) -> bool:
    """Say whether something is applied that is of the Gateway API, or waits for it to start."""
    return bool(_applied(required, GATEWAY_API)) or any(
        get(document, "gatewayAPI", "enabled") is True
        for item in required.rendered.of("ConfigMap")
        for text in item.data.values()
        if f"kind: {CONFIGURATION}" in str(text)
        for document in load_all(str(text), str(item))
    )


def gateway_class(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for the GatewayClass of each Gateway that is applied, and for a controller of it."""
    there = _by_place(cluster, CLASSES)
    ours = {item.name: item for item in required.rendered.of("GatewayClass")}
    texts = []
    for gateway in required.rendered.of("Gateway"):
        name = str(gateway.spec["gatewayClassName"])
        item = there.get(("", name))
        if item is None and name not in ours:
            known = ", ".join(name for _, name in sorted(there)) or "none"
            text = f"no GatewayClass {name}, which {gateway} names; there is {known}"
            fix = f"name one of them, or take in {PARTS}/traefik, which brings its own"
            return missing(text, fix)
        if item is None:
            texts.append(f"{name} comes with the release {ours[name].release}")
            continue
        own = ours.get(name)
        if own and own.release:
            release = required.rendered.release(own.release)
            if others := custom_resources.owners_beside(release, [item], cluster):
                text = f"{name} belongs to {', '.join(others)}, and {release.name} brings it, too"
                fix = f"take {PARTS}/traefik out and use the Gateway that is there, or remove it"
                return missing(text, fix)
        if text := _not(item, "Accepted"):
            controller = item["spec"].get("controllerName")
            return warning(f"{name} is {text}", f"see the log of its controller, {controller}")
        texts.append(f"{name} is accepted by {item['spec'].get('controllerName')}")
    return ok("; ".join(dict.fromkeys(texts)))


def needs_gateway_class(required: Requirements) -> bool:
    """Say whether a Gateway is applied."""
    return bool(required.rendered.of("Gateway"))


def gateway(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for the Gateways that routes name: their listeners, and what their status says."""
    there = _by_place(cluster, GATEWAYS)
    ours = {(item.namespace, item.name): item for item in required.rendered.of("Gateway")}
    texts = []
    for place, route in _parents(required).items():
        label = "/".join(place)
        if place in ours and place not in there:
            texts.append(f"{label} comes with the release {ours[place].release}")
        elif place not in there:
            known = ", ".join("/".join(one) for one in sorted({*there, *ours})) or "none"
            text = f"no Gateway {label}, which {route} names; there is {known}"
            fix = f"patch spec.parentRefs in overlays/{required.environment}/public"
            return missing(text, fix)
    for link in _broken(required, cluster):
        text = f"{link.item} {link.source} {link.target}: {link.effect}"
        return missing(text, link.advice)
    for place in _parents(required):
        if place not in there:
            continue
        label = "/".join(place)
        if text := _status(there[place]):
            fix = f"see `kubectl --namespace={place[0]} describe {GATEWAYS} {place[1]}`"
            return warning(f"{label}: {text}", fix)
        texts.append(f"{label} with {', '.join(_listeners(there[place]))}")
    return ok("; ".join(texts))


def needs_gateway(required: Requirements) -> bool:
    """Say whether a route names a Gateway."""
    return bool(_parents(required))


def ingress_class(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for the IngressClass of each Ingress that is applied."""
    known = {item["metadata"]["name"] for item in cluster.lists["ingressclasses"]}
    known |= {item.name for item in required.rendered.of("IngressClass")}
    wanted = {item.spec.get("ingressClassName"): item for item in required.rendered.of("Ingress")}
    for name, item in wanted.items():
        if name and name not in known:
            text = f"no IngressClass {name}, which {item} names"
            there = ", ".join(sorted(known)) or "none"
            fix = f"patch spec.ingressClassName in overlays/{required.environment}/public"
            return missing(f"{text}; there is {there}", fix)
    return ok(", ".join(sorted(filter(None, wanted))) or "the default")


def needs_ingress_class(required: Requirements) -> bool:
    """Say whether an Ingress is applied."""
    return bool(required.rendered.of("Ingress"))


def cert_manager(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for exactly one cert-manager: that of the cluster, or the one that is applied."""
    brought = [i for i in _crds_applied(required) if i.spec["group"].endswith(CERT_MANAGER)]
    controllers = list(_controllers(required, cluster))
    release = next((item.release for item in brought if item.release), None)
    if release:
        own = required.rendered.release(release)
        there = custom_resources.by_name(cluster)
        found = [there[item.name] for item in brought if item.name in there]
        fix = f"take {PARTS}/cert-manager out and use that one, or remove it with its CRDs"
        if others := custom_resources.owners_beside(own, found, cluster):
            text = f"its CRDs belong to {', '.join(others)}, and {release} brings them, too"
            return missing(text, fix)
        if controllers:
            return missing(f"{controllers[0][0]} is another one, beside that of {release}", fix)
        text = f"comes with the release {release}"
        return ok(f"{text}, {len(found)} of {counted(len(brought), 'CRD')} are there")
    fix = f"install cert-manager, or take in {PARTS}/cert-manager"
    applied = (dict(item.manifest) for item in _applied(required, CERT_MANAGER))
    if unknown := custom_resources.unknown(applied, cluster):
        return missing(f"the cluster does not know {', '.join(unknown)}", fix)
    if not any(ready for _, ready in controllers):
        listed = ", ".join(name for name, _ in controllers)
        text = f"{listed} is not ready" if listed else "its CRDs are there, and no controller"
        return missing(f"{text}: no certificate is issued", fix)
    return ok(f"{', '.join(name for name, _ in controllers)} is there")


def needs_cert_manager(required: Requirements) -> bool:
    """Say whether a certificate is applied, or cert-manager is."""
    brought = (str(item.spec["group"]) for item in _crds_applied(required))
    return bool(_applied(required, CERT_MANAGER)) or any(
        one.endswith(CERT_MANAGER) for one in brought
    )


def load_balancer(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look whether a load balancer is made for the door, and whether the free one is taken."""
    ours = {(item.namespace, item.name): item for item in _load_balancers(required.rendered)}
    providers = [str(item["spec"].get("providerID", "")) for item in cluster.lists["nodes"]]
    labels = ", ".join(f"Service {'/'.join(place)}" for place in sorted(ours))
    if any(provider.startswith(KIND) for provider in providers):
        text = f"kind makes none, so that {labels} never gets an address"
        return warning(text, f"take {PARTS}/cloudflared in, in place of the door")
    if not any(provider.startswith(OCI) for provider in providers):
        return ok(f"{labels} asks for one")
    if all(item.annotations.get(OCI_TYPE) == "nlb" for item in ours.values()):
        return ok(f"{labels} asks for a network load balancer")
    others = [
        "/".join(place)
        for place, item in sorted(_by_place(cluster, "services").items())
        if place not in ours
        and item["spec"].get("type") == "LoadBalancer"
        and custom_resources.annotations_of(item).get(OCI_TYPE) != "nlb"
    ]
    if others:
        text = (
            f"Service {', '.join(others)} has Oracle's one free load balancer: the next is billed"
        )
        fix = f"take in {PARTS}/oci-network-load-balancer in place of oci-load-balancer, or share"
        return warning(text, f"{fix} that one's Gateway")
    return ok(f"{labels} asks for Oracle's free one, and no other Service of this cluster has it")


def needs_load_balancer(required: Requirements) -> bool:
    """Say whether a Service is applied that asks for a load balancer."""
    return bool(_load_balancers(required.rendered))


def name_and_address(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look whether the public host resolves, and to the address of what answers for it."""
    settings = next(iter(opened(required.rendered))).settings
    host = urlsplit(root_url(settings)).hostname or ""
    if not host or is_local(f"//{host}"):
        text = f"people are told to open {public_host(settings) or 'no address'}"
        return missing(text, f"set GRAFANA_URL: https://<host> in {INVENTORY}")
    found = resolver.addresses(host)
    doors = list(_doors(required, cluster))
    wanted = {one for door in doors for name in door.addresses for one in resolver.addresses(name)}
    where = f"{host} is {', '.join(sorted(found))}" if found else f"{host} does not resolve"
    if not doors:
        text = f"{where}, and what answers for it is not of this cluster"
        fix = "enter it where the tunnel, or what else leads to Grafana, has its public hostname"
        return ok(text) if found else warning(text, fix)
    labels = ", ".join(door.label for door in doors)
    if not wanted:
        text = f"{where}, and {labels} has no address yet"
        pending = next((door for door in doors if door.there), None)
        fix = f"see why: `{pending.command}`" if pending else ""
        return warning(text, fix or f"sync, then enter what `{doors[0].command}` shows at the name")
    address = f"{labels} has {', '.join(sorted(wanted))}"
    if not found:
        return missing(f"{where}, and {address}", "enter this address at the name, and wait")
    if found - wanted:
        text = f"{where}, and {address}"
        fix = "correct the name's A and AAAA records, unless a proxy is between them"
        return warning(text, fix)
    return ok(f"{where}, as {labels} has")


def is_open(required: Requirements) -> bool:
    """Say whether Grafana is reached from outside of the cluster."""
    return any(opened(required.rendered))


Compare = Callable[[Requirements, ClusterState], CheckResult]
Applies = Callable[[Requirements], bool]
# Name, what is read, the comparison, and whether there is anything to compare.
COMPARISONS: tuple[tuple[str, tuple[str, ...], Compare, Applies], ...] = (
    ("Gateway API", (CRDS,), gateway_api, needs_gateway_api),
    ("GatewayClass", (CLASSES, CRDS), gateway_class, needs_gateway_class),
    ("Gateway", (GATEWAYS, "namespaces"), gateway, needs_gateway),
    ("IngressClass", ("ingressclasses",), ingress_class, needs_ingress_class),
    ("cert-manager", (CRDS, "deployments"), cert_manager, needs_cert_manager),
    ("load balancer", ("nodes", "services"), load_balancer, needs_load_balancer),
    ("name and address", (GATEWAYS, "ingresses", "services"), name_and_address, is_open),
)


def _pinned() -> Mapping[str, str]:
    """Return the annotations of the Gateway's CRD that everything is validated against."""
    path = schemas.crd(GATEWAY_API, "Gateway")
    (document,) = load_all(path.read_text(encoding="utf-8"), path.name) if path else ({},)
    return get(document, "metadata", "annotations") or {}


def _applied(required: Requirements, api: str) -> list[Item]:
    """Return the objects of an API group whose CRDs are not applied, too."""
    brought = {(item.spec["group"], item.spec["names"]["kind"]) for item in _crds_applied(required)}
    return [
        item
        for item in required.rendered.items
        if group(item.manifest) == api and (api, item.kind) not in brought
    ]


def _crds_applied(required: Requirements) -> list[Item]:
    return required.rendered.of("CustomResourceDefinition")


def _crds_of(api: str, cluster: ClusterState) -> list[Json]:
    return [item for item in cluster.lists[CRDS] if item["spec"]["group"] == api]


def _by_place(cluster: ClusterState, resource: str) -> dict[tuple[str, str], Json]:
    """Return the cluster's objects by namespace and name."""
    return {
        (str(item["metadata"].get("namespace", "")), str(item["metadata"]["name"])): item
        for item in cluster.lists[resource]
    }


def _parents(required: Requirements) -> dict[tuple[str, str], Item]:
    """Return namespace and name of each Gateway that routes name, with one of these routes."""
    return {
        (str(parent.get("namespace") or route.namespace), str(parent["name"])): route
        for route in required.rendered.of("HTTPRoute")
        for parent in route.spec.get("parentRefs") or []
        if parent.get("kind", "Gateway") == "Gateway"
    }


def _broken(required: Requirements, cluster: ClusterState) -> Iterator[Link]:
    """Yield what routes and issuers name of Gateways and is not there, those of the cluster, too.

    `make render` knows our own alone.
    """
    rendered = required.rendered
    ours = {(item.namespace, item.name) for item in rendered.of("Gateway")}
    gateways = [
        Item({"kind": "Gateway", **item})
        for place, item in _by_place(cluster, GATEWAYS).items()
        if place not in ours
    ]
    labels = {item.name: item.labels for item in rendered.of("Namespace")}
    spaces = [
        Item({"kind": "Namespace", "metadata": {"name": name, "labels": {**own, **labels[name]}}})
        for (_, name), item in _by_place(cluster, "namespaces").items()
        if name in labels
        for own in [item["metadata"].get("labels") or {}]
    ]
    # The cluster's namespaces are first, as somebody may have given them more labels.
    both = Cluster(rendered.repository, rendered.sync, (*spaces, *rendered.items, *gateways))
    for rule in (links.listeners_take_routes, links.issuers_exist):
        yield from (link for link in rule(both) if link.broken)


def _status(item: Json) -> str:
    """Return why a Gateway, or one of its listeners, does not work; empty where it does."""
    if text := _not(item, "Accepted") or _not(item, "Programmed"):
        return text
    for one in get(item, "status", "listeners") or []:
        for kind in ("Accepted", "ResolvedRefs", "Programmed"):
            if text := _not({"status": one}, kind):
                return f"its listener {one['name']} is {text}"
    return ""


def _not(item: Json, kind: str) -> str:
    """Return a condition that is there and not true, in words."""
    for one in get(item, "status", "conditions") or []:
        if one["type"] == kind and one["status"] != "True":
            return f"not {kind}: {one.get('reason', '')} {one.get('message', '')}".strip()
    return ""


def _listeners(item: Json) -> Iterator[str]:
    attached = {
        one["name"]: one.get("attachedRoutes", 0) for one in get(item, "status", "listeners") or []
    }
    for one in item["spec"]["listeners"]:
        host = one.get("hostname", "every host")
        count = counted(int(attached.get(one["name"], 0)), "route")
        yield f"{one['name']} ({one['protocol']} {one['port']}, {host}, {count})"


def _controllers(required: Requirements, cluster: ClusterState) -> Iterator[tuple[str, bool]]:
    """Yield each cert-manager of somebody else, and whether it is ready."""
    ours = {(item.namespace, item.name) for item in required.rendered.of("Deployment")}
    for place, item in sorted(_by_place(cluster, "deployments").items()):
        containers: Iterable[Json] = get(item, "spec", "template", "spec", "containers") or []
        runs = any(CONTROLLER.search(str(one.get("image"))) for one in containers)
        if runs and place not in ours:
            yield f"Deployment {'/'.join(place)}", bool(item["status"].get("readyReplicas"))


def _load_balancers(rendered: Cluster) -> list[Item]:
    return [item for item in rendered.of("Service") if item.spec.get("type") == "LoadBalancer"]


def _doors(required: Requirements, cluster: ClusterState) -> Iterator[Door]:
    """Yield what has the address: a Service of ours, a Gateway of others, or an Ingress."""
    rendered = required.rendered
    wanted = [("Service", "services", i.namespace, i.name) for i in _load_balancers(rendered)]
    own = {(item.namespace, item.name) for item in rendered.of("Gateway")}
    wanted += [("Gateway", GATEWAYS, *place) for place in _parents(required) if place not in own]
    wanted += [("Ingress", "ingresses", i.namespace, i.name) for i in rendered.of("Ingress")]
    for kind, resource, namespace, name in wanted:
        item = _by_place(cluster, resource).get((namespace, name))
        found = [
            *(get(item, "status", "loadBalancer", "ingress") or [] if item else []),
            *(get(item, "status", "addresses") or [] if item else []),
        ]
        addresses = {
            str(one[key]) for one in found for key in ("ip", "hostname", "value") if one.get(key)
        }
        command = f"kubectl --namespace={namespace} get {resource} {name}"
        yield Door(f"{kind} {namespace}/{name}", command, item is not None, frozenset(addresses))
