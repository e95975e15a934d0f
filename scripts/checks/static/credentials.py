"""Credentials: none is in git, and `base/secrets.yaml` declares each Secret that is read."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, get, leaves
from scripts.model import secretfile
from scripts.model.credentials import (
    Secret,
    SecretReference,
    secrets_of_external_secrets,
    secrets_read,
)
from scripts.model.manifests import ClusterSync, Repository

# What a credential looks like, in any value.
LOOKS_SECRET = re.compile(
    r"\beyJ[\w-]{10,}\.[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_\w{30,}|\bxox[abpr]-[\w-]{10,}|\bsk-[\w-]{20,}"
    r"|hooks\.slack\.com/services/T\w+|://[\w.-]+:[\w.~!%-]{3,}@"
    # An assignment in a text such as a pipeline or grafana.ini.
    r"|^\s*\w*(?i:password|passwd|token|secret|api_?key)\s*=\s*\"[^\"$]{6,}\"",
    re.MULTILINE,
)
# Keys whose values are credentials. `existingSecret`, `passwordKey` and the like only name one.
KEY_OF_SECRET = re.compile(
    r"(^|[_-])(?i:password|passwd|secret|secret_key|token|api_?key|private_?key|access_?key)$"
    r"|(Password|Token|ApiKey|AccessKey|apiKey|accessKey|privateKey)$"
)

# Where an Application has what kustomize copies from the HelmRelease of its name.
COPIED = ("spec", "source", "helm", "valuesObject")


def check(repository: Repository) -> list[Finding]:
    """Look for credentials, and compare the Secrets that are read with those that are declared."""
    findings: list[Finding] = []
    known = declared(repository.root)
    references = [(sync, list(secrets_read(sync))) for sync in repository.syncs]
    for sync, read in references:
        findings += repository.locate(sync, no_plain_text(sync))
        findings += repository.locate(sync, all_declared(read, known))
        findings += repository.locate(sync, made_as_declared(sync, known))
    secrets = {reference.secret for _, read in references for reference in read}
    return [*findings, *all_read(known, secrets), *component_named(repository, references)]


def declared(root: Path) -> dict[Secret, int]:
    """Return the Secrets that `base/secrets.yaml` declares, each with its line, by namespace."""
    return {
        Secret(namespace, one.name, one.names, bool(one.optional)): one.line or 0
        for one in secretfile.read(root).values()
        for namespace in one.namespaces
    }


def all_declared(
    references: Iterable[SecretReference], known: Mapping[Secret, int]
) -> Iterator[Violation]:
    """Each Secret that is read is declared, with the keys that are read."""
    declared_keys = {(secret.namespace, secret.name): secret.keys for secret in known}
    for kind, name, keys, secret in references:
        own = declared_keys.get((secret.namespace, secret.name))
        if own is None or not secret.keys <= own:
            wanted = f" with {', '.join(sorted(secret.keys))}" if secret.keys else ""
            text = f"reads Secret {secret.namespace}/{secret.name}{wanted}, which is not declared"
            yield Violation(kind, name, keys, text, f"add it to {secretfile.PATH}")


def made_as_declared(sync: ClusterSync, known: Mapping[Secret, int]) -> Iterator[Violation]:
    """Each ExternalSecret makes a Secret that is declared, with just its keys."""
    declared_keys = {(secret.namespace, secret.name): secret.keys for secret in known}
    for name, secret in secrets_of_external_secrets(sync):
        own = declared_keys.get((secret.namespace, secret.name))
        if own != secret.keys:
            wanted = ", ".join(sorted(own)) if own else "no such Secret"
            text = f"makes {secret.name} with {', '.join(sorted(secret.keys))}"
            fix = f"{secretfile.PATH} has {wanted}: make them the same"
            yield Violation("ExternalSecret", name, ("spec", "data"), text, fix)


def all_read(known: Mapping[Secret, int], read: set[Secret]) -> Iterator[Finding]:
    """Each Secret that is declared is read, and each of its keys."""
    for one, line in known.items():
        uses = [s.keys for s in read if (s.namespace, s.name) == (one.namespace, one.name)]
        unread = one.keys.difference(*uses) if frozenset() not in uses else frozenset[str]()
        if not uses:
            text = f"nothing reads Secret {one.namespace}/{one.name}"
            yield Finding(secretfile.PATH, line, text, "remove it, or this namespace of it")
        elif unread:
            text = f"nothing reads {', '.join(sorted(unread))} of {one.namespace}/{one.name}"
            yield Finding(secretfile.PATH, line, text, "remove the key")


def component_named(
    repository: Repository, references: Iterable[tuple[ClusterSync, Iterable[SecretReference]]]
) -> Iterator[Finding]:
    """A Secret that only an opt-in reads names it as `component`, and is read with it only.

    A Secret that no cluster reads is an opt-in's: tests/options alone reads it.

    Args:
        repository: Whose Secrets are declared.
        references: What each cluster sync reads.
    """
    readers: dict[str, list[ClusterSync]] = {}
    for sync, read in references:
        for name in dict.fromkeys(reference.secret.name for reference in read):
            readers.setdefault(name, []).append(sync)
    for name, one in secretfile.read(repository.root).items():
        syncs = readers.get(name, [])
        if one.component:
            others = [s for s in syncs if not _within(repository.files(s), one.component)]
            if others:
                text = f"{others[0].name} reads {name} without {one.component}"
                yield Finding(secretfile.PATH, one.line, text, "correct its component")
        elif syncs and not any(sync.synced for sync in syncs):
            text = f"no cluster reads {name}: it belongs to an opt-in"
            yield Finding(secretfile.PATH, one.line, text, "name the opt-in's folder as component")


def _within(files: Iterable[str], folder: str) -> bool:
    return any(path.startswith(f"{folder}/") for path in files)


def no_plain_text(sync: ClusterSync) -> Iterator[Violation]:
    """No object is a Secret, and no value of any object looks like a credential."""
    fix = "take it out, revoke it, and reference a Secret instead"
    for item in sync.objects():
        kind, name = item["kind"], item["metadata"]["name"]
        if kind == "ExternalSecret":
            yield from _deleting(item)
        if kind == "Secret":
            text = "a plain Secret in git"
            yield Violation(
                kind, name, (), text, "revoke what it holds; `make secrets` makes another"
            )
            continue
        for keys, value in leaves(item):
            if not isinstance(value, str) or value.startswith("$") or not value:
                continue
            looks = _looks_secret(value)
            if not looks and not KEY_OF_SECRET.search(_called(item, keys)):
                continue
            at = (kind, name, keys)
            if keys[: len(COPIED)] == COPIED:
                at = ("HelmRelease", name, ("spec", "values", *keys[len(COPIED) :]))
            what = "looks like a credential" if looks else "is a credential in plain text"
            yield Violation(*at, f"{'.'.join(at[2])} {what}", fix)


def _deleting(item: Mapping[str, Json]) -> Iterator[Violation]:
    """A key that is renamed or gone in the store deletes no Secret that something lives on.

    https://external-secrets.io/latest/guides/ownership-deletion-policy/
    """
    at = ("spec", "target", "deletionPolicy")
    if (policy := get(item, *at)) not in {None, "Retain"}:
        text = f"deletionPolicy {policy}: what is gone in the store is gone here, in use or not"
        fix = "remove it: Retain is the default"
        yield Violation("ExternalSecret", item["metadata"]["name"], at, text, fix)


def _called(item: Json, keys: tuple[str, ...]) -> str:
    """Return what a value is called: its key, or the name beside it, as in a list of variables."""
    if keys[-1] != "value":
        return keys[-1]
    holder = functools.reduce(
        lambda at, key: at[int(key)] if isinstance(at, list) else at.get(key), keys[:-1], item
    )
    return str(holder.get("name", keys[-1]))


@functools.cache
def _looks_secret(text: str) -> bool:
    return bool(LOOKS_SECRET.search(text))
