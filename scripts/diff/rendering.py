"""Both revisions of every cluster, as far as they can be built and rendered."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from scripts.checks.static import policies
from scripts.core.findings import MISSHAPEN, Finding, RepositoryError, misread, progress
from scripts.core.yamlfile import Json
from scripts.diff.objects import Pair
from scripts.model import charts
from scripts.model.manifests import ClusterSync, Release, Repository
from scripts.model.rendered import Cluster, clusters

# What takes longer says so.
PATIENCE = 2


class Side(Repository):
    """One revision's files; what does not build is left out and remembered."""

    def __init__(self, root: Path, title: str) -> None:
        """Take the files at root; `title` names the revision in findings."""
        super().__init__(root)
        self.title = title
        self.faults: list[Finding] = []
        self.broken: set[str] = set()
        self.lost: set[str] = set()

    def fault(self, place: str, error: Exception) -> None:
        """Remember what went wrong in this revision."""
        for one in misread(place, error):
            self.faults.append(dataclasses.replace(one, message=f"{self.title}: {one.message}"))

    def portable(self, sync: ClusterSync) -> None:
        """Remember what is not rendered here, so that nothing is known of what it does."""
        found = (fault for item in sync.objects() for fault in policies.portable(item))
        try:
            if here := self.locate(sync, found):
                raise RepositoryError(*here)
        except (RepositoryError, *MISSHAPEN) as error:
            self.fault(sync.name, error)

    @functools.cache  # noqa: B019 - as the one that it stands for
    def build(self, path: str) -> list[dict[str, Json]]:
        """Return the objects of a kustomization; none if it does not build."""
        try:
            return super().build(path)
        except (RepositoryError, *MISSHAPEN) as error:
            self.fault(path, error)
            self.broken.add(path)
            return []

    def _flux(self, cluster: str) -> ClusterSync:
        return self._tolerated(super()._flux, cluster, "flux")

    def _argocd(self, cluster: str) -> ClusterSync:
        return self._tolerated(super()._argocd, cluster, "argocd")

    def _options(self, name: str) -> ClusterSync:
        return ClusterSync(name, "flux", [])

    def _tolerated(
        self, make: Callable[[str], ClusterSync], cluster: str, engine: str
    ) -> ClusterSync:
        try:
            return make(cluster)
        except (RepositoryError, *MISSHAPEN) as error:
            self.fault(f"clusters/{cluster}/{engine}", error)
            self.lost.add(f"{cluster}/{engine}")
            return ClusterSync(cluster, engine, [])


Both = tuple[ClusterSync, ClusterSync]


def pairs(before: Side, after: Side) -> list[Pair]:
    """Build and render both sides, and leave out of both what one of them cannot show."""
    sides = (before, after)
    found: list[dict[str, ClusterSync]] = []
    for side in sides:
        try:
            syncs = {e.name: e for e in side.syncs if e.synced}
        except RepositoryError as error:
            side.fault("clusters", error)
            return []
        for sync in syncs.values():
            side.portable(sync)
        if not syncs:
            text, fix = "no cluster here", "compare revisions that have clusters/<cluster>/<engine>"
            side.fault("clusters", RepositoryError(Finding("clusters", None, text, fix)))
        found.append(syncs)
    both: dict[str, Both] = {}
    for name, sync in sorted((found[0] | found[1]).items()):
        if name not in before.lost | after.lost:
            none = ClusterSync(sync.cluster, sync.engine, [])
            both[name] = (found[0].get(name, none), found[1].get(name, none))
    built = {name: _without(syncs, _broken(syncs, sides)) for name, syncs in both.items()}
    refused = _refused(built, sides)
    shown = {
        name: _released(syncs, {release for place, release in refused if place == name})
        for name, syncs in built.items()
    }
    rendered: list[dict[str, Cluster]] = []
    for index, side in enumerate(sides):
        side.syncs = [syncs[index] for syncs in shown.values()]
        rendered.append({cluster.name: cluster for cluster in clusters(side)})
    return [
        Pair(
            name,
            rendered[0][name],
            rendered[1][name],
            (built[name][0].releases, built[name][1].releases),
            whole=shown[name] == syncs,
        )
        for name, syncs in both.items()
    ]


def _broken(syncs: Both, sides: tuple[Side, Side]) -> set[str]:
    """Names of the units that do not build on one side."""
    return {
        unit.name
        for sync, side in zip(syncs, sides, strict=True)
        for unit in sync.units
        if unit.path in side.broken
    }


def _without(syncs: Both, broken: set[str]) -> Both:
    """Leave out units; which others and which releases there are is then known of neither side."""
    if not broken:
        return syncs
    units = {u.name for u in syncs[0].units} & {u.name for u in syncs[1].units} - broken
    releases = {r.name for r in syncs[0].releases} & {r.name for r in syncs[1].releases}
    one, other = (
        dataclasses.replace(
            sync,
            units=[u for u in sync.units if u.name in units],
            releases=[r for r in sync.releases if r.name in releases],
        )
        for sync in syncs
    )
    return one, other


def _released(syncs: Both, refused: set[str]) -> Both:
    """Leave out releases."""
    if not refused:
        return syncs
    one, other = (
        dataclasses.replace(sync, releases=[r for r in sync.releases if r.name not in refused])
        for sync in syncs
    )
    return one, other


def _refused(built: Mapping[str, Both], sides: tuple[Side, Side]) -> set[tuple[str, str]]:
    """Render each release of each side once; return the cluster syncs and releases that fail."""
    users: dict[str, list[tuple[str, Release, Side]]] = {}
    for name, syncs in built.items():
        for sync, side in zip(syncs, sides, strict=True):
            for release in sync.releases:
                key = [release.repository, release.chart, release.version]
                key += [release.name, release.namespace]
                text = json.dumps([*key, release.values], sort_keys=True)
                users.setdefault(text, []).append((name, release, side))
    refused = set()
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        jobs = {pool.submit(charts.render, own[0][1]): own for own in users.values()}
        if waiting := wait(jobs, timeout=PATIENCE).not_done:
            progress(f"rendering {len(waiting)} releases through their charts")
        for job, own in jobs.items():
            error = job.exception()
            if isinstance(error, RepositoryError):
                refused |= {(name, release.name) for name, release, _ in own}
                for side in {side for _, _, side in own}:
                    side.fault(own[0][1].name, error)
            elif error:
                raise error
    return refused
