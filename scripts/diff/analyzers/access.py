"""Who may do more than before: roles, bindings, accounts, pods and namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scripts.diff.analyzers.wording import listed, transition
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair, Manifest
from scripts.model.pod_security import LEVELS, POD_SECURITY, violations
from scripts.model.rendered import Cluster, Pod

ROLES = frozenset({"ClusterRole", "Role"})
BINDINGS = frozenset({"ClusterRoleBinding", "RoleBinding"})
# With such a label, a role's permissions are another one's, too: `aggregate-to-admin`.
AGGREGATED = "rbac.authorization.k8s.io/aggregate-to-"
ANY = "*"


class Permission(NamedTuple):
    """What one rule of a role allows.

    Attributes:
        verb: `get`, or `*`.
        group: The API group; None for an address of the API server.
        resource: `pods`, `pods/exec`, `*/scale`, `*`, or the address.
        name: The one object's name; empty for all.
    """

    verb: str
    group: str | None
    resource: str
    name: str = ""


def roles(pair: ClusterPair) -> Analysis:
    """Find roles that allow more, or more people, and bindings that give a role to more."""
    for key, before, after in pair.differing:
        if after is None:
            continue
        if key.kind in ROLES:
            old, new = (dict.fromkeys(_permissions(manifest or {})) for manifest in (before, after))
            if more := [one for one in new if not any(_covers(known, one) for known in old)]:
                why = f"It allows more: {listed(_by_resource(more))}."
                fix = "Narrow the values of the chart that ask for it, or say what needs it."
                yield Flag(Danger.RBAC_WIDENED, str(key), why, fix)
            if joined := [
                role for role in _aggregated_to(after) if role not in _aggregated_to(before or {})
            ]:
                why = f"Who has the role {listed(joined)} gets what it allows, too."
                yield Flag(Danger.RBAC_WIDENED, str(key), why, "Be sure that they need it.")
        elif key.kind in BINDINGS:
            known = (before or {}).get("subjects") or ()
            added = [s for s in after.get("subjects") or () if s not in known]
            if added:
                names = listed(f"{s['kind']} {s['name']}" for s in added)
                why = f"It gives {after['roleRef']['kind']} {after['roleRef']['name']} to {names}."
                yield Flag(Danger.RBAC_WIDENED, str(key), why, "Be sure that they need it.")


def accounts(pair: ClusterPair) -> Analysis:
    """Find workloads that act as another account, one that something had given permissions to."""
    bound = {
        (subject.get("namespace") or item.namespace, subject["name"])
        for item in pair.before.of(*BINDINGS)
        for subject in item.manifest.get("subjects") or ()
        if subject["kind"] == "ServiceAccount"
    }
    for before, pod in pair.pods:
        old, new = _service_account(before), _service_account(pod)
        if old != new and (pod.owner.namespace, new) in bound:
            why = f"{transition('Its ServiceAccount', old, new)}: it gets the rights of that one."
            fix = "Give it an account of its own, with just the rights that it needs."
            yield Flag(Danger.RBAC_WIDENED, str(pod.owner), why, fix)


def pods(pair: ClusterPair) -> Analysis:
    """Find pods that may do more on their node."""
    before, after = _node_access(pair.before), _node_access(pair.after)
    for owner, powers in after.items():
        if added := [power for power in powers if power not in before.get(owner, ())]:
            why = f"Who breaks out of it gets more of the node: {listed(added)}."
            fix = "Do without, or keep it in the namespace monitoring-node, and say why."
            yield Flag(Danger.PRIVILEGED, owner, why, fix)


def namespaces(pair: ClusterPair) -> Analysis:
    """Find namespaces that admit pods of a looser Pod Security level."""
    for key, before, after in pair.changed:
        if key.kind == "Namespace":
            old, new = (_security_level(manifest) for manifest in (before, after))
            if LEVELS.index(new) < LEVELS.index(old):
                why = (
                    f"{transition('Pod Security level', old, new)}: it admits pods that it refused."
                )
                yield Flag(
                    Danger.PRIVILEGED, str(key), why, "Keep the level; move the pod that needs it."
                )


def _permissions(manifest: Manifest) -> Iterator[Permission]:
    for rule in manifest.get("rules") or ():
        for verb in rule["verbs"]:
            for address in rule.get("nonResourceURLs") or ():
                yield Permission(verb, None, address)
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or [""]:
                    for group in rule.get("apiGroups") or [""]:
                        yield Permission(verb, group, resource, name)


def _by_resource(permissions: Iterable[Permission]) -> list[str]:
    """Permissions in words: `secrets (get, list)`."""
    verbs: dict[str, list[str]] = {}
    for verb, group, resource, name in permissions:
        what = f"{resource}.{group}" if group else resource
        verbs.setdefault(f"{what} {name}" if name else what, []).append(verb)
    return [f"{what} ({', '.join(own)})" for what, own in verbs.items()]


def _covers(wide: Permission, narrow: Permission) -> bool:
    """Say whether who has one permission has the other, as the API server compares them.

    `pods` is not `pods/exec`: k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go.
    """
    if wide.verb not in (ANY, narrow.verb):
        return False
    if wide.group is None or narrow.group is None:
        below = wide.resource.endswith(ANY) and narrow.resource.startswith(wide.resource[:-1])
        return wide.group == narrow.group and (below or wide.resource == narrow.resource)
    _, slash, subresource = narrow.resource.partition("/")
    resources = {ANY, narrow.resource, *([f"{ANY}/{subresource}"] if slash else [])}
    return (
        wide.group in (ANY, narrow.group)
        and wide.resource in resources
        and wide.name in ("", narrow.name)
    )


def _aggregated_to(manifest: Manifest) -> list[str]:
    """Roles that get a ClusterRole's permissions."""
    labels = manifest.get("metadata", {}).get("labels") or {}
    return sorted(
        key.removeprefix(AGGREGATED)
        for key, value in labels.items()
        if key.startswith(AGGREGATED) and value == "true"
    )


def _service_account(pod: Pod) -> str:
    return str(pod.spec.get("serviceAccountName") or "default")


def _node_access(cluster: Cluster) -> dict[str, list[str]]:
    """What each workload's pods may do that the restricted level forbids."""
    found = {}
    for pod in cluster.pods:
        paths = {
            volume["name"]: f"hostPath {volume['hostPath'].get('path')}"
            for volume in pod.spec.get("volumes") or ()
            if "hostPath" in volume
        }
        written = [
            f"{paths[mount['name']]} to write"
            for container in pod.containers
            for mount in container.get("volumeMounts") or ()
            if mount["name"] in paths and not mount.get("readOnly")
        ]
        named = [text for text in violations(pod.spec) if not text.endswith("is a hostPath")]
        capabilities = [
            f"container {c['name']}: capability {name}"
            for c in pod.containers
            for name in ((c.get("securityContext") or {}).get("capabilities") or {}).get("add")
            or ()
        ]
        found[str(pod.owner)] = list(
            dict.fromkeys([*paths.values(), *written, *capabilities, *named])
        )
    return found


def _security_level(manifest: Manifest) -> str:
    # Without the label, the API server's default holds: everything is admitted.
    return str((manifest["metadata"].get("labels") or {}).get(POD_SECURITY, LEVELS[0]))
