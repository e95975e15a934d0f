"""What no schema says and this repository promises.

Nothing of the application touched, no secret in git, nothing unpinned, and the settings whose
absence shows only in production.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scripts.findings import Finding
from scripts.manifests import Entry, Release, Repository, group, identity
from scripts.yamlfile import Json, load

# Objects of ours live here and nowhere else; the application's namespaces are not ours.
NAMESPACES = frozenset({"monitoring", "monitoring-node", "argocd", "flux-system"})
CLUSTER_SCOPED = frozenset({"Namespace"})
PRUNE = {
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
}
POD_SECURITY = "pod-security.kubernetes.io/enforce"
EXACT = re.compile(r"v?\d+\.\d+\.\d+([-+][\w.+-]+)?")
# What a credential looks like, wherever it stands.
SECRET = re.compile(
    r"eyJ[\w-]{10,}\.[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}"
    r"|\bxox[abpr]-[\w-]{10,}|\bsk-[\w-]{20,}|hooks\.slack\.com/services/T\w+|://[^\s/:@]+:[^\s/:@$]+@"
)
# Keys whose value is one. Not `passwordKey` and the like, which name a key of a Secret.
SECRET_KEY = re.compile(
    r"(?i)(^|[_-])(password|passwd|secret|token|api_?key|private_?key)$|Password$"
)
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "": 1}
# Prometheus's units are powers of two however they are written.
PROMETHEUS_UNITS = {"KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def check(repository: Repository) -> list[Finding]:
    """Check every object and the values of every release, and the repository's own files."""
    findings = list(files(repository))
    for entry in repository.entries:
        for item in entry.objects():
            findings += objects(entry, item)
        for release in entry.releases:
            findings += [
                Finding(*repository.where(*_written(release), "spec", "values", *keys), text, fix)
                for keys, text, fix in values(release)
            ]
    return findings


def objects(entry: Entry, item: Mapping[str, Json]) -> Iterator[Finding]:
    """Check one object of an entry."""
    place = f"{entry.name} {identity(dict(item))}"
    kind, metadata = item["kind"], item["metadata"]
    namespace = metadata.get("namespace")
    if kind not in CLUSTER_SCOPED and namespace not in NAMESPACES:
        text = f"would be created in the namespace {namespace or 'default'}, which is not ours"
        yield Finding(place, None, text, f"use one of {', '.join(sorted(NAMESPACES))}")
    if kind == "Secret" and "sops" not in item:
        text = "a plain Secret in git"
        yield Finding(
            place, None, text, "create it in the cluster, and name it in the README's table"
        )
    if kind in {"ClusterRole", "Role"} and any("*" in str(r) for r in item.get("rules", [])):
        yield Finding(place, None, "grants a wildcard", "name the resources and verbs")
    if kind.endswith("RoleBinding") and item["roleRef"]["name"] in {"cluster-admin", "admin"}:
        yield Finding(place, None, f"binds {item['roleRef']['name']}", "bind a role of its own")
    if kind == "Namespace":
        annotations, labels = metadata.get("annotations", {}), metadata.get("labels", {})
        for key, value in PRUNE.items():
            if annotations.get(key) != value:
                text = f"may be pruned, with every volume in it: {key} is not {value}"
                yield Finding(place, None, text, "annotate it")
        if POD_SECURITY not in labels:
            yield Finding(place, None, "no Pod Security level", f"label it {POD_SECURITY}")
    if kind == "ConfigMap":
        size = sum(len(str(v).encode()) for v in (item.get("data") or {}).values())
        if size >= 2**20:
            text = f"{size} bytes, more than the API server's 1 MiB"
            yield Finding(place, None, text, "split it")
    if kind == "Kustomization" and "postBuild" in item["spec"]:
        text = "postBuild: Argo CD has no such thing, and it eats ${…} in dashboards"
        yield Finding(place, None, text, "use a patch in the overlay")
    if kind == "Application":
        if "sources" in item["spec"]:
            yield Finding(place, None, "several sources", "let kustomize copy the values")
        elif item["spec"]["source"].get("targetRevision") in {None, "", "HEAD", "*"}:
            yield Finding(place, None, "no revision", "pin a branch, a tag or a version")
    if kind == "HelmRelease":
        for action in ("install", "upgrade"):
            if item["spec"].get(action, {}).get("crds") != "Skip":
                text = f"{action}.crds is not Skip, but CRDs are a release of their own"
                yield Finding(place, None, text, "keep the shared patch of base/releases")
    for path, value in _leaves(item):
        if SECRET.search(str(value)) and "/dashboards/" not in path:
            text = f"{path} looks like a credential"
            yield Finding(place, None, text, "take it out, revoke it, and reference a Secret")


