"""Whether the stack's volumes find a storage class, and fit into what the tier gives for free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scripts.core.findings import counted
from scripts.core.quantities import gibibytes, quantity
from scripts.core.yamlfile import Json
from scripts.live.preflight.check_result import CheckResult, missing, ok, warning
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model.requirements import DEFAULT_CLASS, Requirements

# Volumes that are no block volumes: the node's own disk, and file systems over the network.
NOT_BLOCK = ("hostPath", "local", "nfs")
FILE_STORAGE = "fss.csi.oraclecloud.com"
# Dapr's scheduler: its pods' label, its claims' names, and how many it makes of a gibibyte each.
DAPR = ("app", "dapr-scheduler-server")
DAPR_CLAIM = "dapr-scheduler-data-dir-"
DAPR_VOLUMES = 3
DAPR_FIX = (
    "install Dapr with dapr_scheduler.cluster.inMemoryStorage=true, which forgets reminders when"
    " all of its schedulers restart, and delete their claims"
)


def storage_class(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for the storage class of each claim, or for a default where a claim names none."""
    if not required.claims:
        return ok("no volume is needed")
    classes = {item["metadata"]["name"]: item for item in cluster.lists["storageclasses"]}
    defaults = sorted(name for name, item in classes.items() if _is_default(item))
    named = {claim.storage_class for claim in required.claims if claim.storage_class}
    unnamed = sum(claim.storage_class is None for claim in required.claims)
    there = f"there is {', '.join(sorted(classes)) or 'none'}"
    fix = f"create it, or name another in overlays/{required.environment}/releases"
    if absent := sorted(named - classes.keys()):
        return missing(f"no storage class {', '.join(absent)}; {there}", fix)
    if unnamed and not defaults:
        text = (
            f"{counted(unnamed, 'volume')} of the default class, and none is the default; {there}"
        )
        return missing(text, f"annotate one {DEFAULT_CLASS[0]}=true, or name one in the overlay")
    if unnamed and len(defaults) > 1:
        text = f"{' and '.join(defaults)} are both the default; the newest is taken"
        return warning(text, f"take the annotation {DEFAULT_CLASS[0]} off all but one")
    used = sorted(named | set(defaults if unnamed else ()))
    least = gibibytes(min(claim.size for claim in required.claims))
    text = f"{', '.join(used)} for {counted(len(required.claims), 'volume')} of at least {least}"
    if early := [name for name in used if classes[name].get("volumeBindingMode") == "Immediate"]:
        text = f"{text}; {', '.join(early)} makes volumes before it is known where pods run"
        return warning(text, "use a class with volumeBindingMode: WaitForFirstConsumer")
    return ok(text)


def tier(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Compare boot volumes, what is there and what is needed with the tier's storage."""
    limits = required.limits.get("tier")
    if limits is None:
        return ok("the environment has no tier")
    smallest = quantity(required.limits.get("volumes", {}).get("smallest", 0))
    boot = len(cluster.lists["nodes"]) * quantity(limits["bootVolume"])
    ours = sum(max(claim.size, smallest) for claim in required.claims)
    others = [(max(size, smallest), name) for name, size in _others(required, cluster)]
    theirs = sum(size for size, _ in others)
    taken = boot + ours + theirs
    text = f"{gibibytes(boot)} to boot, {gibibytes(ours)} needed, {gibibytes(theirs)} of others"
    text = f"{text}: {gibibytes(taken)} of the tier's {limits['storage']}"
    of_dapr = [size for size, name in others if f"/{DAPR_CLAIM}" in name]
    if taken > quantity(limits["storage"]):
        if of_dapr:
            text = f"{text}; {gibibytes(sum(of_dapr))} are of Dapr's scheduler"
            return missing(text, DAPR_FIX)
        most = ", ".join(name for _, name in sorted(others, reverse=True)[:3])
        fix = f"delete volumes that nobody needs{f', such as {most}' if most else ''}"
        return missing(text, f"{fix}, run fewer nodes, or pay for the rest")
    later = DAPR_VOLUMES * max(2.0**30, smallest)
    if not _has_dapr(cluster) and taken + later > quantity(limits["storage"]):
        text = f"{text}; Dapr's scheduler is not there yet and would take {gibibytes(later)}"
        return warning(text, DAPR_FIX)
    return ok(text)


def _others(required: Requirements, cluster: ClusterState) -> Iterator[tuple[str, float]]:
    """Yield name and bytes of each block volume, made or asked for, that is not the stack's."""
    for item in cluster.lists["persistentvolumes"]:
        spec = item["spec"]
        claim = spec.get("claimRef") or {}
        namespace, name = claim.get("namespace", ""), claim.get("name", "")
        block = not any(key in spec for key in NOT_BLOCK)
        block = block and (spec.get("csi") or {}).get("driver") != FILE_STORAGE
        # A volume that is released outlives its claim, and a new claim gets a new one.
        kept = item["status"].get("phase") != "Released" and _is_ours(required, namespace, name)
        if block and not kept:
            label = f"{namespace}/{name}" if name else item["metadata"]["name"]
            yield label, quantity(spec["capacity"]["storage"])
    for item in cluster.lists["persistentvolumeclaims"]:
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        if not item["spec"].get("volumeName") and not _is_ours(required, namespace, name):
            yield f"{namespace}/{name}", quantity(item["spec"]["resources"]["requests"]["storage"])


def _is_ours(required: Requirements, namespace: str, name: str) -> bool:
    return any(claim.matches(namespace, name) for claim in required.claims)


def _has_dapr(cluster: ClusterState) -> bool:
    key, value = DAPR
    labels = [item["metadata"].get("labels") or {} for item in cluster.lists["pods"]]
    return any(one.get(key) == value for one in labels)


def _is_default(item: Mapping[str, Json]) -> bool:
    annotations = item["metadata"].get("annotations") or {}
    return any(annotations.get(key) == "true" for key in DEFAULT_CLASS)
