"""Credentials: none in git, and each Secret that something reads is in `base/secrets.yaml`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scripts.checks.static import encrypted
from scripts.core.findings import Fault, Finding
from scripts.core.yamlfile import Json, leaves, maps
from scripts.model import secretfile
from scripts.model.manifests import ENCRYPTED, Entry, Repository, group
from scripts.model.secretfile import Declared

OPERATOR = "monitoring.coreos.com"
SOURCES = "source.toolkit.fluxcd.io"
# What a credential looks like, wherever it stands.
LOOKS_SECRET = re.compile(
    r"\beyJ[\w-]{10,}\.[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_\w{30,}|\bxox[abpr]-[\w-]{10,}|\bsk-[\w-]{20,}"
    r"|hooks\.slack\.com/services/T\w+|://[\w.-]+:[\w.~!%-]{3,}@"
    # An assignment in a text such as a pipeline or grafana.ini.
    r"|^\s*\w*(?i:password|passwd|token|secret|api_?key)\s*=\s*\"[^\"$]{6,}\"",
    re.MULTILINE,
)
# Keys whose value is a credential. `existingSecret`, `passwordKey` and the like only name one.
KEY_OF_SECRET = re.compile(
    r"(^|[_-])(?i:password|passwd|secret|secret_key|token|api_?key|private_?key|access_?key)$"
    r"|(Password|Token|ApiKey|AccessKey|apiKey|accessKey|privateKey)$"
)


class Secret(NamedTuple):
    """A Secret, by what reads, makes or describes it.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        keys: Its keys; none where it is read as a whole.
        optional: Whether what reads it does without, too.
    """

    namespace: str
    name: str
    keys: frozenset[str]
    optional: bool = False


@dataclass(frozen=True)
class Needed:
    """A Secret that a cluster reads.

    Attributes:
        namespace: Where it is read.
        name: Its name.
        keys: The keys that are read.
        declared: What is declared of it; None for one that is not.
        brought: What of the sync brings it: a file or an ExternalSecret; empty for nothing.
        encrypted: Whether that is a file of SOPS, whose key only the cluster has.
    """

    namespace: str
    name: str
    keys: frozenset[str]
    declared: Declared | None
    brought: str = ""
    encrypted: bool = False

    @property
    def optional(self) -> str:
        """What it is like without it; empty where something waits for it."""
        return self.declared.optional if self.declared else ""

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


# Keys and indices that lead to where a Secret is named, and the Secret.
Named = tuple[tuple[str, ...], Secret]


def check(repository: Repository) -> list[Finding]:
    """Look for credentials, and compare the Secrets that are read with those that are declared."""
    findings: list[Finding] = []
    known = declared(repository.root)
    read: set[Secret] = set()
    for entry in repository.entries:
        findings += repository.locate(entry, plain(entry))
        findings += repository.locate(entry, undeclared(entry, known))
        read |= {secret for _, _, (_, secret) in reads(entry)}
    return [*findings, *idle(known, read), *misplaced(repository)]


def declared(root: Path) -> dict[Secret, int]:
    """Return the Secrets that `base/secrets.yaml` declares, each with its line, by namespace."""
    return {
        Secret(namespace, one.name, one.names, bool(one.optional)): one.line or 0
        for one in secretfile.read(root).values()
        for namespace in one.namespaces
    }


def reads(entry: Entry) -> Iterator[tuple[str, str, Named]]:
    """Yield the Secrets that values and objects read, each with kind and name of what reads it."""
    for release in entry.releases:
        for keys, secret in in_values(release.chart, release.namespace, release.values):
            yield "HelmRelease", release.owner[1], (("spec", "values", *keys), secret)
    for item in entry.objects():
        if group(item) in {OPERATOR, SOURCES}:
            for named in in_values("", item["metadata"].get("namespace", ""), item):
                yield item["kind"], item["metadata"]["name"], named


def in_values(chart: str, namespace: str, values: Json) -> Iterator[Named]:
    """Yield the Secrets that values or a spec name, by the conventions of what is used here."""
    yield from _selectors(namespace, values)
    for keys, holder in maps(values):
        if name := holder.get("existingSecret"):
            read = frozenset[str]()
            if chart == "grafana":
                user, password = holder.get("userKey"), holder.get("passwordKey")
                read = frozenset({user or "admin-user", password or "admin-password"})
            yield (*keys, "existingSecret"), Secret(namespace, name, read)
        if name := holder.get("configSecret"):
            yield (*keys, "configSecret"), Secret(namespace, name, frozenset({"alertmanager.yaml"}))
        for key in ("secretName", "envFromSecret"):
            if isinstance(name := holder.get(key), str) and name:
                yield (*keys, key), Secret(namespace, name, frozenset(), _optional(holder))
        for key in ("secretRef", "certSecretRef", "proxySecretRef"):
            if isinstance(found := holder.get(key), dict) and "name" in found:
                secret = Secret(namespace, found["name"], frozenset(), _optional(found))
                yield (*keys, key), secret
        for key in ("imagePullSecrets", "pullSecrets", "secrets"):
            for index, name in enumerate(_names(holder.get(key))):
                yield (*keys, key, str(index)), Secret(namespace, name, frozenset())


def made(entry: Entry, *, whole: bool = False) -> Iterator[tuple[str, Secret]]:
    """Yield the Secrets that ExternalSecrets make, each with the ExternalSecret's name.

    Args:
        entry: The cluster.
        whole: Also those that take whatever the store has, and so may have any key.
    """
    for item in entry.objects():
        if item["kind"] == "ExternalSecret" and (whole or "dataFrom" not in item["spec"]):
            metadata, spec = item["metadata"], item["spec"]
            name = spec.get("target", {}).get("name", metadata["name"])
            keys = frozenset(d["secretKey"] for d in spec.get("data", []))
            yield metadata["name"], Secret(metadata["namespace"], name, keys)


def undeclared(entry: Entry, known: Mapping[Secret, int]) -> Iterator[Fault]:
    """Find Secrets that are read or made otherwise than they are declared."""
    keys_of = {(one.namespace, one.name): one.keys for one in known}
    for kind, name, (keys, secret) in reads(entry):
        own = keys_of.get((secret.namespace, secret.name))
        if own is None or not secret.keys <= own:
            wanted = f" with {', '.join(sorted(secret.keys))}" if secret.keys else ""
            text = f"reads Secret {secret.namespace}/{secret.name}{wanted}, which is not declared"
            yield Fault(kind, name, keys, text, f"add it to {secretfile.PATH}")
    for name, secret in made(entry):
        own = keys_of.get((secret.namespace, secret.name))
        if own != secret.keys:
            wanted = ", ".join(sorted(own)) if own else "no such Secret"
            text = f"makes {secret.name} with {', '.join(sorted(secret.keys))}"
            fix = f"{secretfile.PATH} has {wanted}: make them the same"
            yield Fault("ExternalSecret", name, ("spec", "data"), text, fix)


def idle(known: Mapping[Secret, int], read: set[Secret]) -> Iterator[Finding]:
    """Find Secrets and keys that are declared and that nothing reads."""
    for one, line in known.items():
        uses = [s.keys for s in read if (s.namespace, s.name) == (one.namespace, one.name)]
        unread = one.keys.difference(*uses) if frozenset() not in uses else frozenset[str]()
        if not uses:
            text = f"nothing reads Secret {one.namespace}/{one.name}"
            yield Finding(secretfile.PATH, line, text, "remove it, or this namespace of it")
        elif unread:
            text = f"nothing reads {', '.join(sorted(unread))} of {one.namespace}/{one.name}"
            yield Finding(secretfile.PATH, line, text, "remove the key")


def misplaced(repository: Repository) -> Iterator[Finding]:
    """Find Secrets that are read without the opt-in that they are declared for, or only by opt-ins.

    What no cluster reads is an opt-in: tests/options alone reads it.
    """
    readers: dict[str, list[Entry]] = {}
    for entry in repository.entries:
        for name in dict.fromkeys(secret.name for _, _, (_, secret) in reads(entry)):
            readers.setdefault(name, []).append(entry)
    for name, one in secretfile.read(repository.root).items():
        entries = readers.get(name, [])
        if one.component:
            found = [e for e in entries if not _within(repository.files(e), one.component)]
            if found:
                text = f"{found[0].name} reads {name} without {one.component}"
                yield Finding(secretfile.PATH, one.line, text, "correct its component")
        elif entries and not any(entry.synced for entry in entries):
            text = f"no cluster reads {name}: it belongs to an opt-in"
            yield Finding(secretfile.PATH, one.line, text, "name the opt-in's folder as component")


def _within(files: Iterable[str], folder: str) -> bool:
    return any(path.startswith(f"{folder}/") for path in files)


def needed(entry: Entry, repository: Repository) -> list[Needed]:
    """Return the Secrets that a cluster reads, by namespace and name.

    A Secret that is not declared is taken for one that somebody waits for.
    """
    known = secretfile.read(repository.root)
    brought = {(s.namespace, s.name): f"ExternalSecret {n}" for n, s in made(entry, whole=True)}
    folder = repository.root / "clusters" / entry.cluster / ENCRYPTED
    files: set[tuple[str, str]] = set()
    for path, item in encrypted.secrets(folder) if entry.synced else ():
        metadata = item.get("metadata") or {}
        place = metadata.get("namespace", ""), metadata.get("name", "")
        brought[place] = str(path.relative_to(repository.root))
        files.add(place)
    keys: dict[tuple[str, str], frozenset[str]] = {}
    for _, _, (_, secret) in reads(entry):
        place = secret.namespace, secret.name
        keys[place] = keys.get(place, frozenset()) | secret.keys
    found = []
    for (namespace, name), read in sorted(keys.items()):
        one = known.get(name)
        own = read or (one.names if one else frozenset())
        place = namespace, name
        found.append(Needed(namespace, name, own, one, brought.get(place, ""), place in files))
    return found


def plain(entry: Entry) -> Iterator[Fault]:
    """Find Secrets, and what looks like a credential, in any object or value."""
    fix = "take it out, revoke it, and reference a Secret instead"
    for item in entry.objects():
        kind, name = item["kind"], item["metadata"]["name"]
        if kind == "Secret":
            text = "a plain Secret in git"
            yield Fault(kind, name, (), text, "revoke what it holds; `make secrets` makes another")
            continue
        for keys, value in leaves(item):
            if not isinstance(value, str) or value.startswith("$") or not value:
                continue
            if _looks_secret(value):
                yield Fault(kind, name, keys, f"{'.'.join(keys)} looks like a credential", fix)
            elif KEY_OF_SECRET.search(keys[-1]):
                text = f"{'.'.join(keys)} is a credential in plain text"
                yield Fault(kind, name, keys, text, fix)


def _selectors(namespace: str, value: Json) -> Iterator[Named]:
    """Yield each SecretKeySelector: a name and a key, and not below `configMap…`."""
    for keys, holder in maps(value):
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


@functools.cache
def _looks_secret(text: str) -> bool:
    return bool(LOOKS_SECRET.search(text))