def values(release: Release) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Check one release's values.

    Yields:
        Keys below `spec.values`, what is wrong, what to do.
    """
    if not EXACT.fullmatch(release.version):
        text = f"{release.chart}: {release.version!r} is no exact version"
        yield (), text, "pin one; Renovate moves it"
    for path, value in _leaves(release.values):
        keys = tuple(path.split("."))
        if re.search(r"(^|\.)(tag|version)$", path) and str(value) in {"latest", ""}:
            yield keys, f"{path} is {value!r}", "pin an exact tag"
        if SECRET_KEY.search(keys[-1]) and isinstance(value, str) and value:
            yield keys, f"{path} holds a credential in plain text", "reference a Secret instead"
    rules = {"kube-prometheus-stack": _prometheus, "loki": _loki, "grafana": _grafana}
    if release.chart in rules:
        yield from rules[release.chart](release.values)


def files(repository: Repository) -> Iterator[Finding]:
    """Check what the repository's files hold by where they are."""
    for path in sorted(repository.root.glob("clusters/*/flux/**/*.yaml")):
        for item in load(path, repository.root):
            if item.get("kind") != "Kustomization" or not group(item).endswith("fluxcd.io"):
                place = str(path.relative_to(repository.root))
                text = f"{item.get('kind')} in a folder of Flux Kustomizations"
                yield Finding(place, None, text, "put it into base or an overlay")
    for path in sorted(repository.root.glob("overlays/*/*/*.yaml")):
        place = str(path.relative_to(repository.root))
        for item in load(path, repository.root):
            if "helmCharts" in item:
                yield Finding(place, None, "helmCharts: Flux cannot", "use a HelmRelease in base")
            spec = item.get("spec", {}) if isinstance(item, dict) else {}
            if item.get("kind") == "HelmRelease" and ("chart" in spec or "chartRef" in spec):
                text = "a whole HelmRelease in an overlay"
                yield Finding(place, None, text, "declare it in base/releases, patch it here")
    for path in sorted(repository.root.glob("base/**/*.yaml")):
        place = str(path.relative_to(repository.root))
        if path.name == "kustomization.yaml" or path.parent.name == "application":
            continue
        documents = [d for d in path.read_text().split("\n---\n") if "\nkind:" in f"\n{d}"]
        for document in documents:
            if (
                "yaml-language-server: $schema=" not in document
                and "kind: Namespace" not in document
            ):
                kind = re.search(r"^kind: (\w+)", document, re.MULTILINE)
                text = f"{kind[1] if kind else 'document'} without a schema modeline"
                fix = "begin it with # yaml-language-server: $schema=…"
                yield Finding(place, None, text, fix)


def _prometheus(stack: Mapping[str, Json]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    spec = stack.get("prometheus", {}).get("prometheusSpec", {})
    at = ("prometheus", "prometheusSpec")
    for kind in ("rule", "serviceMonitor", "podMonitor", "probe", "scrapeConfig"):
        key = f"{kind}SelectorNilUsesHelmValues"
        if spec.get(key) is not False:
            text = f"{key} is not false: what this repository declares is never loaded"
            yield (*at, key), text, f"set {key}: false"
    if not spec.get("retentionSize"):
        text = "no retentionSize: the volume fills and Prometheus stops"
        yield (*at, "retentionSize"), text, "set it to 85 % of the volume at most"
        return
    claim = spec.get("storageSpec", {}).get("volumeClaimTemplate", {}).get("spec", {})
    volume = claim.get("resources", {}).get("requests", {}).get("storage")
    kept = prometheus_bytes(spec["retentionSize"])
    if volume and kept > 0.85 * quantity(volume):
        text = f"retentionSize {spec['retentionSize']} is over 85 % of the {volume} volume"
        yield (*at, "retentionSize"), text, "leave room for the write-ahead log and the head block"


def _loki(chart: Mapping[str, Json]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    loki = chart.get("loki", {})
    compactor = loki.get("compactor", {})
    for key in ("retention_enabled", "delete_request_store"):
        if not compactor.get(key):
            text = f"compactor.{key} is not set, so retention_period deletes nothing"
            yield ("loki", "compactor", key), text, "set both keys of the compactor"
    for period in loki.get("schemaConfig", {}).get("configs", []):
        kept = (period.get("store"), period.get("schema"), period.get("index", {}).get("period"))
        if kept != ("tsdb", "v13", "24h"):
            text = f"schema {kept}: retention and structured metadata need tsdb, v13, 24h"
            yield ("loki", "schemaConfig"), text, "add a period with these, dated in the future"
    for cache in ("chunksCache", "resultsCache"):
        if chart.get(cache, {}).get("enabled") is not False:
            text = f"{cache} is on: by default it requests gigabytes"
            yield (cache, "enabled"), text, "set enabled: false"


def _grafana(chart: Mapping[str, Json]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if not chart.get("admin", {}).get("existingSecret"):
        text = "no admin.existingSecret: each render makes a new password and restarts Grafana"
        yield ("admin",), text, "name the Secret grafana-admin"
    if chart.get("persistence", {}).get("enabled"):
        text = "a volume: attaching it takes longer than the 30 s that a dashboard may"
        yield ("persistence",), text, "keep everything as code, and no volume"
    if chart.get("grafana.ini", {}).get("plugins", {}).get("preinstall_disabled") is not True:
        text = "plugins are downloaded at each start"
        yield ("grafana.ini", "plugins"), text, "set preinstall_disabled: true"
    if chart.get("plugins"):
        yield ("plugins",), "plugins are downloaded at each start", "remove them"


def quantity(text: str) -> int:
    """Return a Kubernetes quantity of bytes; only whole numbers and binary suffixes.

    Raises:
        ValueError: If it is something else.
    """
    match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|Ti|)", text)
    if not match:
        raise ValueError(f"{text!r} is no quantity of bytes")
    return int(match[1]) * UNITS[match[2]]


def prometheus_bytes(text: str) -> int:
    """Return a size in Prometheus's units, in bytes.

    Raises:
        ValueError: If it is something else.
    """
    match = re.fullmatch(r"(\d+)([KMGT])i?B", text)
    if not match:
        raise ValueError(f"{text!r} is no size that Prometheus knows")
    return int(match[1]) * PROMETHEUS_UNITS[f"{match[2]}B"]


def _written(release: Release) -> tuple[str, str]:
    """Values are written in the HelmRelease, whichever engine reads them."""
    return "HelmRelease", release.owner[1]


def _leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}.{index}")
    else:
        yield path, value
