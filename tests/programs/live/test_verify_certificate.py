"""A public address as a browser finds it: a certificate, trusted or not, and http's redirect."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.core.findings import RepositoryError
from scripts.live.verify import certificate
from scripts.live.verify.grafana import Grafana, of_token
from tests.programs.live.certificates import DAYS, issued
from tests.programs.live.grafana_server import TOKEN


@dataclass
class Answers:
    """What a server answers to everything.

    Attributes:
        status: Its status.
        headers: Its headers.
        credentials: What was sent as such.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    credentials: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serving(answers: Answers, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a free port, by https where there is a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.credentials += [self.headers["Authorization"] or ""]
            self.send_response(answers.status)
            for name, value in answers.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Http(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    http = Http(("127.0.0.1", 0), Handler)
    if tls:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield http.server_address[1]
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.mark.parametrize(
    ("authority", "message", "fix"),
    [
        (
            "(STAGING) Wannabe Watercress R11",
            "its certificate is of Let's Encrypt's staging, which no browser trusts",
            "certificate/production in place of certificate/staging",
        ),
        ("TRAEFIK DEFAULT CERT", "is Traefik's own, as there is none for this host", "kubectl get"),
        ("Acme", "its certificate is not trusted: unable to get local issuer", "SSL_CERT_FILE"),
    ],
    ids=["staging", "Traefik's", "another"],
)
def test_a_certificate_that_is_not_trusted_is_named(
    tmp_path: Path, authority: str, message: str, fix: str
) -> None:
    answers = Answers()
    with serving(answers, issued(tmp_path, authority)) as port:
        url = f"https://127.0.0.1:{port}"
        page = Grafana(url, lambda: url, of_token(TOKEN, "somebody"), local=True)
        with pytest.raises(RepositoryError) as error:
            page.ask("/api/health")
    (finding,) = error.value.findings
    assert (message in finding.message, fix in finding.fix) == (True, True), str(error.value)
    assert type(error.value) is RepositoryError, "it would be asked again until the limit"
    assert not answers.credentials


def test_what_browsers_see_of_the_address_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = issued(tmp_path, "R99")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    strict = {"Strict-Transport-Security": "max-age=86400"}
    secure, plain = Answers(302, {**strict, "Location": "/login"}), Answers(301)
    with serving(secure, tls) as port, serving(plain) as http:
        monkeypatch.setattr(certificate, "HTTP_PORT", http)
        url = f"https://127.0.0.1:{port}"
        plain.headers = {"Location": "https://127.0.0.1/"}
        good, text = certificate.seen(url)
        assert (good, text) == (
            True,
            f"certificate of Let's Encrypt R99 for {DAYS} days more; "
            "Strict-Transport-Security: max-age=86400; http is led to https",
        )
        for headers in ({"Location": "http://127.0.0.1/"}, {"Location": "https://other.test/"}):
            plain.headers = headers
            good, text = certificate.seen(url)
            assert (good, text.rpartition("; ")[2]) == (False, "http answers 301 itself")
        plain.status, plain.headers = 200, {"Location": "https://127.0.0.1/"}
        assert certificate.seen(url)[0] is False
        plain.status, secure.headers = 308, {}
        good, text = certificate.seen(url)
        assert (good, "no Strict-Transport-Security" in text) == (False, True)
        assert not any((*secure.credentials, *plain.credentials))
        secure.headers = strict
    with serving(secure, tls) as port:
        good, text = certificate.seen(f"https://127.0.0.1:{port}")
        assert (good, "http does not answer: " in text) == (False, True)
    good, text = certificate.seen(f"https://127.0.0.1:{port}")
    assert (good, "certificate and redirect are not known: " in text) == (False, True)
