"""The public address: routes, listeners, certificates and probes are of the host of root_url."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from scripts.checks.rendered.access import root_url
from scripts.checks.rendered.links.model import Link
from scripts.checks.rendered.public_address import gateway_of, listener_of, opened, public_host
from scripts.core.yamlfile import Json, leaves
from scripts.model.rendered import Cluster, Item, Written
from scripts.model.scraping import matches

NAME = "kubernetes.io/metadata.name"
FIX = "let kustomize copy it from GRAFANA_URL, as base/optional/public does"
NO_CERTIFICATE = "browsers refuse the page"


def routes_have_the_host(cluster: Cluster) -> Iterator[Link]:
    """What leads to Grafana, and what leads there from http, has the host of Grafana's address."""
    for host, route in _routes(cluster):
        if route.kind == "Ingress":
            named = [(("host",), rule.get("host", "*")) for rule in route.spec.get("rules") or []]
        else:
            names = route.spec.get("hostnames") or (["*"] if not _is_ip(host) else [])
            named = [((str(index),), name) for index, name in enumerate(names)]
        for keys, name in named:
            yield Link(
                route,
                "leads to Grafana from the host",
                str(name),
                {host},
                f"people are told to open {host}",
                FIX,
                ((keys, name),),
            )


def listeners_take_routes(cluster: Cluster) -> Iterator[Link]:
    """The listener that a route names is there, has its host, and admits its namespace."""
    for host, route in _routes(cluster):
        for parent in route.spec.get("parentRefs") or []:
            gateway = gateway_of(cluster, route, parent)
            place = f"{parent.get('namespace') or route.namespace}/{parent['name']}"
            if gateway is None:
                known = {f"{g.namespace}/{g.name}" for g in cluster.of("Gateway")}
                if known:
                    effect = "no such Gateway is declared here, where there is one"
                    written = ((("name",), parent["name"]),)
                    yield Link(route, "is on the Gateway", place, known, effect, "", written)
                continue
            yield from _listener(cluster, host, route, parent, gateway)


def certificates_name_the_host(cluster: Cluster) -> Iterator[Link]:
    """A Secret that a listener or an Ingress shows is made by a Certificate of the host."""
    for item, namespace, secret, host in _shown(cluster):
        made = {
            c.spec.get("secretName"): c
            for c in cluster.of("Certificate")
            if c.namespace == namespace
        }
        certificate = made.get(secret)
        if certificate is None:
            if made or _issuers(cluster):
                known = {str(name) for name in made}
                effect = f"no Certificate in {namespace} makes this Secret, so {NO_CERTIFICATE}"
                written = ((("name",), secret), (("secretName",), secret))
                yield Link(
                    item, "shows the certificate of the Secret", secret, known, effect, "", written
                )
            continue
        key = "ipAddresses" if _is_ip(host) else "dnsNames"
        names = [str(name) for name in certificate.spec.get(key) or []]
        yield Link(
            certificate,
            "is a certificate for the host",
            host,
            names,
            f"it is one for {', '.join(names) or 'nobody'}, so {NO_CERTIFICATE}",
            FIX,
            tuple((("0",), name) for name in names),
        )


def issuers_exist(cluster: Cluster) -> Iterator[Link]:
    """The issuer of a Certificate is there, and so is the listener at which challenges come in."""
    for item in cluster.of("Certificate"):
        reference = item.spec.get("issuerRef") or {}
        kind = reference.get("kind", "Issuer")
        known = {
            i.name for i in cluster.of(kind) if kind != "Issuer" or i.namespace == item.namespace
        }
        if kind == "Issuer" or known:
            effect = f"there is no such {kind}, so the certificate is never issued"
            name = str(reference.get("name"))
            yield Link(
                item, f"is issued by the {kind}", name, known, effect, "", ((("name",), name),)
            )
    for item in cluster.of("Issuer", "ClusterIssuer"):
        for solver in (item.spec.get("acme") or {}).get("solvers") or []:
            answered = (solver.get("http01") or {}).get("gatewayHTTPRoute") or {}
            for parent in answered.get("parentRefs") or []:
                gateway = gateway_of(cluster, item, parent)
                if gateway is None and not cluster.of("Gateway"):
                    continue
                listener = gateway and listener_of(cluster, item, parent)
                place = f"{parent.get('namespace') or item.namespace}/{parent['name']}"
                section = str(parent.get("sectionName", ""))
                yield Link(
                    item,
                    f"has its challenges answered at the Gateway {place} and its listener of http",
                    section,
                    {section} if listener and listener["protocol"] == "HTTP" else (),
                    "Let's Encrypt asks at port 80, and there is no such listener",
                    "name the listener of http in parentRefs",
                    ((("sectionName",), section), (("name",), parent["name"])),
                )


