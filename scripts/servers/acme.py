"""An ACME server on loopback: Pebble, and the DNS server that it looks names up in."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

from scripts.servers.http_client import HttpClient, request
from scripts.servers.processes import LOOPBACK, Processes, free_ports, openssl

PEBBLE = "pebble"
DNS = "pebble-challtestsrv"
# Pebble's own defaults have it be as unpleasant as a server may: it waits, and it refuses nonces.
# Authorizations are not reused, so that each certificate takes a challenge.
_PLEASANT = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}


class AcmeServer:
    """Issues certificates to whoever answers its challenges.

    Attributes:
        port: Where its directory is served, on loopback.
        authority: File of the certificate that its own TLS is checked against.
    """

    def __init__(
        self, processes: Processes, host: str, address: str, http_port: int, lifetime: int
    ) -> None:
        """Start it.

        Args:
            processes: Where it runs.
            host: The name that its clients know it by, such as `acme.example.org`.
            address: What every name is resolved to, of the loopback network.
            http_port: What it takes for port 80.
            lifetime: Of a certificate, in seconds.
        """
        self._processes = processes
        self._folder = processes.folder(PEBBLE)
        self.port, self._management, dns, self._dns_management = free_ports(4)
        self.authority = self._folder / "server.crt"
        key = self._folder / "server.key"
        openssl(
            "scripts/servers/acme.py",
            "Pebble needs a certificate of its own",
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={host}"),
            *("-addext", f"subjectAltName=DNS:{host},IP:{LOOPBACK}"),
            *("-keyout", str(key), "-out", str(self.authority)),
        )
        profile = {"description": "the only one", "validityPeriod": lifetime}
        settings = {
            "listenAddress": f"{LOOPBACK}:{self.port}",
            "managementListenAddress": f"{LOOPBACK}:{self._management}",
            "certificate": str(self.authority),
            "privateKey": str(key),
            "httpPort": http_port,
            "keyAlgorithm": "ecdsa",
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": profile},
        }
        path = self._folder / "pebble.json"
        path.write_text(json.dumps({"pebble": settings}))
        processes.start(
            DNS,
            f"-dnsserver={LOOPBACK}:{dns}",
            f"-management={LOOPBACK}:{self._dns_management}",
            f"-defaultIPv4={address}",
            *("-defaultIPv6=", "-http01=", "-https01=", "-tlsalpn01=", "-doh="),
        )
        processes.start(
            PEBBLE,
            f"-config={path}",
            f"-dnsserver={LOOPBACK}:{dns}",
            environment=_PLEASANT,
        )
        processes.until(PEBBLE, self._missing)

    def _missing(self) -> str:
        return "" if self._get(self.port, "/dir").startswith(b"{") else "it has no directory"

    def _get(self, port: int, path: str) -> bytes:
        context = ssl.create_default_context(cafile=str(self.authority))
        client = HttpClient(f"{LOOPBACK}:{port}", 20, context)
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
