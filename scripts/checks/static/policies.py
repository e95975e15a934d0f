"""Rules for objects and files that no schema can express.

The application is not touched, versions are pinned, permissions are minimal, and nothing works with
one of the engines only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.checks.static.admission import ADMISSION_KINDS
from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, leaves, load, load_all, maps
from scripts.model import api_groups
from scripts.model.images import EXACT
from scripts.model.manifests import (
    CONFIGMAP_BYTES,
    ENGINE_NAMESPACES,
    NAMESPACES,
    OPTIONAL_NAMESPACES,
    Release,
    Repository,
    group,
    is_engine_object,
)
from scripts.model.pod_security import POD_SECURITY

# All that this repository creates is in these; the application's namespaces are not among them.
OUR_NAMESPACES = NAMESPACES | OPTIONAL_NAMESPACES | ENGINE_NAMESPACES
KEEP_ANNOTATIONS = {
    api_groups.PRUNE: {"disabled"},
    api_groups.SYNC_OPTIONS: {"Prune=false", "Delete=false"},
}
# Fields of one engine that the other, or a plain `kustomize build`, does not implement.
ONE_ENGINE = {
    "Kustomization": (
        "components",
        "images",
        "namePrefix",
        "nameSuffix",
        "patches",
        "postBuild",
        "targetNamespace",
    ),
    "HelmRelease": ("postRenderers", "valuesFrom"),
    "Application": ("sources",),
}
ONE_ENGINE_SOURCE = ("kustomize", "plugin", "directory")
ONE_ENGINE_HELM = ("fileParameters", "parameters", "valueFiles", "values")
CHART_INFLATION = ("helmChartInflationGenerator", "helmCharts", "helmGlobals")
# Kinds that an overlay may patch.
PATCHABLE = frozenset(
    ["HelmRelease", "PodMonitor", "Probe", "PrometheusRule", "ScrapeConfig", "ServiceMonitor"]
)
# Besides these, those by which an owner names a Gateway, an Ingress class or an issuer of his own.
PATCHABLE_IN_PUBLIC = PATCHABLE | {"Certificate", "HTTPRoute", "Ingress", "Issuer"}
# The policy of `base/optional/public/network-policies`: it names that Gateway's namespace.
DOOR_POLICY = "grafana-from-gateway"
MODELINE = "# yaml-language-server: $schema="
# An annotation of kustomize for objects that are not applied.
LOCAL_CONFIG = "config.kubernetes.io/local-config"
UNQUOTED = re.compile(r"^\s+(?:tag|version|targetRevision): (v?\d\S*)$", re.MULTILINE)


def check(repository: Repository) -> list[Finding]:
    """Check every object, release and file."""
    findings = [
        *flux_folder_has_kustomizations_only(repository.root),
        *overlays_patch_values_only(repository.root),
        *base_files_are_conventional(repository.root),
    ]
    for sync in repository.syncs:
        for item in sync.objects():
            for rule in (
                in_our_namespaces,
                no_wildcard_permissions,
                namespace_not_pruned,
                has_pod_security_level,
                fits_into_configmap,
                works_with_both_engines,
                crds_skipped,
                no_latest,
            ):
                findings += repository.locate(sync, rule(item))
        for release in sync.releases:
            findings += repository.locate(sync, chart_version_pinned(release))
    return findings


def in_our_namespaces(item: Mapping[str, Json]) -> Iterator[Violation]:
    """Every object is in one of our namespaces: the application is not touched."""
    namespace = item["metadata"].get("namespace")
    rbac = group(item) == "rbac.authorization.k8s.io"
    # Those of a policy are in its binding, which `admission` looks at.
    cluster_scoped = item["kind"] in {"Namespace", *ADMISSION_KINDS}
    if not cluster_scoped and not rbac and namespace not in OUR_NAMESPACES:
        text = f"is created in the namespace {namespace or 'default'}, which is not ours"
        yield _violation(item, text, f"use one of {', '.join(sorted(OUR_NAMESPACES))}")


def no_wildcard_permissions(item: Mapping[str, Json]) -> Iterator[Violation]:
    """No role, binding, project or role in values permits everything."""
    if item["kind"] in {"ClusterRoleBinding", "RoleBinding"}:
        role = item["roleRef"]["name"]
        if role in {"admin", "cluster-admin", "edit"}:
            yield _violation(
                item, f"binds {role}", "bind a role that names what is needed", "roleRef"
            )
    for keys, holder in maps(item):
        for key in ("apiGroups", "resources", "verbs"):
            if "verbs" in holder and "*" in (holder.get(key) or []):
                text = f"{'.'.join((*keys, key))} is a wildcard"
                yield _violation(item, text, "name what is needed", *keys, key)
    if item["kind"] == "AppProject":
        for keys, value in leaves(item["spec"]):
            if value == "*":
                text = f"{'.'.join(keys)} is a wildcard"
                yield _violation(item, text, "name what its Applications use", "spec", *keys)


def namespace_not_pruned(item: Mapping[str, Json]) -> Iterator[Violation]:
    """No engine prunes a namespace."""
    if item["kind"] != "Namespace":
        return
    annotations = item["metadata"].get("annotations") or {}
    for key, wanted in KEEP_ANNOTATIONS.items():
        if not wanted <= set(str(annotations.get(key)).split(",")):
            text = "may be pruned, with every volume in it"
            yield _violation(
                item, text, f"annotate it {key}: {','.join(sorted(wanted))}", "metadata"
            )


def has_pod_security_level(item: Mapping[str, Json]) -> Iterator[Violation]:
    """Every namespace has a Pod Security level."""
    labels = item["metadata"].get("labels") or {}
    if item["kind"] == "Namespace" and POD_SECURITY not in labels:
        yield _violation(item, "has no Pod Security level", f"label it {POD_SECURITY}", "metadata")


def fits_into_configmap(item: Mapping[str, Json]) -> Iterator[Violation]:
    """A ConfigMap fits into the API server's limit."""
    if item["kind"] == "ConfigMap":
        texts = [*(item.get("data") or {}).values(), *(item.get("binaryData") or {}).values()]
        size = sum(len(str(text).encode()) for text in texts)
        if size >= CONFIGMAP_BYTES:
            yield _violation(item, f"has {size} bytes; {CONFIGMAP_BYTES} fit", "split it")


