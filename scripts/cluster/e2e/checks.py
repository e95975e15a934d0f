"""Checks of the objects in a synced cluster, by what is rendered and what was there before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.checks.static.engines import differences
from scripts.cluster.e2e.environment import Environment, scheduling_failures
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.api_groups import SOURCE
from scripts.model.manifests import (
    ENGINE_NAMESPACES,
    NAMESPACES,
    OPTIONAL_NAMESPACES,
    Repository,
    is_engine_object,
)
from scripts.model.rendered import clusters
from scripts.servers.kubernetes.client import (
    Client,
    KubernetesError,
    Object,
    condition,
    qualified_name,
    without_server_fields,
)

# Whose objects are not others'.
_OURS = NAMESPACES | OPTIONAL_NAMESPACES | ENGINE_NAMESPACES
# A manager of its own: what it would apply must be what is there, field by field.
FIELD_MANAGER = "reviewer"


@dataclass(frozen=True)
class IgnoredOrphan:
    """Objects that may be in the cluster without being rendered, as Argo CD's orphaned resources.

    Attributes:
        pattern: Matches `Kind.group namespace/name`.
        reason: Who makes them.
    """

    pattern: re.Pattern[str]
    reason: str


IGNORED_ORPHANS = tuple(
    IgnoredOrphan(re.compile(pattern), reason)
    for pattern, reason in (
        (r"Secret \S+/sh\.helm\.release\.v1\..+", "Helm keeps each release's state there"),
        (
            r"HelmChart\.source\.toolkit\.fluxcd\.io .+",
            "Flux makes one where a chart has no OCI source",
        ),
        (r"ServiceAccount \S+/default", "every namespace has one"),
        (r"ConfigMap \S+/kube-root-ca\.crt", "every namespace has one"),
        (r"(Event|Event\.events\.k8s\.io) .+", "what happened"),
        (r"Lease\.coordination\.k8s\.io .+", "who leads, and which node lives"),
        (r"Endpoints \S+", "Kubernetes' own mirror of a Service"),
        (r"Service kube-system/\S+-kubelet", "the operator's, for the kubelet"),
        (r"EndpointSlice\.discovery\.k8s\.io kube-system/\S+-kubelet-\S+", "of the same Service"),
        (r"PersistentVolumeClaim \S+", "of a StatefulSet; it outlives the release on purpose"),
        (r"APIService\.apiregistration\.k8s\.io \S+", "Kubernetes makes one of each group"),
        (r"IPAddress\.networking\.k8s\.io \S+", "Kubernetes makes one of each Service"),
        (
            r"(GitRepository\.source|Kustomization\.kustomize)\S+ flux-system/flux-system",
            "what `flux bootstrap` leaves",
        ),
        (r"PersistentVolume volume-\d+", "the storage driver's, made on demand"),
        (
            r"Secret \S+/(letsencrypt-\w+|grafana-public-tls)",
            "cert-manager keeps the account's key there, and the certificate",
        ),
    )
)


# What stays on purpose when all is removed: it holds data.
DATA_KINDS = re.compile(
    r"(Namespace|CustomResourceDefinition\.apiextensions\.k8s\.io|PersistentVolumeClaim) .+"
)


def is_ignored_orphan(name: str) -> bool:
    """Say whether an object of this name may be there without being rendered."""
    return any(one.pattern.fullmatch(name) for one in IGNORED_ORPHANS)


def rendered_objects(env: Environment) -> list[Object]:
    """Return every object that the commit in the cluster makes, the engine's own included."""
    tree = Repository(env.remote.tree)
    # Alone: `tests/options` does not build on an overlay that has one of its opt-ins already.
    (cluster,) = clusters(tree, [tree.sync(env.cluster, env.sync.engine)])
    own = [item for item in cluster.sync.objects() if is_engine_object(item)]
    return [*(dict(item.manifest) for item in cluster.items), *own]


def drifted(client: Client, expected: Iterable[Object], place: str) -> list[Finding]:
    """Return a finding for each object that is not exactly as it is rendered.

    A second manager applies it as a dry run and must get what is there already, field by field.
    Admission, the CRDs' schemas and their CEL rules are passed once more on the way. With force, as
    the API server fills in fields of atomic values and then takes the same value for a conflict.
    """
    return [
        Finding(
            f"{place} {qualified_name(item)}",
            None,
            f"is not as it is rendered: {difference}",
            "see who else writes it: `kubectl get --show-managed-fields`",
        )
        for item in expected
        for difference in _differences(client, item)
    ]


