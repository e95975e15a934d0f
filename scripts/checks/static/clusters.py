"""Each cluster has its own overlay and its own name, the same in its metrics, logs and alerts.

Two clusters of one name cannot be told apart where both are read: alerts of one resolve those of
the other, and a store that both write to mixes their series.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from scripts.checks.static.engines import unfilled
from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, get, line_with, load
from scripts.model.clusters import LABEL
from scripts.model.manifests import ClusterSync, Repository, in_values

# Where an environment declares its name; base/cluster copies it from there.
NAME = ("ConfigMap", "cluster", "data", "NAME")
VARIABLE = "CLUSTER"
OVERLAYS = "overlays"

Place = tuple[str, int | None]
Keys = tuple[str, ...]


def check(repository: Repository) -> list[Finding]:
    """Check every cluster by itself, then the clusters against each other."""
    findings: list[Finding] = []
    named: dict[str, dict[str, ClusterSync]] = {}
    synced = environments(repository)
    for sync in repository.syncs:
        if not sync.synced:
            continue
        findings += repository.locate(sync, carries_cluster_name(sync))
        findings += one_overlay_per_cluster(sync, overlays_of(repository, sync))
        if name := _name(sync):
            named.setdefault(name, {}).setdefault(sync.cluster, sync)
    findings += one_cluster_per_overlay(synced, unsynced(repository))
    # Clusters that share an overlay share its name as well: that is one finding, not two.
    reported = {tuple(clusters) for clusters in synced.values()}
    for name, syncs in named.items():
        if tuple(syncs) not in reported:
            findings += unique_name(repository, name, syncs)
    return findings


def environments(repository: Repository) -> dict[str, dict[str, list[Place]]]:
    """Return the overlays that are synced, by which clusters, and where these name them."""
    found: dict[str, dict[str, list[Place]]] = {}
    for sync in repository.syncs:
        if sync.synced:
            for environment, place in overlays_of(repository, sync).items():
                found.setdefault(environment, {}).setdefault(sync.cluster, []).append(place)
    return found


def unsynced(repository: Repository) -> list[str]:
    """Return the overlays that no cluster syncs."""
    folders = (repository.root / OVERLAYS).glob("*/releases")
    return sorted({path.parent.name for path in folders} - environments(repository).keys())


def carries_cluster_name(sync: ClusterSync) -> Iterator[Violation]:
    """Metrics, logs and alerts of a cluster have the same cluster label."""
    name = _name(sync)
    for release in sync.releases:
        if release.chart not in CARRIERS:
            continue
        at, found = CARRIERS[release.chart](release.values)
        if found is None:
            text = f"what it sends does not carry the cluster's name: {'.'.join(at)} is not set"
            fix = "set it as base/releases does; base/cluster fills it in"
            yield in_values(release, at, text, fix)
        elif name and found != name and not unfilled(found):
            text = f"calls the cluster {found!r}, and Prometheus calls it {name!r}"
            yield in_values(release, at, text, "leave both to the environment's cluster.yaml")


def overlays_of(repository: Repository, sync: ClusterSync) -> dict[str, Place]:
    """Return the overlays that a cluster sync names, each with the first file and line."""
    found: dict[str, Place] = {}
    kind, keys = "Kustomization", ["spec", "path"]
    if sync.engine == "argocd":
        kind, keys = "Application", ["spec", "source", "path"]
        file = f"{sync.units[0].path}/kustomization.yaml"
        for resource in load(repository.root / file, repository.root)[0].get("resources") or []:
            path = os.path.normpath(f"{sync.units[0].path}/{resource}")
            if environment := _environment(path):
                line = line_with(repository.root / file, str(resource))
                found.setdefault(environment, (file, line))
    for unit in sync.units[1:]:
        if environment := _environment(unit.path):
            place = repository.where(kind, unit.name, *keys, sync=sync)
            found.setdefault(environment, place)
    return found


def one_overlay_per_cluster(sync: ClusterSync, found: Mapping[str, Place]) -> Iterator[Finding]:
    """A cluster syncs one overlay: the name and budget of another are another cluster's."""
    for environment in list(found)[1:]:
        text = f"{sync.name} syncs {OVERLAYS}/{environment} besides {OVERLAYS}/{next(iter(found))}"
        yield Finding(*found[environment], text, "name one overlay throughout")


def one_cluster_per_overlay(
    synced: Mapping[str, Mapping[str, Iterable[Place]]], spare: Sequence[str] = ()
) -> Iterator[Finding]:
    """An overlay is synced by one cluster.

    Args:
        synced: As `environments` returns it.
        spare: Overlays that no cluster syncs: the copy may be there, and not be named yet.
    """
    for environment, clusters in synced.items():
        first, *others = clusters
        for cluster in others:
            text = f"the cluster {cluster} syncs {OVERLAYS}/{environment}, as the cluster {first}"
            fix = f"copy {OVERLAYS}/{environment}, name the copy here, and the cluster in the copy"
            if spare:
                own = cluster if cluster in spare else spare[0]
                fix = f"name {OVERLAYS}/{own} here, and the cluster in its releases/cluster.yaml"
            for place in clusters[cluster]:
                yield Finding(*place, text, fix)


def unique_name(
    repository: Repository, name: str, syncs: Mapping[str, ClusterSync]
) -> Iterator[Finding]:
    """No two clusters have the same name."""
    first, *others = syncs
    for cluster in others:
        place = repository.where(*NAME, sync=syncs[cluster])
        text = f"the cluster {cluster} has the name {name!r}, as the cluster {first} has"
        yield Finding(*place, text, "give it a name of its own")


def _name(sync: ClusterSync) -> str | None:
    """Return the cluster label of Prometheus; None where it is not set, or not filled in."""
    for release in sync.releases:
        if release.chart == "kube-prometheus-stack":
            _, name = _prometheus(release.values)
            return None if name is None or unfilled(name) else str(name)
    return None


def _environment(path: str) -> str | None:
    folder, _, rest = path.partition("/")
    return rest.partition("/")[0] if folder == OVERLAYS else None


def _prometheus(values: Json) -> tuple[Keys, Json]:
    at = ("prometheus", "prometheusSpec", "externalLabels", LABEL)
    return at, get(values, *at)


def _loki(values: Json) -> tuple[Keys, Json]:
    at = ("loki", "rulerConfig", "external_labels", LABEL)
    return at, get(values, *at)


def _alloy(values: Json) -> tuple[Keys, Json]:
    at = ("alloy", "extraEnv")
    variables = {env.get("name"): env.get("value") for env in get(values, *at) or ()}
    return at, variables.get(VARIABLE)


# By chart that sends metrics, logs or alerts: the keys of the cluster label in its values, and the
# label.
CARRIERS: Mapping[str, Callable[[Json], tuple[Keys, Json]]] = {
    "alloy": _alloy,
    "kube-prometheus-stack": _prometheus,
    "loki": _loki,
}
