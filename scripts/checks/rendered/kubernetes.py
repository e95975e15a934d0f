"""The Kubernetes that an environment declares: what goes with it, and what the next one removes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scripts.core.findings import Finding
from scripts.model import kubernetes, schemas
from scripts.model.manifests import identity
from scripts.model.rendered import Cluster


def charts_take_it(cluster: Cluster) -> Iterator[Finding]:
    """Every chart takes the environment's Kubernetes, as Helm asks before it installs one."""
    version = kubernetes.declared(cluster)
    for release in cluster.sync.releases if version else ():
        if asks := kubernetes.refuses(release, version or 0):
            text = f"{release.chart} {release.version} asks for Kubernetes {asks}"
            yield Finding(
                *cluster.repository.chart_version(cluster.sync, release),
                f"{text}, and the environment has 1.{version}",
                "take a version of the chart that fits, or correct kubernetes in budget.yaml",
            )


def notes(clusters: Iterable[Cluster]) -> list[str]:
    """Return what is right today, and not with the next Kubernetes, or not with the engine.

    Without a version in budget.yaml, the next one is that behind the newest that is validated.
    """
    newest = kubernetes.minor(schemas.kubernetes_versions()[-1])
    found: dict[str, dict[str, None]] = {}
    for cluster in clusters:
        if not cluster.sync.synced:
            continue
        version = kubernetes.declared(cluster)
        following = (version or newest) + 1
        if version and (text := kubernetes.outside(cluster.sync.engine, version)):
            found.setdefault(f"{text}, not with 1.{version}", {})[cluster.name] = None
        for release in cluster.sync.releases if version else ():
            if asks := kubernetes.refuses(release, following):
                text = f"{release.chart} {release.version} asks for Kubernetes {asks}"
                found.setdefault(f"{text}, not 1.{following}", {})[cluster.name] = None
        items = [*cluster.sync.objects(), *(item.manifest for item in cluster.rendered())]
        for item in items:
            life = kubernetes.lifecycle(str(item["apiVersion"]), str(item["kind"]))
            if life.removed and life.removed <= following:
                use = f": use {life.replacement}" if life.replacement else ""
                text = f"no {item['kind']} of {item['apiVersion']}, as {identity(item)} is{use}"
                text = f"Kubernetes 1.{following} serves {text}"
                found.setdefault(text, {})[cluster.name] = None
    return [f"{text} ({', '.join(names)})" for text, names in found.items()]
