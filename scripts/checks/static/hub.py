"""A hub takes in the lines of other clusters, and a member has neither Grafana nor Loki."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from scripts.core.findings import Finding
from scripts.core.yamlfile import get
from scripts.model.manifests import ClusterSync, Repository
from scripts.model.opt_ins import SCALE, listed, owner_config, takes

HUB, MEMBER = f"{SCALE}/hub", f"{SCALE}/member"
ROUTE = f"{HUB}/route"
CONFIG, URL = "hub", "URL"
LEFT_OUT = frozenset({"grafana", "loki"})
WRITE = "write the hub's public address, https://<host>"


def check(repository: Repository) -> list[Finding]:
    """Check each cluster that is a hub, or a member of one."""
    findings: dict[Finding, None] = {}
    for sync in repository.syncs:
        if takes(repository, sync, MEMBER):
            findings.update(dict.fromkeys(member(repository, sync)))
        if takes(repository, sync, ROUTE) and not takes(repository, sync, HUB):
            text = "the way to the hub's Loki is open, and nothing at its end asks for a password"
            fix = "list base/optional/scale/hub in the overlay's releases"
            findings[Finding(*listed(repository, sync, ROUTE), text, fix)] = None
    return list(findings)


def member(repository: Repository, sync: ClusterSync) -> Iterator[Finding]:
    """A member sends its lines to another cluster, and its metrics to a bucket that this reads."""
    place = listed(repository, sync, MEMBER)
    # tests/options has all at once.
    if sync.synced and takes(repository, sync, HUB):
        text = "is a hub as well: it would send its lines to itself"
        yield Finding(*place, text, "list one of scale/hub and scale/member")
    config = owner_config(repository, sync, CONFIG)
    if config and (wrong := _fault(config.data.get(URL, ""))):
        yield Finding(*config.place(URL), f"{URL} {wrong}", WRITE)
    there = sorted(LEFT_OUT & {release.chart for release in sync.releases})
    if there:
        text = f"{sync.name} has {' and '.join(there)} still, which its hub has in its place"
        fix = "list scale/member in the overlay's releases, behind base/releases"
        if sync.engine == "argocd":
            fix = f"list scale/member/argocd in clusters/{sync.cluster}/argocd, behind base/argocd"
        yield Finding(*place, text, fix)
    for release in sync.releases:
        if release.chart == "kube-prometheus-stack":
            spec = get(release.values, "prometheus", "prometheusSpec") or {}
            if not (spec.get("thanos") or spec.get("remoteWrite")):
                text = "its metrics stay in the cluster, and no Grafana is there to show them"
                fix = "list scale/thanos/sidecar beside scale/member"
                yield Finding(*place, text, fix)


def _fault(url: str) -> str:
    """Return what is wrong with the address that lines are sent to; empty where nothing is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.scheme != "https" or not host:
        return f"is no https URL, and lines go with a password: {url or 'it is empty'}"
    if parts.username or parts.password:
        return f"has a password in it; that is in the Secret loki-hub: {host}"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return f"has a path: {url}; Alloy appends its own"
    return ""
