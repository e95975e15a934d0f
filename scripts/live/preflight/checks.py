"""The checks of the preflight: each compares what the stack needs with the cluster's state."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.core.findings import counted
from scripts.core.quantities import version_numbers
from scripts.core.yamlfile import Json
from scripts.live.preflight import buckets, capacity, custom_resources, public_address, storage
from scripts.live.preflight.check_result import CheckResult, missing, ok, warning
from scripts.live.preflight.cluster_state import ClusterState
from scripts.live.preflight.custom_resources import CRDS
from scripts.model import schemas, secretfile
from scripts.model.credentials import NeededSecret
from scripts.model.pod_security import LEVELS, POD_SECURITY
from scripts.model.requirements import Requirements

# What every image is published for; whether others are is in scripts/images.yaml.
EVERY_IMAGE = "amd64"
# DaemonSets of network plug-ins that enforce NetworkPolicy. kindnet does in every version of kind
# that runs a Kubernetes which is supported here; K3s does in its own process.
ENFORCING = frozenset(
    {
        "anetd",
        "antrea-agent",
        "azure-npm",
        "calico-node",
        "canal",
        "cilium",
        "kindnet",
        "kube-router",
        "ovnkube-node",
        "rke2-canal",
        "weave-net",
    }
)
K3S = "+k3s"
# Its Helm chart and its static manifests set it as app.kubernetes.io/name. Archived in March 2026:
# https://github.com/kubernetes/ingress-nginx
RETIRED = "ingress-nginx"


@dataclass(frozen=True)
class EngineInstallation:
    """A GitOps engine, by what its installation leaves in a cluster.

    Attributes:
        title: Its name in a sentence.
        namespace: Where it is installed, and where our objects for it are.
        crd: A CRD that only it brings.
        controllers: Deployments and StatefulSets that a sync needs.
    """

    title: str
    namespace: str
    crd: str
    controllers: tuple[str, ...]


ENGINES: Mapping[str, EngineInstallation] = {
    "flux": EngineInstallation(
        "Flux",
        "flux-system",
        "kustomizations.kustomize.toolkit.fluxcd.io",
        ("source-controller", "kustomize-controller", "helm-controller"),
    ),
    "argocd": EngineInstallation(
        "Argo CD",
        "argocd",
        "applications.argoproj.io",
        ("argocd-application-controller", "argocd-repo-server"),
    ),
}


@dataclass(frozen=True)
class PreflightCheck:
    """One line of the report.

    Attributes:
        section: The heading above it.
        name: What is checked.
        reads: The resources that are compared, as kubectl names them.
        compare: Compares what the stack needs with the cluster.
        rendered: Whether charts must be rendered to know what the stack needs.
        applies: Whether there is anything to compare; without, there is no line.
    """

    section: str
    name: str
    reads: tuple[str, ...]
    compare: Callable[[Requirements, ClusterState], CheckResult]
    rendered: bool = False
    applies: Callable[[Requirements], bool] = lambda _: True


def kubernetes(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Compare the API server's version with those that every manifest is validated against."""
    oldest, *_between, newest = map(_minor, schemas.kubernetes_versions())
    found = _minor(cluster.version)
    text = f"{cluster.version}, {_dotted(oldest)} to {_dotted(newest)} are supported"
    if found < oldest:
        return missing(text, f"upgrade the cluster to {_dotted(oldest)} or newer")
    if found > newest:
        return warning(text, "upgrade kubernetes-validate (`make lock`), then `make validate`")
    planned = required.limits.get("kubernetes")
    if planned and _dotted(found) != planned:
        file = f"overlays/{required.environment}/budget.yaml"
        return warning(f"{text}, and {file} says {planned}", "correct it: `make diff` goes by it")
    return ok(text)


