"""What is deleted, or would be made anew beside what it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scripts.core.findings import counted
from scripts.core.yamlfile import get
from scripts.diff.analyzers import pruning
from scripts.diff.analyzers.storage import deletes_claims
from scripts.diff.analyzers.wording import transition
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair, Manifest, ObjectKey
from scripts.model import api_groups

# Kinds whose removal takes more along than itself.
WHY: Mapping[str, str] = {
    "Alertmanager": "The operator deletes Alertmanager with it: nobody is told of anything.",
    "CustomResourceDefinition": "Every object of its kind in the cluster is deleted with it.",
    "Namespace": "Everything in it is deleted with it, volumes included.",
    "NetworkPolicy": "Who may reach its pods changes: anybody, where no other policy chooses them.",
    "PersistentVolumeClaim": "Its volume is deleted with it, and what is stored there.",
    "Prometheus": "The operator deletes Prometheus with it; a volume that it claims stays, unused.",
    "StatefulSet": "Its pods are deleted; volumes that it claims stay, unused and paid for.",
}
# Likewise, where the policy for the claims is to delete them.
WHY_DELETING: Mapping[str, str] = {
    "Prometheus": "The operator deletes Prometheus with it, and its volume with what is stored.",
    "StatefulSet": "Its pods are deleted, and its volumes with what is stored there.",
}
PRUNE = ("spec", "prune"), ("spec", "syncPolicy", "automated", "prune")
FORCE = (("spec", "force"),)
# Of one object, the same.
FORCED = f"{api_groups.KUSTOMIZE}/force", "enabled"


def analyze(pair: ClusterPair) -> Analysis:
    """Find objects, releases and units that are removed, renamed or moved."""
    added = {key[2:]: key for key, before, _ in pair.differing if before is None}
    releases = {release.name for release in pair.after.sync.releases}
    units = {unit.name for unit in pair.after.sync.units}
    for key, before, after in pair.differing:
        if before is None:
            continue
        gone = key.unit not in (releases if key.release else units)
        if after is not None:
            yield from _protection_removed(pair.before.sync.engine, key, before, after)
            yield from _newly_switched_on(key, before, after)
            yield from _kept_elsewhere(key, before, after)
            continue
        kept = pruning.stays(pair, key, before)
        if (other := added.get(key[2:])) is not None:
            if kept or (key.release and gone):
                continue  # It stays, or its release has a flag of its own.
            why = f"{key.unit} prunes what {other.unit} applies, perhaps after it was made."
            fix = f"First keep {key.unit} from pruning it, then move it in a second change."
            yield Flag(Danger.MOVED, str(key), why, fix)
        elif key.kind in WHY and not _holds_nothing(before):
            lost = WHY[key.kind]
            if deletes_claims(before):
                lost = WHY_DELETING.get(key.kind, lost)
            why, fix = lost, "Keep it, or be sure that nobody needs it."
            if kept:
                why = "It stays, and nothing looks after it any more."
                fix = f"Delete it only if nobody uses it: {lost[0].lower()}{lost[1:]}"
            yield Flag(Danger.OBJECT_REMOVED, str(key), why, fix)
    yield from _releases(pair)
    yield from _units(pair)


def _holds_nothing(manifest: Manifest) -> bool:
    """Say whether it is a StatefulSet that claims no volume: then it is like a Deployment."""
    claims = get(manifest, "spec", "volumeClaimTemplates")
    return manifest["kind"] == "StatefulSet" and not claims


def _protection_removed(engine: str, key: ObjectKey, before: Manifest, after: Manifest) -> Analysis:
    ways = {"it": False, "its release" if key.release else "its unit": True}
    lost = [
        what
        for what, gone in ways.items()
        if pruning.is_kept(engine, before, released=key.release, gone=gone)
        and not pruning.is_kept(engine, after, released=key.release, gone=gone)
    ]
    if lost:
        why = f"Nothing keeps it any more when {' or '.join(lost)} is removed or renamed."
        yield Flag(Danger.PROTECTION_REMOVED, str(key), why, "Keep the annotations that say so.")


def _newly_switched_on(key: ObjectKey, before: Manifest, after: Manifest) -> Analysis:
    def on(switches: Iterable[tuple[str, ...]]) -> bool:
        return any(get(after, *keys) is True and not get(before, *keys) for keys in switches)

    if on(PRUNE):
        why = "What it does not declare any more is deleted at the next sync."
        yield Flag(Danger.PRUNING, str(key), why, "Look what it left behind: that goes, too.")
    if key.kind == "Kustomization" and on(FORCE):
        why = "An object is deleted, with what it holds, to change what cannot be changed in it."
        fix = f"Leave it off, and annotate the one object with {': '.join(FORCED)}."
        yield Flag(Danger.FORCING, str(key), why, fix)


def _kept_elsewhere(key: ObjectKey, before: Manifest, after: Manifest) -> Analysis:
    """Helm finds no release in another namespace, so helm-controller removes what it had.

    helm-controller, ReleaseTargetChanged in internal/action/verify.go.
    """
    own = [get(one, "spec", "storageNamespace") or key.namespace for one in (before, after)]
    if key.kind == "HelmRelease" and own[0] != own[1]:
        why = f"{transition('Where Helm keeps it', *own)}: it is uninstalled, and installed anew."
        fix = "Leave storageNamespace as it is."
        yield Flag(Danger.RELEASE_RENAMED, f"release {key.name}", why, fix)


def _releases(pair: ClusterPair) -> Analysis:
    before = pair.before
    old, new = ({r.name: r for r in c.sync.releases} for c in (before, pair.after))
    if not new:
        return  # The cluster is gone, as its units say.
    engine = before.sync.engine
    for name, release in old.items():
        gone = name not in new
        deleted = [
            item
            for item in before.items
            if item.release == name
            and not pruning.is_kept(engine, item.manifest, released=True, gone=gone)
            and not pruning.helm_leaves(before, name, item.manifest)
        ]
        count = counted(len(deleted), "object")
        twin = next(
            (r.name for r in new.values() if r.name not in old and r.chart == release.chart), None
        )
        if not gone and new[name].namespace != release.namespace:
            why = f"It is uninstalled from {release.namespace}, {count}, and installed anew."
            fix = "Leave its namespace, or move what its volumes hold first."
            yield Flag(Danger.RELEASE_RENAMED, f"release {name}", why, fix)
        elif gone and (kept := pruning.remains(pair, name)):
            beside = f", beside {twin} of the same chart" if twin else ""
            why = f"It stays{beside}, and nothing looks after it any more: {kept}."
            fix = "Uninstall it by hand, or declare it again."
            yield Flag(Danger.RELEASE_REMOVED, f"release {name}", why, fix)
        elif gone and twin:
            why = f"{name} is uninstalled ({count}), and {twin} installed: its volumes start empty."
            fix = f"Set releaseName: {name}, or move what its volumes hold first."
            yield Flag(Danger.RELEASE_RENAMED, f"release {name}", why, fix)
        elif gone:
            why = f"The engine uninstalls it, and deletes {count}."
            fix = "Be sure that nobody needs it; volumes that it claims stay."
            if any(
                i.kind == "PersistentVolumeClaim" or deletes_claims(i.manifest) for i in deleted
            ):
                why = f"The engine uninstalls it, and deletes {count} and what its volumes hold."
                fix = "Keep it, or export what somebody may still need."
            yield Flag(Danger.RELEASE_REMOVED, f"release {name}", why, fix)


def _units(pair: ClusterPair) -> Analysis:
    declared = {unit.name for unit in pair.after.sync.units}
    engine = pair.before.sync.engine
    for unit in pair.before.sync.units:
        if unit.name in declared or not pruning.deletes(pair.before, unit.name):
            continue
        if pruning.unit_remains(pair, unit.name):
            continue  # `pruning` says so of its objects.
        own = unit.objects
        deleted = [o for o in own if not pruning.is_kept(engine, o, released=False, gone=True)]
        why = f"The engine deletes what it applied: {counted(len(deleted), 'object')}."
        fix = "Turn pruning off first if they are to stay."
        yield Flag(Danger.PRUNING, f"unit {unit.name}", why, fix)
