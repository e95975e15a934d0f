"""An S3 server over a folder: VersityGW, which checks signatures, on loopback.

Two of its kind are wanted: one as it is, and one that refuses uploads in signed parts, as Oracle's
S3 compatible API did until July 2026. The AWS SDK sends those where it is not given the checksum of
a body beforehand.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.servers.processes import LOOPBACK, Processes, free_port
from scripts.servers.tcp_proxy import relay

NAME = "versitygw"
REGION = "us-east-1"
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"  # noqa: S105 - of a server on loopback that ends with its test
# A line of the server's log: who owns the bucket, its name, time, address, who asks, the request's
# number, the operation, key, path, status.
_REQUEST = re.compile(
    r"\S+ (?P<bucket>\S+) \[.*?\] \S+ \S+ \S+ s3_(?P<operation>\w+) \S+ \S+ (?P<status>\d{3}) "
)
_CHUNKED = re.compile(rb"(?im)^content-encoding:.*aws-chunked")
_DRAIN_SECONDS = 5.0
_NOT_IMPLEMENTED = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>NotImplemented</Code>'
    "<Message>AWS chunked encoding not supported.</Message></Error>"
)


@dataclass(frozen=True)
class Object:
    """An object of a bucket: its key, and its size in bytes."""

    key: str
    size: int


class ObjectStorage:
    """A running S3 server.

    Attributes:
        host: Host and port, as they stand in a configuration of S3.
        region: What requests must be signed for.
        access_key: Of the owner of every bucket.
        secret_key: The other half.
    """

    region = REGION
    access_key = ACCESS_KEY
    secret_key = SECRET_KEY

    def __init__(self, processes: Processes, *buckets: str, refuse_chunked: bool = False) -> None:
        """Start it with empty buckets; it ends with the other processes.

        Args:
            processes: What it is started with.
            buckets: Their names.
            refuse_chunked: Whether to answer `Content-Encoding: aws-chunked` with 501.

        Raises:
            RepositoryError: If it does not start.
        """
        self._processes = processes
        self._folder = processes.folder(f"{NAME}-objects")
        self._log = processes.folder(NAME) / "requests.log"
        for bucket in buckets:
            (self._folder / bucket).mkdir(exist_ok=True)
        port = free_port()
        self._server = f"{LOOPBACK}:{port}"
        processes.start(
            NAME,
            f"--port={self._server}",
            f"--region={REGION}",
            f"--access-log={self._log}",
            "--quiet",
            "posix",
            # Not every file system has extended attributes.
            f"--sidecar={processes.folder(f'{NAME}-attributes')}",
            self._folder,
            environment={"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
        )
        self._wait()
        self._proxy = _RefusingProxy(port) if refuse_chunked else None
        self.host = self._proxy.host if self._proxy else self._server

    @property
    def endpoint(self) -> str:
        """Its address as a URL."""
        return f"http://{self.host}"

    @property
    def refused(self) -> int:
        """How many uploads were refused for their encoding."""
        return self._proxy.refused if self._proxy else 0

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that AWS' libraries read the keys from."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def objects(self, bucket: str) -> list[Object]:
        """Return what is in a bucket, by key."""
        root = self._folder / bucket
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return [Object(str(file.relative_to(root)), file.stat().st_size) for file in files]

    def path(self, bucket: str, key: str) -> Path:
        """Return the file of an object, to read or to spoil."""
        return self._folder / bucket / key

    def requests(self, bucket: str = "") -> Counter[tuple[str, int]]:
        """Return how often each operation, such as `PutObject`, was answered with a status.

        Args:
            bucket: Of this one only; else of all.
        """
        found: Counter[tuple[str, int]] = Counter()
        for line in self._log.read_text(errors="replace").splitlines():
            told = _REQUEST.match(line)
            if told and bucket in ("", told["bucket"]):
                found[told["operation"], int(told["status"])] += 1
        return found

    def down(self) -> None:
        """End it at once; what is stored stays."""
        self._processes.kill(NAME)

    def up(self) -> None:
        """Start it again, at the same address.

        Raises:
            RepositoryError: If it does not start.
        """
        self._processes.restart(NAME)
        self._wait()

    def close(self) -> None:
        """Let the proxy, if there is one, end; the server itself ends with the processes."""
        if self._proxy:
            self._proxy.close()

    def _wait(self) -> None:
        # It has no address for health: a request that nobody has signed is refused.
        self._processes.wait(NAME, f"http://{self._server}/", 403)


class _RefusingProxy:
    """A proxy that answers uploads in signed parts itself, and forwards all else as it is.

    A signature covers the header `Host`: the server is told the one that the client asked.
    """

    def __init__(self, port: int) -> None:
        """Listen in front of a port of this machine, which closes after each answer."""
        self.refused = 0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    head = _head(self.request)
                    if _CHUNKED.search(head.partition(b"\r\n\r\n")[0]):
                        outer.refused += 1
                        _refuse(self.request)
                    elif head:
                        with socket.create_connection((LOOPBACK, port)) as server:
                            server.sendall(head)
                            relay(self.request, server)

        self._server = _Server((LOOPBACK, 0), Handler)
        self.host = f"{LOOPBACK}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


def _head(connection: socket.socket) -> bytes:
    """Return what has come once the headers of a request are complete."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


def _refuse(connection: socket.socket) -> None:
    head = f"HTTP/1.1 501 Not Implemented\r\nContent-Length: {len(_NOT_IMPLEMENTED)}"
    kind = "Content-Type: application/xml\r\nConnection: close"
    connection.sendall(f"{head}\r\n{kind}\r\n\r\n{_NOT_IMPLEMENTED}".encode())
    connection.shutdown(socket.SHUT_WR)
    # Closing before all has come resets the connection, and the client would not read the answer.
    connection.settimeout(_DRAIN_SECONDS)
    while connection.recv(65536):
        pass


@contextlib.contextmanager
def object_storage(*buckets: str, refuse_chunked: bool = False) -> Iterator[ObjectStorage]:
    """Run an S3 server that ends with the block; see `ObjectStorage`."""
    with Processes() as processes:
        storage = ObjectStorage(processes, *buckets, refuse_chunked=refuse_chunked)
        with contextlib.closing(storage):
            yield storage
