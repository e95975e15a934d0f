"""Grafana on an address that everybody reaches: encrypted, hardened, at a door that is free."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts.checks.rendered.access import at_setting, inventory_url, root_url
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model.files import INVENTORY
from scripts.model.readers import Settings, Way, grafana, is_grafana, ways_in
from scripts.model.rendered import Cluster, Item

# What must be on, what must be off, and why; https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/
ON: Mapping[tuple[str, str], str] = {
    ("security", "content_security_policy"): "a script of somebody else's may run in its pages",
    ("security", "cookie_secure"): "the session's cookie is sent without encryption, too",
    ("security", "strict_transport_security"): "browsers may ask it without encryption",
    ("security", "x_content_type_options"): "browsers guess what a file is, and may run it",
}
OFF: Mapping[tuple[str, str], str] = {
    (
        "auth.anonymous",
        "enabled",
    ): "a Viewer may send any query to any data source, so that the world reads every log line",
    ("auth.jwt", "enabled"): "whoever signs a token is whom he says he is",
    ("auth.proxy", "enabled"): "who somebody is, a header of the request says",
    ("public_dashboards", "enabled"): "a dashboard can be shown to the world, without a login",
    ("security", "allow_embedding"): "another site may show it in a frame, and lead clicks to it",
    ("security", "disable_brute_force_login_protection"): "a password may be guessed for ever",
    ("snapshots", "enabled"): "whoever has a snapshot's address reads it, without a login",
    ("users", "allow_sign_up"): "whoever reaches it makes an account",
    ("users", "viewers_can_edit"): "every Viewer gets Explore",
}
SAME_SITE = ("security", "cookie_samesite")
# https://github.com/oracle/oci-cloud-controller-manager/blob/master/docs/load-balancer-annotations.md
OCI_TYPE = "oci.oraclecloud.com/load-balancer-type"
OCI_SHAPE = "service.beta.kubernetes.io/oci-load-balancer-shape"
OCI_FREE = {OCI_SHAPE: "flexible", f"{OCI_SHAPE}-flex-min": "10", f"{OCI_SHAPE}-flex-max": "10"}
OCI_RULES = "oci-network-load-balancer.oraclecloud.com/security-list-management-mode"
OCI_CLASS = "oci-"


class Opened(NamedTuple):
    """A Grafana that is reached from outside of the cluster.

    Attributes:
        settings: Its settings.
        ways: How.
    """

    settings: Settings
    ways: list[Way]


def opened(cluster: Cluster) -> Iterator[Opened]:
    """Yield each Grafana that is reached from outside of the cluster."""
    ways = [way for way in ways_in(cluster) if is_grafana(cluster, way.service)]
    for settings in grafana(cluster) if ways else ():
        own = [way for way in ways if way.service.namespace == settings.item.namespace]
        if own:
            yield Opened(settings, own)


def public_host(settings: Settings) -> str:
    """Return the host at which people reach a Grafana from outside; empty where it says none."""
    return urlsplit(root_url(settings)).netloc


def hardened(cluster: Cluster) -> Iterator[Finding]:
    """A Grafana that everybody reaches has each setting that keeps it safe there."""
    for settings, ways in opened(cluster):
        reached = f"and everybody reaches it: {ways[0].text}"
        fix = "take in base/optional/public/grafana, which sets it, and set it nowhere else"
        for wanted, table in ((True, ON), (False, OFF)):
            for place, why in table.items():
                if settings.on(*place) is not wanted:
                    text = f"{'.'.join(place)} is {'off' if wanted else 'on'}, {reached}: {why}"
                    yield at_setting(cluster, settings, *place, text, fix)
        same_site = settings.get(*SAME_SITE).strip().lower()
        if same_site != "lax":
            why = (
                "who comes back from GitHub has no cookie, and cannot sign in"
                if same_site == "strict"
                else "other sites send requests with the session's cookie"
            )
            text = f"{'.'.join(SAME_SITE)} is {same_site}, {reached}: {why}"
            yield at_setting(cluster, settings, *SAME_SITE, text, fix)


def encrypted(cluster: Cluster) -> Iterator[Finding]:
    """Passwords and cookies are encrypted on each way to Grafana."""
    for settings, ways in opened(cluster):
        if urlsplit(root_url(settings)).scheme != "https":
            text = f"everybody reaches it ({ways[0].text}), and its address is not https"
            fix = "take in base/optional/public/grafana, and set GRAFANA_URL: https://<host>"
            yield at_setting(cluster, settings, "server", "root_url", text, fix)
        for way in ways:
            if text := _plain(cluster, way):
                fix = "lead to it by a listener of HTTPS, an Ingress with tls or a tunnel, as "
                fix += "base/optional/public does"
                yield cluster.finding(way.item, text, fix)


def says_its_address(cluster: Cluster) -> Iterator[Finding]:
    """Grafana, its links and those of alerts have the same host; GitHub leads back to it."""
    for settings, _ in opened(cluster):
        host, linked = public_host(settings), urlsplit(inventory_url(cluster))
        fix = f"set GRAFANA_URL in {INVENTORY}, and let base/optional/public/grafana copy it"
        # Only what an engine syncs gets the inventory as it is.
        if host and cluster.sync.synced and host != linked.netloc:
            text = f"root_url has the host {host}, and GRAFANA_URL {linked.netloc}"
            yield at_setting(cluster, settings, "server", "root_url", text, fix)
        domain = settings.get("server", "domain")
        if host and domain != host:
            text = f"server.domain is {domain}, and root_url has the host {host}"
            yield at_setting(cluster, settings, "server", "domain", text, fix)


def one_route_per_host(cluster: Cluster) -> Iterator[Finding]:
    """A host and path lead to one place: of two, the controller takes one, and says nothing."""
    seen: dict[str, Item] = {}
    for item, keys in _places(cluster):
        for key in keys:
            first = seen.setdefault(key, item)
            if first is not item:
                text = f"leads from the same host and path as {first}"
                yield cluster.finding(item, text, "remove one of them, or give it another host")
                break


def free_load_balancer(cluster: Cluster) -> Iterator[Finding]:
    """On Oracle's cloud, a load balancer has the shape that is free, and opens its ports."""
    claims = [claim for pod in cluster.pods for claim in pod.claims]
    if not any(str(claim.get("storageClassName", "")).startswith(OCI_CLASS) for claim in claims):
        return
    for item in cluster.of("Service"):
        if item.spec.get("type") != "LoadBalancer":
            continue
        own = item.annotations
        if own.get(OCI_TYPE) == "nlb":
            if own.get(OCI_RULES) != "All":
                mode = own.get(OCI_RULES, "None")
                text = f"{OCI_RULES} is {mode}: no port is opened, and it never answers"
                fix = f"annotate it {OCI_RULES}: All; base/optional/public has a part that does"
                yield cluster.finding(item, text, fix, ((OCI_RULES,), own.get(OCI_RULES)))
            continue
        for key, wanted in OCI_FREE.items():
            if own.get(key) != wanted:
                text = f"{key} is {own.get(key, 'not set')}: Oracle bills this load balancer"
                fix = f'annotate it {key}: "{wanted}", as base/optional/public/oci-load-balancer'
                yield cluster.finding(item, text, fix, ((key,), own.get(key)))
                break