def works_with_both_engines(item: Mapping[str, Json]) -> Iterator[Violation]:
    """An engine's object has no field that the other engine, or this repository, cannot build."""
    kind, spec = item["kind"], item.get("spec") or {}
    if not is_engine_object(item):
        return
    source = spec.get("source") or {}
    for holder, names, at in (
        (spec, ONE_ENGINE.get(kind, ()), ("spec",)),
        (source, ONE_ENGINE_SOURCE, ("spec", "source")),
        (source.get("helm") or {}, ONE_ENGINE_HELM, ("spec", "source", "helm")),
    ):
        for key in sorted(holder.keys() & set(names)):
            if key == "kustomize" and excludes_itself(item):
                continue
            text = f"{key} is something that the other engine does not do, or does otherwise"
            yield _violation(item, text, "patch the HelmRelease in the overlay instead", *at, key)


def crds_skipped(item: Mapping[str, Json]) -> Iterator[Violation]:
    """No HelmRelease installs CRDs of its chart: they have a release of their own."""
    for action in ("install", "upgrade") if item["kind"] == "HelmRelease" else ():
        if (item.get("spec") or {}).get(action, {}).get("crds") != "Skip":
            text = f"{action}.crds is not Skip, but CRDs are a release of their own"
            yield _violation(item, text, "keep the shared patch of base/releases", "spec", action)


def excludes_itself(application: Mapping[str, Json]) -> bool:
    """Say whether all that an Application patches in its source is to exclude itself."""
    name = application["metadata"]["name"]
    match application["spec"]["source"].get("kustomize"):
        case {"patches": [{"target": target, "patch": str(patch), **more}], **others}:
            (deleted,) = load_all(patch, f"Application {name}")
            itself = {"kind": "Application", "name": name}
            only = not more and not others and deleted.get("$patch") == "delete"
            return only and target == itself and deleted["metadata"] == {"name": name}
    return False


