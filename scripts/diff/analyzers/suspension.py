"""What is switched off without being removed, and changes that reach no cluster because of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from scripts.core.findings import counted
from scripts.core.yamlfile import get
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair, Manifest, ObjectKey, RevisionPair
from scripts.model import api_groups, sourceignore
from scripts.model.rendered import Cluster

TOPIC = "Not applied"
# Kinds that a field stops, and what then does not happen. Of Flux, every kind has `suspend`.
PAUSED = "The operator does nothing for it: no change, no new rule or target, no repaired pod."
STOPPED: Mapping[str, tuple[str, str]] = {
    "Alertmanager": ("paused", PAUSED),
    "CronJob": ("suspend", "No job of it is started any more."),
    "Deployment": ("paused", "A change of it replaces no pod."),
    "Job": ("suspend", "Its pods are deleted, and none is started."),
    "Prometheus": ("paused", PAUSED),
    "PrometheusAgent": ("paused", PAUSED),
    "ThanosRuler": ("paused", PAUSED),
}
# Annotations that stop an engine's work on one object.
ANNOTATIONS: Mapping[str, tuple[str, ...]] = {
    f"argocd.{api_groups.ARGO_CD}/skip-reconcile": ("true",),
    f"{api_groups.HELM}/driftDetection": ("disabled",),
    f"{api_groups.KUSTOMIZE}/reconcile": ("disabled",),
    f"{api_groups.KUSTOMIZE}/ssa": ("Ignore", "IfNotPresent"),
}
ENGINE = "Its engine does not look at it any more: no change is applied, and no drift is undone."
RESUME = "Say in the change until when and why, or leave it on: nothing raises an alarm for it."
AUTOMATED = ("spec", "syncPolicy", "automated")


def analyze(pair: ClusterPair) -> Analysis:
    """Find what is suspended or paused, and what is synced less than before."""
    for key, before, after in pair.differing:
        if after is None:
            continue
        if (why := _stopped(after)) and not _stopped(before or {}):
            waiting = _waiting(pair.after, after)
            more = f" {listed(waiting)} waits for it." if waiting else ""
            yield Flag(Danger.SUSPENDED, str(key), f"{why}{more}", RESUME)
        if before is not None:
            yield from _less_synced(key, before, after)
        ignored = [get(one or {}, "spec", "ignore") for one in (before, after)]
        if key.group == api_groups.SOURCE and ignored[1] and ignored[0] != ignored[1]:
            why = "What its `ignore` leaves out, its users do not get."
            fix = "Compare it with what they read; a pattern overrides those of .sourceignore."
            yield Flag(Danger.NOT_PACKED, str(key), why, fix)


def unreached(pair: ClusterPair) -> Analysis:
    """Count the changes of what is suspended: they are in git, and in no cluster."""
    held = dict(_held(pair.after))
    changes: Counter[str] = Counter()
    for key, _, after in pair.differing:
        own = (key.unit, key.release)
        if own in held and not (after is not None and _stopped(after)):
            changes[held[own]] += 1
    for kind in ("Prometheus", "Alertmanager"):
        for before, item in pair.items(kind):
            others = {**before.spec, "paused": True} != {**item.spec, "paused": True}
            if item.spec.get("paused") is True and others:
                changes[f"{item} is paused"] += 1
    for what, count in changes.items():
        yield Sentence(TOPIC, f"{what}: {counted(count, 'change')} in git alone")


def packed(revisions: RevisionPair) -> Analysis:
    """Find files that Flux builds from and does not pack any more."""
    for pair in revisions.clusters:
        if pair.after.sync.engine != "flux" or not pair.after.sync.units:
            continue
        files = sorted(pair.after.repository.files(pair.after.sync))
        cluster = pair.after.sync.cluster
        known = sourceignore.hidden(revisions.before, cluster, files)
        before = {file for own in known.values() for file in own}
        for pattern, own in sourceignore.hidden(revisions.after, cluster, files).items():
            if lost := [file for file in own if file not in before]:
                why = f"{pattern.text} leaves out {listed(lost)}: Flux does not get what it builds."
                fix = "Narrow the pattern, or bring the files back with `!` in a line behind it."
                where = pattern.path or sourceignore.FILE
                yield Flag(Danger.NOT_PACKED, where, why, fix)


def _stopped(manifest: Manifest) -> str:
    """Say what does not happen with an object any more; empty where all does."""
    kind = str(manifest.get("kind"))
    field, why = STOPPED.get(kind, ("suspend", ENGINE))
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    known = kind in STOPPED or group.endswith(api_groups.TOOLKIT)
    if known and get(dict(manifest), "spec", field) is True:
        return why
    annotations = get(dict(manifest), "metadata", "annotations") or {}
    off = any(str(annotations.get(key)) in values for key, values in ANNOTATIONS.items())
    return ENGINE if off else ""


def _waiting(cluster: Cluster, stopped: Manifest) -> list[str]:
    """What depends on a Kustomization or a HelmRelease, and is not ready while that is not."""
    return [
        f"{item['kind']} {item['metadata']['name']}"
        for item in cluster.sync.objects()
        if item["kind"] == stopped["kind"]
        for one in get(item, "spec", "dependsOn") or ()
        if one["name"] == stopped["metadata"]["name"]
    ]


def _less_synced(key: ObjectKey, before: Manifest, after: Manifest) -> Analysis:
    lost = [what for what in _synced(before) if what not in _synced(after)]
    if lost:
        why = f"It does less by itself: no {' and no '.join(lost)}."
        fix = "Leave it on, or say who looks after the cluster in its place."
        yield Flag(Danger.SYNC_WEAKENED, str(key), why, fix)


def _synced(manifest: Manifest) -> Iterator[str]:
    """Yield what an engine does by itself for an Application, a Kustomization or a HelmRelease."""
    kind, item = manifest["kind"], dict(manifest)
    automated = get(item, *AUTOMATED)
    if kind == "Application" and automated is not None and automated.get("enabled") is not False:
        yield "sync of a new revision"
        if automated.get("prune") is True:
            yield "deletion of what git has no more"
        if automated.get("selfHeal") is True:
            yield "repair of what somebody changed"
    if kind == "Kustomization" and get(item, "spec", "prune") is True:
        yield "deletion of what git has no more"
    if kind == "HelmRelease" and get(item, "spec", "driftDetection", "mode") == "enabled":
        yield "repair of what somebody changed"


def _held(cluster: Cluster) -> Iterator[tuple[tuple[str, bool], str]]:
    """Yield each unit and each release that is not applied, and what holds it back."""
    owners = {release.owner: release.name for release in cluster.sync.releases}
    units: dict[str, str] = {}
    for item in cluster.sync.objects():
        kind, name = item["kind"], item["metadata"]["name"]
        by_hand = kind == "Application" and not any(_synced(item))
        if (kind, name) not in owners and kind not in ("Application", "Kustomization"):
            continue
        if _stopped(item) or by_hand:
            said = "syncs when somebody says so" if by_hand else "is suspended"
            units[name if (kind, name) not in owners else f"{kind} {name}"] = (
                f"{kind} {name} {said}"
            )
    for unit in cluster.sync.units:
        if unit.name in units:
            yield (unit.name, False), units[unit.name]
        for item in unit.objects:
            owner = (item["kind"], item["metadata"]["name"])
            held = units.get(" ".join(owner)) or units.get(unit.name)
            if held and owner in owners:
                yield (owners[owner], True), held
