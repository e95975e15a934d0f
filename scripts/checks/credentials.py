"""Credentials: none in git, and each Secret that something reads is in the README's table."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from scripts.findings import Fault, Finding
from scripts.manifests import ENCRYPTED, Entry, Repository, group
from scripts.yamlfile import Json, leaves, load, maps

README = "README.md"
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


# Keys and indices that lead to where a Secret is named, and the Secret.
Named = tuple[tuple[str, ...], Secret]


def check(repository: Repository) -> list[Finding]:
    """Look for credentials, and compare the Secrets that are read with the README's table."""
    findings = encrypted(repository)
    rows = table(repository.root)
    read: set[Secret] = set()
    for entry in repository.entries:
        findings += repository.locate(entry, plain(entry))
        findings += repository.locate(entry, undocumented(entry, rows))
        read |= {secret for _, _, (_, secret) in reads(entry)}
    return findings + idle(rows, read)


def table(root: Path) -> dict[Secret, int]:
    """Return the README's table of Secrets, each row with its line.

    The first three columns are Secret, Namespace and Keys, with names in backticks.
    """
    rows: dict[Secret, int] = {}
    path = root / README
    within = False
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        if line.startswith("## "):
            within = line == "## Secrets"
        elif within and line.startswith("|"):
            names, namespaces, keys = (re.findall(r"`([^`]+)`", c) for c in line.split("|")[1:4])
            for namespace in namespaces if names else ():
                rows[Secret(namespace, names[0], frozenset(keys))] = number
    return rows


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


def made(entry: Entry) -> Iterator[tuple[str, Secret]]:
    """Yield the Secrets that ExternalSecrets make, each with the ExternalSecret's name.

    Those that take whatever the store has may have any key, and are left out.
    """
    for item in entry.objects():
        if item["kind"] == "ExternalSecret" and "dataFrom" not in item["spec"]:
            metadata, spec = item["metadata"], item["spec"]
            name = spec.get("target", {}).get("name", metadata["name"])
            keys = frozenset(d["secretKey"] for d in spec.get("data", []))
            yield metadata["name"], Secret(metadata["namespace"], name, keys)


def undocumented(entry: Entry, rows: Mapping[Secret, int]) -> Iterator[Fault]:
    """Find Secrets that are read or made otherwise than the table says."""
    known = {(row.namespace, row.name): row.keys for row in rows}
    for kind, name, (keys, secret) in reads(entry):
        row = known.get((secret.namespace, secret.name))
        if row is None or not secret.keys <= row:
            wanted = f" with {', '.join(sorted(secret.keys))}" if secret.keys else ""
            text = f"reads Secret {secret.namespace}/{secret.name}{wanted}, which no row describes"
            yield Fault(kind, name, keys, text, f"add it to the table under Secrets in {README}")
    for name, secret in made(entry):
        row = known.get((secret.namespace, secret.name))
        if row != secret.keys:
            wanted = ", ".join(sorted(row)) if row else "no such Secret"
            text = f"makes {secret.name} with {', '.join(sorted(secret.keys))}"
            fix = f"the table under Secrets in {README} has {wanted}: make them the same"
            yield Fault("ExternalSecret", name, ("spec", "data"), text, fix)


def idle(rows: Mapping[Secret, int], read: set[Secret]) -> list[Finding]:
    """Find rows and keys of the table that nothing reads."""
    findings = []
    for row, line in rows.items():
        uses = [s.keys for s in read if (s.namespace, s.name) == (row.namespace, row.name)]
        unread = row.keys.difference(*uses) if frozenset() not in uses else frozenset[str]()
        if not uses:
            text = f"nothing reads Secret {row.namespace}/{row.name}"
            findings.append(Finding(README, line, text, "remove the row"))
        elif unread:
            text = f"nothing reads {', '.join(sorted(unread))} of {row.namespace}/{row.name}"
            findings.append(Finding(README, line, text, "remove the key"))
    return findings


def plain(entry: Entry) -> Iterator[Fault]:
    """Find Secrets, and what looks like a credential, in any object or value."""
    fix = "take it out, revoke it, and reference a Secret instead"
    for item in entry.objects():
        kind, name = item["kind"], item["metadata"]["name"]
        if kind == "Secret":
            text = "a plain Secret in git"
            yield Fault(kind, name, (), text, f"create it in the cluster: see Secrets in {README}")
            continue
        for keys, value in leaves(item):
            if not isinstance(value, str) or value.startswith("$") or not value:
                continue
            if _looks_secret(value):
                yield Fault(kind, name, keys, f"{'.'.join(keys)} looks like a credential", fix)
            elif KEY_OF_SECRET.search(keys[-1]):
                text = f"{'.'.join(keys)} is a credential in plain text"
                yield Fault(kind, name, keys, text, fix)


def encrypted(repository: Repository) -> list[Finding]:
    """Check that what lies beside the engines' folders is encrypted by SOPS."""
    return [
        Finding(
            str(path.relative_to(repository.root)),
            None,
            "a Secret that SOPS has not encrypted",
            "revoke what it holds, and run `sops encrypt`",
        )
        for path in sorted(repository.root.glob(f"clusters/*/{ENCRYPTED}/*.yaml"))
        for item in load(path, repository.root)
        if item.get("kind") == "Secret" and "sops" not in item
    ]


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
