"""Route templates of an OpenAPI document, as the log pipeline will count them."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load_all

# Seconds, and bytes, that a document may take.
TIMEOUT = 15
LIMIT = 8 * 2**20
FIX = "name the document that FastAPI serves at /openapi.json"
HEALTH = re.compile(r"(?:/api)?/(?:health|healthz|live|livez|ready|readyz)(?:/[a-z]*)?")
METRICS = "/metrics"
# Not of the API: what is asked by probes, by scrapes, and by who reads its documentation.
_ASIDE = re.compile(rf"{HEALTH.pattern}|{METRICS}|/docs(?:/.*)?|/redoc|/openapi\.json")
# What base/logs/shared.alloy takes for a user's id, and base/logs/pods.alloy then names {user_id}.
_USER = re.compile(
    r"/api/(?:v[0-9]/)?(?P<owner>[^/]+)"
    r"/(?:tasks|chat|conversations|messages|reminders|tags|notifications)\b"
    r"|/api/(?P<first>:id:)|/(?:ws|users)/(?P<user>[^/]+)"
)
_PARAMETER = re.compile(r"\{\w+\}")
_SEGMENTS = re.compile(r"(?:/(?:[\w.~@%-]|\{\w+\})*)*")


@dataclass(frozen=True)
class OpenApiDocument:
    """An OpenAPI document.

    Attributes:
        source: Where it was read.
        paths: Path templates, each with what may be done with it.
    """

    source: str
    paths: Mapping[str, Json] = field(repr=False)

    @property
    def health(self) -> str:
        """The path that a probe would ask; empty if there is none."""
        found = sorted(filter(HEALTH.fullmatch, self.paths), key=lambda p: (len(p), p))
        return found[0] if found else ""

    @property
    def metrics_are_json(self) -> bool:
        """Whether it promises JSON, and nothing else, at /metrics."""
        methods = self.paths.get(METRICS)
        operation = methods.get("get") if isinstance(methods, dict) else None
        responses = operation.get("responses") if isinstance(operation, dict) else None
        answer = responses.get("200") if isinstance(responses, dict) else None
        content = answer.get("content") if isinstance(answer, dict) else None
        return isinstance(content, dict) and set(content) == {"application/json"}

    def templates(self, known: Iterable[str] = ()) -> tuple[list[str], list[str]]:
        """Return its routes as they are counted, and its paths that cannot be.

        Args:
            known: Routes of before: those that it has come first, in their order.
        """
        counted: list[str] = []
        left: list[str] = []
        for path in self.paths:
            if not _ASIDE.fullmatch(path):
                good = _SEGMENTS.fullmatch(path)
                (counted if good else left).append(normalised(path) if good else path)
        order = [route for route in known if route in counted]
        return list(dict.fromkeys([*order, *counted])), left


def normalised(path: str) -> str:
    """Return a path template with its parameters as the log pipeline names them.

    A user's id is told by its place, as in a path of an access log; every other parameter is
    `{id}`, as numbers and UUIDs are.
    """

    def named(found: re.Match[str]) -> str:
        start, end = found.span(str(found.lastgroup))
        before, after = found.string[found.start() : start], found.string[end : found.end()]
        return f"{before}{{user_id}}{after}"

    sample = _USER.sub(named, _PARAMETER.sub(":id:", path)).replace(":id:", "{id}")
    return re.sub(r"/[0-9]+\b", "/{id}", sample).rstrip("/") or "/"


def read(source: str) -> OpenApiDocument:
    """Read a document from a file or a URL.

    Raises:
        RepositoryError: If it cannot be read, or is no OpenAPI document.
    """
    return parsed(_text(source), source)


def parsed(text: str, source: str) -> OpenApiDocument:
    """Parse a document.

    Raises:
        RepositoryError: If it is no OpenAPI document.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        if not source.endswith((".yaml", ".yml")):
            raise RepositoryError(Finding(source, None, f"is no JSON: {error}", FIX)) from None
        document = next(iter(load_all(text, source)), None)
    if not isinstance(document, dict) or not {"openapi", "swagger"} & document.keys():
        text = "is no OpenAPI document: it has no `openapi`"
        raise RepositoryError(Finding(source, None, text, FIX))
    paths = document.get("paths")
    if not isinstance(paths, dict) or not all(str(path).startswith("/") for path in paths):
        text = "is no OpenAPI document: `paths` is no map of paths that begin with a slash"
        raise RepositoryError(Finding(source, None, text, FIX))
    if not paths:
        text = "has no paths, so nothing would be counted"
        raise RepositoryError(Finding(source, None, text, FIX))
    return OpenApiDocument(source, {str(path): value for path, value in paths.items()})


def _text(source: str) -> str:
    try:
        if urlsplit(source).scheme not in {"http", "https"}:
            return Path(source).read_text(encoding="utf-8")
        with urllib.request.urlopen(source, timeout=TIMEOUT) as answer:  # noqa: S310 - of http(s)
            body: bytes = answer.read(LIMIT + 1)
            if len(body) > LIMIT:
                text = f"is larger than {LIMIT >> 20} MiB"
                raise RepositoryError(Finding(source, None, text, FIX))
            return body.decode("utf-8")
    except FileNotFoundError:
        raise RepositoryError(Finding(source, None, "is not there", FIX)) from None
    except (OSError, ValueError, urllib.error.URLError, http.client.HTTPException) as error:
        raise RepositoryError(Finding(source, None, f"cannot be read: {error}", FIX)) from error
