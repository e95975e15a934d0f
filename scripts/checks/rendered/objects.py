"""Charts render valid objects only: no hooks, no Secrets, no permissions beyond those listed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from scripts.checks.static import object_schemas
from scripts.checks.static.sync_order import CRD_RELEASE
from scripts.core.findings import Finding
from scripts.core.quantities import version_numbers
from scripts.model import api_groups, images
from scripts.model.manifests import ENGINES, NAMESPACES, OPTIONAL_NAMESPACES, group
from scripts.model.rendered import CLUSTER_SCOPED, Cluster, Item

KEEP_ANNOTATIONS = {
    api_groups.RESOURCE_POLICY: "keep",
    api_groups.SYNC_OPTIONS: "Prune=false,Delete=false",
}
# Releases whose CRDs are templates of their own chart; it has no value for Argo CD's annotation.
# Argo CD keeps what Helm keeps when the Application is deleted, not when the chart drops it.
OWN_CRDS = frozenset({"cert-manager"})
# Roles that may read Secrets.
SECRET_READERS = {
    # Writes the generated configuration into a Secret, and reads those that monitors name.
    "ClusterRole kube-prometheus-stack-operator",
    # Keys and certificates of whatever namespace asks for one, and the accounts of issuers.
    "ClusterRole cert-manager-cainjector",
    "ClusterRole cert-manager-controller-certificates",
    "ClusterRole cert-manager-controller-challenges",
    "ClusterRole cert-manager-controller-clusterissuers",
    "ClusterRole cert-manager-controller-issuers",
    "ClusterRole cert-manager-controller-orders",
    "Role cert-manager/cert-manager-webhook:dynamic-serving",
    # Certificates, in the two namespaces in which it is bound.
    "ClusterRole traefik-routes",
}
READING = frozenset({"get", "list", "watch", "*"})
# The Prometheus operator's image, and the annotation of its CRDs that names its version.
OPERATOR = "/prometheus-operator/prometheus-operator"
OPERATOR_VERSION = "operator.prometheus.io/version"

Kind = tuple[str, str]


def invalid(clusters: Sequence[Cluster], refused: Collection[str] = ()) -> list[Finding]:
    """Return a finding for each rendered object that a supported Kubernetes would refuse.

    Args:
        clusters: Clusters with their charts rendered.
        refused: Objects that the API server's own code says more of.
    """
    items = {f"{item.kind} {item.name}": (c, item) for c in clusters for item in c.rendered()}
    messages = object_schemas.invalid(
        dict(item.manifest) for c in clusters for item in c.rendered()
    )
    return [
        cluster.finding(item, text, "correct the values that lead to it")
        for name, texts in messages.items()
        for cluster, item in [items[name]]
        if str(item) not in refused
        for text in sorted(texts)
    ]


def same_for_both_engines(clusters: Sequence[Cluster]) -> Iterator[Finding]:
    """Both engines of a cluster render the same."""
    by_cluster: dict[str, dict[str, Cluster]] = {}
    for cluster in clusters:
        by_cluster.setdefault(cluster.sync.cluster, {})[cluster.sync.engine] = cluster
    for engines in by_cluster.values():
        if len(engines) < len(ENGINES):
            continue
        left, right = (
            {(i.release, str(i)): i for i in engines[engine].rendered()} for engine in ENGINES
        )
        for key in sorted(left.keys() | right.keys(), key=str):
            one, other = left.get(key), right.get(key)
            if one is None or other is None or one.manifest != other.manifest:
                item = one or other
                assert item is not None  # noqa: S101 - the key is in one of them
                yield engines["flux"].finding(
                    item,
                    "Flux and Argo CD do not render it alike",
                    "let kustomize copy version, name and values to the Application",
                )


def no_hooks(cluster: Cluster) -> Iterator[Finding]:
    """No Helm hook: its job can block a sync, and the engines run hooks differently."""
    for item in cluster.rendered():
        if "helm.sh/hook" in item.annotations:
            yield cluster.finding(item, "a Helm hook", "turn off what brings it in the values")


def no_secrets(cluster: Cluster) -> Iterator[Finding]:
    """No Secret with content: it would come from values in git, or change at each render."""
    for item in cluster.rendered():
        content = (item.manifest.get("data"), item.manifest.get("stringData"))
        if item.kind == "Secret" and any(content):
            yield cluster.finding(
                item, "the chart makes a Secret", "name an existing one in the values"
            )


def crds_kept(cluster: Cluster) -> Iterator[Finding]:
    """CRDs come from their own release, and no engine deletes them."""
    for item in cluster.rendered():
        if item.kind != "CustomResourceDefinition":
            continue
        if item.release not in {CRD_RELEASE, *OWN_CRDS}:
            text = f"the release {item.release} brings a CRD"
            yield cluster.finding(item, text, f"turn it off; CRDs belong to {CRD_RELEASE}")
        for key, value in KEEP_ANNOTATIONS.items():
            if item.release in OWN_CRDS and not key.startswith("helm.sh/"):
                continue
            if item.annotations.get(key) != value:
                text = f"may be deleted with all its objects: {key} is not {value}"
                yield cluster.finding(item, text, "set it in crds.annotations")


def crds_not_older_than_operator(cluster: Cluster) -> Iterator[Finding]:
    """CRDs have the fields that the operator, and what is written for it, may use."""
    running = {
        images.version(str(container.get("image")))
        for pod in cluster.pods
        for container in pod.containers
        if images.repository(str(container.get("image"))).endswith(OPERATOR)
    }
    for item in cluster.of("CustomResourceDefinition"):
        of = item.annotations.get(OPERATOR_VERSION, "")
        for version in sorted(running) if of else ():
            if version_numbers(of) < version_numbers(version):
                text = f"is of {of}, and the operator {version}: fields are refused, or lost"
                fix = f"move the tag of {CRD_RELEASE} to a chart of {version}"
                yield cluster.finding(item, text, fix)
                return


def in_our_namespaces(cluster: Cluster) -> Iterator[Finding]:
    """Charts create objects in our namespaces only, and no namespace."""
    ours = NAMESPACES | OPTIONAL_NAMESPACES
    for item in cluster.rendered():
        if item.kind == "Namespace":
            yield cluster.finding(item, "the chart makes a namespace", "turn it off")
        elif item.kind not in CLUSTER_SCOPED and item.namespace not in ours:
            text = f"would be created in {item.namespace}"
            yield cluster.finding(item, text, f"keep it in {' or '.join(sorted(ours))}")


def brought_once(cluster: Cluster) -> Iterator[Finding]:
    """Each object comes from one release, or one unit: two would overwrite it in turn."""
    seen: dict[tuple[str, str], str | None] = {}
    for item in cluster.items:
        key = (group(item.manifest), str(item))
        if seen.setdefault(key, item.release) != item.release:
            owners = [f"the release {r}" if r else "a unit" for r in (seen[key], item.release)]
            text = f"{owners[0]} and {owners[1]} create it, and overwrite it in turn"
            yield cluster.finding(item, text, "rename one of them, or turn it off in the values")


def secrets_unreadable(cluster: Cluster) -> Iterator[Finding]:
    """No role may read Secrets but SECRET_READERS."""
    for item in cluster.of("ClusterRole", "Role"):
        if str(item) not in SECRET_READERS and any(
            {"", "*"} & set(rule.get("apiGroups") or [])
            and {"secrets", "*"} & set(rule.get("resources") or [])
            and READING & set(rule["verbs"])
            for rule in item.manifest.get("rules") or []
        ):
            yield cluster.finding(item, "may read Secrets", "narrow the chart's RBAC values")


def kinds_whitelisted(cluster: Cluster) -> Iterator[Finding]:
    """Each AppProject permits every kind that its Applications create."""
    created = _created_kinds(cluster)
    for project, kinds in _allowed_kinds(cluster):
        for kind in sorted(created.get(project.name, set()) - kinds):
            text = f"does not allow {kind[1]} of group {kind[0] or 'core'!r}"
            yield cluster.finding(project, text, f"add it to the {_list(kind)}")


def unused_whitelist(clusters: Sequence[Cluster]) -> Iterator[Finding]:
    """An AppProject permits no kind that no cluster creates, opt-ins included."""
    created = {
        k for cluster in clusters for kinds in _created_kinds(cluster).values() for k in kinds
    }
    for cluster in clusters:
        for project, kinds in _allowed_kinds(cluster):
            for kind in sorted(kinds - created):
                text = f"allows {kind[1]}, which nothing creates"
                yield cluster.finding(project, text, f"remove it from the {_list(kind)}")


def _allowed_kinds(cluster: Cluster) -> Iterator[tuple[Item, set[Kind]]]:
    lists = ("clusterResourceWhitelist", "namespaceResourceWhitelist")
    for item in cluster.sync.objects():
        if item["kind"] == "AppProject":
            spec = item["spec"]
            yield (
                Item(item),
                {(k["group"], k["kind"]) for name in lists for k in spec.get(name, ())},
            )


def _created_kinds(cluster: Cluster) -> dict[str, set[Kind]]:
    """Return the kinds that each project's Applications create: of charts and of the configuration.

    The root Application is in no project of ours; it creates the objects of the releases' unit.
    What Flux syncs is of no project, and has an empty name.
    """
    applications = {
        item["metadata"]["name"]: str(item["spec"].get("project", ""))
        for item in cluster.sync.objects()
        if item["kind"] == "Application"
    }
    units = [u for u in cluster.sync.units[1:] if "releases" not in u.path]
    if not cluster.sync.synced:
        units = [u for u in cluster.sync.units if "releases" not in u.path]
    manifests = [(u.name, o) for u in units for o in u.objects]
    manifests += [(i.release or "", dict(i.manifest)) for i in cluster.rendered()]
    result: dict[str, set[Kind]] = {}
    for application, item in manifests:
        project = applications.get(application, "")
        result.setdefault(project, set()).add((group(item), item["kind"]))
    return result


def _list(kind: Kind) -> str:
    scope = "cluster" if kind[1] in CLUSTER_SCOPED else "namespace"
    return f"{scope}ResourceWhitelist"
