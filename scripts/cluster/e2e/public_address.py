"""The public address of a synced cluster: what it is like when all is well."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.cluster.e2e import checks
from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.prometheus_operator import MONITORING, deployed
from scripts.cluster.e2e.public_parts import HOST
from scripts.cluster.e2e.public_programs import (
    ACME,
    CERTIFICATE,
    CERTIFICATES,
    GATEWAY,
    GRAFANA,
    PAGE,
    PublicPrograms,
)
from scripts.core.findings import Finding
from scripts.model import schemas
from scripts.model.manifests import Repository
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Object, condition

GATEWAY_API_MODULE = "sigs.k8s.io/gateway-api"
# More than anybody may guess in a minute.
GUESSES = 60


def apply_gateway_crds(env: Environment) -> None:
    """Create the Gateway API's CRDs, as the owner of the cluster does before all."""
    folders = [one for one in schemas.crd_folders() if GATEWAY_API_MODULE in str(one)]
    control_plane.apply_crds(env.processes, env.client, *folders)


def fill_registry(env: Environment) -> None:
    """Push the charts of the parts to the registry, beside those of the releases."""
    known = {(release.chart, release.version) for release in env.sync.releases}
    found = Repository(env.remote.tree).sync(env.cluster, env.sync.engine).releases
    env.registry.fill(one for one in found if (one.chart, one.version) not in known)


def remaining(env: Environment, before: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each object that the parts have left, other than what holds data.

    Args:
        env: The cluster.
        before: What was there before the parts, as `checks.inventory` returns it.
    """
    return [
        Finding(f"{env.sync.name} {name}", None, "stays when the parts are removed", "prune it")
        for name, item in checks.objects_by_name(env.client)
        if name not in before
        and not item["metadata"].get("ownerReferences")
        and not checks.is_ignored_orphan(name)
        and not checks.survives_removal(name)
    ]


def check_secrets(env: Environment) -> list[Finding]:
    """Check that Grafana's pod waits for no Secret that is missing, as that of GitHub is."""
    names = {
        reference["name"]
        for one in deployed(env, GRAFANA, GRAFANA).container["env"]
        if (reference := one.get("valueFrom", {}).get("secretKeyRef"))
        and not reference.get("optional")
    }
    there = {item["metadata"]["name"] for item in env.client.all("v1", "Secret", MONITORING)}
    text, fix = "Grafana waits for it, and it is not there", "let it be optional"
    place = f"{env.sync.name} Secret"
    return [Finding(f"{place} {name}", None, text, fix) for name in sorted(names - there)]


def certificate(env: Environment) -> Object:
    """Return the Certificate of the public address."""
    return env.client.get(CERTIFICATES, "Certificate", CERTIFICATE, GATEWAY)


def why_not_issued(env: Environment, name: str = CERTIFICATE) -> str:
    """Say in cert-manager's words why a certificate is not there; empty if it is."""
    item = env.client.get(CERTIFICATES, "Certificate", name, GATEWAY)
    ready = condition(item, "Ready")
    generation = item["metadata"]["generation"]
    if ready.get("status") == "True" and ready.get("observedGeneration") == generation:
        return ""
    found = [str(ready.get("message") or "not looked at yet")]
    found.append(str(condition(item, "Issuing").get("message", "")))
    for issuer in env.client.all(CERTIFICATES, "Issuer", GATEWAY):
        if condition(issuer, "Ready").get("status") != "True":
            found.append(f"Issuer: {condition(issuer, 'Ready').get('message')}")
    for kind in ("Order", "Challenge"):
        for one in env.client.all(ACME, kind, GATEWAY):
            status = one.get("status") or {}
            if status.get("state") != "valid":
                found.append(f"{kind} {status.get('state')}: {status.get('reason', '')}")
    return "; ".join(one for one in found if one)


def issuer(env: Environment) -> str:
    """Return the name of the Issuer that the certificate is of, as cert-manager has noted it."""
    name = certificate(env)["spec"]["secretName"]
    secret = env.client.get("v1", "Secret", name, GATEWAY)
    return str(secret["metadata"].get("annotations", {}).get("cert-manager.io/issuer-name"))


def check_served(programs: PublicPrograms, host: str = HOST) -> list[Finding]:
    """Check what a browser sees: the certificate, the way to Grafana, and from http to https."""
    found = []

    def expect(what: str, true: object, seen: object) -> None:
        if not true:
            found.append(Finding(f"https://{host}", None, f"{what}: {seen}", "see Traefik's log"))

    page = programs.get(host)
    expect("is not Grafana's page", page.status == 200 and page.content.startswith(PAGE), page)
    expect(
        "Grafana does not learn that it was https",
        b'"x-forwarded-proto": "https"' in page.content,
        page,
    )
    expect("Grafana does not learn its host", f'"host": "{host}"'.encode() in page.content, page)
    plain = programs.get(host, "/d/todo-api?from=now-1h", secure=False)
    wanted = f"https://{host}/d/todo-api?from=now-1h"
    expect(
        "http is not redirected",
        (plain.status, plain.headers.get("location")) == (301, wanted),
        plain,
    )
    try:
        other = programs.get(f"other.{host}")
        expect("answers for another host", False, other)
    except OSError:
        pass  # Its certificate is of another name.
    return found


def check_rate_limit(programs: PublicPrograms, host: str = HOST) -> list[Finding]:
    """Check that passwords cannot be guessed for long, and that nobody else is held up by it."""
    guesses = [programs.get(host, "/login", method="POST").status for _ in range(GUESSES)]
    page = programs.get(host, "/login").status
    wrong = []
    if guesses[0] != 200 or 429 not in guesses:
        wrong.append(f"{GUESSES} guesses of a password are answered {sorted(set(guesses))}")
    if page != 200:
        wrong.append(f"the page of the login is answered {page} meanwhile")
    return [Finding(f"https://{host}/login", None, text, "see the rate limit") for text in wrong]
