"""What goes wrong with a public address: each is told in words, and Grafana stays as it is."""

from __future__ import annotations

import datetime
import functools
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from scripts.cluster.e2e.disruptions import Disruption, DisruptionResult
from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.prometheus_operator import MONITORING
from scripts.cluster.e2e.public_address import certificate, check_served, why_not_issued
from scripts.cluster.e2e.public_parts import HOST, set_host
from scripts.cluster.e2e.public_probe import DOWN, check_alerts
from scripts.cluster.e2e.public_programs import (
    ACME,
    CERT_MANAGER,
    CERTIFICATES,
    GATEWAY,
    GATEWAY_API,
    TRAEFIK,
    PublicPrograms,
    loopback_address,
)
from scripts.core.findings import Finding, RepositoryError
from scripts.model import clusters
from scripts.model.api_groups import HELM
from scripts.servers.git_remote import append_to_list
from scripts.servers.kubernetes.client import Object, condition

OTHER_HOST = f"other-{HOST}"
# Seconds.
_AFTER_FAILURE = 3.0


def faults(programs: PublicPrograms) -> list[Disruption]:
    """Return the faults, in an order in which the last ones leave a certificate time to expire."""
    runs: list[tuple[str, Callable[[PublicPrograms, Environment], DisruptionResult], str]] = [
        ("a challenge that nobody can reach", _unreachable, ""),
        ("an Issuer whose server is wrong", _wrong_issuer, ""),
        ("another host", _other_host, "grafana-"),
        ("the Gateway deleted by hand", _gateway_deleted, ""),
        ("a certificate that expires", _expired, ""),
    ]
    return [Disruption(name, functools.partial(run, programs), pods) for name, run, pods in runs]


def renew(env: Environment) -> None:
    """Have cert-manager renew the certificate now, as `cmctl renew` does."""
    item = certificate(env)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    issuing = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "Certificate re-issuance manually triggered",
        "lastTransitionTime": now,
        "observedGeneration": item["metadata"]["generation"],
    }
    others = [c for c in item["status"].get("conditions", []) if c["type"] != "Issuing"]
    change = {"status": {"conditions": [*others, issuing]}}
    path = f"{env.client.path(item)}/status"
    env.client.send("PATCH", path, None, change, "application/merge-patch+json")


def _serial(programs: PublicPrograms, host: str = HOST) -> str:
    return programs.get(host).serial


def wait_for_other(programs: PublicPrograms, serial: str, host: str = HOST) -> float:
    """Wait until a certificate other than that of a serial is served; return how long it took."""

    def same() -> str:
        return "" if _serial(programs, host) != serial else why_not_issued(programs.env) or serial

    return programs.env.until(same, "no other certificate is served")


def _check_alerted(programs: PublicPrograms) -> None:
    """Check that the alert of an address that is down comes of what a probe finds.

    Raises:
        RepositoryError: If not.
    """
    if found := check_alerts(programs, DOWN):
        raise RepositoryError(*found)


def _unreachable(programs: PublicPrograms, env: Environment) -> DisruptionResult:
    """Resolve the host to where nobody listens, as a wrong DNS record does."""
    programs.acme.resolve(loopback_address())
    renew(env)
    message, reported = _told(env, _failed_challenge)
    serial = _serial(programs)
    programs.acme.resolve(programs.address)
    # What has failed within the same second counts for the next attempt, too.
    time.sleep(_AFTER_FAILURE)
    renew(env)
    return DisruptionResult(message, reported, wait_for_other(programs, serial))


def _failed_challenge(env: Environment) -> str:
    reasons = [
        str(one["status"].get("reason"))
        for one in env.client.all(ACME, "Challenge", GATEWAY)
        if (one.get("status") or {}).get("state") == "invalid"
    ]
    issuing = condition(certificate(env), "Issuing")
    if issuing.get("status") != "False" or not reasons:
        return ""
    return f"Certificate: {issuing.get('message')} Challenge: {reasons[0]}"


def _told(env: Environment, message: Callable[[Environment], str]) -> tuple[str, float]:
    """Wait until something is said; return it, and how long it took, in seconds."""
    found: list[str] = []

    def silent() -> str:
        found[:] = [message(env)]
        return "" if found[0] else why_not_issued(env) or "all is well"

    took = env.until(silent, "nobody tells the fault", timeout=90)
    return " ".join(found[0].split()), took


