"""What must be true of a synced cluster; each check returns what is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.checks.static.engines import unequal
from scripts.cluster.e2e.world import SOURCE, World, waiting
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model.manifests import ENGINE_NAMESPACES, NAMESPACES, Repository, of_engine
from scripts.model.rendered import clusters
from scripts.servers.kubernetes.client import ApiError, Client, Object, condition, named, stated

# A manager of its own: what it would apply must be what is there, field by field.
REVIEWER = "reviewer"


@dataclass(frozen=True)
class Besides:
    """Objects that are there without being rendered.

    Attributes:
        pattern: Matches `Kind.group namespace/name`.
        reason: Whose they are.
    """

    pattern: re.Pattern[str]
    reason: str


BESIDES = tuple(
    Besides(re.compile(pattern), reason)
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
    )
)


# What stays on purpose when all is removed: it holds data.
HELD = re.compile(
    r"(Namespace|CustomResourceDefinition\.apiextensions\.k8s\.io|PersistentVolumeClaim) .+"
)


def explained(name: str) -> bool:
    """Say whether an object of this name may be there without being rendered."""
    return any(one.pattern.fullmatch(name) for one in BESIDES)


def expected(world: World) -> list[Object]:
    """Return every object that the commit in the cluster makes, the engine's own included."""
    tree = Repository(world.remote.tree)
    (cluster,) = (one for one in clusters(tree) if one.name == world.sync.name)
    own = [item for item in cluster.sync.objects() if of_engine(item)]
    return [*(dict(item.manifest) for item in cluster.items), *own]


def exact(client: Client, expected: Iterable[Object], place: str) -> list[Finding]:
    """See that each object is there exactly as rendered, so that another manager would agree.

    A second manager applies it as a dry run and must get what is there already, field by field.
    Admission, the CRDs' schemas and their CEL rules are passed once more on the way. With force, as
    the API server fills in fields of atomic values and then takes the same value for a conflict.
    """
    return [
        Finding(
            f"{place} {named(item)}",
            None,
            f"is not as it is rendered: {said}",
            "see who else writes it: `kubectl get --show-managed-fields`",
        )
        for item in expected
        for said in _differences(client, item)
    ]


def _differences(client: Client, item: Object) -> Iterator[str]:
    live = client.read(item)
    if live is None:
        yield "it is not there"
        return
    try:
        applied = client.apply(with_digests(item, live), REVIEWER, dry_run=True)
    except ApiError as error:
        yield str(error)
        return
    for path, there, rendered in unequal(stated(live), stated(applied)):
        yield f"{path} is {there} and would become {rendered}"


# Labels that charts make of their version.
_VERSION_LABELS = ("helm.sh/chart", "chart", "app.kubernetes.io/version")
_DIGEST = re.compile(r"[+_][0-9a-f]{12}")


def with_digests(item: Json, live: Json) -> Json:
    """Return an object with the digests that only Flux appends to the version of a chart from OCI.

    https://fluxcd.io/flux/components/helm/helmreleases/#chart-reference
    """
    if isinstance(item, dict) and isinstance(live, dict):
        return {key: _labelled(key, value, live.get(key)) for key, value in item.items()}
    return item


def _labelled(key: str, value: Json, live: Json) -> Json:
    if key in _VERSION_LABELS and isinstance(live, str) and live.startswith(str(value)):
        return live if _DIGEST.fullmatch(live.removeprefix(str(value))) else value
    return with_digests(value, live)


def besides(world: World, before: Mapping[str, str], expected: Iterable[Object]) -> list[Finding]:
    """See that nothing is there that is neither rendered nor made because of what is.

    Args:
        world: The cluster.
        before: What was there before the sync, as `inventory` returns it.
        expected: What is rendered.
    """
    known = before.keys() | {named(item) for item in expected}
    return [
        Finding(
            f"{world.sync.name} {name}",
            None,
            "is in the cluster and nothing that is rendered makes it",
            "find what made it; if it is right, add it to BESIDES with the reason",
        )
        for name, item in everything(world.client)
        if name not in known and not item["metadata"].get("ownerReferences") and not explained(name)
    ]


def everything(client: Client) -> Iterator[tuple[str, Object]]:
    """Yield every object of the cluster with its name."""
    for item in client.everything():
        yield named(item), item


def inventory(client: Client) -> dict[str, str]:
    """Return the uid of every object by its name."""
    return {name: item["metadata"]["uid"] for name, item in everything(client)}


def versions(client: Client) -> dict[str, str]:
    """Return the resource version of every object in namespaces that are not ours."""
    ours = NAMESPACES | ENGINE_NAMESPACES
    return {
        name: item["metadata"]["resourceVersion"]
        for name, item in everything(client)
        if item["metadata"].get("namespace")
        and item["metadata"]["namespace"] not in ours
        and not explained(name)
    }


