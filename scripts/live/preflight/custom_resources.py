"""The cluster's CRDs: who brought them, and whether they know what is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from scripts.core.quantities import version_numbers
from scripts.core.yamlfile import Json
from scripts.live.preflight.check_result import CheckResult, missing, ok, warning
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model.api_groups import ARGO_CD, TRACKING_ID
from scripts.model.manifests import Release
from scripts.model.requirements import Requirements

CRDS = "customresourcedefinitions"
OPERATOR_VERSION = "operator.prometheus.io/version"
HELM_NAME = "meta.helm.sh/release-name"
HELM_NAMESPACE = "meta.helm.sh/release-namespace"


def operator(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look whether the operator's CRDs are somebody else's, or of another version."""
    there = by_name(cluster)
    found = [(there[crd.name], crd) for crd in required.crds if crd.name in there]
    release = required.crd_release
    if not found:
        return ok(f"none yet, {release.name} brings {len(required.crds)}")
    if others := owners_beside(release, [item for item, _ in found], cluster):
        count = sum(owner(item, cluster) in others for item, _ in found)
        text = f"{count} of {len(required.crds)} belong to {', '.join(others)}"
        fix = (
            "stop that from bringing them, annotate them"
            f" {HELM_NAME}={release.name} {HELM_NAMESPACE}={release.namespace} and label them"
            " app.kubernetes.io/managed-by=Helm"
        )
        return missing(text, fix)
    wanted = found[0][1].annotations.get(OPERATOR_VERSION, "")
    versions = {annotations_of(item).get(OPERATOR_VERSION, "none") for item, _ in found} - {wanted}
    if not versions:
        return ok(f"{len(found)} of {release.name}, operator {wanted}")
    text = f"of operator {', '.join(sorted(versions))}, the sync makes them {wanted}"
    if all(version_numbers(version) < version_numbers(wanted) for version in versions):
        return warning(text, "upgrade every other prometheus-operator in the cluster first")
    return warning(text, f"upgrade {release.name} here first: what newer ones added would be lost")


def by_name(cluster: ClusterState) -> dict[str, Json]:
    """Return the cluster's CRDs by name."""
    return {item["metadata"]["name"]: item for item in cluster.lists[CRDS]}


def owners_beside(
    release: Release, items: Iterable[Json], cluster: ClusterState
) -> Collection[str]:
    """Return who brought these objects of the cluster, a release of ours left out; sorted."""
    ours = {f"Helm release {release.namespace}/{release.name}", f"Application {release.name}"}
    return sorted({owner(item, cluster) for item in items} - ours)


def owner(item: Json, cluster: ClusterState) -> str:
    """Return who brought an object, by the marks that Helm and Argo CD leave."""
    own = annotations_of(item)
    if name := own.get(HELM_NAME):
        return f"Helm release {own.get(HELM_NAMESPACE, '?')}/{name}"
    if tracking := own.get(TRACKING_ID):
        return f"Application {tracking.partition(':')[0]}"
    # Argo CD may be told to leave this mark; manifests that somebody applied may have it, too.
    name = (item["metadata"].get("labels") or {}).get("app.kubernetes.io/instance")
    if name and f"applications.{ARGO_CD}" in by_name(cluster):
        return f"Application {name}"
    return "nobody that says so"


def annotations_of(item: Json) -> Mapping[str, str]:
    """Return an object's annotations."""
    return item["metadata"].get("annotations") or {}


def unknown(items: Iterable[Json], cluster: ClusterState) -> list[str]:
    """Return each kind of these objects that the API server does not serve, and each field."""
    served = {
        f"{item['spec']['names']['kind']} {item['spec']['group']}/{version['name']}": (
            version.get("schema", {}).get("openAPIV3Schema", {})
        )
        for item in cluster.lists[CRDS]
        for version in item["spec"]["versions"]
        if version["served"]
    }
    found = set()
    for item in items:
        kind = f"{item['kind']} {item['apiVersion']}"
        if kind not in served:
            found.add(kind)
            continue
        spec = served[kind].get("properties", {}).get("spec", {})
        found |= {f"{item['kind']} {path}" for path in _undeclared(item.get("spec"), spec, "spec")}
    return sorted(found)


def _undeclared(value: Json, schema: Json, path: str) -> Iterator[str]:
    """Yield the paths of fields that a structural schema does not have: an apply refuses them."""
    if isinstance(value, list):
        for item in value:
            yield from _undeclared(item, schema.get("items", {}), path)
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    others = schema.get("additionalProperties")
    for key, content in value.items():
        inner = schema.get("properties", {}).get(key, others)
        if isinstance(inner, dict):
            yield from _undeclared(content, inner, f"{path}.{key}")
        elif schema and inner is not True:
            yield f"{path}.{key}"
