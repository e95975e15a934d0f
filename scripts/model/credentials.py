"""Secrets: which ones a cluster reads, and what creates them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scripts.core.yamlfile import Json, maps
from scripts.model import api_groups, secretfile, sops
from scripts.model.manifests import ENCRYPTED, ClusterSync, Repository, group
from scripts.model.secretfile import DeclaredSecret

OPERATOR = "monitoring.coreos.com"
WORKLOADS = "apps"
# Keys under which values and objects name Secrets: one by its name, one in a map, several.
NAMES = ("secretName", "envFromSecret")
REFERENCES = ("secretRef", "certSecretRef", "proxySecretRef")
LISTS = ("imagePullSecrets", "pullSecrets", "secrets")
NAMING = frozenset({"existingSecret", "configSecret", *NAMES, *REFERENCES, *LISTS})


class Secret(NamedTuple):
    """A Secret, as an object reads it, an ExternalSecret makes it or a file declares it.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        keys: Its keys; none where it is read as a whole.
        optional: Whether it may be absent.
    """

    namespace: str
    name: str
    keys: frozenset[str]
    optional: bool = False


@dataclass(frozen=True)
class NeededSecret:
    """A Secret that a cluster reads.

    Attributes:
        namespace: Where it is read.
        name: Its name.
        keys: The keys that are read.
        declared: Its declaration; None where there is none.
        created_by: The encrypted file or the ExternalSecret that creates it; empty for neither.
        encrypted: Whether that is a file encrypted with SOPS, whose key only the cluster has.
    """

    namespace: str
    name: str
    keys: frozenset[str]
    declared: DeclaredSecret | None
    created_by: str = ""
    encrypted: bool = False

    @property
    def optional(self) -> str:
        """The effect of its absence; empty where something waits for it."""
        return self.declared.optional if self.declared else ""

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


# Keys and indices that lead to where a Secret is named, and the Secret.
Named = tuple[tuple[str, ...], Secret]


class SecretReference(NamedTuple):
    """An object of a cluster sync that reads a Secret.

    Attributes:
        kind: The object's kind.
        name: The object's name.
        keys: Keys, and indices of lists, that lead to where it names the Secret.
        secret: The Secret.
    """

    kind: str
    name: str
    keys: tuple[str, ...]
    secret: Secret


def secrets_read(sync: ClusterSync) -> Iterator[SecretReference]:
    """Yield what values and objects of a cluster sync read of Secrets."""
    for release in sync.releases:
        for keys, secret in secrets_in_values(release.chart, release.namespace, release.values):
            at = ("spec", "values", *keys)
            yield SecretReference("HelmRelease", release.owner[1], at, secret)
    for item in sync.objects():
        if group(item) in {OPERATOR, WORKLOADS, api_groups.SOURCE}:
            metadata = item["metadata"]
            for keys, secret in secrets_in_values("", metadata.get("namespace", ""), item):
                yield SecretReference(item["kind"], metadata["name"], keys, secret)


def secrets_in_values(chart: str, namespace: str, values: Json) -> Iterator[Named]:
    """Yield the Secrets that values or a spec name, by the conventions of the charts used."""
    found = list(maps(values))
    yield from _selectors(namespace, found)
    for keys, holder in found:
        if NAMING.isdisjoint(holder):
            continue
        # A map is a SecretKeySelector.
        if isinstance(name := holder.get("existingSecret"), str) and name:
            read = frozenset[str]()
            if chart == "grafana":
                user, password = holder.get("userKey"), holder.get("passwordKey")
                read = frozenset({user or "admin-user", password or "admin-password"})
            yield (*keys, "existingSecret"), Secret(namespace, name, read)
        if name := holder.get("configSecret"):
            yield (*keys, "configSecret"), Secret(namespace, name, frozenset({"alertmanager.yaml"}))
        for key in NAMES:
            if isinstance(name := holder.get(key), str) and name:
                yield (*keys, key), Secret(namespace, name, frozenset(), _optional(holder))
        for key in REFERENCES:
            if isinstance(selector := holder.get(key), dict) and "name" in selector:
                secret = Secret(namespace, selector["name"], frozenset(), _optional(selector))
                yield (*keys, key), secret
        for key in LISTS:
            for index, name in enumerate(_names(holder.get(key))):
                yield (*keys, key, str(index)), Secret(namespace, name, frozenset())


def secrets_of_external_secrets(
    sync: ClusterSync, *, whole: bool = False
) -> Iterator[tuple[str, Secret]]:
    """Yield the Secrets that ExternalSecrets make, each with the ExternalSecret's name.

    Args:
        sync: The cluster.
        whole: Include those with `dataFrom`, which may have any key.
    """
    for item in sync.objects():
        if item["kind"] == "ExternalSecret" and (whole or "dataFrom" not in item["spec"]):
            metadata, spec = item["metadata"], item["spec"]
            name = spec.get("target", {}).get("name", metadata["name"])
            keys = frozenset(d["secretKey"] for d in spec.get("data", []))
            yield metadata["name"], Secret(metadata["namespace"], name, keys)


def needed_secrets(sync: ClusterSync, repository: Repository) -> list[NeededSecret]:
    """Return the Secrets that a cluster reads, by namespace and name.

    A Secret that is not declared is treated as required.
    """
    known = secretfile.read(repository.root)
    created_by = {
        (s.namespace, s.name): f"ExternalSecret {n}"
        for n, s in secrets_of_external_secrets(sync, whole=True)
    }
    folder = repository.root / "clusters" / sync.cluster / ENCRYPTED
    files: set[tuple[str, str]] = set()
    for path, item in sops.secrets(folder) if sync.synced else ():
        metadata = item.get("metadata") or {}
        place = metadata.get("namespace", ""), metadata.get("name", "")
        created_by[place] = str(path.relative_to(repository.root))
        files.add(place)
    keys: dict[tuple[str, str], frozenset[str]] = {}
    for reference in secrets_read(sync):
        secret = reference.secret
        place = secret.namespace, secret.name
        keys[place] = keys.get(place, frozenset()) | secret.keys
    found = []
    for (namespace, name), read in sorted(keys.items()):
        one = known.get(name)
        own = read or (one.names if one else frozenset())
        place = namespace, name
        found.append(
            NeededSecret(namespace, name, own, one, created_by.get(place, ""), place in files)
        )
    return found


def _selectors(
    namespace: str, found: Iterable[tuple[tuple[str, ...], Mapping[str, Json]]]
) -> Iterator[Named]:
    """Yield each SecretKeySelector: a name and a key, and not below `configMap…`."""
    for keys, holder in found:
        is_selector = {"name", "key"} <= holder.keys() <= {"name", "key", "optional"}
        if is_selector and not (keys and keys[-1].startswith("configMap")):
            key = frozenset({holder["key"]})
            yield keys, Secret(namespace, holder["name"], key, _optional(holder))


def _names(value: Json) -> list[str]:
    """Return the names in a list of names, or of maps with nothing but a name; else none."""
    items = value if isinstance(value, list) else []
    names = [i["name"] if isinstance(i, dict) and i.keys() == {"name"} else i for i in items]
    return names if all(isinstance(name, str) for name in names) else []


def _optional(reference: Mapping[str, Json]) -> bool:
    return reference.get("optional") is True
