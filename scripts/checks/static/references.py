"""Objects refer to what exists: sources, ConfigMaps, Services, namespaces, projects."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from itertools import chain

from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, leaves, load, maps
from scripts.model.files import INVENTORY
from scripts.model.manifests import (
    CHART_SOURCES,
    ENGINE_NAMESPACES,
    ClusterSync,
    Release,
    Repository,
    in_values,
)
from scripts.model.rendered import API_SERVER
from scripts.rules import facts as rule_facts

_ADDRESS = re.compile(r"\b([a-z0-9][a-z0-9-]*)\.([a-z0-9][a-z0-9-]*)\.svc\b")


def check(repository: Repository) -> list[Finding]:
    """Check the references of every cluster sync, and that all of the inventory is used."""
    facts = load(repository.root / INVENTORY, repository.root)[0]["data"]
    findings = inventory(repository, facts)
    for sync in repository.syncs:
        violations = chain(
            sources(sync),
            chain.from_iterable(mounts(sync, release) for release in sync.releases),
            namespaces(sync),
            addresses(sync, str(facts["NAMESPACES"])),
            projects(sync),
        )
        findings += repository.locate(sync, violations)
    return findings


def inventory(repository: Repository, facts: Mapping[str, Json]) -> list[Finding]:
    """Each fact about the application is copied by a replacement, or used by generated rules.

    Whether a copy arrives is checked by `engines.placeholders`.
    """
    copied = {
        replacement["source"]["fieldPath"].removeprefix("data.")
        for path in sorted(repository.root.glob("base/**/kustomization.yaml"))
        for replacement in load(path, repository.root)[0].get("replacements") or []
        if replacement["source"].get("name") == "application"
    }
    return [
        Finding(
            *repository.where("ConfigMap", "application", "data", key),
            f"nothing copies {key}",
            "add a replacement that copies it to where it is needed, or remove it",
        )
        for key in sorted(facts.keys() - copied - set(rule_facts.names_used(repository.root)))
    ]


def sources(sync: ClusterSync) -> Iterator[Violation]:
    """Each source of charts has a release, in the namespace where the release looks for it."""
    used: set[tuple[str, str, str]] = set()
    declared = {
        (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        for item in sync.objects()
        if item["kind"] in CHART_SOURCES
    }
    for item in sync.objects():
        if item["kind"] != "HelmRelease":
            continue
        spec, own = item["spec"], item["metadata"]["namespace"]
        reference = spec.get("chartRef") or spec["chart"]["spec"]["sourceRef"]
        wanted = (reference["kind"], reference.get("namespace", own), reference["name"])
        used.add(wanted)
        if wanted not in declared:
            text = f"its {wanted[0]} {wanted[2]} is not in the namespace {wanted[1]}"
            fix = "declare the source beside the release"
            yield Violation("HelmRelease", item["metadata"]["name"], ("spec",), text, fix)
    for kind, _, name in sorted(declared - used):
        yield Violation(kind, name, (), "no release comes from it", "remove it")


def mounts(sync: ClusterSync, release: Release) -> Iterator[Violation]:
    """Each ConfigMap that values name exists in the release's namespace, with the key."""
    built = {
        item["metadata"]["name"]: item.get("data") or {}
        for item in sync.objects()
        if item["kind"] == "ConfigMap" and item["metadata"].get("namespace") == release.namespace
    }
    for keys, name, key in _configmaps_named(release):
        if name not in built:
            text = f"no ConfigMap {name} is built in the namespace {release.namespace}"
            fix = f"correct the name, or build it; there are {', '.join(sorted(built)) or 'none'}"
            yield in_values(release, keys, text, fix)
        elif key and key not in built[name]:
            text = f"ConfigMap {name} has no key {key}"
            yield in_values(release, keys, text, f"use one of {', '.join(sorted(built[name]))}")


def namespaces(sync: ClusterSync) -> Iterator[Violation]:
    """Each namespace that is used is declared, or created by an engine's installation."""
    declared = {*ENGINE_NAMESPACES, *_declared(sync)}
    for release in sync.releases:
        if release.namespace not in declared:
            text = f"installs into the namespace {release.namespace}, which nothing declares"
            yield Violation(*release.owner, ("spec",), text, "declare it in base/releases")
    for item in sync.objects():
        metadata = item["metadata"]
        if metadata.get("namespace", "argocd") not in declared:
            text = f"is in the namespace {metadata['namespace']}, which nothing declares"
            at = ("metadata", "namespace")
            yield Violation(item["kind"], metadata["name"], at, text, "declare it in base/releases")


