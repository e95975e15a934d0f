"""The state of the cluster that kubectl reaches: its version, objects, and the keys of Secrets.

Nothing is created, changed or deleted. Of a Secret, only the names of its keys leave the function
that reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from scripts.core.kubectl import ForbiddenError, Kubectl, UnknownKindError
from scripts.core.yamlfile import Json

# Seconds that the API server has for one answer.
TIMEOUT = 30
# Seconds for an answer of a Service behind the API server.
PROXY_TIMEOUT = 10
_FIX = "choose a context that reaches the cluster: `kubectl config get-contexts`"
# kubectl may take longer than its request: it first asks which resources there are.
KUBECTL = Kubectl(_FIX, 3 * TIMEOUT, (f"--request-timeout={TIMEOUT}s",))


@dataclass(frozen=True)
class ClusterState:
    """What was read from a cluster.

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


def read(secrets: Iterable[tuple[str, str]], resources: Sequence[str]) -> ClusterState:
    """Read everything that is checked.

    Args:
        secrets: Namespace and name of each Secret whose keys are wanted.
        resources: Of which every object is wanted; a kind that is not installed has none.

    Raises:
        RepositoryError: If there is no kubectl, no cluster, or no access to it.
    """
    version = str(KUBECTL.json("version")["serverVersion"]["gitVersion"])
    forbidden: set[str] = set()

    def listed(resource: str) -> list[Json]:
        try:
            return list(KUBECTL.json("get", resource, "--all-namespaces")["items"])
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
    return ClusterState(version, lists, names, frozenset(forbidden))


def get(path: str) -> str | None:
    """Return what a path answers to GET; None where that is an error, or takes too long.

    Raises:
        RepositoryError: If there is no kubectl.
    """
    # Without --request-timeout: kubectl appends that to the query, and a proxy hands it on.
    answer = Kubectl(_FIX, PROXY_TIMEOUT).run("get", "--raw", path)
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
    found = KUBECTL.json("get", "secret", name, place, "--ignore-not-found", *options)
    return frozenset(found.get("data") or {}) if found else None