def _differences(client: Client, item: Object) -> Iterator[str]:
    live = client.read(item)
    if live is None:
        yield "it is not there"
        return
    try:
        applied = client.apply(with_digests(item, live), FIELD_MANAGER, dry_run=True)
    except KubernetesError as error:
        yield str(error)
        return
    for path, there, rendered in differences(
        without_server_fields(live), without_server_fields(applied)
    ):
        yield f"{path} is {there} and would become {rendered}"


# Labels that charts make of their version.
_VERSION_LABELS = ("helm.sh/chart", "chart", "app.kubernetes.io/version")
_DIGEST = re.compile(r"[+_][0-9a-f]{12}")
# Flux leaves the `v` of a version out when it appends the digest to it.
_LETTER = re.compile(r"(?<![^-])v(?=\d)")


def with_digests(item: Json, live: Json) -> Json:
    """Return an object with what Flux makes of a chart's text, where the live object has that.

    It appends a digest to the version of a chart from OCI, and Helm trims the end of each manifest,
    which may be that of a text.

    https://fluxcd.io/flux/components/helm/helmreleases/#chart-reference
    """
    if isinstance(item, dict) and isinstance(live, dict):
        return {key: _labelled(key, value, live.get(key)) for key, value in item.items()}
    if isinstance(item, str) and item.rstrip("\n") == live:
        return live
    return item


def _labelled(key: str, value: Json, live: Json) -> Json:
    if key in _VERSION_LABELS and isinstance(live, str):
        for version in (str(value), _LETTER.sub("", str(value))):
            if live.startswith(version) and _DIGEST.fullmatch(live.removeprefix(version)):
                return live
    return with_digests(value, live)


def orphaned(
    env: Environment, before: Mapping[str, str], expected: Iterable[Object]
) -> list[Finding]:
    """Return a finding for each object that is neither rendered nor made because of what is.

    Args:
        env: The cluster.
        before: What was there before the sync, as `inventory` returns it.
        expected: What is rendered.
    """
    known = before.keys() | {qualified_name(item) for item in expected}
    return [
        Finding(
            f"{env.sync.name} {name}",
            None,
            "is in the cluster and nothing that is rendered makes it",
            "find what made it; if it is right, add it to IGNORED_ORPHANS with the reason",
        )
        for name, item in objects_by_name(env.client)
        if name not in known
        and not item["metadata"].get("ownerReferences")
        and not is_ignored_orphan(name)
    ]


def objects_by_name(client: Client) -> Iterator[tuple[str, Object]]:
    """Yield every object of the cluster, after its name."""
    for item in client.everything():
        yield qualified_name(item), item


def inventory(client: Client) -> dict[str, str]:
    """Return the uid of every object by its name."""
    return {name: item["metadata"]["uid"] for name, item in objects_by_name(client)}


def foreign_versions(client: Client) -> dict[str, str]:
    """Return the resource version of every object in namespaces that are not ours."""
    return {
        name: item["metadata"]["resourceVersion"]
        for name, item in objects_by_name(client)
        if item["metadata"].get("namespace")
        and item["metadata"]["namespace"] not in _OURS
        and not is_ignored_orphan(name)
    }