def addresses(sync: ClusterSync, application: str) -> Iterator[Violation]:
    """Addresses are of the API server, or of Services in our or the application's namespaces.

    Args:
        sync: A cluster under one engine.
        application: Regular expression of the application's namespaces.
    """
    ours = {*ENGINE_NAMESPACES, *_declared(sync)}
    api_server = (API_SERVER["metadata"]["name"], API_SERVER["metadata"]["namespace"])
    for item in sync.objects():
        for keys, text in leaves(item):
            for service, namespace in _addresses(text) if isinstance(text, str) else ():
                if (service, namespace) == api_server:
                    continue
                if namespace not in ours and not re.fullmatch(application, namespace):
                    message = f"{service}.{namespace}.svc is in a namespace that nobody knows"
                    fix = f"correct it, or the application's NAMESPACES in {INVENTORY}"
                    yield Violation(item["kind"], item["metadata"]["name"], keys, message, fix)


def projects(sync: ClusterSync) -> Iterator[Violation]:
    """Each project exists, and permits exactly the repositories and namespaces that are used."""
    applications = {i["metadata"]["name"]: i for i in sync.objects() if i["kind"] == "Application"}
    found = {i["metadata"]["name"]: i for i in sync.objects() if i["kind"] == "AppProject"}
    for name, item in applications.items():
        if item["spec"].get("project") not in {*found, "default"}:
            text = f"is in the project {item['spec'].get('project')}, which does not exist"
            fix = f"use one of {', '.join(sorted(found))}"
            yield Violation("Application", name, ("spec", "project"), text, fix)
    for name, project in found.items():
        members = {
            n: i["spec"] for n, i in applications.items() if i["spec"].get("project") == name
        }
        places = {
            (s["destination"]["server"], s["destination"]["namespace"]) for s in members.values()
        }
        for unit in sync.units:
            server = members.get(unit.name, {}).get("destination", {}).get("server")
            if server:
                places |= {(server, i["metadata"].get("namespace", "")) for i in unit.objects}
        pairs = {
            "sourceRepos": (
                set(project["spec"]["sourceRepos"]),
                {spec["source"]["repoURL"] for spec in members.values()},
            ),
            "destinations": (
                {(d["server"], d["namespace"]) for d in project["spec"]["destinations"]},
                places,
            ),
        }
        for key, (allowed, used) in pairs.items():
            for value in sorted(allowed ^ used):
                shown = value if isinstance(value, str) else " ".join(value)
                verb = "admits, though nothing uses it," if value in allowed else "does not admit"
                text = f"{key} {verb} {shown}"
                fix = f"make {key} just what its Applications use"
                yield Violation("AppProject", name, ("spec", key), text, fix)


def pipeline(release: Release) -> tuple[str, str]:
    """Return the ConfigMap and its key that a release of Alloy's chart reads.

    The chart's names: https://github.com/grafana/alloy/tree/main/operations/helm/charts/alloy
    """
    own = release.values.get("alloy", {}).get("configMap", {})
    return own.get("name", release.name), own.get("key", "config.alloy")


def _configmaps_named(release: Release) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """Yield keys, ConfigMap and its key, if one is named, by the conventions of the used charts."""
    for folder, name in (release.values.get("dashboardsConfigMaps") or {}).items():
        yield ("dashboardsConfigMaps", folder), name, None
    if release.chart == "alloy":
        yield ("alloy", "configMap"), *pipeline(release)
    for keys, holder in maps(release.values):
        if not keys or not isinstance(holder.get("name"), str) or holder.get("optional"):
            continue
        is_own = release.chart == "alloy" and keys == ("alloy", "configMap")
        if keys[-1] in {"configMap", "configMapKeyRef", "configMapRef"} and not is_own:
            yield (*keys, "name"), holder["name"], holder.get("key")


def _declared(sync: ClusterSync) -> set[str]:
    return {i["metadata"]["name"] for i in sync.objects() if i["kind"] == "Namespace"}


@functools.cache
def _addresses(text: str) -> frozenset[tuple[str, str]]:
    return frozenset(_ADDRESS.findall(text))