def probes_ask_the_address(cluster: Cluster) -> Iterator[Link]:
    """The probe of the public address asks the host of Grafana's address."""
    for settings, _ in opened(cluster):
        host = public_host(settings)
        for probe in cluster.of("Probe") if host else ():
            if not probe.name.endswith("-public"):
                continue
            for target in probe.spec["targets"]["staticConfig"]["static"]:
                yield Link(
                    probe,
                    "asks the host",
                    urlsplit(str(target)).netloc,
                    {host},
                    f"people are told to open {host}",
                    FIX,
                    ((("0",), target),),
                )


def _routes(cluster: Cluster) -> Iterator[tuple[str, Item]]:
    """Yield Grafana's public host, and each route that leads to it, or to its address by https."""
    for settings, ways in opened(cluster):
        host = public_host(settings)
        if not host or not root_url(settings).startswith("https://"):
            continue
        found = {
            str(way.item): way.item for way in ways if way.item.kind in {"HTTPRoute", "Ingress"}
        }
        hosts = {
            host,
            *(name for item in found.values() for name in item.spec.get("hostnames") or ()),
        }
        for item in cluster.of("HTTPRoute"):
            redirects = any(keys[-1] == "scheme" for keys, _ in leaves(dict(item.spec)))
            beside = item.namespace == settings.item.namespace
            if redirects and (beside or hosts & set(item.spec.get("hostnames") or ())):
                found.setdefault(str(item), item)
        yield from ((host, item) for item in found.values())


def _listener(
    cluster: Cluster, host: str, route: Item, parent: Mapping[str, Json], gateway: Item
) -> Iterator[Link]:
    section = str(parent.get("sectionName") or parent.get("port") or "")
    names = {str(one[key]) for one in gateway.spec["listeners"] for key in ("name", "port")}
    written: tuple[Written, ...] = ((("sectionName",), section),)
    if section:
        effect = f"{gateway} has no such listener, so nobody comes this way"
        yield Link(route, "is on the listener", section, names, effect, "", written)
    listener = listener_of(cluster, route, parent)
    if listener is None:
        return
    own = listener.get("hostname")
    if own and not _is_ip(host):
        yield Link(
            gateway,
            f"its listener {listener['name']} has the host",
            str(own),
            {host, f"*.{host.partition('.')[2]}"},
            f"{route} is for {host}, and gets no request",
            FIX,
            ((("hostname",), own),),
        )
    admitted = (listener.get("allowedRoutes") or {}).get("namespaces") or {"from": "Same"}
    labels = next(
        (dict(i.labels) for i in cluster.of("Namespace") if i.name == route.namespace), {}
    )
    takes = {
        "All": True,
        "Same": route.namespace == gateway.namespace,
        "Selector": matches(admitted.get("selector") or {}, {**labels, NAME: route.namespace}),
    }[admitted["from"]]
    yield Link(
        gateway,
        f"its listener {listener['name']} takes routes from",
        route.namespace,
        {route.namespace} if takes else (),
        f"it does not, so {route} gets no request",
        "admit the namespace in namespacePolicy of the listener",
        ((("from",), admitted["from"]),),
    )


def _shown(cluster: Cluster) -> Iterator[tuple[Item, str, str, str]]:
    """Yield what shows a certificate for Grafana, its Secret's namespace and name, and the host."""
    for host, route in _routes(cluster):
        for entry in route.spec.get("tls") or [] if route.kind == "Ingress" else ():
            yield route, route.namespace, str(entry.get("secretName")), host
        for parent in route.spec.get("parentRefs") or []:
            listener, gateway = (
                listener_of(cluster, route, parent),
                gateway_of(cluster, route, parent),
            )
            for reference in ((listener or {}).get("tls") or {}).get("certificateRefs") or []:
                if gateway is not None:
                    place = reference.get("namespace") or gateway.namespace
                    yield gateway, place, str(reference["name"]), host


def _issuers(cluster: Cluster) -> list[Item]:
    return cluster.of("Issuer", "ClusterIssuer")


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
