"""Planning of `make secrets`: which Secrets are missing, and values for them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model import secretfile
from scripts.model.credentials import NeededSecret
from scripts.model.manifests import ClusterSync
from scripts.model.secretfile import DeclaredSecret

# Values of up to this length, such as a user's name, are no secret, and occur in other words.
_NOT_SECRET = 12
# Namespace and name.
Place = tuple[str, str]
# Values by key, as they are and not in base64.
Values = Mapping[str, bytes]


@dataclass(frozen=True)
class MissingSecret:
    """A Secret that is missing in a cluster.

    Attributes:
        namespace: Its namespace.
        declared: Its declaration.
        copy_from: The namespace in which the same Secret exists, with the values to copy.
    """

    namespace: str
    declared: DeclaredSecret
    copy_from: str = ""

    @property
    def place(self) -> Place:
        """Namespace and name."""
        return self.namespace, self.declared.name

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return "/".join(self.place)


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        make: Secrets that can be generated.
        give: Secrets for the user to make: they are optional, or only the user has a value.
        existing: Secrets that exist already.
    """

    make: tuple[MissingSecret, ...]
    give: tuple[MissingSecret, ...]
    existing: tuple[Place, ...]


def plan(needed: Iterable[NeededSecret], existing: Mapping[Place, frozenset[str] | None]) -> Plan:
    """Compare the Secrets that are needed with those that exist.

    Args:
        needed: The Secrets that a cluster reads.
        existing: The keys of each of them; None where it does not exist.

    Raises:
        RepositoryError: If an existing one lacks a key, or a missing one is not declared: then
            nothing is made at all.
    """
    findings: list[Finding] = []
    make: list[MissingSecret] = []
    give: list[MissingSecret] = []
    for one in needed:
        keys, declared = existing[one.namespace, one.name], one.declared
        if keys is not None:
            findings += _incomplete(one, keys)
        elif declared is None:
            text = f"nothing says how Secret {one} is made"
            findings.append(Finding(secretfile.PATH, None, text, f"add {one.name} to it"))
        else:
            copies = [ns for ns in declared.namespaces if existing.get((ns, one.name)) is not None]
            missing = MissingSecret(one.namespace, declared, copies[0] if copies else "")
            by_user = declared.optional or (declared.given and not copies)
            (give if by_user else make).append(missing)
    if findings:
        raise RepositoryError(*findings)
    found = tuple(place for place, keys in existing.items() if keys is not None)
    return Plan(tuple(make), tuple(give), found)


def _incomplete(one: NeededSecret, keys: frozenset[str]) -> Iterator[Finding]:
    if lacking := ", ".join(sorted(one.keys - keys)):
        text = f"is there without {lacking}; what is there is never changed, so nothing was made"
        yield Finding(
            f"Secret {one}", None, text, "add what it lacks, or delete it to have it made anew"
        )


def values(make: Iterable[MissingSecret], known: Mapping[Place, Values]) -> dict[Place, Values]:
    """Return the values of each Secret that is to be made: the same in all of its namespaces.

    Args:
        make: What is to be made.
        known: The values of each Secret to copy from.

    Raises:
        RepositoryError: If one of those lacks a value, or has an empty one.
    """
    made: dict[str, Values] = {}
    for one in make:
        name = one.declared.name
        if one.copy_from:
            found = known[one.copy_from, name]
            made[name] = {key: found.get(key, b"") for key in sorted(one.declared.names)}
            if empty := [key for key, value in made[name].items() if not value]:
                text = f"has no value of {empty[0]}, so {one} cannot be made like it"
                fix = "delete it to have both made"
                raise RepositoryError(Finding(f"Secret {one.copy_from}/{name}", None, text, fix))
        elif name not in made:
            made[name] = {key.name: key.make().encode() for key in one.declared.keys}
    return {one.place: made[one.declared.name] for one in make}


def manifest(place: Place, content: Values) -> dict[str, Json]:
    """Return the Secret as Kubernetes takes it."""
    namespace, name = place
    data = {key: base64.b64encode(value).decode() for key, value in content.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": data,
    }


def redacted(text: str, *contents: Values) -> str:
    """Return the output of a program with the values of Secrets replaced."""
    for content in contents:
        for value in content.values():
            for secret in (base64.b64encode(value).decode(), value.decode(errors="replace")):
                text = text.replace(secret, "…") if len(secret) > _NOT_SECRET else text
    return text


@dataclass(frozen=True)
class Account:
    """The Secret with the account of Grafana's administrator.

    Attributes:
        place: The Secret.
        user: The key of its name.
        password: The key of its password.
    """

    place: Place
    user: str
    password: str


def administrator(sync: ClusterSync) -> Account | None:
    """Return the account of Grafana's administrator; None if its values name no Secret."""
    for release in sync.releases:
        admin = release.values.get("admin") or {}
        if release.chart == "grafana" and (name := admin.get("existingSecret")):
            user, password = admin.get("userKey"), admin.get("passwordKey")
            place = (release.namespace, name)
            return Account(place, user or "admin-user", password or "admin-password")
    return None
