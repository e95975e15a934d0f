"""Nobody reads metrics and logs who is not asked for a name and a password."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from scripts.core.findings import Finding
from scripts.core.yamlfile import load
from scripts.model.files import INVENTORY
from scripts.model.readers import (
    INI,
    Settings,
    asks_for_a_password,
    grafana,
    is_door,
    is_grafana,
    ways_in,
)
from scripts.model.rendered import Cluster
from scripts.model.scraping import selected

# Roles of somebody without a name; as a Viewer, he reads. https://grafana.com/docs/grafana/latest/administration/roles-and-permissions/
READING = frozenset({"", "none", "viewer"})
# Ways to sign in besides the form: sections of grafana.ini.
NO_SIGN_IN = frozenset({"auth.anonymous", "auth.basic"})


def strangers_only_read(cluster: Cluster) -> Iterator[Finding]:
    """Nobody changes anything in Grafana who has not signed in, by the form or by a proxy."""
    for settings in grafana(cluster):
        role = settings.get("auth.anonymous", "org_role")
        anonymous = settings.on("auth.anonymous", "enabled")
        if anonymous and role.strip().lower() not in READING:
            text = f"whoever reaches Grafana is {role}: he reads all logs, and changes data sources"
            fix = "remove auth.anonymous, or set org_role: Viewer"
            yield at_setting(cluster, settings, "auth.anonymous", "org_role", text, fix)
        if settings.on("auth.proxy", "enabled") and not settings.get("auth.proxy", "whitelist"):
            text = "whoever reaches Grafana is whom he says he is, in a header"
            fix = "set auth.proxy.whitelist to the proxy's address"
            yield at_setting(cluster, settings, "auth.proxy", "enabled", text, fix)


def people_can_sign_in(cluster: Cluster) -> Iterator[Finding]:
    """Grafana has a form to sign in, or another way."""
    for settings in grafana(cluster):
        other = any(
            section.startswith("auth.") and section not in NO_SIGN_IN and settings.on(section, key)
            for section, key in settings.values
            if key == "enabled"
        )
        if settings.on("auth", "disable_login_form") and not other:
            text = "nobody can sign in: the form is off, and there is no other way"
            fix = "remove auth.disable_login_form, or enable a section such as auth.generic_oauth"
            yield at_setting(cluster, settings, "auth", "disable_login_form", text, fix)


def sessions_kept(cluster: Cluster) -> Iterator[Finding]:
    """A browser keeps Grafana's cookie: a secure one over HTTPS alone, or on the same machine."""
    for settings in grafana(cluster):
        url = root_url(settings) or inventory_url(cluster)
        address = urlsplit(url)
        host = address.hostname or ""
        local = host.split(".")[-1] == "localhost" or host == "::1" or host.startswith("127.")
        if address.scheme == "http" and not local and settings.on("security", "cookie_secure"):
            text = f"cookie_secure is true, and people open {url}: browsers keep no such cookie"
            fix = "let Grafana be reached by https, or set security.cookie_secure: false"
            text += " of plain http, so that after the right password they are asked again"
            yield at_setting(cluster, settings, "security", "cookie_secure", text, fix)


def links_lead_to_grafana(cluster: Cluster) -> Iterator[Finding]:
    """Links of alerts go to the path at which Grafana is."""
    linked = inventory_url(cluster)
    for settings in grafana(cluster):
        own = root_url(settings)
        paths = [urlsplit(url).path.strip("/") for url in (own, linked)]
        if own and paths[0] != paths[1]:
            text = f"Grafana is at {own}, and alerts link to GRAFANA_URL, {linked}"
            fix = f"write the same path in {INVENTORY}, then make dashboards rules"
            yield at_setting(cluster, settings, "server", "root_url", text, fix)


def passwordless_services_inside(cluster: Cluster) -> Iterator[Finding]:
    """A Service that asks nobody for a password is not reached from outside of the cluster."""
    ask = (is_grafana, is_door, asks_for_a_password)
    for way in ways_in(cluster):
        if not any(asks(cluster, way.service) for asks in ask):
            text = f"{way.service.name} asks nobody for a password, and {way.text}"
            fix = "take that out: Grafana shows what it has, and `kubectl port-forward` reaches it"
            yield cluster.finding(way.item, text, fix)


def pods_guarded(cluster: Cluster) -> Iterator[Finding]:
    """In a namespace that has a NetworkPolicy, one selects each pod.

    Where a policy selects nothing at all, its selector is at fault: links.network says so.
    """
    chosen: dict[str, set[str]] = {}
    mistaken: set[str] = set()
    for policy in cluster.of("NetworkPolicy"):
        pods = selected(cluster, policy.namespace, policy.spec.get("podSelector") or {})
        chosen.setdefault(policy.namespace, set()).update(str(pod.owner) for pod in pods)
        mistaken |= set() if pods else {policy.namespace}
    for pod in cluster.pods:
        own = chosen.get(pod.owner.namespace)
        if own is not None and str(pod.owner) not in own and pod.owner.namespace not in mistaken:
            text = "no NetworkPolicy selects its pods, so anybody in the cluster reaches them"
            yield cluster.finding(pod.owner, text, "let one of base/config select them")


def root_url(settings: Settings) -> str:
    """Return the address that Grafana is told to have; empty for its default, or one in parts."""
    url = settings.get("server", "root_url")
    return url if "://" in url and "%(" not in url else ""


def inventory_url(cluster: Cluster) -> str:
    """Return GRAFANA_URL; that of a cluster which no engine syncs may be another."""
    root = cluster.repository.root
    return str(load(root / INVENTORY, root)[0]["data"].get("GRAFANA_URL", ""))


def at_setting(
    cluster: Cluster, settings: Settings, section: str, key: str, text: str, fix: str
) -> Finding:
    """Return a finding where the setting is written: in the release's values."""
    release = settings.item.release
    if release is None:
        return cluster.finding(settings.item, text, fix)
    keys = ("spec", "values", INI, section, key)
    name = cluster.release(release).owner[1]
    found = cluster.repository.where("HelmRelease", name, *keys, sync=cluster.sync)
    return Finding(*found, f"{settings.item}: {text}", fix)
