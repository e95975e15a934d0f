"""What Prometheus and Alertmanager take up: their operator reads only what they select."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.diff.objects import ClusterPair
from scripts.model.rendered import Cluster
from scripts.model.scraping import MONITORS, matches

# Of each kind: who selects it, and what the fields begin with that say which.
SELECTED = {
    "AlertmanagerConfig": ("Alertmanager", "alertmanagerConfig"),
    "PrometheusRule": ("Prometheus", "rule"),
    **{kind: ("Prometheus", kind[0].lower() + kind[1:]) for kind in MONITORS},
}
NAME = "kubernetes.io/metadata.name"


def unselected(pair: ClusterPair, kind: str) -> list[str]:
    """Return the objects that are there before and after, and selected only before."""
    owner, _ = SELECTED[kind]
    if not pair.after.of(owner):
        return []  # A flag of its own says that it is removed.
    before, after = (set(_selected(cluster, kind)) for cluster in (pair.before, pair.after))
    return sorted(before & {str(item) for item in pair.after.of(kind)} - after)


def fix(kind: str) -> str:
    """Return what to do about it."""
    owner, field = SELECTED[kind]
    return f"Let {field}Selector and {field}NamespaceSelector of the {owner} select it."


def _selected(cluster: Cluster, kind: str) -> Iterator[str]:
    owner, field = SELECTED[kind]
    namespaces = {item.name: item.labels for item in cluster.of("Namespace")}
    for item in cluster.of(kind):
        for by in cluster.of(owner):
            chosen, within = (
                by.spec.get(f"{field}{key}") for key in ("Selector", "NamespaceSelector")
            )
            place = {**namespaces.get(item.namespace, {}), NAME: item.namespace}
            # Without a selector nothing is selected, without one of namespaces its own.
            own = item.namespace == by.namespace if within is None else matches(within, place)
            if own and chosen is not None and matches(chosen, item.labels):
                yield str(item)
