"""A SOCKS proxy (RFC 1928) that forwards connections to a pod's address to a program on loopback.

Programs that keep the host which they were asked for, such as Traefik, name it to an HTTP proxy in
place of the pod that they have chosen.
"""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import struct
import threading
from collections.abc import Mapping

from scripts.servers.processes import LOOPBACK
from scripts.servers.tcp_proxy import relay

_VERSION = 5
_ADDRESS, _NAME = 1, 3
_DONE, _REFUSED = 0, 5
# The address that a reply has to name, which nobody reads.
_BOUND = struct.pack("!BB4sH", 0, _ADDRESS, bytes(4), 0)


class SocksProxy:
    """Forwards from the addresses of pods, which nobody listens on; refuses all other addresses.

    Attributes:
        url: Where it is, as programs want it in `HTTP_PROXY`.
    """

    def __init__(self, routes: Mapping[str, int]) -> None:
        """Listen.

        Args:
            routes: Port on loopback, by `address:port` or `name:port`; may change meanwhile.
        """

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                _, methods = struct.unpack("!BB", self.rfile.read(2))
                self.rfile.read(methods)
                self.wfile.write(struct.pack("!BB", _VERSION, 0))
                port = routes.get(_target(self))
                if port is None:
                    self.wfile.write(struct.pack("!BB", _VERSION, _REFUSED) + _BOUND)
                    return
                with socket.create_connection((LOOPBACK, port)) as server:
                    self.wfile.write(struct.pack("!BB", _VERSION, _DONE) + _BOUND)
                    relay(self.request, server)

        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"socks5://{LOOPBACK}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


def _target(request: socketserver.StreamRequestHandler) -> str:
    """Read what a client wants to connect to."""
    *_, kind = struct.unpack("!BBBB", request.rfile.read(4))
    if kind == _NAME:
        host = request.rfile.read(request.rfile.read(1)[0]).decode()
    else:
        host = str(ipaddress.ip_address(request.rfile.read(4 if kind == _ADDRESS else 16)))
    return f"{host}:{struct.unpack('!H', request.rfile.read(2))[0]}"
