"""`make e2e`: sync each cluster for real, look at what is there, and break it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence

from scripts import tools
from scripts.cluster.e2e.parallel import run_parallel
from scripts.cluster.e2e.scenarios import sync_with_argocd, sync_with_flux
from scripts.core import git
from scripts.core.findings import Finding, RepositoryError, execute, interruptible, progress, report
from scripts.model import charts, clusters
from scripts.model.manifests import ClusterSync, Repository
from scripts.servers.processes import Processes

COMMAND = (sys.executable, "-m", "scripts.cluster.e2e")
WITHOUT_DISRUPTIONS = "--without-disruptions"
WITHOUT_PUBLIC_ADDRESS = "--without-public-address"


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.cluster.e2e", description=__doc__)
    charts.add_allow_missing(parser)
    text = "only these: a folder of clusters/, or with its engine, such as local/flux"
    parser.add_argument("cluster", nargs="*", help=text)
    parser.add_argument(WITHOUT_DISRUPTIONS, action="store_true", help="break nothing")
    text = "leave the parts of base/optional/public out"
    parser.add_argument(WITHOUT_PUBLIC_ADDRESS, action="store_true", help=text)
    text = "how many to sync beside each other, each printed when it is done; the times get longer"
    parser.add_argument("--jobs", type=int, default=1, help=text)
    return parser.parse_args(arguments)


def selected(syncs: Sequence[ClusterSync], names: Sequence[str]) -> list[ClusterSync]:
    """Return the clusters that are named, under the engines that are; every one if none is named.

    Raises:
        RepositoryError: If there is none of such a name.
    """
    synced = [sync for sync in syncs if sync.synced]
    known = {name for sync in synced for name in (sync.cluster, sync.name)}
    if unknown := set(names) - known:
        text, fix = f"no cluster named {_list(unknown)}", f"use some of {_list(known)}"
        raise RepositoryError(Finding("clusters", None, text, fix))
    return [sync for sync in synced if not names or {sync.cluster, sync.name} & set(names)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def main() -> int:
    """Run every cluster, or those named; return 1 if something is wrong."""
    given = options()
    repository = Repository()
    syncs = selected(repository.syncs, given.cluster)
    if not charts.provable(syncs, allow_missing=given.allow_missing):
        return 0
    # Not committed, so the engine cannot see it.
    if git.isolated(tools.ROOT, "status", "--porcelain", "--", "base", "clusters", "overlays"):
        progress("what is not committed is not synced: HEAD is")
    disrupted, public = chosen(repository, syncs, given)
    if given.jobs > 1 and len(syncs) > 1:
        return run_parallel(list(commands(syncs, disrupted, public)), given.jobs)
    found = [
        finding
        for sync in syncs
        for finding in _run(repository, sync, disrupted=sync in disrupted, public=sync in public)
    ]
    count = report(found)
    print(f"\n{count} findings" if count else "\nall is as it should be")
    return 1 if count else 0


def chosen(
    repository: Repository, syncs: Sequence[ClusterSync], given: argparse.Namespace
) -> tuple[list[ClusterSync], list[ClusterSync]]:
    """Return which clusters are disrupted, and which get a public address, too.

    One is disrupted, the smallest that has volumes: the others differ in values, not in what Flux
    does. Another one, if there is one, gets the public address, by each engine: both take minutes.
    """
    flux = [sync.cluster for sync in syncs if sync.engine == "flux"]
    name = (
        ""
        if given.without_disruptions or not flux
        else clusters.smallest_with_volumes(repository.root, flux)
    )
    disrupted = [sync for sync in syncs if sync.engine == "flux" and sync.cluster == name]
    if given.without_public_address:
        return disrupted, []
    others = [sync.cluster for sync in syncs if sync.cluster != name] or [name]
    return disrupted, [sync for sync in syncs if sync.cluster == others[0]]


def commands(
    syncs: Sequence[ClusterSync], disrupted: Sequence[ClusterSync], public: Sequence[ClusterSync]
) -> Iterator[tuple[str, ...]]:
    """Yield the command of each cluster; what takes longest begins first."""
    for sync in sorted(syncs, key=lambda one: (one not in disrupted, one not in public)):
        yield (
            *(*COMMAND, sync.name),
            *(() if sync in disrupted else (WITHOUT_DISRUPTIONS,)),
            *(() if sync in public else (WITHOUT_PUBLIC_ADDRESS,)),
        )


def _run(
    repository: Repository, sync: ClusterSync, *, disrupted: bool, public: bool
) -> list[Finding]:
    """Run one cluster; return what is wrong, and keep what each program said if anything is."""
    with Processes() as processes:
        try:
            if sync.engine == "flux":
                found = sync_with_flux(
                    processes, repository, sync, disrupted=disrupted, public=public
                )
            else:
                found = sync_with_argocd(processes, repository, sync, public=public)
        except RepositoryError as error:
            found = list(error.findings)
        if found:
            logs = tools.ROOT / "build/e2e" / sync.name
            processes.save_logs(logs)
            progress(f"what each program said is in {logs.relative_to(tools.ROOT)}")
        return found


if __name__ == "__main__":
    execute(lambda: interruptible(main, "interrupted; what ran is ended"))
