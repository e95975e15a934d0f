"""A TCP proxy in front of one server or several, which takes them out of reach and back."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import socketserver
import threading

from scripts.servers.processes import LOOPBACK, free_port

# Seconds that a connection may be idle.
_IDLE = 60.0


def relay(one: socket.socket, other: socket.socket) -> None:
    """Copy what either of two connections sends to the other, until one of them ends."""
    pair = {one: other, other: one}
    with contextlib.suppress(ConnectionError):
        while ready := select.select(list(pair), (), (), _IDLE)[0]:
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                pair[source].sendall(data)


class TcpProxy:
    """A port that forwards connections to others while it is open.

    Attributes:
        port: Its number.
        host: Its host and port, as they stand in an address.
    """

    def __init__(self, *ports: int) -> None:
        """Forward to ports of this machine, one after the other in turn; closed at first.

        A connection to one that nobody listens on is closed, and the next goes to another.
        """
        self.port = free_port()
        self.host = f"{LOOPBACK}:{self.port}"
        turns = itertools.cycle(ports)

        class RelayHandler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with (
                    contextlib.suppress(ConnectionError),
                    socket.create_connection((LOOPBACK, next(turns))) as server,
                ):
                    relay(self.request, server)

        self._handler = RelayHandler
        self._server: socketserver.ThreadingTCPServer | None = None

    def open(self) -> None:
        """Accept connections, at the same port each time."""
        self._server = _TcpServer((LOOPBACK, self.port), self._handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Refuse connections."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
