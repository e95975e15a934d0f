"""Names are given once: alerts, groups of rules, items of lists in values, objects of units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.checks.static.alerts import alerts_of
from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, get, line_of, load
from scripts.model.manifests import ClusterSync, Release, Repository, identity, in_values
from scripts.rules.alerts import LOKI_RULES, PREFIX, SPECIFICATIONS

# By what the items of a list are told apart, the first that they have; the API server merges lists
# by the same keys.
IDENTITIES = (("mountPath",), ("devicePath",), ("name", "namespace", "kind"))


def check(repository: Repository) -> list[Finding]:
    """Look for what is there twice, in specifications, values and what is applied."""
    findings = list(alerts_named_once(repository))
    for sync in repository.syncs:
        findings += objects_applied_once(sync)
        for release in sync.releases:
            findings += repository.locate(sync, list_items_named_once(release))
    return findings


def alerts_named_once(repository: Repository) -> Iterator[Finding]:
    """No two alerts have one name and severity, and no two groups of a file one name."""
    seen: set[tuple[str, str]] = set()
    fix = "remove one of them, or give it another name: both would be sent"
    for path in sorted((repository.root / SPECIFICATIONS).glob("*.yaml")):
        for keys, name, severity in _specified(path, repository.root):
            place = path.relative_to(repository.root).as_posix()
            line = line_of(path.read_text(encoding="utf-8"), *keys)
            if severity is None:
                fault = f"the group {name} is a second time in this file", "rename one of them"
                yield Finding(place, line, *fault)
            elif (name, severity) in seen:
                yield Finding(place, line, f"the alert {name} is there a second time", fix)
            seen.add((name, str(severity)))
    written = set(seen)
    distinct = {
        (alert.where, alert.name, str(alert.rule.get("labels"))): (sync, alert)
        for sync in repository.syncs
        for alert in alerts_of(sync)
        if not alert.where.startswith((f"PrometheusRule {PREFIX}", f"{LOKI_RULES}/"))
    }
    others: set[tuple[str, str]] = set()
    for (where, name, labels), (sync, alert) in distinct.items():
        severity = str(get(alert.rule, "labels", "severity"))
        if (name, severity) in written or (name, labels) in others:
            found = repository.where(*where.split(" ", 1), sync=sync)
            yield Finding(*found, f"the alert {name} is there a second time", fix)
        others.add((name, labels))


def list_items_named_once(release: Release) -> Iterator[Violation]:
    """No two items of a list in values have one name: charts and the API server keep either."""
    for keys, name in repeated(release.values):
        text = f"{'.'.join(keys[:-1])} has {name} a second time"
        yield in_values(release, keys, text, "remove one of them")


def objects_applied_once(sync: ClusterSync) -> Iterator[Finding]:
    """Each object is applied by one unit: two overwrite it in turn, and either may prune it."""
    first: dict[str, str] = {}
    for unit in sync.units:
        names = dict.fromkeys(f"{item.get('apiVersion')} {identity(item)}" for item in unit.objects)
        if again := [name for name in names if first.setdefault(name, unit.name) != unit.name]:
            what = again[0].split(" ", 1)[1]
            more = f" and {len(again) - 1} more" if again[1:] else ""
            text = f"applies {what}{more}, which {sync.cluster} applies by another unit, too"
            fix = "leave it in one of them"
            yield Finding(f"{unit.path}/kustomization.yaml", None, text, fix)


def repeated(value: Json, *keys: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each item of a list that has the identity of one before it: where, and its name."""
    if isinstance(value, list):
        seen: Counter[tuple[Json, ...]] = Counter()
        for index, item in enumerate(value):
            if isinstance(item, dict) and (found := _identity(item)):
                seen[found] += 1
                if seen[found] == 2:
                    yield (*keys, str(index)), str(found[1])
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from repeated(item, *keys, str(key))


def _identity(item: Mapping[str, Json]) -> tuple[Json, ...] | None:
    own = next((names for names in IDENTITIES if isinstance(item.get(names[0]), str)), None)
    return own and (own[0], *(str(item.get(name)) for name in own))


def _specified(path: Path, root: Path) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """Yield where each alert of a specification is, and each group whose name was there before.

    Yields:
        Keys that lead to it, its name, and its severity; None for a group.
    """
    names: Counter[str] = Counter()
    for number, group in enumerate(load(path, root)[0]["groups"]):
        names[group["name"]] += 1
        if names[group["name"]] == 2:
            yield ("groups", str(number)), group["name"], None
        for index, rule in enumerate(group["rules"]):
            if "alert" in rule:
                keys = ("groups", str(number), "rules", str(index))
                yield keys, rule["alert"], str(rule.get("severity"))
