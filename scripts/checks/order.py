"""The order of both engines' syncs: no cycle, CRDs before their objects, nothing before Grafana."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from scripts.findings import Finding
from scripts.manifests import Entry, Repository, Unit, group
from scripts.yamlfile import Json

CRD_RELEASE = "prometheus-operator-crds"
CRD_GROUP = "monitoring.coreos.com"
# The release that brings objects of that group besides our own.
CRD_CONSUMERS = ("kube-prometheus-stack",)
FIRST = "grafana"
WAVE = "argocd.argoproj.io/sync-wave"


def check(repository: Repository) -> list[Finding]:
    """Check the order of every entry."""
    findings: list[Finding] = []
    for entry in repository.entries:
        if entry.cluster == "options":
            continue
        findings += flux(entry) if entry.engine == "flux" else argocd(entry)
    return findings


def flux(entry: Entry) -> list[Finding]:
    """Flux orders by dependsOn, and a Kustomization is ready when its health checks are."""
    findings = []
    place = f"clusters/{entry.cluster}/flux"
    kustomizations = _named(entry, "Kustomization")
    releases = _named(entry, "HelmRelease")
    for kind, items in (("Kustomization", kustomizations), ("HelmRelease", releases)):
        graph = {name: _depends_on(item) for name, item in items.items()}
        for name, needs in graph.items():
            for missing in sorted(needs - items.keys()):
                message = f"{kind} {name} depends on {missing}, which does not exist"
                findings.append(Finding(place, None, message, "correct the name in dependsOn"))
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            message = f"dependsOn of {kind}s is a cycle: {' → '.join(error.args[1])}"
            fix = "remove one of them: Flux would wait for ever and say nothing"
            findings.append(Finding(place, None, message, fix))
            return findings
    for name, item in kustomizations.items():
        for check_ in item["spec"].get("healthChecks", []):
            if check_["kind"] == "HelmRelease" and check_["name"] not in releases:
                message = (
                    f"{name}: the health check names HelmRelease {check_['name']}, unknown here"
                )
                findings.append(Finding(place, None, message, "correct the name in healthChecks"))
        if not item["spec"].get("prune"):
            message = f"Kustomization {name} does not prune"
            findings.append(Finding(place, None, message, "set spec.prune: true"))
    for consumer in CRD_CONSUMERS:
        if consumer in releases and CRD_RELEASE not in _depends_on(releases[consumer]):
            message = f"HelmRelease {consumer} does not depend on {CRD_RELEASE}"
            findings.append(Finding(place, None, message, "add it to spec.dependsOn"))
    if FIRST in releases and _depends_on(releases[FIRST]):
        message = f"HelmRelease {FIRST} waits for {sorted(_depends_on(releases[FIRST]))}"
        findings.append(Finding(place, None, message, "an open dashboard waits for nothing else"))
    ready_with_crds = {n for n, k in kustomizations.items() if _waits_for_crds(k)}
    for unit in entry.units[1:]:
        custom = sorted({i["kind"] for i in unit.objects if group(i) == CRD_GROUP})
        if custom and not ready_with_crds & _before(unit, entry.units):
            message = f"{unit.name} applies {', '.join(custom)} before their CRDs are there"
            fix = f"depend on a Kustomization whose health check is HelmRelease {CRD_RELEASE}"
            findings.append(Finding(place, None, message, fix))
        if any(i["kind"] == "HelmRelease" and i["metadata"]["name"] == FIRST for i in unit.objects):
            for name in unit.depends_on:
                message = f"{unit.name}, which brings Grafana, waits for {name}"
                fix = "an open dashboard waits for nothing else"
                findings.append(Finding(place, None, message, fix))
    return findings


def argocd(entry: Entry) -> list[Finding]:
    """Argo CD creates by wave and repairs by retry: an Application's health holds up no other."""
    findings = []
    place = f"clusters/{entry.cluster}/argocd"
    applications = _named(entry, "Application")
    projects = _named(entry, "AppProject")
    if CRD_RELEASE not in applications:
        return [
            Finding(place, None, f"no Application {CRD_RELEASE}", "add it: others need its CRDs")
        ]
    crds = _wave(applications[CRD_RELEASE])
    bringers = {*CRD_CONSUMERS, *_units_with_custom_resources(entry)}
    for name, item in applications.items():
        policy = item["spec"].get("syncPolicy", {})
        options = policy.get("syncOptions", [])
        if name in bringers:
            if _wave(item) <= crds:
                message = f"Application {name} is created no later than {CRD_RELEASE}"
                findings.append(Finding(place, None, message, f"give {CRD_RELEASE} a lower wave"))
            if not policy.get("retry") or "SkipDryRunOnMissingResource=true" not in options:
                message = f"Application {name} fails for good if the CRDs come a second later"
                fix = "set syncPolicy.retry and SkipDryRunOnMissingResource=true"
                findings.append(Finding(place, None, message, fix))
        if "ServerSideApply=true" not in options:
            message = f"Application {name} applies on the client's side: CRDs do not fit"
            findings.append(Finding(place, None, message, "set ServerSideApply=true"))
        if "Replace=true" in options:
            message = f"Application {name} replaces objects, which overrides ServerSideApply"
            findings.append(Finding(place, None, message, "remove Replace=true"))
        project = item["spec"].get("project")
        if project in projects and _wave(projects[project]) >= _wave(item):
            message = f"AppProject {project} is created no earlier than Application {name}"
            findings.append(Finding(place, None, message, "give the project a lower wave"))
    return findings


def _named(entry: Entry, kind: str) -> dict[str, Mapping[str, Json]]:
    return {
        i["metadata"]["name"]: i
        for i in entry.objects()
        if i.get("kind") == kind and group(i).endswith(("toolkit.fluxcd.io", "argoproj.io"))
    }


def _depends_on(item: Mapping[str, Json]) -> set[str]:
    return {d["name"] for d in item["spec"].get("dependsOn", [])}


def _waits_for_crds(kustomization: Mapping[str, Json]) -> bool:
    checks = kustomization["spec"].get("healthChecks", [])
    return any(c["kind"] == "HelmRelease" and c["name"] == CRD_RELEASE for c in checks)


def _before(unit: Unit, units: list[Unit]) -> set[str]:
    """Names of all units that come before this one."""
    by_name = {u.name: u for u in units}
    found: set[str] = set()
    ahead = list(unit.depends_on)
    while ahead:
        name = ahead.pop()
        if name in by_name and name not in found:
            found.add(name)
            ahead.extend(by_name[name].depends_on)
    return found


def _units_with_custom_resources(entry: Entry) -> set[str]:
    return {u.name for u in entry.units if any(group(i) == CRD_GROUP for i in u.objects)}


def _wave(item: Mapping[str, Json]) -> int:
    return int(item["metadata"].get("annotations", {}).get(WAVE, "0"))
