"""The application's inventory is consistent, beyond what its schema can express."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from scripts.core.findings import Finding
from scripts.core.yamlfile import line_of, load
from scripts.model.files import INVENTORY
from scripts.model.manifests import Repository

# Addresses that are probed: they must be in the application's namespaces.
PROBED = ("FRONTEND_URL", "BACKEND_URL")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# An alternative of the pattern that is a plain name.
_NAME = re.compile(r"[\w-]+")
# A segment is a parameter's name, or characters without a meaning in RE2.
_ROUTE = re.compile(r"/(?:[\w.~:@%-]|\{\w+\}|/)*")


def check(repository: Repository) -> list[Finding]:
    """Return a finding, with its line, for each contradiction."""
    path = repository.root / INVENTORY
    if not path.is_file():
        text = "is not there, and everything else is told by it where the application is"
        return [Finding(INVENTORY, None, text, "restore it, then run `make discover`")]
    data = load(path, repository.root)[0]["data"]
    lines = path.read_text(encoding="utf-8").splitlines()
    findings = []
    for key, part, message, fix in contradictions(data):
        line = line_of(path.read_text(encoding="utf-8"), "data", key)
        if part and line:
            # The line that is wrong in a value of several lines.
            following = enumerate(lines[line:], line + 1)
            line = next((n for n, text in following if text.strip() == part), line)
        findings.append(Finding(INVENTORY, line, f"{key} {message}", fix))
    return findings


def contradictions(data: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is inconsistent in the inventory.

    Args:
        data: Its values, of the shape that `files.schema.json` asks for.

    Yields:
        The value's name, the line of it that is wrong (empty for the whole), what is wrong, and
        what to do.
    """
    pattern = data["NAMESPACES"]
    namespaces = _compiled(pattern)
    if namespaces is None:
        fix = "write names of namespaces with `|` between them"
        yield "NAMESPACES", "", f"is no regular expression: {pattern}", fix
    else:
        yield from _namespace_names(pattern, namespaces)
        for key in PROBED:
            yield from _probe_address(key, data[key], namespaces, pattern)
    for route in data["ROUTES"].splitlines():
        if not _ROUTE.fullmatch(route):
            text = f"has a line that is no route template: {route or 'an empty line'}"
            fix = "begin it with a slash, as in /api/{user_id}/tasks, without a query"
            yield "ROUTES", route, text, fix


def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _namespace_names(
    pattern: str, namespaces: re.Pattern[str]
) -> Iterator[tuple[str, str, str, str]]:
    if namespaces.fullmatch(""):
        fix = "take out what is empty on a side of `|`, or optional"
        yield "NAMESPACES", "", f"also matches an empty namespace: {pattern}", fix
    for name in pattern.split("|"):
        if _NAME.fullmatch(name) and not LABEL.fullmatch(name):
            fix = "write it as `kubectl get namespaces` does: lower case, digits and dashes"
            yield "NAMESPACES", "", f"names no namespace that can exist: {name}", fix


def _probe_address(
    key: str, url: str, namespaces: re.Pattern[str], pattern: str
) -> Iterator[tuple[str, str, str, str]]:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        yield key, "", f"is no URL: {error}", "write it as http://service.namespace.svc:port/path"
        return
    service, *rest = host.split(".")
    if host and not rest and not host.isdigit():
        fix = f"write http://{service}.<namespace>.svc, as the probe runs in another namespace"
        yield key, "", f"names the Service {service} without its namespace", fix
    if len(rest) >= 2 and rest[1] == "svc" and not namespaces.fullmatch(rest[0]):
        text = f"is in the namespace {rest[0]}, which is outside of NAMESPACES ({pattern})"
        yield key, "", text, "correct the one that is wrong"
