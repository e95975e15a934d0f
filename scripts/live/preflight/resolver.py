"""Names of hosts and their addresses, as this machine's resolver knows them."""

from __future__ import annotations

import queue
import socket
import threading

# Seconds that the resolver has; by itself it may take half a minute.
TIMEOUT = 5.0


def addresses(host: str) -> frozenset[str]:
    """Return the IP addresses of a host, of an address itself; none where it does not resolve.

    Args:
        host: A name, or an IP address, also one in brackets.
    """
    answers: queue.SimpleQueue[frozenset[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        answers.put(frozenset(str(address[0]) for *_, address in found))

    # A daemon, as nothing ends a resolver that hangs, and this program need not wait for it.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=TIMEOUT)
    except queue.Empty:
        return frozenset()
