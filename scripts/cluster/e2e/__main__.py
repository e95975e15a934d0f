"""`make e2e`: sync each cluster for real, look at what is there, and break it."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO

from scripts import tools
from scripts.cluster.e2e import argocd, checks, faults, stack, timeline
from scripts.cluster.e2e.background import APPLICATION
from scripts.cluster.e2e.world import UNANSWERED, World
from scripts.core import git
from scripts.core.findings import (
    GREEN,
    RED,
    Finding,
    RepositoryError,
    colour,
    execute,
    interruptible,
    progress,
    report,
)
from scripts.model import charts, clusters
from scripts.model.manifests import ClusterSync, Repository
from scripts.servers.kubernetes.client import Object
from scripts.servers.processes import Processes

COMMAND = (sys.executable, "-m", "scripts.cluster.e2e")


class Table:
    """Steps as they are done, printed one a line, and what they found."""

    def __init__(self, title: str) -> None:
        """Begin a table."""
        self.findings: list[Finding] = []
        print(f"\n{title:<62}{'s':>7}", flush=True)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[list[Finding]]:
        """Do a step; what it adds to the list that it gets is wrong.

        Raises:
            RepositoryError: What ended the step, and what was found before.
        """
        found: list[Finding] = []
        began = time.monotonic()
        try:
            yield found
        except (RepositoryError, *UNANSWERED) as error:
            self._print(text, began, colour("failed", RED))
            wrong = [Finding(text, None, str(error) or repr(error), "see what each program said")]
            if isinstance(error, RepositoryError):
                wrong = list(error.findings)
            raise RepositoryError(*self.findings, *wrong) from error
        self._print(text, began, colour("wrong", RED) if found else colour("ok", GREEN))
        self.findings += found

    def _print(self, text: str, began: float, verdict: str) -> None:
        print(f"{text:<62}{time.monotonic() - began:>7.1f}  {verdict}", flush=True)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.cluster.e2e", description=__doc__)
    charts.add_allow_missing(parser)
    text = "only these: a folder of clusters/, or with its engine, such as local/flux"
    parser.add_argument("cluster", nargs="*", help=text)
    parser.add_argument("--without-faults", action="store_true", help="break nothing")
    text = "how many to sync beside each other, each printed when it is done; the times get longer"
    parser.add_argument("--jobs", type=int, default=1, help=text)
    return parser.parse_args(arguments)


def asked(syncs: Sequence[ClusterSync], names: Sequence[str]) -> list[ClusterSync]:
    """Return the clusters that are named, under the engines that are; every one if none is named.

    Raises:
        RepositoryError: If there is none of such a name.
    """
    synced = [sync for sync in syncs if sync.synced]
    known = {name for sync in synced for name in (sync.cluster, sync.name)}
    if unknown := set(names) - known:
        text, fix = f"no cluster named {', '.join(sorted(unknown))}", f"use some of {_list(known)}"
        raise RepositoryError(Finding("clusters", None, text, fix))
    return [e for e in synced if not names or {e.cluster, e.name} & set(names)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def main() -> int:
    """Run every cluster, or those named; return 1 if something is wrong."""
    given = options()
    repository = Repository()
    syncs = asked(repository.syncs, given.cluster)
    if not charts.provable(syncs, allow_missing=given.allow_missing):
        return 0
    # Not committed, so Flux cannot see it.
    if git.isolated(tools.ROOT, "status", "--porcelain", "--", "base", "clusters", "overlays"):
        progress("what is not committed is not synced: HEAD is")
    # One is broken, which has volumes: the others differ in values, not in what Flux does.
    flux = [sync.cluster for sync in syncs if sync.engine == "flux"]
    broken = clusters.keeping(repository.root, flux) if flux and not given.without_faults else ""
    faulty = [e for e in syncs if e.engine == "flux" and e.cluster == broken]
    if given.jobs > 1 and len(syncs) > 1:
        others = [e for e in syncs if e not in faulty]
        # What takes longest begins first.
        commands = [[e.name] for e in faulty] + [[e.name, "--without-faults"] for e in others]
        return beside(commands, given.jobs)
    found: list[Finding] = []
    for sync in syncs:
        with Processes() as processes:
            try:
                if sync.engine == "flux":
                    own = _flux(processes, repository, sync, faulty=sync in faulty)
                else:
                    own = _argocd(processes, repository, sync)
            except RepositoryError as error:
                own = list(error.findings)
            if own:
                logs = tools.ROOT / "build/e2e" / sync.name
                processes.save(logs)
                progress(f"what each program said is in {logs.relative_to(tools.ROOT)}")
            found += own
    count = report(found)
    print(f"\n{count} findings" if count else "\nall is as it should be")
    return 1 if count else 0


def beside(commands: Sequence[Sequence[str]], jobs: int) -> int:
    """Run this program with each of some arguments; return 1 if one of them fails.

    Args:
        commands: The arguments of each, in the order in which they begin.
        jobs: How many run at one time.
    """
    waiting, failed = list(commands), False
    running: dict[subprocess.Popen[bytes], IO[bytes]] = {}
    with contextlib.ExitStack() as files:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    output: IO[bytes] = files.enter_context(tempfile.TemporaryFile())
                    command = (*COMMAND, *waiting.pop(0))
                    running[subprocess.Popen(command, stdout=output)] = output
                for process in [one for one in running if one.poll() is not None]:
                    output = running.pop(process)
                    output.seek(0)
                    print(output.read().decode(), end="", flush=True)
                    failed |= process.returncode != 0
                time.sleep(0.2)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    return int(failed)


def _flux(
    processes: Processes, repository: Repository, sync: ClusterSync, *, faulty: bool
) -> list[Finding]:
    table = Table(f"{sync.cluster}, synced by Flux")
    began = time.monotonic()
    with table.step("Kubernetes, Flux, the Git remote and the registry run"):
        world = World(processes, repository, sync)
    with table.step("make preflight finds the cluster ready") as found:
        found += _preflight(world)
    before, others = checks.inventory(world.client), checks.versions(world.client)
    with table.step("everything is synced"), timeline.recorded(world) as steps:
        world.bootstrap()
        world.synced()
    synced = time.monotonic() - began
    expected = _compared(table, world, before)
    with table.step("these checks find what is wrong when it is") as found:
        found += _proven(world, before, expected)
        others = checks.versions(world.client)
    with _observed(table, world) as running:
        with table.step("all pods fit beside the application's") as found:
            found += checks.fitting(world)
        _silent(table, world, before, others)
        with table.step("sidecars of each public layout of the application are found") as found:
            found += stack.sidecars(world, running)
    if faulty:
        there = checks.inventory(world.client)
        table.findings += _broken(world)
        _compared(table, world, there)
        with table.step("all pods fit, as before") as found:
            found += checks.fitting(world)
    print(f"\n{steps.table()}")
    within = steps.added <= timeline.BAR
    verdict = colour("within", GREEN) if within else colour("over", RED)
    # A busy machine makes each step longer.
    load = f"at a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    print(f"GitOps adds {steps.added:.1f} s: {verdict} the bar of {timeline.BAR:.0f} s, {load}")
    print(f"from nothing to synced: {synced:.1f} s; {_memory(processes)}")
    return table.findings


def _argocd(processes: Processes, repository: Repository, sync: ClusterSync) -> list[Finding]:
    table = Table(f"{sync.cluster}, synced by Argo CD")
    began = time.monotonic()
    with table.step("Kubernetes, Argo CD, the Git remote and the registry run"):
        world = World(processes, repository, sync)
        argo = argocd.ArgoCD(world)
    before, others = checks.inventory(world.client), checks.versions(world.client)
    with table.step("everything is synced and healthy"):
        world.provision()
        argo.bootstrap()
    synced = time.monotonic() - began
    expected = _compared(table, world, before)
    with _observed(table, world):
        _silent(table, world, before, others)
    with table.step("what is edited or deleted by hand is put back"):
        argo.mended(expected)
    with table.step("a commit that cannot be applied is told, and its revert synced"):
        argo.reverted()
    with table.step("all of it goes with the root Application"):
        argo.remove()
    print(f"from nothing to synced: {synced:.1f} s; {_memory(processes)}")
    return table.findings


def _compared(table: Table, world: World, before: Mapping[str, str]) -> list[Object]:
    """See that what is rendered is there, and nothing else; return what is rendered."""
    expected = checks.expected(world)
    with table.step(f"each of {len(expected)} objects is there as it is rendered") as found:
        found += checks.exact(world.client, expected, world.sync.name)
    with table.step("nothing else is there") as found:
        found += checks.besides(world, before, expected)
    return expected


@contextlib.contextmanager
def _observed(table: Table, world: World) -> Iterator[stack.Stack]:
    """Run what the cluster is observed with, and see that it observes."""
    with contextlib.ExitStack() as block:
        with table.step("the operator makes what the stack runs from, and it runs"):
            running = block.enter_context(stack.running(world))
        for text, check in STACK.items():
            with table.step(text) as found:
                found += check(world, running)
        if world.sync.engine == "flux":
            with table.step("kube-state-metrics says that all of Flux is ready") as found:
                found += stack.seen(world, running)
        yield running


def _silent(
    table: Table, world: World, before: Mapping[str, str], others: Mapping[str, str]
) -> None:
    """See that nobody else is touched and nobody complains."""
    with table.step("no object of the application is touched") as found:
        found += checks.untouched(world.client, others, world.sync.name)
    with table.step("no warning was given") as found:
        found += checks.warnings(world.client, before, world.sync.name)


def _proven(world: World, before: Mapping[str, str], expected: list[Object]) -> list[Finding]:
    """Put an object that is not rendered, edit one that is, touch one that is not ours; take back.

    Returns:
        A finding for each check that does not find it.
    """
    client, place = world.client, world.sync.name
    metadata = {"name": "stray", "namespace": stack.MONITORING}
    stray: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    grafana = client.get("apps/v1", "Deployment", "grafana", stack.MONITORING)
    backend = client.get("apps/v1", "Deployment", APPLICATION[0].name, APPLICATION[0].namespace)
    others = checks.versions(client)
    world.apply(stray)
    client.patch(grafana, {"spec": {"revisionHistoryLimit": 1}})
    client.patch(backend, {"metadata": {"labels": {"stray": "true"}}})
    found = {
        "exact": checks.exact(client, expected, place),
        "besides": checks.besides(world, before, expected),
        "untouched": checks.untouched(client, others, place),
    }
    client.delete(stray)
    limit = grafana["spec"]["revisionHistoryLimit"]
    client.patch(grafana, {"spec": {"revisionHistoryLimit": limit}})
    client.patch(backend, {"metadata": {"labels": {"stray": None}}})
    return [
        Finding(f"scripts/cluster/e2e/checks.py {name}", None, f"finds {said}", "find out why")
        for name, findings in found.items()
        if len(said := [str(one) for one in findings]) != 1
    ]


STACK: dict[str, Callable[[World, stack.Stack], list[Finding]]] = {
    "each monitor is a scrape job that has a target": stack.monitored,
    "Prometheus and Loki evaluate each rule": stack.ruled,
    "the Watchdog arrives at Alertmanager": stack.alerting,
}


def _broken(world: World) -> list[Finding]:
    found: list[Finding] = []
    print(f"\n{'what goes wrong':<44}{'told':>7}{'mended':>8}  what Flux says")
    began = time.monotonic()
    for fault in faults.FAULTS:
        try:
            outcome, findings = faults.examined(world, fault)
        except RepositoryError as error:
            print(f"{fault.name:<44}{'':>15}  {colour('wrong', RED)}", flush=True)
            return [*found, *error.findings]
        found += findings
        told, *rest = textwrap.wrap(outcome.told, 96) or [""]
        times = f"{outcome.noticed:>7.1f}{outcome.recovered:>8.1f}"
        print(f"{fault.name:<44}{times}  {told}", flush=True)
        for line in rest:
            print(f"{'':<61}{line}")
    print(f"all of them in {time.monotonic() - began:.0f} s", flush=True)
    return found


def _preflight(world: World) -> list[Finding]:
    """Run our own check of a cluster before an install, with kubectl."""
    run = world.ours("scripts.live.preflight")
    if run.returncode:
        text = f"says that the cluster is not ready: {run.stdout}{run.stderr}"
        return [Finding("make preflight", None, text, "correct the point, or the cluster here")]
    return []


def _memory(processes: Processes) -> str:
    peak = processes.peak_memory()
    parts = sorted(peak.items(), key=lambda one: -one[1])
    named = ", ".join(f"{name} {size >> 20}" for name, size in parts[:4])
    return f"peak memory {sum(peak.values()) >> 20} MiB ({named}, …)"


if __name__ == "__main__":
    execute(lambda: interruptible(main, "interrupted; what ran is ended"))
