"""What is created before the engine: namespaces, Secrets, a stand-in application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.kind.cluster import KindCluster
from scripts.model import credentials, secrets
from scripts.model.manifests import ClusterSync, Repository
from scripts.model.secrets import Place, Values
from scripts.rules.facts import Facts
from scripts.servers.kubernetes.client import namespace

# Kubernetes' server for its own tests: it answers every path.
IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.56"
URLS = ("FRONTEND_URL", "BACKEND_URL")


def secret_values(sync: ClusterSync, repository: Repository) -> dict[Place, Values]:
    """Return what `make secrets` makes for a cluster that has no Secret yet."""
    needed = [one for one in credentials.needed_secrets(sync, repository) if not one.created_by]
    found = secrets.plan(needed, dict.fromkeys((one.namespace, one.name) for one in needed))
    return secrets.values(found.make, {})


def login(sync: ClusterSync, made: Mapping[Place, Values]) -> dict[str, str]:
    """Return user and password of Grafana's administrator.

    Raises:
        RepositoryError: If Grafana's values name no Secret that is made.
    """
    account = secrets.administrator(sync)
    if not account or account.place not in made:
        text = "names no Secret that `make secrets` makes for its administrator"
        fix = "name it in admin.existingSecret"
        raise RepositoryError(Finding(f"{sync.name} Grafana", None, text, fix))
    own = made[account.place]
    return {"user": own[account.user].decode(), "password": own[account.password].decode()}


def objects(
    sync: ClusterSync, engine_namespace: str, made: Mapping[Place, Values]
) -> Iterator[Json]:
    """Yield the engine's namespace, ours as the sync brings them, and the Secrets."""
    yield namespace(engine_namespace)
    yield from (item for item in sync.objects() if item["kind"] == "Namespace")
    yield from (secrets.manifest(place, content) for place, content in made.items())


def run_application(cluster: KindCluster) -> None:
    """Run a server at the application's addresses: half of the first row is about its pods.

    What is outside of the cluster is left alone.
    """
    data = Facts.of(tools.ROOT).application
    for url in (urlsplit(data[name]) for name in URLS):
        name, where, *rest = f"{url.hostname}..".split(".")
        if rest[0] != "svc":
            continue
        port = url.port or 80
        own = (name, f"--namespace={where}", f"--port={port}")
        serve = ("--", "/agnhost", "netexec", f"--http-port={port}")
        if where != "default":
            cluster.create(namespace(where))
        cluster.kubectl("create", "deployment", *own, f"--image={IMAGE}", *serve)
        cluster.kubectl("expose", "deployment", *own)
