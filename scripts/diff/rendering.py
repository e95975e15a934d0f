"""Both revisions of every cluster, as far as they can be built and rendered."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from scripts.checks.static import policies
from scripts.core.findings import (
    SHAPE_ERRORS,
    Finding,
    RepositoryError,
    counted,
    progress,
    shape_findings,
)
from scripts.diff.objects import ClusterPair
from scripts.model import charts
from scripts.model.manifests import ClusterSync, Release, Repository
from scripts.model.rendered import clusters

# Seconds of rendering after which progress is printed.
PATIENCE = 2


class BuiltRevision:
    """The cluster syncs of one revision; what does not build is left out, and reported.

    Attributes:
        root: The revision's files.
        title: The revision, as findings name it.
        repository: The repository at root.
        faults: What cannot be built or rendered, and why.
        broken: Paths of the kustomizations that do not build.
        unreadable: Names of the cluster syncs of which nothing is known.
    """

    def __init__(self, root: Path, title: str) -> None:
        """Take the files at root; nothing is built before it is asked for."""
        self.root = root
        self.title = title
        self.repository = Repository(root, self._not_built)
        self.faults: list[Finding] = []
        self.broken: set[str] = set()
        self.unreadable: set[str] = set()

    @functools.cached_property
    def syncs(self) -> dict[str, ClusterSync]:
        """Every cluster under every engine by its name, without those that are unreadable.

        Raises:
            RepositoryError: If an engine is neither Flux nor Argo CD.
        """
        engines = self.repository.cluster_engines
        with ThreadPoolExecutor(4) as pool:
            built = pool.map(lambda one: self._sync(*one), engines)
            found = {sync.name: sync for sync in built if sync and sync.synced}
        # In another order than that in which threads end.
        self.faults.sort(key=lambda fault: (fault.path, fault.line or 0, fault.message))
        for sync in found.values():
            self._check_portable(sync)
        if not engines:
            text, fix = "no cluster here", "compare revisions that have clusters/<cluster>/<engine>"
            self.add_fault("clusters", RepositoryError(Finding("clusters", None, text, fix)))
        return found

    def add_fault(self, path: str, error: Exception) -> None:
        """Report an error of this revision, at a path unless the error says where it is."""
        for one in shape_findings(path, error):
            self.faults.append(dataclasses.replace(one, message=f"{self.title}: {one.message}"))

    def _not_built(self, path: str, error: Exception) -> None:
        self.add_fault(path, error)
        self.broken.add(path)

    def _sync(self, cluster: str, engine: str) -> ClusterSync | None:
        try:
            return self.repository.sync(cluster, engine)
        except (RepositoryError, *SHAPE_ERRORS) as error:
            self.add_fault(f"clusters/{cluster}/{engine}", error)
            self.unreadable.add(f"{cluster}/{engine}")
            return None

    def _check_portable(self, sync: ClusterSync) -> None:
        """Report what is not rendered here, so that nothing is known of what it does."""
        found = (
            fault for item in sync.objects() for fault in policies.works_with_both_engines(item)
        )
        try:
            if here := self.repository.locate(sync, found):
                raise RepositoryError(*here)
        except (RepositoryError, *SHAPE_ERRORS) as error:
            self.add_fault(sync.name, error)


class SyncPair(NamedTuple):
    """A cluster sync at both revisions; without units where there is none."""

    before: ClusterSync
    after: ClusterSync

    def without_units(self, *broken: set[str]) -> SyncPair:
        """Leave out units, and the units and releases that only one revision declares.

        Whether the other revision declares them, a unit that does not build cannot say.

        Args:
            broken: Paths of the units to leave out, for each revision.
        """
        names = {
            unit.name
            for sync, paths in zip(self, broken, strict=True)
            for unit in sync.units
            if unit.path in paths
        }
        if not names:
            return self
        units, releases = (
            {one.name for one in getattr(self.before, kind)}
            & {one.name for one in getattr(self.after, kind)}
            for kind in ("units", "releases")
        )
        return self._keep(units - names, releases)

    def without_releases(self, names: set[str]) -> SyncPair:
        """Leave out releases."""
        units = {unit.name for sync in self for unit in sync.units}
        return self._keep(units, {r.name for sync in self for r in sync.releases} - names)

    def _keep(self, units: set[str], releases: set[str]) -> SyncPair:
        return SyncPair(
            *(
                dataclasses.replace(
                    sync,
                    units=[one for one in sync.units if one.name in units],
                    releases=[one for one in sync.releases if one.name in releases],
                )
                for sync in self
            )
        )


def cluster_pairs(before: BuiltRevision, after: BuiltRevision) -> list[ClusterPair]:
    """Build and render both revisions, and leave out of both what one of them cannot show."""
    revisions = (before, after)
    for revision in revisions:
        try:
            _ = revision.syncs
        except RepositoryError as error:
            revision.add_fault("clusters", error)
            return []
    declared: dict[str, SyncPair] = {}
    for name, sync in sorted((before.syncs | after.syncs).items()):
        if name not in before.unreadable | after.unreadable:
            none = ClusterSync(sync.cluster, sync.engine, [])
            declared[name] = SyncPair(before.syncs.get(name, none), after.syncs.get(name, none))
    built = {
        name: syncs.without_units(before.broken, after.broken) for name, syncs in declared.items()
    }
    refused, objects = _rendered(built, revisions)
    shown = {
        name: syncs.without_releases({release for place, release in refused if place == name})
        for name, syncs in built.items()
    }
    rendered = (
        clusters(revision.repository, [syncs[index] for syncs in shown.values()], objects[index])
        for index, revision in enumerate(revisions)
    )
    return [
        ClusterPair(
            name,
            old,
            new,
            (built[name].before.releases, built[name].after.releases),
            whole=shown[name] == declared[name],
        )
        for name, old, new in zip(declared, *rendered, strict=True)
    ]


def _rendered(
    built: Mapping[str, SyncPair], revisions: tuple[BuiltRevision, BuiltRevision]
) -> tuple[set[tuple[str, str]], tuple[charts.Rendered, charts.Rendered]]:
    """Render each release once, in how many clusters, and in which revisions, it may be.

    Returns:
        Names of the cluster syncs and of their releases that a chart refuses; and the objects of
        the others, for each revision.
    """
    users: dict[str, list[tuple[str, Release, int]]] = {}
    for name, syncs in built.items():
        for index, sync in enumerate(syncs):
            for release in sync.releases:
                # Whoever declares it.
                key = dataclasses.asdict(release) | {"owner": ""}
                text = json.dumps(key, sort_keys=True)
                users.setdefault(text, []).append((name, release, index))
    refused: set[tuple[str, str]] = set()
    objects: tuple[charts.Rendered, charts.Rendered] = ({}, {})
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        jobs = {pool.submit(charts.render, own[0][1]): own for own in users.values()}
        if waiting := wait(jobs, timeout=PATIENCE).not_done:
            progress(f"rendering {counted(len(waiting), 'release')} through charts")
        for job, own in jobs.items():
            error = job.exception()
            if isinstance(error, RepositoryError):
                refused |= {(name, release.name) for name, release, _ in own}
                for index in {index for _, _, index in own}:
                    revisions[index].add_fault(own[0][1].name, error)
            elif error:
                raise error
            else:
                for name, release, index in own:
                    objects[index][name, release.name] = job.result()
    return refused, objects
