"""Fields that an API server does not let anybody change: the sync fails until somebody deletes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scripts.core.yamlfile import Json, get
from scripts.diff.analyzers.removal import FORCE, FORCED
from scripts.diff.analyzers.storage import canonical, deletes_claims
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair, Manifest, ObjectKey
from scripts.diff.value_diff import differences

# By kind, the fields; of a StatefulSet's spec all but these may not change.
# https://kubernetes.io/docs/reference/kubernetes-api/
FIELDS: Mapping[str, tuple[str, ...]] = {
    "ClusterRoleBinding": ("roleRef",),
    "DaemonSet": ("spec.selector",),
    "Deployment": ("spec.selector",),
    "Job": ("spec.selector", "spec.template", "spec.completionMode"),
    "PersistentVolumeClaim": (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeMode",
        "spec.volumeName",
    ),
    "RoleBinding": ("roleRef",),
    "Service": ("spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies"),
    "StatefulSet": (
        "spec.podManagementPolicy",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "StorageClass": ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
    "CustomResourceDefinition": ("spec.group", "spec.names.kind", "spec.scope"),
}
# Which of them Kubernetes fills in where nothing is written: they differ only where both revisions
# write them, or one says that there is none.
FILLED = frozenset({"spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.volumeName"})
HEADLESS = "None"
SEALED = frozenset({"ConfigMap", "Secret"})
# What goes with an object, so that nobody may delete it to make it anew.
LOST: Mapping[str, str] = {
    "CustomResourceDefinition": "every object of its kind",
    "PersistentVolumeClaim": "what its volume holds",
}


def analyze(pair: ClusterPair) -> Analysis:
    """Find objects of which such a field differs."""
    for key, before, after in pair.changed:
        changed = list(_changed(key, before, after))
        if changed:
            lost = "what its volumes hold" if deletes_claims(before) else LOST.get(key.kind)
            why = f"{listed(changed)} cannot be changed: the API server refuses the object."
            fix = "Leave it; else delete the object before the sync, knowing what stops meanwhile."
            if lost:
                fix = f"Leave it: to delete the object before the sync deletes {lost}, too."
            if _forced(pair, key, after):
                what = f"the object and {lost}" if lost else "the object"
                why = f"{listed(changed)} cannot be changed: Flux deletes {what}, to make it anew."
                fix = "Leave it, or take the force out of its Kustomization and annotations first."
            yield Flag(Danger.IMMUTABLE_FIELD, str(key), why, fix)


def _forced(pair: ClusterPair, key: ObjectKey, after: Manifest) -> bool:
    if key.release or pair.after.sync.engine != "flux":
        return False
    annotation, value = FORCED
    annotated = get(after, "metadata", "annotations", annotation) == value
    # The first unit declares the others.
    own = (o for o in pair.after.sync.units[0].objects if o["metadata"]["name"] == key.unit)
    return annotated or any(get(item, *keys) is True for item in own for keys in FORCE)


def _changed(key: ObjectKey, before: Manifest, after: Manifest) -> Iterator[str]:
    if key.kind in SEALED and before.get("immutable"):
        yield from (
            field for field in ("data", "immutable") if before.get(field) != after.get(field)
        )
    for field in FIELDS.get(key.kind, ()):
        old, new = get(before, *field.split(".")), get(after, *field.split("."))
        if field in FILLED and None in (old, new) and HEADLESS not in (old, new):
            continue
        if field == "spec.volumeClaimTemplates":
            old, new = _templates(old), _templates(new)
        if old != new:
            yield from (
                f"{field}{'.' if one.path[:1] not in '[' else ''}{one.path}".rstrip(".")
                for one in differences(old, new)
            )


def _templates(templates: Json) -> Json:
    """Claims as the API server compares them, without what Helm may write and it does not store."""
    return [
        {
            **template,
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "spec": canonical(template["spec"]),
        }
        for template in templates or ()
    ]
