"""Certificates for a server of a test, by an authority that nobody trusts unless he is told to."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

DAYS = 40


def issued(folder: Path, authority: str) -> ssl.SSLContext:
    """Write `ca.pem`, and return what a server of this machine's loopback address needs."""
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    days = ("-days", str(DAYS))
    ca = ("-subj", f"/O=Let's Encrypt/CN={authority}", "-keyout", "ca.key", "-out", "ca.pem")
    _openssl(folder, "req", "-x509", *new, *days, *ca)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    leaf = ("-subj", "/CN=grafana", "-keyout", "server.key", "-out", "server.csr")
    _openssl(folder, "req", *new, *leaf)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    _openssl(folder, "x509", "-req", "-in", "server.csr", *signed, *days, "-out", "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(("openssl", *arguments), cwd=folder, check=True, capture_output=True)
