"""Requests to an API server: server-side apply, lists of everything, and watches."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

from scripts.core.yamlfile import Json
from scripts.model.manifests import identity
from scripts.servers.http_client import HttpClient, HttpError

Object = dict[str, Json]

_TIMEOUT = 60
# How often a request is sent that the server has no time for.
_BUSY = 50
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
# What the API server writes into every object, whoever applies it.
SERVER_FIELDS = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)


class KubernetesError(HttpError):
    """What the API server says of a request that it refuses.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        """Keep the status."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Resource:
    """One kind of object that the API server serves.

    Attributes:
        version: Its `apiVersion`.
        kind: Its kind.
        name: The plural in its paths.
        namespaced: Whether its objects are in namespaces.
        verbs: What may be done with it.
    """

    version: str
    kind: str
    name: str
    namespaced: bool
    verbs: frozenset[str]

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of one object, or of a list where there is no name."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        scope = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.name}{f'/{quote(name)}' if name else ''}"


class Client:
    """The API of one server, as one user; may be used by several threads."""

    def __init__(self, url: str, token: str, authority: Path) -> None:
        """Talk to a server; nothing is opened before the first request.

        Args:
            url: `https://host:port`.
            token: A bearer token.
            authority: File of the certificate that the server's is checked against.
        """
        self.url = url
        self.token = token
        self.authority = authority
        self._address = urlsplit(url).netloc
        self._context = ssl.create_default_context(cafile=str(authority))
        self._client = HttpClient(self._address, _TIMEOUT, self._context)
        self._known: dict[tuple[str, str], Resource] = {}

    def send(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Json = None,
        content: str = "application/json",
    ) -> Json:
        """Send one request and return the JSON, or the text, that it answers.

        Raises:
            KubernetesError: If the server refuses it, with its message.
            OSError: If there is no answer.
        """
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content}
        for _ in range(_BUSY):
            answer = self._client.send(method, target, payload, headers)
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                break
            # The server also says so while the storage of a new kind is not there yet.
            time.sleep(0.2)
        text = answer.content.decode()
        is_json = answer.content_type.startswith("application/json")
        document = json.loads(text) if is_json else text
        if answer.status >= 300:
            message = document.get("message", document) if isinstance(document, dict) else document
            raise KubernetesError(answer.status, f"{method} {path}: {message}")
        return document

    def resource(self, version: str, kind: str) -> Resource:
        """Return a kind, asking the server again for one that it did not know before.

        Raises:
            KubernetesError: If it does not know it now.
        """
        if (version, kind) not in self._known:
            self._known |= {(r.version, r.kind): r for r in self._group(version)}
        try:
            return self._known[version, kind]
        except KeyError:
            text = f"the API server knows no {kind} of {version}"
            raise KubernetesError(404, text) from None

    def _group(self, version: str) -> Iterator[Resource]:
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for item in self.send("GET", root).get("resources", ()):
            if "/" not in item["name"]:
                verbs = frozenset(item["verbs"])
                yield Resource(version, item["kind"], item["name"], item["namespaced"], verbs)

    def resources(self) -> list[Resource]:
        """Return every kind of every group, each in the version that the server prefers."""
        groups = self.send("GET", "/apis")["groups"]
        versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
        return [resource for version in versions for resource in self._group(version)]

    def apply(
        self,
        item: Mapping[str, Json],
        manager: str,
        *,
        dry_run: bool = False,
        part: str = "",
    ) -> Object:
        """Apply an object on the server's side, with force; unknown fields are refused.

        Args:
            item: The object.
            manager: Who owns the fields afterwards.
            dry_run: Whether to change nothing.
            part: A subresource, such as `status`.

        Returns:
            The object as it is, or would be, afterwards.
        """
        parameters = {"fieldManager": manager, "fieldValidation": "Strict", "force": "true"}
        parameters |= {"dryRun": "All"} if dry_run else {}
        path = self.path(item) + (f"/{part}" if part else "")
        applied: Object = self.send("PATCH", path, parameters, item, APPLY)
        return applied

    def path(self, item: Mapping[str, Json]) -> str:
        """Return the path of an object; the namespace is `default` where it names none."""
        resource = self.resource(str(item["apiVersion"]), str(item["kind"]))
        metadata = item["metadata"]
        return resource.path(metadata.get("namespace", "default"), metadata["name"])

    def read(self, item: Mapping[str, Json]) -> Object | None:
        """Return an object as it is now, None if it is not there."""
        try:
            found: Object = self.send("GET", self.path(item))
        except KubernetesError as error:
            if error.status == 404:
                return None
            raise
        return found

    def get(self, version: str, kind: str, name: str, namespace: str = "") -> Object:
        """Return one object.

        Raises:
            KubernetesError: If it is not there.
        """
        found: Object = self.send("GET", self.resource(version, kind).path(namespace, name))
        return found

    def all(self, version: str, kind: str, namespace: str = "") -> list[Object]:
        """Return every object of a kind, of one namespace or of all."""
        return self._list(self.resource(version, kind), namespace)

    def _list(self, resource: Resource, namespace: str = "") -> list[Object]:
        answer = self.send("GET", resource.path(namespace))
        common = {"apiVersion": resource.version, "kind": resource.kind}
        return [common | item for item in answer["items"]]

    def everything(self) -> Iterator[Object]:
        """Yield every object of every kind that can be listed and deleted."""
        for resource in self.resources():
            if {"list", "delete"} <= resource.verbs:
                yield from self._list(resource)

    def patch(self, item: Mapping[str, Json], change: Json) -> Object:
        """Merge a change into an object, as `kubectl patch --type=merge` does."""
        changed: Object = self.send("PATCH", self.path(item), None, change, MERGE)
        return changed

    def delete(self, item: Mapping[str, Json]) -> None:
        """Delete an object; what it owns follows."""
        self.send("DELETE", self.path(item), {"propagationPolicy": "Background"})

    def watch(self, version: str, kind: str) -> ResourceWatch:
        """Follow every object of a kind, from those that there are."""
        path = f"{self.resource(version, kind).path()}?watch=1"
        connection = http.client.HTTPSConnection(self._address, context=self._context)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        return ResourceWatch(connection)


class ResourceWatch:
    """What became of the objects of a kind since it began; ends with its block.

    Attributes:
        seen: Each state of each object, and when it was seen, in seconds of the monotonic clock; a
            deleted object as it last was.
    """

    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        """Follow what a connection answers, on a thread of its own."""
        self.seen: list[tuple[float, Object]] = []
        self._connection = connection
        self._open = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        """Begin; what happens from now on is seen when it happens."""
        self._thread.start()
        self._open.wait(_TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        """End, even while nothing comes."""
        if self._connection.sock:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()

    def _follow(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            response = self._connection.getresponse()
            self._open.set()
            for line in response:
                self.seen.append((time.monotonic(), json.loads(line)["object"]))


def without_server_fields(item: Mapping[str, Json]) -> Object:
    """Return an object without what the server writes into it and without its status."""
    metadata = {k: v for k, v in item["metadata"].items() if k not in SERVER_FIELDS}
    return {**{k: v for k, v in item.items() if k != "status"}, "metadata": metadata}


def qualified_name(item: Mapping[str, Json]) -> str:
    """Return `Kind.group namespace/name`, which no other object has."""
    group = str(item["apiVersion"]).rpartition("/")[0]
    kind, _, rest = identity(item).partition(" ")
    return f"{kind}.{group} {rest}" if group else f"{kind} {rest}"


def condition(item: Object, kind: str) -> Json:
    """Return a condition of an object, empty where it has none."""
    found = (item.get("status") or {}).get("conditions") or ()
    return next((one for one in found if one["type"] == kind), {})


def namespace(name: str) -> Object:
    """Return a namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