def changed_by_sync(client: Client, before: Mapping[str, str], place: str) -> list[Finding]:
    """Return a finding for each object of others that is new, gone or has another version."""
    now = foreign_versions(client)
    return [
        Finding(
            f"{place} {name}",
            None,
            f"is not ours, and went from {before.get(name, '-')} to {now.get(name, '-')}",
            "nothing here may create, change or delete it",
        )
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def warnings(client: Client, before: Mapping[str, str], place: str) -> list[Finding]:
    """Return a finding for each warning about anything of ours since then."""
    return [
        Finding(
            f"{place} {event['regarding']['kind']} {event['regarding'].get('name')}",
            None,
            f"{event.get('reason')}: {event.get('note')}",
            "see what gave the warning",
        )
        for event in client.all("events.k8s.io/v1", "Event")
        if event.get("type") == "Warning"
        and qualified_name(event) not in before
        and event["metadata"]["namespace"] in _OURS
        and not _is_resolved(client, event)
    ]


def _is_resolved(client: Client, event: Object) -> bool:
    """Say whether a controller warned that something is missing which is there by now.

    It learns of each kind of object by a watch of its own, so that what refers to another can come
    before it. It looks again and goes on; the warning stays.
    """
    resolved = {
        "ClusterIPNotAllocated": _address_allocated,
        "FailedScheduling": _claim_bound,
        "SourceUnavailable": _chart_ready,
    }
    check = resolved.get(event["reason"])
    return check is not None and check(client, event)


_UNCLAIMED = re.compile(r'0/\d+ nodes are available: persistentvolumeclaim "([^"]+)" not found\.')


def _claim_bound(client: Client, event: Object) -> bool:
    """Say whether the claim that the scheduler missed is there, and its pod is on a node.

    A StatefulSet's claims are made just before its pod: `podHasPVCs` in Kubernetes'
    `pkg/scheduler/framework/plugins/volumebinding/volume_binding.go`.
    """
    missed = _UNCLAIMED.match(event["note"])
    if not missed:
        return False
    name, namespace = event["regarding"]["name"], event["regarding"]["namespace"]
    claim = _current(client, "v1", "PersistentVolumeClaim", missed[1], namespace)
    pod = _current(client, "v1", "Pod", name, namespace)
    return claim.get("status", {}).get("phase") == "Bound" and "nodeName" in pod.get("spec", {})


def _chart_ready(client: Client, event: Object) -> bool:
    """Say whether a HelmChart's repository, which source-controller missed, is there by now.

    A Kustomization's HelmReleases are applied before its HelmRepositories: `reconcileChart` in
    source-controller's `internal/controller/helmchart_controller.go`.
    """
    name, namespace = event["regarding"]["name"], event["regarding"]["namespace"]
    if event["regarding"]["kind"] != "HelmChart":
        return False
    chart = _current(client, f"{SOURCE}/v1", "HelmChart", name, namespace)
    return bool(condition(chart, "Ready").get("status") == "True")


def _address_allocated(client: Client, event: Object) -> bool:
    """Say whether a Service has the address that the API server's repair loop missed.

    `syncService` in Kubernetes' `pkg/registry/core/service/ipallocator/controller/repairip.go`.
    """
    name, namespace = event["regarding"]["name"], event["regarding"]["namespace"]
    service = _current(client, "v1", "Service", name, namespace)
    wanted = service.get("spec", {}).get("clusterIPs", [])
    owner = {"group": "", "resource": "services", "namespace": namespace, "name": name}
    owners = [
        _current(client, "networking.k8s.io/v1", "IPAddress", one).get("spec", {}).get("parentRef")
        for one in wanted
    ]
    return owners != [] and all({"group": "", **(one or {})} == owner for one in owners)


def _current(client: Client, version: str, kind: str, name: str, namespace: str = "") -> Object:
    """Return an object as it is now, empty if it is not there."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return client.read({"apiVersion": version, "kind": kind, "metadata": metadata}) or {}


def data_objects(client: Client) -> dict[str, str]:
    """Return the uid of everything that holds data, by its name."""
    return {name: uid for name, uid in inventory(client).items() if DATA_KINDS.fullmatch(name)}


def lost_data(client: Client, before: Mapping[str, str]) -> str:
    """Say what held data and is gone, or is a new one of that name; empty if nothing."""
    now = data_objects(client)
    return ", ".join(f"{name} is gone" for name, uid in before.items() if now.get(name) != uid)


def check_data_kept(env: Environment, before: Mapping[str, str]) -> None:
    """Check that a removal left everything that holds data.

    Raises:
        RepositoryError: If it did not.
    """
    if lost := lost_data(env.client, before):
        text, fix = f"removed with all else: {lost}", "keep it from being pruned"
        raise RepositoryError(Finding(env.sync.name, None, text, fix))


def survives_removal(name: str) -> bool:
    """Say whether an object of this name stays when all is removed, or goes with one that does."""
    return bool(DATA_KINDS.fullmatch(name)) or name.startswith("APIService.")


def unscheduled(env: Environment) -> list[Finding]:
    """Return a finding for each pod, of ours and of others, that is not scheduled or not ready."""
    pods = env.client.all("v1", "Pod")
    reasons = dict.fromkeys(scheduling_failures(pods))
    late = [
        pod["metadata"]["name"]
        for pod in pods
        if condition(pod, "Ready").get("status") != "True" and not reasons
    ]
    return [
        Finding(f"{env.sync.name} pods", None, text, "request less, or correct the selectors")
        for text in (*reasons, *(f"{name} is not ready" for name in late))
    ]
