"""`make scale`, metrics: real Thanos over two clusters, as it is declared, on simulated days."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from scripts import simulation, tools
from scripts.core.findings import Finding, execute, progress, report
from scripts.grafana.model import DashboardModel
from scripts.lab.proof import definitions
from scripts.lab.scale.metrics import clusters, names, outages, panels
from scripts.lab.scale.metrics.clusters import HUB, MEMBER
from scripts.lab.scale.metrics.fleet import Fleet, of_thanos, pair
from scripts.model import charts
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, rule_files
from scripts.servers import thanos
from scripts.servers.processes import Processes
from scripts.simulation import Day

# Where the alerts on Thanos are, and what its monitor calls the compactor.
RULES, JOB = "alerts-thanos", "thanos-compact"
PARTS = ("clusters", "outages", "names")
Declared = Mapping[str, Sequence[str]]


def prove_clusters(declared: Declared, boards: Sequence[DashboardModel]) -> list[Finding]:
    """Open every dashboard of each cluster and of all; print the table.

    Of the member there are only blocks, as of a cluster whose sidecars cannot be reached.
    """
    days = _days()
    with Processes() as processes:
        members = [one for name, day in days.items() for one in pair(name, day.tsdb)]
        fleet = Fleet(processes, declared, members)
        if fleet.thanos.wait_for_compaction(fleet.thanos.compact()):
            text = "the compactor halts although every cluster has a name of its own"
            return [Finding(names.PLACE, None, text, "see its log")]
        frontend = fleet.through(one.name for one in members if one.cluster == HUB)
        tallies, findings = clusters.compare(clusters.of(fleet, days), frontend.api, boards)
        print(panels.table(panels.HEAD, [tally.cells for tally in tallies]))
        fleet.close()
    return findings


def prove_outages(declared: Declared, boards: Sequence[DashboardModel]) -> list[Finding]:
    """Let a Prometheus of a pair be away, then gone; print the table."""
    day = _days()[HUB]
    with Processes() as processes:
        fleet = Fleet(processes, declared, outages.members(HUB, day.tsdb, day.at))
        seen, findings = outages.prove(fleet, HUB, boards, day.at)
        print(f"\n{panels.table(outages.HEAD, [one.cells for one in seen])}")
        fleet.close()
    return findings


def prove_names(declared: Declared, cluster: Cluster) -> list[Finding]:
    """Give two clusters one name; print what the compactor does."""
    days = _days()
    with Processes() as processes:
        members = names.members(days[HUB].tsdb, days[MEMBER].tsdb, HUB)
        fleet = Fleet(processes, declared, members)
        compactor = fleet.thanos.compact()
        collision = names.collide(fleet, compactor)
        state = "halts" if collision.halted else "goes on"
        print(f"\ntwo clusters of one name: the compactor {state}", end="")
        print(f", {collision.before} blocks before, {collision.after} after")
        findings = names.check(collision)
        groups = [
            group
            for file, rules in rule_files(cluster).items()
            if file.endswith(f"{RULES}.yaml")
            for group in rules["groups"]
        ]
        if not findings:
            names.wait_for_alert(fleet, compactor, groups, JOB)
            print(f"{names.ALERT} fires")
        fleet.close()
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove the parts named, or all; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.lab.scale.metrics", description=__doc__
    )
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    charts.add_allow_missing(parser)
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.part) - set(PARTS)):
        parser.error(f"no part {', '.join(unknown)}: use {', '.join(PARTS)}")
    repository = Repository(tools.ROOT)
    if not charts.provable(repository.syncs, allow_missing=options.allow_missing):
        return 0
    cluster = of_thanos(repository)
    declared, boards = thanos.declared(cluster), definitions.committed()
    progress(f"Thanos as {cluster.name} has it")
    parts = {
        "clusters": lambda: prove_clusters(declared, boards),
        "outages": lambda: prove_outages(declared, boards),
        "names": lambda: prove_names(declared, cluster),
    }
    findings = [finding for part in options.part or PARTS for finding in parts[part]()]
    count = report(findings)
    print(f"\n{count} faults")
    return 1 if count else 0


def _days() -> Mapping[str, Day]:
    """Return the days of hub and member, which differ: one healthy, one with faults."""
    return {HUB: simulation.day("healthy"), MEMBER: simulation.day("incident")}


if __name__ == "__main__":
    execute(main)
