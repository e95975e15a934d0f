"""What is in the cluster before the engine: namespaces, Secrets, and something to watch."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

from scripts import tools
from scripts.e2e.world import namespace
from scripts.kind.cluster import Cluster
from scripts.manifests import NAMESPACES
from scripts.rules.facts import Facts
from scripts.yamlfile import Json

# Kubernetes' server for its own tests: it answers every path.
IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.56"
URLS = ("FRONTEND_URL", "BACKEND_URL")
USER = "admin"


def objects(engine_namespace: str, password: str) -> Iterator[Json]:
    """Yield namespaces, and the Secrets that the README has a user create; not the optional one."""
    yield from map(namespace, sorted({*NAMESPACES, engine_namespace}))
    salt = {"salt": secrets.token_hex(16)}
    for where, name, values in (
        ("monitoring", "grafana-admin", {"admin-user": USER, "admin-password": password}),
        ("monitoring", "alloy-pseudonym-salt", salt),
        ("monitoring-node", "alloy-pseudonym-salt", salt),
    ):
        metadata = {"namespace": where, "name": name}
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def application(cluster: Cluster) -> None:
    """Run a server at the application's addresses: half of the first row is about its pods."""
    data = Facts.of(tools.ROOT).application
    for url in (urlsplit(data[name]) for name in URLS):
        name, where = str(url.hostname).split(".")[:2]
        own = (name, f"--namespace={where}", f"--port={url.port}")
        serve = ("--", "/agnhost", "netexec", f"--http-port={url.port}")
        cluster.ask("create", "deployment", *own, f"--image={IMAGE}", *serve)
        cluster.ask("expose", "deployment", *own)
