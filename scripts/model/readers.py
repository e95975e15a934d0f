"""Who may read: Grafana's settings as it starts with them, and what is reached from outside."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scripts.core.yamlfile import get, leaves
from scripts.model.rendered import Cluster, Item
from scripts.model.scraping import behind

INI = "grafana.ini"
# https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/: of the settings that
# say who may read and where accounts are, the defaults. Those below are named after what they let
# people do.
DEFAULTS: Mapping[tuple[str, str], str] = {
    ("auth.anonymous", "enabled"): "false",
    ("auth.anonymous", "org_role"): "Viewer",
    ("auth.basic", "enabled"): "true",
    ("auth.github", "allow_assign_grafana_admin"): "false",
    ("auth.github", "allowed_organizations"): "",
    ("auth.github", "enabled"): "false",
    ("auth.github", "org_mapping"): "",
    ("auth.github", "role_attribute_path"): "",
    ("auth.github", "role_attribute_strict"): "false",
    ("auth.github", "skip_org_role_sync"): "false",
    ("auth.github", "team_ids"): "",
    ("auth.jwt", "enabled"): "false",
    ("auth.proxy", "enabled"): "false",
    ("auth.proxy", "whitelist"): "",
    ("auth", "disable_login_form"): "false",
    ("database", "host"): "127.0.0.1:3306",
    ("database", "name"): "grafana",
    ("database", "type"): "sqlite3",
    ("database", "url"): "",
    ("public_dashboards", "enabled"): "true",
    ("security", "allow_embedding"): "false",
    ("security", "content_security_policy"): "false",
    ("security", "cookie_samesite"): "lax",
    ("security", "cookie_secure"): "false",
    ("security", "disable_brute_force_login_protection"): "false",
    ("security", "strict_transport_security"): "false",
    ("security", "x_content_type_options"): "true",
    ("server", "domain"): "localhost",
    ("server", "root_url"): "",
    ("snapshots", "enabled"): "true",
    ("users", "allow_sign_up"): "false",
    ("users", "auto_assign_org_role"): "Viewer",
    ("users", "viewers_can_edit"): "false",
}
# nginx' list of users and their passwords.
_PASSWORDS = re.compile(r"^\s*auth_basic_user_file\s+\S", re.MULTILINE)
# Not that of grafana/loki.
_IMAGE = re.compile(r"(^|/)grafana(-enterprise|-oss)?([:@]|$)")
TRUE = frozenset({"1", "on", "true", "yes", "t"})
# What brings traffic from outside of the cluster to a Service, by the API that it is of.
ROUTES = frozenset(
    {
        "GRPCRoute",
        "HTTPRoute",
        "Ingress",
        "IngressRoute",
        "IngressRouteTCP",
        "TCPRoute",
        "TLSRoute",
        "VirtualService",
    }
)
# Programs that carry requests from outside to the Services that they are told.
CARRIERS = re.compile(r"(^|/)(cloudflared|traefik)([:@]|$)")
BACKEND_KEYS = frozenset({"host", "name", "serviceName"})
OUTSIDE_TYPES = frozenset({"LoadBalancer", "NodePort"})


class Way(NamedTuple):
    """How a Service is reached from outside.

    Attributes:
        service: The Service.
        item: What opens it: itself, or an Ingress or the like.
        text: How, in words.
    """

    service: Item
    item: Item
    text: str


class Settings(NamedTuple):
    """Grafana's settings.

    Attributes:
        item: The ConfigMap that has them.
        values: By section and key; what is not there is Grafana's default.
    """

    item: Item
    values: Mapping[tuple[str, str], str]

    def get(self, section: str, key: str) -> str:
        """Return a setting, as it is written."""
        return self.values.get((section, key), DEFAULTS.get((section, key), ""))

    def on(self, section: str, key: str) -> bool:
        """Say whether a setting is true, as Grafana reads it."""
        return self.get(section, key).strip().lower() in TRUE


def grafana(cluster: Cluster) -> Iterator[Settings]:
    """Yield the settings of each Grafana; variables of its container come before the file.

    https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/#override-configuration-with-environment-variables
    """
    for item in cluster.of("ConfigMap"):
        text = item.data.get(INI)
        if text is None:
            continue
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            # What stands before the first section is of Grafana's default one.
            parser.read_string(f"[{configparser.DEFAULTSECT}]\n{text}")
        except configparser.Error:
            continue  # Grafana says so itself.
        values = {
            (s, key): value or "" for s in parser.sections() for key, value in parser.items(s)
        }
        variables = dict(_variables(cluster, item))
        for section, key in {*DEFAULTS, *values}:
            name = f"GF_{section}_{key}".upper().replace(".", "_").replace("-", "_")
            if name in variables:
                values[section, key] = variables[name]
        yield Settings(item, values)


def ways_in(cluster: Cluster) -> Iterator[Way]:
    """Yield each Service of ours that is reached from outside, and how."""
    services = [item for item in cluster.all if item.kind == "Service"]
    for item in services:
        if item.spec.get("type") in OUTSIDE_TYPES:
            yield Way(item, item, f"its type is {item.spec['type']}")
        elif item.spec.get("externalIPs"):
            yield Way(item, item, "it has externalIPs")
    for route in cluster.of(*sorted(ROUTES)):
        named = {
            str(value).partition(".")[0]
            for keys, value in leaves(dict(route.spec))
            if keys[-1] in BACKEND_KEYS
        }
        for item in services:
            if item.name in named and item.namespace == route.namespace:
                yield Way(item, route, f"{route} leads to it")
    for pod in cluster.pods:
        if any(CARRIERS.search(str(one.get("image"))) for one in pod.containers):
            told = [text for item in (pod.owner, *cluster.mounted(pod)) for text in _texts(item)]
            for item in services:
                address = re.compile(rf"//{item.name}\.{item.namespace}(?![\w-])")
                if any(address.search(text) for text in told):
                    yield Way(item, pod.owner, f"{pod.owner} carries requests to it")


def is_door(cluster: Cluster, service: Item) -> bool:
    """Say whether a Service is that of a Gateway, and opens nothing but its listeners.

    It has nothing to read of its own; what is behind it, its routes say.
    """
    listeners = {
        int(listener["port"])
        for gateway in cluster.of("Gateway")
        if gateway.release == service.release and gateway.namespace == service.namespace
        for listener in gateway.spec["listeners"]
    }
    ports = [port.get("targetPort", port["port"]) for port in service.spec.get("ports") or []]
    pods = behind(cluster, service)
    opened = {pod.ports.get(str(port), port) for pod in pods for port in ports}
    return bool(pods) and opened <= listeners


def is_grafana(cluster: Cluster, service: Item) -> bool:
    """Say whether a Service is Grafana's, the one program here that asks who somebody is."""
    pods = behind(cluster, service)
    return bool(pods) and all(
        any(_IMAGE.search(str(one.get("image"))) for one in pod.containers) for pod in pods
    )


def asks_for_a_password(cluster: Cluster, service: Item) -> bool:
    """Say whether nginx behind a Service asks for one, of a file with passwords.

    https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html
    """
    pods = behind(cluster, service)
    return bool(pods) and all(
        any(_PASSWORDS.search(text) for item in cluster.mounted(pod) for text in _texts(item))
        for pod in pods
    )


def _texts(item: Item) -> Iterator[str]:
    yield from (value for _, value in leaves(dict(item.manifest)) if isinstance(value, str))


def _variables(cluster: Cluster, item: Item) -> Iterator[tuple[str, str]]:
    for pod in cluster.pods:
        if item in cluster.mounted(pod):
            for container in pod.containers:
                for one in container.get("env") or ():
                    if "value" in one:
                        yield one["name"], str(one["value"])
                    elif secret := get(one, "valueFrom", "secretKeyRef"):
                        # Which value it has, only the cluster knows.
                        yield one["name"], f"{secret['name']}, {secret['key']}"
