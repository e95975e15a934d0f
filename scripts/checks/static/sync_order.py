"""The order of syncs: no cycle, CRDs before custom resources, and Grafana waits for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from scripts.checks.static.policies import excludes_itself
from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, get
from scripts.model.manifests import ClusterSync, Repository, Unit, decrypts, group, is_engine_object

CRD_RELEASE = "prometheus-operator-crds"
CRD_GROUP = "monitoring.coreos.com"
# Releases with objects of that group.
CRD_CONSUMERS = ("kube-prometheus-stack",)
GRAFANA = "grafana"
WAVE = "argocd.argoproj.io/sync-wave"


def check(repository: Repository) -> list[Finding]:
    """Check the order of every cluster under its engine."""
    findings: list[Finding] = []
    for sync in repository.syncs:
        if not sync.synced:
            continue  # No engine syncs it.
        violations = flux(repository.root, sync) if sync.engine == "flux" else argocd(sync)
        findings += repository.locate(sync, violations)
    return findings


def flux(root: Path, sync: ClusterSync) -> Iterator[Violation]:
    """Flux orders by dependsOn; a Kustomization is ready when its health checks pass."""
    kustomizations, releases = _named(sync, "Kustomization"), _named(sync, "HelmRelease")
    yield from _graph("Kustomization", kustomizations)
    yield from _graph("HelmRelease", releases)
    for name, item in kustomizations.items():
        yield from _kustomization(root, sync.cluster, name, item)
        yield from _health_checks(sync, name, item)
    if len({str(item["spec"].get("sourceRef")) for item in kustomizations.values()}) > 1:
        name = max(kustomizations)
        text, fix = "syncs from another source than the others", "name one source in all of them"
        yield Violation("Kustomization", name, ("spec", "sourceRef"), text, fix)
    for name in CRD_CONSUMERS:
        if name in releases and CRD_RELEASE not in _depends_on(releases[name]):
            text = f"does not depend on {CRD_RELEASE}, whose kinds it uses"
            keys = ("spec", "dependsOn")
            yield Violation("HelmRelease", name, keys, text, "add it to spec.dependsOn")
    for name, item in releases.items():
        yield from _retried(name, item["spec"])
    if GRAFANA in releases and (needs := _depends_on(releases[GRAFANA])):
        text = f"waits for {', '.join(sorted(needs))}"
        fix = "remove dependsOn: an open dashboard waits for nothing else"
        yield Violation("HelmRelease", GRAFANA, ("spec", "dependsOn"), text, fix)
    crds_ready = {u.name for u in sync.units if _ready_with_crds(u, kustomizations.get(u.name))}
    for unit in sync.units:
        custom = sorted({item["kind"] for item in unit.objects if group(item) == CRD_GROUP})
        if custom and not crds_ready & sync.before(unit):
            text = f"applies {', '.join(custom)}, perhaps before their CRDs are there"
            fix = f"depend on a Kustomization whose health checks name HelmRelease {CRD_RELEASE}"
            yield Violation("Kustomization", unit.name, ("spec", "dependsOn"), text, fix)
        if unit.depends_on and _contains(unit, "HelmRelease", GRAFANA):
            text = f"brings Grafana and waits for {', '.join(unit.depends_on)}"
            fix = "remove dependsOn: an open dashboard waits for nothing else"
            yield Violation("Kustomization", unit.name, ("spec", "dependsOn"), text, fix)


def argocd(sync: ClusterSync) -> Iterator[Violation]:
    """Argo CD orders by sync wave and retries: no Application waits for the health of another."""
    applications, projects = _named(sync, "Application"), _named(sync, "AppProject")
    crds = _wave(applications[CRD_RELEASE]) if CRD_RELEASE in applications else None
    with_custom_resources = {
        u.name for u in sync.units if any(group(i) == CRD_GROUP for i in u.objects)
    }
    for name, item in applications.items():
        if item["spec"]["source"].get("path") == sync.units[0].path and not excludes_itself(item):
            text = "manages itself, so that its deletion waits for itself and never ends"
            fix = "leave it out of its own source, by a patch in spec.source.kustomize"
            yield Violation("Application", name, ("spec", "source"), text, fix)
        policy = item["spec"].get("syncPolicy", {})
        options = policy.get("syncOptions", [])
        at = ("spec", "syncPolicy", "syncOptions")
        if name in {*CRD_CONSUMERS, *with_custom_resources}:
            if crds is None or _wave(item) <= crds:
                text = f"is created no later than {CRD_RELEASE}, whose kinds it uses"
                yield Violation(
                    "Application", name, ("metadata",), text, f"give {CRD_RELEASE} a lower wave"
                )
            if "SkipDryRunOnMissingResource=true" in options:
                text = "may run the operator before its CRDs, which it then never looks for again"
                fix = "remove SkipDryRunOnMissingResource=true: the whole is retried then"
                yield Violation("Application", name, at, text, fix)
        retry = policy.get("retry", {})
        if retry.get("limit") != -1:
            text = "gives up, and is not synced at that revision once nothing is wrong any more"
            fix = "set syncPolicy.retry.limit: -1"
            yield Violation("Application", name, ("spec", "syncPolicy"), text, fix)
        if retry.get("refresh") is not True:
            text = "retries what failed, and the commit that mends it waits"
            fix = "set syncPolicy.retry.refresh: true"
            yield Violation("Application", name, ("spec", "syncPolicy"), text, fix)
        if "ServerSideApply=true" not in options:
            text = "applies on the client's side, where CRDs and dashboards do not fit"
            yield Violation("Application", name, at, text, "add ServerSideApply=true")
        if "Replace=true" in options:
            text = "replaces objects, which overrides ServerSideApply"
            yield Violation("Application", name, at, text, "remove Replace=true")
        project = item["spec"].get("project")
        if project in projects and _wave(projects[project]) >= _wave(item):
            text = f"is created no later than Application {name}, which is in it"
            yield Violation(
                "AppProject", project, ("metadata",), text, "give the project a lower wave"
            )


def _graph(kind: str, items: Mapping[str, Mapping[str, Json]]) -> Iterator[Violation]:
    graph = {name: _depends_on(item) for name, item in items.items()}
    for name, item in items.items():
        own = item["metadata"].get("namespace")
        for index, one in enumerate(item["spec"].get("dependsOn", [])):
            there = items.get(one["name"], item)["metadata"].get("namespace")
            if (wanted := one.get("namespace", own)) != there:
                text = f"depends on {one['name']} in the namespace {wanted}; it is in {there}"
                fix = "correct dependsOn: Flux would wait for ever"
                yield Violation(kind, name, ("spec", "dependsOn", str(index)), text, fix)
    for name, needs in graph.items():
        for missing in sorted(needs - items.keys()):
            text = f"depends on {missing}, which does not exist"
            yield Violation(
                kind, name, ("spec", "dependsOn"), text, "correct the name in dependsOn"
            )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1]
        text = f"dependsOn is a cycle: {' → '.join(cycle)}"
        fix = "remove one of them: Flux would wait for ever and say nothing"
        yield Violation(kind, cycle[0], ("spec", "dependsOn"), text, fix)


def _retried(name: str, spec: Mapping[str, Json]) -> Iterator[Violation]:
    """A release is tried again for ever: a passing fault must not leave it failed.

    https://fluxcd.io/flux/components/helm/helmreleases/#configuring-failure-handling
    """
    for action in ("install", "upgrade"):
        own = spec.get(action) or {}
        retried = get(own, "strategy", "name") == "RetryOnFailure"
        if not retried and get(own, "remediation", "retries") != -1:
            text = f"{action}: after its attempts it stays failed until somebody changes it"
            fix = f"set {action}.strategy.name: RetryOnFailure"
            yield Violation("HelmRelease", name, ("spec", action), text, fix)


def _kustomization(
    root: Path, cluster: str, name: str, item: Mapping[str, Json]
) -> Iterator[Violation]:
    spec = item["spec"]
    if spec.get("prune") is not True:
        text = "does not prune: what is deleted in git stays in the cluster"
        yield Violation("Kustomization", name, ("spec", "prune"), text, "set spec.prune: true")
    path = str(spec.get("path"))
    if decrypts(cluster, path):
        if (spec.get("decryption") or {}).get("provider") != "sops":
            text = f"applies {path} without decrypting it"
            fix = "set spec.decryption.provider: sops, and the Secret that has the key"
            yield Violation("Kustomization", name, ("spec", "decryption"), text, fix)
    elif not path.startswith("./overlays/") or not (root / path).is_dir():
        text = f"builds {path}, which is no folder of overlays"
        yield Violation(
            "Kustomization", name, ("spec", "path"), text, "name ./overlays/<environment>/…"
        )


def _health_checks(sync: ClusterSync, name: str, item: Mapping[str, Json]) -> Iterator[Violation]:
    applied = {
        (i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"])
        for unit in sync.units
        if unit.name == name
        for i in unit.objects
    }
    for index, wanted in enumerate(item["spec"].get("healthChecks", [])):
        if (wanted["kind"], wanted.get("namespace"), wanted["name"]) not in applied:
            text = f"waits for {wanted['kind']} {wanted['name']}, which it does not apply"
            keys = ("spec", "healthChecks", str(index))
            yield Violation("Kustomization", name, keys, text, "correct the health check")


def _named(sync: ClusterSync, kind: str) -> dict[str, Mapping[str, Json]]:
    return {
        item["metadata"]["name"]: item
        for item in sync.objects()
        if item["kind"] == kind and is_engine_object(item)
    }


def _depends_on(item: Mapping[str, Json]) -> set[str]:
    return {d["name"] for d in item["spec"].get("dependsOn", [])}


def _contains(unit: Unit, kind: str, name: str) -> bool:
    return any(i["kind"] == kind and i["metadata"]["name"] == name for i in unit.objects)


def _ready_with_crds(unit: Unit, kustomization: Mapping[str, Json] | None) -> bool:
    """Say whether the unit is ready only when the CRDs' release is."""
    spec = kustomization["spec"] if kustomization else {}
    if spec.get("wait"):  # Flux then ignores healthChecks and waits for every object.
        return _contains(unit, "HelmRelease", CRD_RELEASE)
    checks = spec.get("healthChecks", [])
    return any(c["kind"] == "HelmRelease" and c["name"] == CRD_RELEASE for c in checks)


def _wave(item: Mapping[str, Json]) -> int:
    return int(item["metadata"].get("annotations", {}).get(WAVE, "0"))
