"""What is switched off without being removed, and changes that reach no cluster because of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from scripts.core.findings import counted
from scripts.core.yamlfile import Json, get
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair, Manifest, ObjectKey, RevisionPair
from scripts.model import api_groups, bootstrap, sourceignore
from scripts.model.manifests import group
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
    f"{api_groups.KUSTOMIZE}/reconcile": ("disabled",),
    f"{api_groups.KUSTOMIZE}/ssa": ("Ignore", "IfNotPresent"),
}
# One that stops less: an upgrade of the release changes the object as before.
DRIFT = f"{api_groups.HELM}/driftDetection", "disabled"
UNDONE = "Helm-controller undoes no drift of it."
ENGINE = "Its engine does not look at it any more: no change is applied, and no drift is undone."
RESUME = "Say in the change until when and why, or leave it on: nothing raises an alarm for it."
AUTOMATED = ("spec", "syncPolicy", "automated")


def analyze(pair: ClusterPair) -> Analysis:
    """Find what is suspended or paused, and what is synced less than before."""
    for key, before, after in pair.differing:
        if after is None:
            continue
        undone = [one is not None and marked(one, *DRIFT) for one in (before, after)]
        if undone == [False, True]:
            yield Flag(Danger.SYNC_WEAKENED, str(key), UNDONE, RESUME)
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


class Hold(NamedTuple):
    """What keeps changes from a cluster.

    Attributes:
        why: The object that does, and how.
        older: Whether it was so before the change.
    """

    why: str
    older: bool


# What a change is known by in several clusters: its release, and the object.
Arrival = tuple[str, str, str, str, str]


def unreached(revisions: RevisionPair) -> Analysis:
    """Find changes of what is suspended: they are in git, and in no cluster.

    A change that no cluster of the engine gets, for a reason that is older than the change, is
    flagged: nothing that its author wrote says so.
    """
    found: dict[tuple[Hold, str], list[Arrival]] = {}
    arrived: set[tuple[str, Arrival]] = set()
    for pair in revisions.clusters:
        engine = pair.after.sync.engine
        for change, hold in _changes(pair):
            if hold is None:
                arrived.add((engine, change))
            else:
                found.setdefault((hold, pair.name), []).append(change)
    for (hold, place), changes in found.items():
        count = counted(len(changes), "change")
        engine = place.rpartition("/")[2]
        if hold.older and not any((engine, one) in arrived for one in changes):
            own = counted(len(changes), "object")
            why = f"{hold.why}, since before this change: no cluster gets it ({own})."
            fix = "Resume it with the change, or know that it waits until somebody does."
            what = " ".join(hold.why.split()[:2])
            yield Flag(Danger.HELD_BACK, what, why, fix, (place,))
        else:
            yield Sentence(TOPIC, f"{hold.why}: {count} in git alone", (place,))


def packed(revisions: RevisionPair) -> Analysis:
    """Find files that Flux builds from and does not pack any more, and edits of such files."""
    for pair in revisions.clusters:
        if pair.after.sync.engine != "flux" or not pair.after.sync.units:
            continue
        files = sorted(pair.after.repository.files(pair.after.sync))
        cluster = pair.after.sync.cluster
        known = sourceignore.hidden(revisions.before, cluster, files)
        before = {file for own in known.values() for file in own}
        for pattern, own in sourceignore.hidden(revisions.after, cluster, files).items():
            edited = [file for file in own if file in before and revisions.edited(file)]
            for lost, what in (
                ([file for file in own if file not in before], "Flux does not get what it builds"),
                (edited, "the edit does not get to Flux"),
            ):
                if lost:
                    why = f"{pattern.text} leaves out {listed(lost)}: {what}."
                    fix = "Narrow the pattern, or bring files back with `!` in a line behind it."
                    where = pattern.path or sourceignore.FILE
                    yield Flag(Danger.NOT_PACKED, where, why, fix, (pair.name,))


def marked(manifest: Manifest, key: str, *values: str) -> bool:
    """Say whether an annotation has one of these values.

    Flux reads its own from labels, too, and in any case (AnyInMetadata of fluxcd/pkg/ssa).
    """
    known = (api_groups.KUSTOMIZE, api_groups.HELM)
    places = ("annotations", "labels") if key.startswith(known) else ("annotations",)
    found = [(manifest["metadata"].get(place) or {}).get(key) for place in places]
    wanted = {value.lower() for value in values}
    return any(isinstance(one, str) and one.lower() in wanted for one in found)


def _stopped(manifest: Manifest) -> str:
    """Say what does not happen with an object any more; empty where all does."""
    kind = str(manifest.get("kind"))
    field, why = STOPPED.get(kind, ("suspend", ENGINE))
    api_group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    known = kind in STOPPED or api_group.endswith(api_groups.TOOLKIT)
    if known and get(dict(manifest), "spec", field) is True:
        return why
    off = any(marked(manifest, key, *values) for key, values in ANNOTATIONS.items())
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


def held(cluster: Cluster) -> Iterator[tuple[tuple[str, bool], str]]:
    """Yield each unit and each release that is not applied, and what holds it back."""
    sync = cluster.sync
    owners = {release.owner: (release.name, True) for release in sync.releases}
    objects = [(unit.name, item) for unit in sync.units for item in unit.objects]
    if sync.engine == "flux":
        own = bootstrap.objects(cluster.repository.root, sync.cluster)
        objects += [("", item) for _, item in own]
    stopped = dict(_stopped_owners(item for _, item in objects))
    for unit in sync.units:
        kind = "Kustomization" if sync.engine == "flux" else "Application"
        if why := stopped.get((kind, unit.name)):
            yield (unit.name, False), why
    for unit_name, item in objects:
        owner = (item["kind"], item["metadata"]["name"])
        why = stopped.get(owner) or stopped.get(("Kustomization", unit_name))
        why = why or (sync.engine == "argocd" and stopped.get(("Application", unit_name))) or ""
        if why and owner in owners:
            yield owners[owner], why


def _stopped_owners(objects: Iterable[Json]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield kind and name of what applies objects and does not, and why."""
    waiting: dict[str, Json] = {}
    found: dict[tuple[str, str], str] = {}
    for item in objects:
        kind, name = item["kind"], item["metadata"]["name"]
        known = group(item).endswith((api_groups.TOOLKIT, api_groups.ARGO_CD))
        if known and kind == "Application" and not any(_synced(item)):
            found[kind, name] = f"{kind} {name} syncs when somebody says so"
        elif known and _stopped(item):
            found[kind, name] = f"{kind} {name} is suspended"
        elif known and kind == "Kustomization":
            waiting[name] = item
    # A Kustomization waits for its source, and, at each revision of that, for what it depends on.
    for _ in range(len(waiting)):
        for name, item in list(waiting.items()):
            source = get(item, "spec", "sourceRef") or {}
            before = [one["name"] for one in get(item, "spec", "dependsOn") or ()]
            roots = [(str(source.get("kind")), str(source.get("name")))]
            roots += [("Kustomization", one) for one in before]
            if why := next((found[one] for one in roots if one in found), ""):
                found["Kustomization", name] = f"{why}, and Kustomization {name} waits for it"
                del waiting[name]
    yield from found.items()


