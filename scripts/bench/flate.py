"""flate, which compares revisions of Flux repositories, on trees of this one.

https://github.com/home-operations/flate. It takes OCI charts over TLS alone, and asks for the
addresses that the files have before kustomize replaces them, besides those that they get: the
component base/optional/mirror leads only half of it to another registry.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from scripts import tools
from scripts.model.images import DIGEST
from scripts.servers.processes import LOOPBACK, Processes, openssl
from scripts.servers.registry import Registry
from scripts.servers.tcp_proxy import relay

NAME = "flate"
BASE = "HEAD"
# The diff syntax that is made for pull requests; what differs is known by its identity.
FORMAT = "--output=github"
# Without it, flate leaves CRDs out.
CRDS = "--skip-crds=false"
# A heading: where in an object, and the object as `group/version/Kind/namespace/name`.
_HEADING = re.compile(r"^@@ .* @@\n# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class FlateResult:
    """What flate says of one change, in all clusters.

    Attributes:
        objects: Each object of which something differs, as flate names it.
        lines: How many lines are added or removed in its diffs.
        failures: What it could not compare, by cluster; it exits with an error then.
    """

    objects: frozenset[str]
    lines: int
    failures: tuple[str, ...]


class Flate:
    """`flate diff`, with a registry of its own and a cache that lasts as long as the processes.

    Attributes:
        registry: Where it finds charts.
    """

    def __init__(self, processes: Processes) -> None:
        """Build it if need be, and start an empty registry."""
        tools.path(NAME)
        self._cache = processes.folder("flate-cache")
        self.registry = Registry(processes)
        self._host = encrypted(self.registry.host, processes.folder("certificate"))

    def adopt(self, root: Path) -> None:
        """Have the releases of a tree name the registry, where their own registries stand."""
        for path in (root / "base/releases").glob("*.yaml"):
            path.write_text(readdressed(path.read_text(), self._host))

    def diff(self, root: Path, *flags: str) -> FlateResult:
        """Compare the working tree with BASE: each cluster's Flux folder, one after the other."""
        objects: set[str] = set()
        lines = 0
        failures = []
        for path in sorted(root.glob("clusters/*/flux")):
            folder = path.relative_to(root)
            place = (f"--path={folder}", f"--cache-dir={self._cache}")
            run = tools.run(NAME, *arguments(*flags), *place, cwd=root)
            objects |= set(_HEADING.findall(run.stdout))
            lines += sum(line.startswith(("+", "-")) for line in run.stdout.splitlines())
            if run.returncode:
                failures.append(f"{folder}: {' '.join(run.stderr.split())[-300:]}")
        return FlateResult(frozenset(objects), lines, tuple(failures))

    def test(self, root: Path) -> bool:
        """Say whether each cluster's Flux folder is good: sources, Kustomizations, releases."""
        return all(
            tools.run(
                NAME,
                *("test", "all", f"--path={path.relative_to(root)}", CRDS),
                f"--cache-dir={self._cache}",
                cwd=root,
            ).returncode
            == 0
            for path in sorted(root.glob("clusters/*/flux"))
        )


def arguments(*flags: str) -> tuple[str, ...]:
    """Return its arguments, but for the folder and its cache."""
    return ("diff", "all", f"--base={BASE}", FORMAT, *flags)


def readdressed(text: str, host: str) -> str:
    """Return a release's file with its chart in another registry, whose certificate is not known.

    By its tag: what is pushed to another registry has another digest.

    Args:
        text: The file: an OCIRepository, or a HelmRepository that is not OCI, and a HelmRelease.
        host: The registry's host and port.
    """
    oci = re.sub(
        r"(?m)^  url: oci://[^/\n]+/(.+)$", rf"  url: oci://{host}/\1\n  insecure: true", text
    )
    by_tag = re.sub(rf"(?m)^    digest: {DIGEST.pattern}\n", "", oci)
    return re.sub(
        r"(?m)^  url: https://[^/\n]+/(.+)$",
        rf"  type: oci\n  url: oci://{host}/\1\n  insecure: true",
        by_tag,
    )


def encrypted(host: str, folder: Path) -> str:
    """Offer a server of this machine over TLS, too, for as long as this program runs.

    Args:
        host: The server's host and port.
        folder: Where its key and its certificate go; nobody but itself has signed that.

    Returns:
        The host and port where it speaks TLS.

    Raises:
        RepositoryError: Where there is no openssl.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    files = ("-subj", f"/CN={LOOPBACK}", "-keyout", str(key), "-out", str(certificate))
    need = "the registry needs a certificate, as flate wants TLS"
    openssl("scripts/bench/flate.py", need, *request, *files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    name, _, port = host.partition(":")

    class TlsHandler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # Whoever gives up in the handshake does not get an answer.
            with (
                contextlib.suppress(ssl.SSLError, ConnectionError),
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection((name, int(port))) as server,
            ):
                relay(client, server)

    front = socketserver.ThreadingTCPServer((LOOPBACK, 0), TlsHandler)
    front.daemon_threads = True
    threading.Thread(target=front.serve_forever, daemon=True).start()
    return f"{LOOPBACK}:{front.server_address[1]}"
