"""`make prove`: run every query of every dashboard and runbook on real servers, and judge them."""

from __future__ import annotations

import argparse
import json
import shutil

from scripts import simulation, tools
from scripts.core.findings import Finding, RepositoryError, execute, progress, report
from scripts.grafana import evaluation
from scripts.grafana.model import DashboardModel
from scripts.lab.proof import checks, colours, definitions, ground_truth, runbooks
from scripts.model import charts
from scripts.model.dashboards import load
from scripts.model.manifests import Repository
from scripts.model.runbooks import load as load_runbooks
from scripts.servers.monitoring import Servers, servers

OUTPUT = tools.ROOT / "build" / "proof"


def prove(
    running: Servers, day: simulation.Day, dashboards: list[DashboardModel]
) -> tuple[dict[str, checks.Summary], list[Finding]]:
    """Open dashboards on a day, check what comes back, and write what they show at first.

    Args:
        running: Servers that hold the day.
        day: Which day.
        dashboards: `definitions.committed()`, or some of them.

    Returns:
        The table's lines by uid, and what is wrong.
    """
    summaries, findings, known = {}, [], day.truth
    boards = load(tools.ROOT)
    folder = OUTPUT / day.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for dashboard in dashboards:
        progress(f"{day.name}: {dashboard.uid}")
        time_range = evaluation.time_range_at(day.at)
        opened = evaluation.open_dashboard(running, dashboard, time_range)
        document = evaluation.document(opened, day.name)
        at_first = evaluation.time_range_at(day.at, dashboard.length)
        shown = evaluation.open_dashboard(running, dashboard, at_first)
        text = json.dumps(evaluation.document(shown, day.name))
        (folder / f"{dashboard.uid}.json").write_text(text, encoding="utf-8")
        summaries[dashboard.uid] = checks.summary(opened, day.name)
        findings += checks.check(running, opened, day.name)
        findings += ground_truth.compare(opened, day, known)
        if day.name == checks.HEALTHY:
            findings += checks.check_options(running, opened)
            findings += colours.check(dashboard, boards[f"{dashboard.uid}.json"], document)
    return summaries, findings


def main() -> int:
    """Prove the dashboards; return the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.lab.proof", description=__doc__)
    arguments.add_argument("--day", choices=simulation.DAYS, help="only this one; else both")
    arguments.add_argument("--dashboard", metavar="uid", help="only this one; else all")
    charts.add_allow_missing(arguments)
    options = arguments.parse_args()
    if not charts.provable(Repository().syncs, allow_missing=options.allow_missing):
        return 0
    dashboards = _dashboards(options.dashboard)
    cluster = simulation.cluster()
    summaries: dict[str, dict[str, checks.Summary]] = {}
    findings: list[Finding] = []
    # What fires on the fault day is what runbooks are asked for on both, so it comes first.
    partly = options.dashboard or options.day == checks.HEALTHY
    books = runbooks.raised_in(cluster, load_runbooks(tools.ROOT))
    asked = None if partly else runbooks.Asked(cluster, books)
    for name in [options.day] if options.day else reversed(simulation.DAYS):
        day = simulation.day(name)
        with servers(cluster, day.tsdb, day.logs) as running:
            summaries[name], found = prove(running, day, dashboards)
            if asked:
                progress(f"{day.name}: runbooks")
                found += asked.prove(running, day)
        findings += found
    print(checks.table({name: summaries[name] for name in simulation.DAYS if name in summaries}))
    if asked:
        print(f"\n{asked.text()}")
    count = report(findings)
    queries = sum(s.queries for found in summaries.values() for s in found.values())
    print(f"\n{queries} queries, {count} faults; answers in {OUTPUT.relative_to(tools.ROOT)}")
    return 1 if count else 0


def _dashboards(uid: str | None) -> list[DashboardModel]:
    committed = definitions.committed()
    chosen = [dashboard for dashboard in committed if uid in (None, dashboard.uid)]
    if not chosen:
        known = ", ".join(dashboard.uid for dashboard in committed)
        raise RepositoryError(
            Finding("base/dashboards", None, f"no dashboard {uid!r}", f"use one of: {known}")
        )
    return chosen


if __name__ == "__main__":
    execute(main)
