"""GRAFANA_URL is an address that everybody can open, where an opt-in copies its host.

It is copied to Grafana's root_url, to listeners, routes and the certificate, as it is written. One
cluster has it, and its certificate is watched by how long it is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import chain
from urllib.parse import urlsplit

from scripts.core.findings import Finding
from scripts.core.yamlfile import get, line_of, load
from scripts.model.files import INVENTORY
from scripts.model.manifests import ClusterSync, Repository
from scripts.model.opt_ins import listed

PARTS = "base/optional/public/"
KEY = "GRAFANA_URL"
# https://datatracker.ietf.org/doc/html/rfc1123#section-2
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LONGEST = 253
# The profile by which Let's Encrypt gives certificates for addresses.
SHORT_LIVED = "shortlived"
ISSUERS = frozenset(["ClusterIssuer", "Issuer"])
PROBE = "grafana-public"
# Names of addresses whose certificates for a week are used up: https://github.com/cunnie/sslip.io/issues/110
USED_UP = ("sslip.io",)
Fault = tuple[str, str]


def check(repository: Repository) -> list[Finding]:
    """Check the address if a cluster takes in a part of `base/optional/public`."""
    takers = [
        sync
        for sync in repository.syncs
        if sync.synced and any(path.startswith(PARTS) for path in repository.files(sync))
    ]
    path = repository.root / INVENTORY
    if not takers or not path.is_file():
        return []
    url = str(get(load(path, repository.root)[0], "data", KEY) or "")
    line = line_of(path.read_text(encoding="utf-8"), "data", KEY)
    found: dict[Fault, None] = {}
    for sync in takers:
        found.update(dict.fromkeys(faults(url, short_lived=_short_lived(sync))))
    return [
        *(Finding(INVENTORY, line, f"{KEY} {message}", fix) for message, fix in found),
        *one_cluster(repository, takers),
        *dict.fromkeys(chain.from_iterable(watched(repository, sync) for sync in takers)),
    ]


def one_cluster(repository: Repository, takers: list[ClusterSync]) -> Iterator[Finding]:
    """Only one cluster's Grafana has the address, as its name leads to one."""
    having = {
        sync.cluster: sync
        for sync in takers
        if any(path.startswith(f"{PARTS}grafana/") for path in repository.files(sync))
    }
    first, *others = sorted(having) or [""]
    for cluster in others:
        text = f"{cluster} has the public address that {first} has: its name leads to one of them"
        fix = f"take base/optional/public in for one of them, as {KEY} is one for all"
        yield Finding(*listed(repository, having[cluster], f"{PARTS}grafana"), text, fix)


def watched(repository: Repository, sync: ClusterSync) -> Iterator[Finding]:
    """The alert of a certificate that is for six days is that of the probe."""
    issuers = any(item["kind"] in ISSUERS for item in sync.objects())
    jobs = [
        str(get(item, "spec", "jobName"))
        for item in sync.objects()
        if item["kind"] == "Probe" and item["metadata"]["name"] == PROBE
    ]
    for job in jobs if issuers else ():
        short = _short_lived(sync)
        if short != job.endswith(SHORT_LIVED):
            valid = "six days" if short else "three months"
            text = f"the probe's job is {job}, and the certificate is for {valid}: its alert comes "
            text += "too early" if short else "too late"
            fix = "list both certificate/address and watch/address, or neither"
            yield Finding(*listed(repository, sync, f"{PARTS}watch"), text, fix)


def faults(url: str, *, short_lived: bool = False) -> Iterator[Fault]:
    """Yield what is wrong with a public address, and what to do.

    Args:
        url: The address.
        short_lived: Whether the certificate is one that may be for an IP address.
    """
    write = "write https://<host>, such as https://grafana.example.com"
    try:
        parts = urlsplit(url)
        host, port = parts.netloc, parts.port
    except ValueError as error:
        yield f"is no URL: {error}", write
        return
    if parts.scheme != "https":
        yield f"is public and not https: {url}", write
    if parts.path.strip("/") or parts.query or parts.fragment:
        yield f"has a path: {url}; Grafana is at the root of its host", write
    if "@" in host:
        yield f"has a name or a password in it: {url}", write
        return
    if port is not None:
        yield f"has a port: {url}; the door listens at 443", write
        host = host.rpartition(":")[0]
    yield from _host(host, write, short_lived=short_lived)


def _host(host: str, write: str, *, short_lived: bool) -> Iterator[Fault]:
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        pass
    else:
        if not address.is_global:
            yield f"is an address of a private network: {host}", write
        elif not short_lived:
            fix = "use a name; or take in certificate/address, which nobody has tried"
            yield (
                f"is an IP address, for which an issuer needs the profile {SHORT_LIVED}: {host}",
                fix,
            )
        return
    if host != host.lower():
        yield (
            f"has a capital letter: {host}",
            f"write {host.lower()}: hosts of routes are in lower case",
        )
        return
    if "*" in host:
        yield f"has a wildcard: {host}; people open one host", write
    elif host.endswith("."):
        yield f"ends with a dot: {host}", f"write {host.rstrip('.')}"
    elif "." not in host or host.rpartition(".")[2] in {"internal", "local", "localhost", "svc"}:
        yield f"is no host that everybody finds: {host}", write
    elif len(host) > LONGEST or not all(LABEL.fullmatch(part) for part in host.split(".")):
        fix = "use letters, digits and dashes between dots; write other letters as punycode (xn--…)"
        yield f"has no host that can exist: {host}", fix
    elif host.endswith(tuple(f".{name}" for name in USED_UP)):
        text = (
            "is of a name whose certificates are used up: Let's Encrypt refuses another one of it"
        )
        yield f"{text} ({host})", "use a domain of your own, or a free name such as of DuckDNS"


def _short_lived(sync: ClusterSync) -> bool:
    return any(
        item["kind"] in ISSUERS and get(item, "spec", "acme", "profile") == SHORT_LIVED
        for item in sync.objects()
    )