def untouched(client: Client, before: Mapping[str, str], place: str) -> list[Finding]:
    """See that every object of others is as it was, to the resource version, and none is new."""
    now = versions(client)
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
    """See that no warning was given about anything of ours since then."""
    return [
        Finding(
            f"{place} {event['regarding']['kind']} {event['regarding'].get('name')}",
            None,
            f"{event.get('reason')}: {event.get('note')}",
            "see what gave the warning",
        )
        for event in client.all("events.k8s.io/v1", "Event")
        if event.get("type") == "Warning"
        and named(event) not in before
        and event["metadata"]["namespace"] in NAMESPACES | ENGINE_NAMESPACES
        and not _overtaken(client, event)
    ]


def _overtaken(client: Client, event: Object) -> bool:
    """Say whether a controller warned that something is missing which it had not heard of yet.

    It learns of each kind of object by a watch of its own, so that what refers to another can come
    before it. It looks again and goes on; the warning stays.
    """
    there = {
        "ClusterIPNotAllocated": _allocated,
        "FailedScheduling": _claimed,
        "SourceUnavailable": _sourced,
    }
    known = there.get(event["reason"])
    return known is not None and known(client, event)


_UNCLAIMED = re.compile(r'0/\d+ nodes are available: persistentvolumeclaim "([^"]+)" not found\.')


def _claimed(client: Client, event: Object) -> bool:
    """Say whether the claim that the scheduler missed is there, and its pod is on a node.

    A StatefulSet's claims are made just before its pod: `podHasPVCs` in Kubernetes'
    `pkg/scheduler/framework/plugins/volumebinding/volume_binding.go`.
    """
    missed = _UNCLAIMED.match(event["note"])
    if not missed:
        return False
    name, space = event["regarding"]["name"], event["regarding"]["namespace"]
    claim = _there(client, "v1", "PersistentVolumeClaim", missed[1], space)
    pod = _there(client, "v1", "Pod", name, space)
    return claim.get("status", {}).get("phase") == "Bound" and "nodeName" in pod.get("spec", {})


def _sourced(client: Client, event: Object) -> bool:
    """Say whether a HelmChart's repository, which source-controller missed, is there by now.

    A Kustomization's HelmReleases are applied before its HelmRepositories: `reconcileChart` in
    source-controller's `internal/controller/helmchart_controller.go`.
    """
    name, space = event["regarding"]["name"], event["regarding"]["namespace"]
    if event["regarding"]["kind"] != "HelmChart":
        return False
    chart = _there(client, f"{SOURCE}/v1", "HelmChart", name, space)
    return bool(condition(chart, "Ready").get("status") == "True")


def _allocated(client: Client, event: Object) -> bool:
    """Say whether a Service has the address that the API server's repair loop missed.

    `syncService` in Kubernetes' `pkg/registry/core/service/ipallocator/controller/repairip.go`.
    """
    name, space = event["regarding"]["name"], event["regarding"]["namespace"]
    service = _there(client, "v1", "Service", name, space)
    wanted = service.get("spec", {}).get("clusterIPs", [])
    owner = {"group": "", "resource": "services", "namespace": space, "name": name}
    owners = [
        _there(client, "networking.k8s.io/v1", "IPAddress", one).get("spec", {}).get("parentRef")
        for one in wanted
    ]
    return owners != [] and all({"group": "", **(one or {})} == owner for one in owners)


def _there(client: Client, version: str, kind: str, name: str, space: str = "") -> Object:
    """Return an object as it is now, empty if it is not there."""
    metadata = {"name": name, "namespace": space} if space else {"name": name}
    return client.read({"apiVersion": version, "kind": kind, "metadata": metadata}) or {}


def held(client: Client) -> dict[str, str]:
    """Return the uid of everything that holds data, by its name."""
    return {name: uid for name, uid in inventory(client).items() if HELD.fullmatch(name)}


def lost(client: Client, before: Mapping[str, str]) -> str:
    """Say what held data and is gone, or is another one by the same name; empty if nothing."""
    now = held(client)
    return ", ".join(f"{name} is gone" for name, uid in before.items() if now.get(name) != uid)


def fitting(world: World) -> list[Finding]:
    """See that every pod, of ours and of others, has been scheduled and is ready."""
    pods = world.client.all("v1", "Pod")
    reasons = dict.fromkeys(waiting(pods))
    late = [
        pod["metadata"]["name"]
        for pod in pods
        if condition(pod, "Ready").get("status") != "True" and not reasons
    ]
    return [
        Finding(f"{world.sync.name} pods", None, text, "request less, or correct the selectors")
        for text in (*reasons, *(f"{name} is not ready" for name in late))
    ]
