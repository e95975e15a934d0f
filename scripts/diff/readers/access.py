"""Who may do more than before: roles, bindings, projects, pods and namespaces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from scripts.checks.policies import POD_SECURITY
from scripts.checks.rendered.pods import violations
from scripts.diff.model import Flag
from scripts.diff.objects import Manifest, Pair
from scripts.diff.readers.words import Said, listed, moved
from scripts.preflight.points import LEVELS
from scripts.rendered import Cluster
from scripts.yamlfile import Json

ROLES = frozenset({"ClusterRole", "Role"})
BINDINGS = frozenset({"ClusterRoleBinding", "RoleBinding"})
# An AppProject's lists of what is allowed, and of what is not.
ALLOWED = (
    "sourceRepos",
    "sourceNamespaces",
    "destinations",
    "clusterResourceWhitelist",
    "namespaceResourceWhitelist",
)
FORBIDDEN = ("clusterResourceBlacklist", "namespaceResourceBlacklist")
ANY = "*"
Right = tuple[str, str, str]


def roles(pair: Pair) -> Said:
    """Find roles that allow more, and bindings that give a role to more."""
    for key, before, after in pair.differing:
        if after is None:
            continue
        if key.kind in ROLES:
            old = set(_rights(before or {}))
            more = [r for r in dict.fromkeys(_rights(after)) if not _covered(r, old)]
            if more:
                why = f"It allows more: {listed(_grouped(more))}."
                fix = "Narrow the values of the chart that ask for it, or say what needs it."
                yield Flag("rbac-widened", str(key), why, fix)
        elif key.kind in BINDINGS:
            known = [_canonical(s) for s in (before or {}).get("subjects") or ()]
            new = [s for s in after.get("subjects") or () if _canonical(s) not in known]
            if new:
                names = listed(f"{s['kind']} {s['name']}" for s in new)
                why = f"It gives {after['roleRef']['kind']} {after['roleRef']['name']} to {names}."
                yield Flag("rbac-widened", str(key), why, "Be sure that they need it.")


def projects(pair: Pair) -> Said:
    """Find AppProjects that allow more."""
    for key, before, after in pair.differing:
        if key.kind != "AppProject" or before is None or after is None:
            continue
        for name in (*ALLOWED, *FORBIDDEN):
            old, new = (m["spec"].get(name) or [] for m in (before, after))
            more, less = (new, old) if name in ALLOWED else (old, new)
            if added := [value for value in more if value not in less]:
                why = f"{name} lets its Applications do more: {listed(map(_shown, added))}."
                fix = "Allow just what its Applications use; `make validate` compares both."
                yield Flag("project-widened", str(key), why, fix)


def pods(pair: Pair) -> Said:
    """Find pods that may do more on their node."""
    before, after = _powers(pair.before), _powers(pair.after)
    for owner, powers in after.items():
        if added := [power for power in powers if power not in before.get(owner, ())]:
            why = f"Who breaks out of it gets more of the node: {listed(added)}."
            fix = "Do without, or keep it in the namespace monitoring-node, and say why."
            yield Flag("privileged", owner, why, fix)


def namespaces(pair: Pair) -> Said:
    """Find namespaces that admit pods of a looser Pod Security level."""
    for key, before, after in pair.differing:
        if key.kind == "Namespace" and before is not None and after is not None:
            old, new = (_level(manifest) for manifest in (before, after))
            if LEVELS.index(new) < LEVELS.index(old):
                why = f"{moved('Pod Security level', old, new)}: it admits pods that it refused."
                yield Flag(
                    "privileged", str(key), why, "Keep the level; move the pod that needs it."
                )


def _rights(manifest: Manifest) -> Iterator[Right]:
    """Yield verb, resource and group of all that a role allows."""
    for rule in manifest.get("rules") or ():
        for verb in rule["verbs"]:
            for address in rule.get("nonResourceURLs") or ():
                yield verb, address, ""
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or [""]:
                    for group in rule.get("apiGroups") or [""]:
                        yield verb, f"{resource}/{name}".rstrip("/"), group


def _grouped(rights: list[Right]) -> list[str]:
    """Rights in words: `secrets (get, list)`."""
    verbs: dict[str, list[str]] = {}
    for verb, resource, group in rights:
        verbs.setdefault(f"{resource}.{group}" if group else resource, []).append(verb)
    return [f"{what} ({', '.join(own)})" for what, own in verbs.items()]


def _covered(right: Right, known: set[Right]) -> bool:
    verb, resource, group = right
    kind = resource.partition("/")[0]
    return any(
        (a, b, c) in known for a in (verb, ANY) for b in (resource, kind, ANY) for c in (group, ANY)
    )


def _powers(cluster: Cluster) -> dict[str, list[str]]:
    """What each workload's pods may do that the restricted level forbids."""
    found = {}
    for pod in cluster.pods:
        paths = [
            f"hostPath {volume['hostPath'].get('path')}"
            for volume in pod.spec.get("volumes") or ()
            if "hostPath" in volume
        ]
        named = [text for text in violations(pod.spec) if not text.endswith("is a hostPath")]
        capabilities = [
            f"container {c['name']}: capability {name}"
            for c in pod.containers
            for name in ((c.get("securityContext") or {}).get("capabilities") or {}).get("add")
            or ()
        ]
        found[str(pod.owner)] = [*named, *paths, *capabilities]
    return found


def _level(manifest: Manifest) -> str:
    # Without the label, the API server's default holds: everything is admitted.
    return str((manifest["metadata"].get("labels") or {}).get(POD_SECURITY, LEVELS[0]))


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def _shown(value: Mapping[str, Json] | str) -> str:
    return (
        value
        if isinstance(value, str)
        else " ".join(str(part or "core") for part in value.values())
    )