def _changes(pair: ClusterPair) -> Iterator[tuple[Arrival, Hold | None]]:
    """Yield each object that differs, and what keeps the difference from the cluster."""
    now, earlier = dict(held(pair.after)), dict(held(pair.before))
    for key, before, after in pair.differing:
        own = (key.unit, key.release)
        change = (key.unit if key.release else "", *key[2:])
        if own in now:
            if after is None or not _stopped(after):
                yield change, Hold(now[own], own in earlier)
        elif why := _passed_over(pair, key, before, after):
            yield change, Hold(f"{key} has {why}", True)
        else:
            yield change, None
    for kind in ("Prometheus", "Alertmanager"):
        for old, item in pair.items(kind):
            others = {**old.spec, "paused": True} != {**item.spec, "paused": True}
            if item.spec.get("paused") is True and others:
                change = ("the operator's", "", kind, item.namespace, item.name)
                yield change, Hold(f"{item} is paused", old.spec.get("paused") is True)
    yield from _charts(pair)


def _passed_over(
    pair: ClusterPair, key: ObjectKey, before: Manifest | None, after: Manifest | None
) -> str:
    """Return the annotation for which kustomize-controller leaves an object that is there alone."""
    if before is None or after is None or key.release or pair.after.sync.engine != "flux":
        return ""
    for name, values in ANNOTATIONS.items():
        for value in values if name.startswith(api_groups.KUSTOMIZE) else ():
            if marked(before, name, *values) and marked(after, name, value):
                return f"{name}: {value}"
    return ""


def _charts(pair: ClusterPair) -> Iterator[tuple[Arrival, Hold | None]]:
    """Yield releases whose chart moves, and what keeps Flux from getting it."""
    old = {release.name: release for release in pair.before.sync.releases}
    stopped = [dict(_stopped_owners(one.sync.objects())) for one in (pair.before, pair.after)]
    by_name = {(o["kind"], o["metadata"]["name"]): o for o in pair.after.sync.objects()}
    for release in pair.after.sync.releases:
        other = old.get(release.name)
        if other is None or other.version == release.version:
            continue
        spec = by_name.get(release.owner, {}).get("spec") or {}
        source = (get(spec, "chartRef", "kind"), get(spec, "chartRef", "name"))
        why = stopped[1].get(source)
        change = (release.name, "", "chart", "", release.version)
        yield change, Hold(why, source in stopped[0]) if why else None
