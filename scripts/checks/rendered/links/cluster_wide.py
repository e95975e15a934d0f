"""Classes, kinds and rights of the whole cluster."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from scripts.checks.rendered.links.model import Link
from scripts.core.yamlfile import get
from scripts.model import schemas
from scripts.model.rendered import Cluster, Pod

# Every cluster has these.
PRIORITIES = frozenset({"system-cluster-critical", "system-node-critical"})
CRDS = "apiextensions.k8s.io/customresourcedefinitions"


def priority_classes_exist(cluster: Cluster) -> Iterator[Link]:
    """The priorityClassName of a pod is that of a PriorityClass."""
    known = PRIORITIES | {item.name for item in cluster.of("PriorityClass")}
    for pod in cluster.pods:
        if name := pod.spec.get("priorityClassName"):
            effect = "there is no such class, and the API server refuses the pod"
            fix = f"add a PriorityClass, or use one of {', '.join(sorted(known))}"
            written = ((("priorityClassName",), name),)
            yield Link(pod.owner, "has the priority", name, known, effect, fix, written)


def custom_resources_listable(cluster: Cluster) -> Iterator[Link]:
    """kube-state-metrics may list the custom resources that it watches, at a served version."""
    for pod in cluster.pods:
        for item in cluster.mounted(pod):
            text = "\n".join(map(str, item.data.values()))
            if "CustomResourceStateMetrics" not in text:
                continue
            rights = _listed(cluster, pod)
            effect = "its role may not list them, so their metrics are missing"
            fix = "add it to rbac.extraRules of kube-state-metrics, with the verbs list and watch"
            source = "makes metrics of"
            yield Link(
                pod.owner,
                source,
                CRDS,
                rights,
                effect,
                fix,
                ((("createClusterRoleRules",), False),),
            )
            config = yaml.load(text, Loader=yaml.CSafeLoader)
            for one in get(config, "spec", "resources") or []:
                of = one["groupVersionKind"]
                name = one.get("resourcePlural") or _plural(of["kind"])
                target = f"{of['group']}/{name}"
                written = ((("kind",), of["kind"]),)
                yield Link(pod.owner, source, target, rights, effect, fix, written)
                served = {
                    path.stem.partition("_")[2]
                    for path in (schemas.folder() / of["group"]).glob(f"{of['kind'].lower()}_*")
                }
                if served:
                    yield Link(
                        pod.owner,
                        f"makes metrics of {of['kind']} at the version",
                        of["version"],
                        served,
                        "it is not served, so their metrics are missing",
                        written=((("groupVersionKind", "version"), of["version"]),),
                    )


def volumes_are_file_systems(cluster: Cluster) -> Iterator[Link]:
    """A claim that is mounted has the volumeMode Filesystem."""
    for pod in cluster.pods:
        for claim in pod.claims:
            mode = claim.get("volumeMode") or "Filesystem"
            effect = "it is mounted, so the pod waits for ever"
            written = ((("volumeMode",), mode),)
            yield Link(
                pod.owner, "has a volume of the mode", mode, {"Filesystem"}, effect, written=written
            )


def _plural(kind: str) -> str:
    name = kind.lower()
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def _listed(cluster: Cluster, pod: Pod) -> frozenset[str]:
    """Return what a pod's account may list in every namespace, as `group/resource`."""
    account = ("ServiceAccount", pod.owner.namespace, pod.spec.get("serviceAccountName"))
    roles = {
        binding.manifest["roleRef"]["name"]
        for binding in cluster.of("ClusterRoleBinding")
        for subject in binding.manifest.get("subjects") or []
        if (subject["kind"], subject.get("namespace"), subject["name"]) == account
    }
    return frozenset(
        f"{group}/{resource}"
        for role in cluster.of("ClusterRole")
        if role.name in roles
        for rule in role.manifest.get("rules") or []
        if {"list", "watch"} <= set(rule["verbs"])
        for group in rule.get("apiGroups") or []
        for resource in rule.get("resources") or []
    )