def _plain(cluster: Cluster, way: Way) -> str:
    """Return why what goes this way is not encrypted; empty where it is, or is not known."""
    if way.item is way.service:
        return f"{way.text}, so that passwords come to it without encryption"
    if way.item.kind == "Ingress" and not way.item.spec.get("tls"):
        return "has no tls, so that passwords come without encryption"
    if way.item.kind != "HTTPRoute":
        return ""
    for parent in way.item.spec.get("parentRefs") or []:
        gateway = f"the Gateway {parent['name']}"
        if "sectionName" not in parent and "port" not in parent:
            return (
                f"names no listener of {gateway}, so that it is taken for each, that of http, too"
            )
        listener = listener_of(cluster, way.item, parent)
        if listener is not None and listener["protocol"] not in {"HTTPS", "TLS"}:
            return f"is on the listener {listener['name']} of {gateway}, without encryption"
    return ""


def gateway_of(cluster: Cluster, route: Item, parent: Mapping[str, Json]) -> Item | None:
    """Return the Gateway that a parentRef names; None where another repository has it."""
    place = parent.get("namespace") or route.namespace
    return next(
        (g for g in cluster.of("Gateway") if (g.namespace, g.name) == (place, parent["name"])), None
    )


def listener_of(
    cluster: Cluster, route: Item, parent: Mapping[str, Json]
) -> Mapping[str, Json] | None:
    """Return the listener that a parentRef names; None where there is none, or it is not known."""
    gateway = gateway_of(cluster, route, parent)
    listeners = gateway.spec["listeners"] if gateway else ()
    for key, own in (("sectionName", "name"), ("port", "port")):
        if key in parent:
            listeners = [one for one in listeners if one[own] == parent[key]]
    return next(iter(listeners), None)


def _places(cluster: Cluster) -> Iterator[tuple[Item, list[str]]]:
    """Yield each route to a Service, and the hosts and paths that it takes."""
    for item in cluster.of("HTTPRoute"):
        parents = [
            (p.get("namespace") or item.namespace, p["name"], p.get("sectionName", ""))
            for p in item.spec.get("parentRefs") or []
        ]
        rules = item.spec.get("rules") or [{}]
        matches = [match for rule in rules for match in rule.get("matches") or [{}]]
        hosts = item.spec.get("hostnames") or ["*"]
        places = [
            json.dumps([p, h, m], sort_keys=True) for p in parents for h in hosts for m in matches
        ]
        served = any(rule.get("backendRefs") for rule in rules)
        yield item, [*places, *(f"served {host}" for host in hosts if served and {} in matches)]
    for item in cluster.of("Ingress"):
        places = []
        for rule in item.spec.get("rules") or []:
            for path in (rule.get("http") or {}).get("paths") or []:
                taken = (rule.get("host", "*"), path.get("path", "/"))
                key = f"served {taken[0]}" if taken[1] == "/" else json.dumps(taken)
                places.append(key)
        yield item, places
