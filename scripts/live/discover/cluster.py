"""Reading the cluster that kubectl reaches: lists and GET requests, and never a Secret."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.discover.objects import PODS, ObjectSet, collected, usable
from scripts.live.preflight import cluster_state
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model.rendered import Item

# Without these no application is found.
NEEDED = ("deployments", "services")
RESOURCES = (
    *NEEDED,
    "components.dapr.io",
    "networkpolicies",
    "nodes",
    "pods",
    "statefulsets",
)
SOURCE = "the cluster"


def read(namespaces: Sequence[str]) -> tuple[ObjectSet, ClusterState]:
    """Read the cluster.

    Args:
        namespaces: Look into these only; into all if there are none.

    Returns:
        What runs there, and the state that checks of room compare with.

    Raises:
        RepositoryError: If there is no kubectl, no cluster, no access, or nothing in a namespace.
    """
    state = cluster_state.read((), RESOURCES)
    if closed := sorted(state.forbidden.intersection(NEEDED)):
        text = f"{' and '.join(closed)} may not be read in all namespaces"
        fix = "use an account with the role `view` of the cluster, or --from with the manifests"
        raise RepositoryError(Finding("kubectl get", None, text, fix))
    found: list[tuple[str, Json]] = [
        (SOURCE, item)
        for resource in RESOURCES
        if resource not in {"nodes", "pods"}
        for item in state.lists[resource]
        if not usable(item) and (not namespaces or item["metadata"].get("namespace") in namespaces)
    ]
    items = collected(found, "")
    for name in namespaces:
        if not any(i.namespace == name and i.kind in PODS for i in items):
            text = f"no Deployment and no StatefulSet is in the namespace {name}"
            fix = "correct --namespace: `kubectl get deployments --all-namespaces`"
            raise RepositoryError(Finding(SOURCE, None, text, fix))
    notices = [f"not looked at, as they may not be read: {n}" for n in sorted(state.forbidden)]
    return ObjectSet(SOURCE, items, tuple(notices), get), state


def get(service: Item, port: int, path: str) -> str | None:
    """Ask a Service by way of the API server; None where it answers with an error."""
    return cluster_state.get(f"{proxy(service, port)}{path}")


def proxy(service: Item, port: int) -> str:
    """Return the path at which the API server leads to a Service's port.

    https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
    """
    return f"/api/v1/namespaces/{service.namespace}/services/{service.name}:{port}/proxy"
