"""`make preflight`: whether the cluster that kubectl reaches is ready for the stack."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from scripts.core.findings import GREEN, RED, YELLOW, colour, execute, progress
from scripts.live.preflight import checklist, kubectl
from scripts.live.preflight.checklist import Point
from scripts.live.preflight.verdict import State, Verdict
from scripts.model import clusters, requirements
from scripts.model.manifests import Repository

COLOURS = {State.OK: GREEN, State.WARNING: YELLOW, State.MISSING: RED}


def table(judged: Sequence[tuple[Point, Verdict]]) -> str:
    """Return a line for each point under its section's heading, and what to do below it."""
    states = max(len(state) for state in State)
    names = max(len(point.name) for point, _ in judged)
    lines: list[str] = []
    section = ""
    for point, verdict in judged:
        if point.section != section:
            section = point.section
            lines += ["", section]
        state = colour(verdict.state.ljust(states), COLOURS[verdict.state])
        lines.append(f"  {state}  {point.name.ljust(names)}  {verdict.text}")
        if verdict.fix:
            lines.append(f"  {' ' * states}  {' ' * names}  fix: {verdict.fix}")
    return "\n".join(lines)


def main() -> int:
    """Read the cluster and judge it; return the exit code."""
    arguments = argparse.ArgumentParser(
        prog="python -m scripts.live.preflight", description=__doc__
    )
    clusters.add_cluster(arguments)
    options = arguments.parse_args()
    repository = Repository()
    needed = requirements.read(clusters.chosen(repository.root, options.cluster), repository)
    progress("reading the cluster")
    seen = kubectl.read((secret.namespace, secret.name) for secret in needed.secrets)
    judged = list(checklist.judge(needed, seen))
    nodes = ", ".join(item["metadata"]["name"] for item in seen.lists["nodes"])
    print(f"clusters/{needed.name} on {nodes or 'nodes that may not be read'}")
    print(table(judged))
    count = Counter(verdict.state for _, verdict in judged)
    print(f"\n{count[State.MISSING]} missing, {count[State.WARNING]} to look at")
    return 1 if count[State.MISSING] else 0


if __name__ == "__main__":
    execute(main)
