"""Reading a cluster through the user's kubectl, in the context that it is set to.

It only gets: nothing is created, changed or deleted. Of a Secret, only the names of its keys leave
the function that reads it. `make discover` reads through here, too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from scripts.core import kubectl
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json

LISTS: tuple[str, ...] = (
    "customresourcedefinitions",
    "daemonsets",
    "deployments",
    "namespaces",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "pods",
    "statefulsets",
    "storageclasses",
)
# Seconds that the API server has for one answer.
TIMEOUT = 30
# The same for what the API server asks of others.
ASKED_TIMEOUT = 10
FORBIDDEN = "Error from server (Forbidden)"
# Of a kind whose CRD is not installed.
UNKNOWN = "the server doesn't have a resource type"


class ForbiddenError(Exception):
    """The API server is there, and does not let this user read something."""


class UnknownKindError(Exception):
    """The API server is there, and has no such kind of object."""


class _SilentError(RepositoryError):
    """Somebody behind the API server does not answer in time."""


@dataclass(frozen=True)
class Seen:
    """What a cluster says of itself.

    Attributes:
        version: The API server's version, such as v1.36.1.
        lists: Objects as kubectl prints them, by their resource's name in the plural.
        secrets: Names of each Secret's keys, by (namespace, name); None where there is none.
        forbidden: What may not be read: a resource's name, or `secret namespace/name`.
    """

    version: str
    lists: Mapping[str, list[Json]] = field(repr=False)
    secrets: Mapping[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)
    forbidden: frozenset[str] = frozenset()


def read(secrets: Iterable[tuple[str, str]], resources: Sequence[str] = LISTS) -> Seen:
    """Read everything that is judged.

    Args:
        secrets: Namespace and name of each Secret whose keys are wanted.
        resources: Of which every object is wanted; a kind that is not installed has none.

    Raises:
        RepositoryError: If there is no kubectl, no cluster, or no access to it.
    """
    version = str(ask("version")["serverVersion"]["gitVersion"])
    forbidden: set[str] = set()

    def listed(resource: str) -> list[Json]:
        try:
            return list(ask("get", resource, "--all-namespaces")["items"])
        except ForbiddenError:
            forbidden.add(resource)
            return []
        except UnknownKindError:
            return []

    def keys(secret: tuple[str, str]) -> frozenset[str] | None:
        try:
            return keys_of(*secret)
        except ForbiddenError:
            forbidden.add(f"secret {'/'.join(secret)}")
            return None

    wanted = list(secrets)
    with ThreadPoolExecutor(4) as pool:
        lists = dict(zip(resources, pool.map(listed, resources), strict=True))
        names = dict(zip(wanted, pool.map(keys, wanted), strict=True))
    return Seen(version, lists, names, frozenset(forbidden))


def get(path: str) -> str | None:
    """Return what a path answers to GET; None where that is an error, or takes too long.

    Raises:
        RepositoryError: If there is no kubectl.
    """
    # Without --request-timeout: kubectl appends that to the query, and a proxy hands it on.
    command = ("kubectl", "get", "--raw", path)
    try:
        answer = kubectl.run(command, ASKED_TIMEOUT, functools.partial(_silent, path))
    except _SilentError:
        return None
    return None if answer.returncode else answer.stdout


def keys_of(namespace: str, name: str, *options: str) -> frozenset[str] | None:
    """Return the names of a Secret's keys; None where there is no such Secret.

    Args:
        namespace: Its namespace.
        name: Its name.
        options: More of kubectl's.

    Raises:
        ForbiddenError: If the user may not read it.
        RepositoryError: If there is no answer that can be used.
    """
    place = f"--namespace={namespace}"
    found = ask("get", "secret", name, place, "--ignore-not-found", *options)
    return frozenset(found.get("data") or {}) if found else None


def ask(*arguments: str) -> Json:
    """Return the JSON that kubectl prints of what it reads.

    Returns:
        None where it prints nothing.

    Raises:
        ForbiddenError: If the user may not read it.
        UnknownKindError: If there is no such kind.
        RepositoryError: If there is no kubectl, or no answer that can be used.
    """
    command = ("kubectl", *arguments, "--output=json", f"--request-timeout={TIMEOUT}s")
    shown = " ".join(arguments)
    # Longer than the request: kubectl first asks which resources there are.
    answer = kubectl.run(command, 3 * TIMEOUT, functools.partial(_failed, shown))
    if answer.returncode:
        if FORBIDDEN in answer.stderr:
            raise ForbiddenError
        if UNKNOWN in answer.stderr:
            raise UnknownKindError
        raise _failed(shown, kubectl.reason(answer.stderr))
    try:
        return json.loads(answer.stdout or "null")
    except json.JSONDecodeError as error:
        # Not `from error`, and no excerpt: what could not be parsed may be a Secret.
        raise _failed(shown, f"its answer is not JSON at character {error.pos}") from None


def _silent(path: str, reason: str) -> RepositoryError:
    return _SilentError(Finding(f"kubectl get --raw {path}", None, reason, "see whether it runs"))


def _failed(command: str, reason: str) -> RepositoryError:
    fix = "choose a context that reaches the cluster: `kubectl config get-contexts`"
    return RepositoryError(Finding(f"kubectl {command}", None, reason[:300], fix))
