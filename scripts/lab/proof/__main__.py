"""`make prove`: run every query of every dashboard on real servers, and judge the answers."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, execute, progress, report
from scripts.grafana import evaluation, model
from scripts.lab import simulation
from scripts.lab.proof import truth, verdicts
from scripts.model import charts
from scripts.model.manifests import Repository
from scripts.servers.monitoring import Servers, servers

OUTPUT = tools.ROOT / "build" / "proof"


def prove(
    running: Servers, day: truth.Day, boards: list[model.Dashboard]
) -> tuple[dict[str, verdicts.Summary], list[Finding]]:
    """Open dashboards on a day and write what came back, for the preview.

    Args:
        running: Servers that hold the day.
        day: Which day, and what is true of it.
        boards: The dashboards.

    Returns:
        The table's lines by uid, and what is wrong.
    """
    summaries, findings, known = {}, [], day.truth
    folder = OUTPUT / day.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for board in boards:
        progress(f"{day.name}: {board.uid}")
        opened = evaluation.open_dashboard(running, board, evaluation.window(day.at))
        document = json.dumps(evaluation.document(opened, day.name))
        (folder / f"{board.uid}.json").write_text(document, encoding="utf-8")
        summaries[board.uid] = verdicts.summary(opened, day.name)
        findings += verdicts.judge(running, opened, day.name)
        findings += truth.compare(opened, day, known)
        if day.name == verdicts.HEALTHY:
            findings += verdicts.judge_others(running, opened)
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
    boards = _boards(options.dashboard)
    rendered = simulation.cluster()
    summaries: dict[str, dict[str, verdicts.Summary]] = {}
    findings: list[Finding] = []
    for name in [options.day] if options.day else simulation.DAYS:
        day = simulation.day(name)
        with servers(rendered, day.tsdb, day.logs) as running:
            summaries[name], found = prove(running, day, boards)
        findings += found
    print(verdicts.table(summaries))
    faults = report(findings)
    queries = sum(s.queries for found in summaries.values() for s in found.values())
    print(f"\n{queries} queries, {faults} faults; answers in {_relative(OUTPUT)}")
    return 1 if faults else 0


def _boards(uid: str | None) -> list[model.Dashboard]:
    boards = model.committed()
    chosen = [board for board in boards if uid in (None, board.uid)]
    if not chosen:
        known = ", ".join(board.uid for board in boards)
        raise RepositoryError(
            Finding("base/dashboards", None, f"no dashboard {uid!r}", f"use one of: {known}")
        )
    return chosen


def _relative(path: Path) -> str:
    return path.relative_to(tools.ROOT).as_posix()


if __name__ == "__main__":
    execute(main)
