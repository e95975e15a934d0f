"""An ACME server on loopback: Pebble, and the DNS server that it looks names up in."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Sequence, Set
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from scripts.servers.http_client import HttpClient, request
from scripts.servers.processes import LOOPBACK, Processes, free_ports, openssl

PEBBLE = "pebble"
DNS = "pebble-challtestsrv"
# Pebble's own defaults have it be as unpleasant as a server may: it waits, and it refuses nonces.
# Authorizations are not reused, so that each certificate takes a challenge.
_PLEASANT = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
# Where Pebble has its directory.
_DIRECTORY = "/dir"
_TIMEOUT = 20


class AcmeServer:
    """Issues certificates to whoever answers its challenges.

    Attributes:
        port: Where its directory is served, on loopback.
        authority: File of the certificate that its own TLS is checked against.
    """

    def __init__(
        self,
        processes: Processes,
        urls: Sequence[str],
        address: str,
        http_port: int,
        lifetime: int,
    ) -> None:
        """Start it.

        Args:
            processes: Where it runs.
            urls: Where its clients think that its directory is, `https://host/path`.
            address: What every name is resolved to, of the loopback network.
            http_port: What it takes for port 80.
            lifetime: Of a certificate, in seconds.
        """
        self._folder = processes.folder(PEBBLE)
        self._pebble, self._management, dns, self._dns_management = free_ports(4)
        self.authority = self._folder / "server.crt"
        key = self._folder / "server.key"
        names = ",".join(f"DNS:{urlsplit(url).netloc}" for url in urls)
        openssl(
            "scripts/servers/acme.py",
            "Pebble needs a certificate of its own",
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=pebble"),
            *("-addext", f"subjectAltName={names},IP:{LOOPBACK}"),
            *("-keyout", str(key), "-out", str(self.authority)),
        )
        profile = {"description": "the only one", "validityPeriod": lifetime}
        settings = {
            "listenAddress": f"{LOOPBACK}:{self._pebble}",
            "managementListenAddress": f"{LOOPBACK}:{self._management}",
            "certificate": str(self.authority),
            "privateKey": str(key),
            "httpPort": http_port,
            "keyAlgorithm": "ecdsa",
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": profile},
        }
        file = self._folder / "pebble.json"
        file.write_text(json.dumps({"pebble": settings}))
        processes.start(
            DNS,
            f"-dnsserver={LOOPBACK}:{dns}",
            f"-management={LOOPBACK}:{self._dns_management}",
            f"-defaultIPv4={address}",
            *("-defaultIPv6=", "-http01=", "-https01=", "-tlsalpn01=", "-doh="),
        )
        processes.start(
            PEBBLE,
            f"-config={file}",
            f"-dnsserver={LOOPBACK}:{dns}",
            environment=_PLEASANT,
        )
        processes.until(PEBBLE, self._missing)
        paths = {urlsplit(url).path for url in urls}
        self._front = _front(self._pebble, paths, self.authority, key)
        self.port = int(self._front.server_address[1])

    def close(self) -> None:
        """Be reached no longer; its programs end with the others."""
        self._front.shutdown()
        self._front.server_close()

    def _missing(self) -> str:
        found = self._get(self._pebble, _DIRECTORY)
        return "" if found.startswith(b"{") else "it has no directory"

    def _get(self, port: int, path: str) -> bytes:
        context = ssl.create_default_context(cafile=str(self.authority))
        client = HttpClient(f"{LOOPBACK}:{port}", _TIMEOUT, context)
        try:
            return client.send("GET", path).content
        finally:
            client.close()

    def root(self) -> Path:
        """Return a file of the root that the certificates it issues are checked against."""
        path = self._folder / "root.crt"
        path.write_bytes(self._get(self._management, "/roots/0"))
        return path

    def resolve(self, address: str) -> None:
        """Resolve every name to another address from now on."""
        url = f"http://{LOOPBACK}:{self._dns_management}/set-default-ipv4"
        request(url, method="POST", body=json.dumps({"ip": address}).encode())


def _front(port: int, paths: Set[str], certificate: Path, key: Path) -> ThreadingHTTPServer:
    """Serve Pebble with its directory at other paths."""
    trusted = ssl.create_default_context(cafile=str(certificate))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def _forward(self) -> None:
            target = _DIRECTORY if self.path in paths else self.path
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            client = http.client.HTTPSConnection(LOOPBACK, port, timeout=_TIMEOUT, context=trusted)
            client.request(self.command, target, body, dict(self.headers))
            answer = client.getresponse()
            content = answer.read()
            client.close()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = _forward  # noqa: N815 - the names are http.server's

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