def architecture(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Compare the nodes' processors with those of the images, and of the environment."""
    nodes: dict[str, list[str]] = {}
    for item in cluster.lists["nodes"]:
        found = item["status"]["nodeInfo"]["architecture"]
        nodes.setdefault(found, []).append(item["metadata"]["name"])
    for found, names in sorted(nodes.items()):
        unknown = [image for image, runs_on in required.images.items() if found not in runs_on]
        if found != EVERY_IMAGE and unknown:
            text = f"{', '.join(names)}: {found}, and not known to run there: {', '.join(unknown)}"
            return missing(text, "use other nodes, or look the images up for scripts/images.yaml")
    text = ", ".join(f"{n} on {counted(len(nodes[n]), 'node')}" for n in sorted(nodes))
    planned = required.limits.get("architecture")
    if planned and nodes.keys() != {planned}:
        text = f"{text}, and overlays/{required.environment} is for {planned}"
        return warning(text, f"use {planned} nodes, or an environment of your own")
    return ok(f"{text}, and every image runs there")


def engine(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for exactly one GitOps engine that is ready and knows the kinds that are used here."""
    crds = {item["metadata"]["name"] for item in cluster.lists[CRDS]}
    ready = {name: _controllers(one, cluster) for name, one in ENGINES.items()}
    installed = [name for name in ENGINES if ready[name]]
    left = [one.title for name, one in ENGINES.items() if one.crd in crds and not ready[name]]
    if not installed:
        text = f"only CRDs of {' and '.join(left)}" if left else "neither Flux nor Argo CD"
        places = " or ".join(one.namespace for one in ENGINES.values())
        return missing(f"{text}, in {places}", "install one of them: Install in README.md")
    if len(installed) > 1:
        text = f"{' and '.join(ENGINES[name].title for name in installed)} are both installed"
        return missing(text, "uninstall the one that is not to sync this cluster")
    (name,) = installed
    one = ENGINES[name]
    waiting = [c for c in one.controllers if not ready[name].get(c)]
    if waiting or one.crd not in crds:
        text = f"{one.title}: not ready: {', '.join(waiting) or f'the CRD {one.crd}'}"
        return missing(text, f"see `kubectl -n {one.namespace} get pods`, or install it again")
    if unknown := custom_resources.unknown(required.declared.get(name, ()), cluster):
        return missing(f"{one.title} does not know {', '.join(unknown)}", f"upgrade {one.title}")
    text = f"{one.title}, {len(one.controllers)} controllers ready"
    if left:
        text = f"{text}; CRDs of {' and '.join(left)} are left"
        return warning(text, "delete them if nothing else uses them")
    return ok(text)


def secrets(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for each Secret that is read, and its keys; values are not known here."""
    unread = [str(secret) for secret in required.secrets if f"secret {secret}" in cluster.forbidden]
    if unread:
        text = f"not checked: {', '.join(unread)} may not be read"
        return missing(text, "use an account that may get them; no value is kept or shown")
    lacking = {secret: text for secret in required.secrets if (text := _lack(secret, cluster))}
    text = "; ".join(lacking.values())
    if any(not secret.optional for secret in lacking):
        return missing(text, f"make secrets SECRETS=--cluster={required.name}")
    if lacking:
        without = ", ".join(dict.fromkeys(secret.optional for secret in lacking))
        return warning(text, f"until it is created, {without}; see {secretfile.PATH}")
    return ok(f"{len(required.secrets)} with every key that is read")


def namespaces(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Look whether our namespaces, where they exist, refuse the stack or hold others' pods."""
    there = {item["metadata"]["name"]: item for item in cluster.lists["namespaces"]}
    found = {name: there[name] for name in sorted(required.namespaces) if name in there}
    for name, item in found.items():
        if item["status"].get("phase") == "Terminating":
            return missing(f"{name} is being deleted", "wait until it is gone")
        level = (item["metadata"].get("labels") or {}).get(POD_SECURITY, LEVELS[0])
        wanted = required.namespaces[name]
        if level not in LEVELS or LEVELS.index(level) > LEVELS.index(wanted):
            text = f"{name} enforces {level}, and the stack's pods there need {wanted}"
            return missing(
                text, f"kubectl label --overwrite namespace {name} {POD_SECURITY}={wanted}"
            )
    for name in found:
        if others := capacity.of_others(required, cluster, name):
            text = f"{name} holds pods of others, such as {others[0]}"
            text = f"{text}; the sync enforces {required.namespaces[name]} there"
            return warning(text, "move them to a namespace of their own")
    levels = ", ".join(
        f"{name} {required.namespaces[name]}" for name in sorted(required.namespaces)
    )
    return ok(f"{len(found)} of {len(required.namespaces)} exist; the sync sets {levels}")


def network_policies(_: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for an agent that enforces network policies; without one they say nothing."""
    if K3S in cluster.version:
        return ok("enforced by K3s")
    agents = {i["metadata"]["name"]: i["status"] for i in cluster.lists["daemonsets"]}
    found = sorted(ENFORCING & agents.keys())
    if not found:
        text = "nothing known enforces them: they are inert, as with Flannel, OKE's default network"
        return warning(text, "install Calico for policies, or trust what runs in the cluster")
    for name in found:
        ready, wanted = (
            int(agents[name].get(key, 0)) for key in ("numberReady", "desiredNumberScheduled")
        )
        if ready < wanted:
            text = f"{name} is ready on {ready} of {wanted} nodes"
            return warning(text, "see `kubectl get pods --all-namespaces` for why")
    return ok(f"enforced by {', '.join(found)}")


def ingress(_: Requirements, cluster: ClusterState) -> CheckResult:
    """Look for an ingress controller that is no longer maintained."""
    found = [
        f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        for kind in ("deployments", "daemonsets")
        for item in cluster.lists[kind]
        if item["metadata"].get("labels", {}).get("app.kubernetes.io/name") == RETIRED
    ]
    if not found:
        return ok(f"no {RETIRED}, which gets no security fixes any more")
    text = f"{', '.join(found)}: {RETIRED} was retired in March 2026 and gets no security fixes"
    return warning(
        text, "move to Traefik (base/optional/traefik) or another Gateway API controller"
    )


CHECKS = (
    PreflightCheck("Cluster", "Kubernetes", (), kubernetes),
    PreflightCheck("Cluster", "architecture", ("nodes",), architecture, rendered=True),
    PreflightCheck("Cluster", "GitOps engine", (CRDS, "deployments", "statefulsets"), engine),
    PreflightCheck("Cluster", "network policies", ("daemonsets",), network_policies),
    PreflightCheck("Cluster", "ingress", ("daemonsets", "deployments"), ingress),
    *(
        PreflightCheck(
            "Room",
            name,
            ("nodes", "pods"),
            functools.partial(capacity.fits, resource),
            rendered=True,
        )
        for resource, name in (("cpu", "CPU"), ("memory", "memory"), ("pods", "pods"))
    ),
    PreflightCheck("Room", "placement", ("nodes", "pods"), capacity.placed, rendered=True),
    PreflightCheck(
        "Room",
        "nodes apart",
        ("nodes", "pods"),
        capacity.apart,
        rendered=True,
        applies=capacity.needs_apart,
    ),
    PreflightCheck(
        "Room", "storage class", ("storageclasses",), storage.storage_class, rendered=True
    ),
    PreflightCheck(
        "Room",
        "free tier",
        ("nodes", "persistentvolumes", "persistentvolumeclaims", "pods"),
        storage.tier,
        rendered=True,
    ),
    PreflightCheck(
        "Before the first sync", "CRDs", (CRDS,), custom_resources.operator, rendered=True
    ),
    PreflightCheck("Before the first sync", "Secrets", (), secrets),
    PreflightCheck(
        "Before the first sync",
        "buckets",
        (),
        buckets.named,
        applies=lambda required: required.storage is not None,
    ),
    # Which pods are others' is known only beside the stack's own.
    PreflightCheck(
        "Before the first sync", "Pod Security", ("namespaces", "pods"), namespaces, rendered=True
    ),
    *(
        PreflightCheck("Public address", name, reads, compare, rendered=True, applies=applies)
        for name, reads, compare, applies in public_address.COMPARISONS
    ),
)

# What reads values of Secrets, and asks others than the cluster: for who asks for it.
BUCKETS = (
    PreflightCheck(
        "Object storage", "logs", (), buckets.logs, rendered=True, applies=buckets.reads_logs
    ),
    PreflightCheck(
        "Object storage",
        "metrics",
        (),
        buckets.metrics,
        rendered=True,
        applies=buckets.ships_metrics,
    ),
)


def applicable(
    required: Requirements, checks: Sequence[PreflightCheck] = CHECKS
) -> list[PreflightCheck]:
    """Return the checks that have something to compare."""
    return [check for check in checks if check.applies(required)]


def resources(required: Requirements) -> list[str]:
    """Return what these checks read, as kubectl names it."""
    return sorted({name for check in applicable(required) for name in check.reads})


def run(
    required: Requirements, cluster: ClusterState, checks: Sequence[PreflightCheck] = CHECKS
) -> Iterator[tuple[PreflightCheck, CheckResult]]:
    """Yield each check with its result; what could not be checked is missing."""
    for check in applicable(required, checks):
        unread = [name for name in check.reads if name in cluster.forbidden]
        if unread:
            text = f"not checked: {', '.join(unread)} may not be read"
            yield check, missing(text, "use an account that may get and list them")
        elif check.rendered and required.absent:
            first, *more = required.absent
            text = f"not checked: no {first.path}{f', nor {len(more)} others' if more else ''}"
            yield check, missing(text, first.fix)
        else:
            yield check, _result(check, required, cluster)


def _result(check: PreflightCheck, required: Requirements, cluster: ClusterState) -> CheckResult:
    try:
        return check.compare(required, cluster)
    except ValueError as error:  # What `quantity` does not read.
        return missing(f"not checked: {error}", "write the quantity as 500m, 2, 64Mi or 50Gi")


def _lack(secret: NeededSecret, cluster: ClusterState) -> str:
    """Return what a Secret lacks, in words; nothing where it lacks nothing."""
    found = cluster.secrets.get((secret.namespace, secret.name))
    if found is None:
        return f"{secret} is not there{' (optional)' if secret.optional else ''}"
    lacking = ", ".join(sorted(secret.keys - found))
    return f"{secret} lacks {lacking}" if lacking else ""


def _controllers(one: EngineInstallation, cluster: ClusterState) -> dict[str, bool]:
    """Return which of an engine's controllers are there, each with whether one is ready."""
    return {
        name: int(item["status"].get("readyReplicas", 0)) > 0
        for item in (*cluster.lists["deployments"], *cluster.lists["statefulsets"])
        if item["metadata"]["namespace"] == one.namespace
        and (name := _name(item)) in one.controllers
    }


def _name(item: Json) -> str:
    """Return a workload's name; charts put the release's in front of it, and not into the label."""
    labels = item["metadata"].get("labels") or {}
    name = str(item["metadata"]["name"])
    label = str(labels.get("app.kubernetes.io/name", name))
    return label if name.endswith(label) else name


def _minor(version: str) -> tuple[int, ...]:
    return version_numbers(version)[:2]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