def _wrong_issuer(programs: PublicPrograms, env: Environment) -> DisruptionResult:
    """Commit a server that does not answer: with one of the same host, an account still counts."""
    (issuer,) = env.client.all(CERTIFICATES, "Issuer", GATEWAY)
    server = issuer["spec"]["acme"]["server"].replace("https://", "https://typo.")
    patch = {"target": {"kind": "Issuer"}, "patch": yaml.safe_dump(_server(issuer, server))}

    def change(tree: Path) -> None:
        for environment in clusters.environments(tree, env.cluster):
            path = tree / "overlays" / environment / "public/kustomization.yaml"
            append_to_list(path, "patches", patch)

    env.push("A wrong server", change)
    message, reported = _told(env, _unready_issuer)
    env.revert()
    recovered = env.wait_for_sync()
    recovered += env.until(lambda: _unready_issuer(env), "the Issuer does not recover")
    return DisruptionResult(message, reported, recovered)


def _server(issuer: Object, server: str) -> Object:
    names = {key: issuer[key] for key in ("apiVersion", "kind")}
    metadata = {"name": issuer["metadata"]["name"]}
    return {**names, "metadata": metadata, "spec": {"acme": {"server": server}}}


def _unready_issuer(env: Environment) -> str:
    (issuer,) = env.client.all(CERTIFICATES, "Issuer", GATEWAY)
    ready = condition(issuer, "Ready")
    if ready.get("status") == "True" and (
        ready.get("observedGeneration") == issuer["metadata"]["generation"]
    ):
        return ""
    return f"Issuer: {ready.get('message')}"


def _other_host(programs: PublicPrograms, env: Environment) -> DisruptionResult:
    """Change the one parameter: everything follows, and the old host is answered no longer."""
    env.push("Another host", lambda tree: set_host(tree, OTHER_HOST))
    began = time.monotonic()
    env.wait_for_sync()

    def wrong(host: str) -> str:
        return "; ".join(map(str, check_served(programs, host)))

    env.until(lambda: wrong(OTHER_HOST), "the other host is not answered")
    reported = time.monotonic() - began
    try:
        answer = programs.get(HOST)
    except OSError as error:
        message = f"{HOST}: {error}"
    else:
        text = f"{HOST} is still answered: {answer}"
        raise RepositoryError(Finding(env.sync.name, None, text, "see the Gateway's listeners"))
    env.revert()
    recovered = env.wait_for_sync()
    return DisruptionResult(
        message, reported, recovered + env.until(lambda: wrong(HOST), "the host is not answered")
    )


def _gateway_deleted(programs: PublicPrograms, env: Environment) -> DisruptionResult:
    """Delete the Gateway; Flux puts it back when it next looks at its release."""
    env.client.delete(env.client.get(GATEWAY_API, "Gateway", TRAEFIK, GATEWAY))
    message, reported = _told(env, lambda _: _unanswered(programs))
    _check_alerted(programs)
    env.reconcile(env.client.get(f"{HELM}/v2", "HelmRelease", TRAEFIK, GATEWAY))
    recovered = env.until(
        lambda: "; ".join(map(str, check_served(programs))), "the address does not come back"
    )
    return DisruptionResult(message, reported, recovered + env.wait_for_sync())


def _unanswered(programs: PublicPrograms) -> str:
    """Say what is told of the route while the address does not answer; empty while it does."""
    try:
        answer = programs.get(HOST)
        if answer.status == 200:
            return ""
        seen = f"{answer.status}"
    except OSError as error:
        seen = str(error)
    route = programs.env.client.get(GATEWAY_API, "HTTPRoute", "grafana", MONITORING)
    parents = (route.get("status") or {}).get("parents") or ()
    told = [c.get("message") for p in parents for c in p["conditions"] if c["status"] != "True"]
    return f"{seen}; HTTPRoute: {told or 'no parent'}"


def _expired(programs: PublicPrograms, env: Environment) -> DisruptionResult:
    """End cert-manager, and wait until the certificate that it would have renewed is over."""
    serial = _serial(programs)
    env.processes.kill(CERT_MANAGER)

    def expired(_: Environment) -> str:
        try:
            _serial(programs)
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        return ""

    message, reported = _told(env, expired)
    _check_alerted(programs)
    programs.start_cert_manager()
    return DisruptionResult(message, reported, wait_for_other(programs, serial))
