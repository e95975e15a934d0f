"""A registry for tests of images: crane's own, behind a server that can also refuse or be slow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.servers.http_client import request
from scripts.servers.processes import LOOPBACK, Processes
from scripts.servers.registry import Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
SOURCE = "org.opencontainers.image.source"
# What stands in the first part of a repository's path, and how it is answered instead.
REFUSALS = {
    "private": (401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}),
    "denied": (403, {"errors": [{"code": "DENIED", "message": "requested access is denied"}]}),
    "limited": (429, {"errors": [{"code": "TOOMANYREQUESTS", "message": "pull rate limit"}]}),
    "broken": (500, {"errors": [{"code": "INTERNAL_ERROR", "message": "MANIFEST_UNKNOWN: no"}]}),
    "gone": (404, "<html>nothing here</html>"),
    "unread": (200, "<html>sign in</html>"),
}
# Seconds that an answer of `slow/…` takes: longer than tests wait for one.
SLOW = 5


class ImageRegistry:
    """A registry on loopback, and the paths that it was asked for.

    Attributes:
        host: Its host and port.
        asked: `METHOD path` of each request for a manifest or a blob.
    """

    def __init__(self, behind: str) -> None:
        """Relay to another one what is not to be refused.

        Args:
            behind: Host and port of the other one, which takes what is pushed.
        """
        self._behind = behind
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                first = self.path.removeprefix("/v2/").partition("/")[0]
                if self.path != "/v2/":
                    asked.append(f"{self.command} {self.path}")
                    if first == "slow":
                        time.sleep(SLOW)
                if first in REFUSALS:
                    status, content = REFUSALS[first]
                    body = content if isinstance(content, str) else json.dumps(content)
                    self._write(status, "application/json", body.encode())
                    return
                kept = {key: value for key, value in self.headers.items() if key == "Accept"}
                told = request(f"http://{behind}{self.path}", method=self.command, headers=kept)
                self._write(told.status, told.content_type, told.content)

            do_GET = do_HEAD = _answer  # noqa: N815 - as http.server names them

            def _write(self, status: int, kind: str, content: bytes) -> None:
                with contextlib.suppress(ConnectionError):  # Who asked may be gone.
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.host = f"{LOOPBACK}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def push(
        self, name: str, *platforms: str, labels: Json = None, annotations: Json = None
    ) -> str:
        """Push an image and return its digest.

        Args:
            name: `repository:tag`.
            platforms: `linux/arm64`, …: one of them for a single manifest, several for an index.
            labels: Those of its configuration.
            annotations: Those of its index, or of its single manifest.
        """
        repository, _, tag = name.partition(":")
        if len(platforms) == 1:
            manifest = self._manifest(repository, platforms[0], labels, annotations)
            return self._put(repository, tag, MANIFEST, manifest)
        listed = []
        for platform in platforms:
            manifest = self._manifest(repository, platform, labels, None)
            digest = self._put(repository, "", MANIFEST, manifest)
            system, _, architecture = platform.partition("/")
            described = {"os": system, "architecture": architecture}
            size = len(json.dumps(manifest))
            listed.append(
                {"mediaType": MANIFEST, "size": size, "digest": digest, "platform": described}
            )
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
        return self._put(
            repository, tag, INDEX, index | ({"annotations": annotations} if annotations else {})
        )

    def _manifest(self, repository: str, platform: str, labels: Json, annotations: Json) -> Json:
        system, _, architecture = platform.partition("/")
        config = {"os": system, "architecture": architecture, "config": {"Labels": labels or {}}}
        content = json.dumps({**config, "repository": repository}).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        self._send("POST", path, content, "application/octet-stream")
        described = {"mediaType": CONFIG, "size": len(content), "digest": digest}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}
        return manifest | ({"annotations": annotations} if annotations else {})

    def _put(self, repository: str, tag: str, kind: str, manifest: Json) -> str:
        content = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._send("PUT", f"/v2/{repository}/manifests/{tag or digest}", content, kind)
        return digest

    def _send(self, method: str, path: str, content: bytes, kind: str) -> None:
        url = f"http://{self._behind}{path}"
        told = request(url, method=method, body=content, headers={"Content-Type": kind})
        assert told.status in (201, 202), told


@pytest.fixture(scope="module")
def real_registry() -> Iterator[str]:
    """Host and port of crane's registry, empty at first."""
    with Processes() as processes:
        yield Registry(processes).host


@pytest.fixture
def registry(real_registry: str) -> Iterator[ImageRegistry]:
    """The registry; what a test pushes stays there for the others of its module."""
    found = ImageRegistry(real_registry)
    yield found
    found.close()


def own_cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, *without: str) -> None:
    """Use a cache that has what the user's has, but for some of its folders."""
    real = tools.cache()
    cache = tmp_path / "cache" / real.name
    cache.mkdir(parents=True)
    for path in real.iterdir():
        if path.name not in without:
            (cache / path.name).symlink_to(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))


def paths(asked: Iterable[str]) -> list[str]:
    """What was asked, without the digests of blobs."""
    return [one.partition("/blobs/")[0] for one in asked]
