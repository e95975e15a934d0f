"""Stand-ins on loopback for everything that the template of Alertmanager can send to."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from scripts.core.yamlfile import Json


@dataclass
class Inbox:
    """What arrived, in order.

    Attributes:
        posts: Path and JSON of each HTTP request.
        mails: Subject and text of each e-mail.
        http: Port of the HTTP server.
        smtp: Port of the mail server.
    """

    posts: list[tuple[str, Json]] = field(default_factory=list)
    mails: list[tuple[str, str]] = field(default_factory=list)
    http: int = 0
    smtp: int = 0

    def at(self, path: str) -> list[Json]:
        """What was posted to paths that begin so."""
        return [body for where, body in list(self.posts) if where.startswith(path)]

    def wait_until_idle(self, path: str, seconds: float, timeout: float) -> bool:
        """Wait until nothing more is posted there for some time; whether that happened."""
        deadline, count, since = time.monotonic() + timeout, -1, time.monotonic()
        while time.monotonic() < deadline:
            if len(self.at(path)) != count:
                count, since = len(self.at(path)), time.monotonic()
            elif count and time.monotonic() - since > seconds:
                return True
            time.sleep(0.5)
        return False


@contextlib.contextmanager
def receivers() -> Iterator[Inbox]:
    """Run both servers until the block ends."""
    inbox = Inbox()

    class Http(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            inbox.posts.append((self.path, json.loads(self.rfile.read(size) or b"null")))
            telegram = {"ok": True, "result": {"message_id": 1, "date": 1, "chat": {"id": 1}}}
            content = json.dumps(telegram).encode() if "/bot" in self.path else b"ok"
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Smtp(socketserver.StreamRequestHandler):
        """As much of RFC 5321 as one mail needs."""

        def handle(self) -> None:
            self.say("220 ready")
            while line := self.rfile.readline().decode().strip():
                verb = line.partition(" ")[0].upper()
                if verb == "DATA":
                    self.say("354 go on")
                    self.take()
                self.say("221 bye" if verb == "QUIT" else "250 ok")
                if verb == "QUIT":
                    return

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()).rstrip(b"\r\n") != b".":
                lines.append(line)
            message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            body = message.get_body(("plain",))
            inbox.mails.append((str(message["Subject"]), body.get_content() if body else ""))

    http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
    smtp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)
    inbox.http, inbox.smtp = http.server_address[1], smtp.server_address[1]
    for server in (http, smtp):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield inbox
    finally:
        for server in (http, smtp):
            server.shutdown()
            server.server_close()
