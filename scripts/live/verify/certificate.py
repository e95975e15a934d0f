"""What a browser sees of a public address before Grafana: its certificate, and http's redirect."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json

# Seconds for one connection.
TIMEOUT = 10
HTTP_PORT, HTTPS_PORT = 80, 443
# What the names in certificates begin with that nobody is to trust, and what to do about each.
KNOWN: Mapping[bytes, tuple[str, str]] = {
    b"(STAGING)": (
        "is of Let's Encrypt's staging, which no browser trusts",
        "take in certificate/production in place of certificate/staging once it is READY",
    ),
    b"TRAEFIK DEFAULT CERT": (
        "is Traefik's own, as there is none for this host yet",
        "see `kubectl get certificates --all-namespaces` for why",
    ),
}


def untrusted(place: str, url: str, error: ssl.SSLCertVerificationError) -> RepositoryError:
    """Return what to say of a certificate that is not trusted, which waiting does not change.

    Args:
        place: What the finding names.
        url: Where it is.
        error: Why it is not trusted.
    """
    message = f"is not trusted: {error.verify_message}"
    fix = "correct the certificate; SSL_CERT_FILE names a private authority's"
    shown = _shown(urlsplit(url))
    for name, known in KNOWN.items():
        if name in shown:
            message, fix = known
    return RepositoryError(Finding(place, None, f"its certificate {message}", fix))


def seen(url: str) -> tuple[bool, str]:
    """Say for how long the certificate of an address is, and whether browsers stay with https.

    Args:
        url: An address of https that answers.

    Returns:
        Whether all of it is as it should be, and a text.
    """
    parts = urlsplit(url)
    try:
        certificate, strict = _by_https(parts)
        redirected = _redirect(parts)
    except (OSError, http.client.HTTPException) as error:
        return False, f"certificate and redirect are not known: {error}"
    left = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86400
    issuer = {key: value for pairs in certificate["issuer"] for key, value in pairs}
    by = " ".join(filter(None, (issuer.get("organizationName"), issuer.get("commonName"))))
    text = f"certificate of {by} for {left:.0f} days more"
    text += f"; Strict-Transport-Security: {strict}" if strict else "; no Strict-Transport-Security"
    return bool(strict) and not redirected, f"{text}; http {redirected or 'is led to https'}"


def _by_https(parts: SplitResult) -> tuple[Mapping[str, Json], str]:
    context = ssl.create_default_context()
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or HTTPS_PORT, timeout=TIMEOUT, context=context
    )
    with contextlib.closing(connection):
        connection.connect()
        certificate: Mapping[str, Json] = connection.sock.getpeercert() or {}
        connection.request("GET", f"{parts.path}/login")
        return certificate, connection.getresponse().getheader("Strict-Transport-Security", "")


def _redirect(parts: SplitResult) -> str:
    """Return what http does in place of leading to https; empty where it does that."""
    connection = http.client.HTTPConnection(parts.hostname or "", HTTP_PORT, timeout=TIMEOUT)
    with contextlib.closing(connection):
        try:
            connection.request("GET", f"{parts.path}/")
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            return f"does not answer: {error}"
        target = urlsplit(answer.getheader("Location", ""))
    led = 300 <= answer.status < 400 and target.scheme == "https"
    return "" if led and target.hostname == parts.hostname else f"answers {answer.status} itself"


def _shown(parts: SplitResult) -> bytes:
    """Return the certificate of an address, trusted or not; empty where there is none."""
    place = parts.hostname or "", parts.port or HTTPS_PORT
    try:
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(place, timeout=TIMEOUT))
    except (OSError, ValueError):
        return b""