def no_latest(item: Mapping[str, Json]) -> Iterator[Violation]:
    """No image has the tag `latest`, and an Application names a revision."""
    for keys, value in leaves(item):
        if isinstance(value, str) and (value == "latest" or value.endswith(":latest")):
            text = f"{'.'.join(keys)} is {value}"
            yield _violation(item, text, "pin an exact tag; Renovate moves it", *keys)
    source = item.get("spec", {}).get("source", {}) if item["kind"] == "Application" else {}
    if "path" in source and source.get("targetRevision") in {None, "", "HEAD"}:
        text = "follows whatever the repository's default branch is"
        fix = "name a branch or a tag"
        yield _violation(item, text, fix, "spec", "source", "targetRevision")


def chart_version_pinned(release: Release) -> Iterator[Violation]:
    """A chart has an exact version."""
    if not EXACT.fullmatch(release.version):
        text = f"{release.version!r} is no exact version of {release.chart}"
        fix = 'pin one, such as "1.2.3"; Renovate moves it'
        yield Violation(*release.owner, ("spec",), text, fix)


def flux_folder_has_kustomizations_only(root: Path) -> Iterator[Finding]:
    """Flux' folder of a cluster has Kustomizations only."""
    for path in sorted(root.glob("clusters/*/flux/*.yaml")):
        for item in load(path, root):
            if item.get("kind") != "Kustomization" or not group(item).endswith(api_groups.TOOLKIT):
                text = f"{item.get('kind')} among Flux Kustomizations"
                fix = "put it into base or an overlay, which Argo CD reads too"
                yield Finding(str(path.relative_to(root)), None, text, fix)


def overlays_patch_values_only(root: Path) -> Iterator[Finding]:
    """Overlays patch values, monitors, rules and the public address: both engines get those."""
    for path in sorted(root.glob("overlays/*/*/*.yaml")):
        place = str(path.relative_to(root))
        kinds = PATCHABLE_IN_PUBLIC if path.parent.name == "public" else PATCHABLE
        for item in load(path, root):
            patches = [item]
            if path.name == "kustomization.yaml":
                inline = [p for p in item.get("patches") or [] if "patch" in p]
                patches = [p.get("target") or load_all(p["patch"], place)[0] for p in inline]
            for patch in patches:
                kind = patch.get("kind")
                if LOCAL_CONFIG in (patch.get("metadata", {}).get("annotations") or {}):
                    continue
                if kind == "NetworkPolicy" and DOOR_POLICY in _names(patch):
                    continue
                other = sorted(patch.get("spec", {}).keys() - {"values"})
                if kind not in kinds:
                    text, fix = f"changes a {kind}", f"patch only {', '.join(sorted(kinds))}"
                    yield Finding(place, None, text, fix)
                elif kind == "HelmRelease" and other:
                    text = f"sets spec.{other[0]} of a HelmRelease, which Argo CD never gets"
                    yield Finding(place, None, text, "set values here, all else in base/releases")


def base_files_are_conventional(root: Path) -> Iterator[Finding]:
    """Objects name their schema for editors, versions are quoted, and no chart is inflated."""
    for path in sorted(root.glob("base/**/*.yaml")):
        place = str(path.relative_to(root))
        text = path.read_text()
        for match in UNQUOTED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            message = f"the version {match[1]} is not quoted: YAML may read a number"
            yield Finding(place, line, message, f'write "{match[1]}"')
        if path.name == "kustomization.yaml":
            for key in sorted(load(path, root)[0].keys() & set(CHART_INFLATION)):
                message = f"{key}: neither engine inflates a chart unless told to"
                yield Finding(place, None, message, "declare a HelmRelease in base/releases")
            continue
        line = 1
        for document in re.split(r"^---\n", text, flags=re.MULTILINE):
            is_object = "\nkind: " in f"\n{document}"
            if is_object and MODELINE not in document and LOCAL_CONFIG not in document:
                message = "an object without a schema for editors"
                yield Finding(place, line, message, f"begin it with {MODELINE}…")
            line += document.count("\n") + 1


def _names(patch: Mapping[str, Json]) -> tuple[Json, Json]:
    """Return the name in a patch's target, and that of an object."""
    return patch.get("name"), (patch.get("metadata") or {}).get("name")


def _violation(item: Mapping[str, Json], message: str, fix: str, *keys: str) -> Violation:
    return Violation(item["kind"], item["metadata"]["name"], keys, message, fix)
