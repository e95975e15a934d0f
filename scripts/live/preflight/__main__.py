"""`make preflight`: whether the cluster that kubectl reaches is ready for the stack."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from scripts.core.findings import GREEN, RED, YELLOW, colour, execute, progress
from scripts.live.preflight import checks, cluster_state
from scripts.live.preflight.check_result import CheckResult, CheckStatus
from scripts.live.preflight.checks import PreflightCheck
from scripts.model import clusters, requirements
from scripts.model.manifests import Repository

COLOURS = {CheckStatus.OK: GREEN, CheckStatus.WARNING: YELLOW, CheckStatus.MISSING: RED}


def table(results: Sequence[tuple[PreflightCheck, CheckResult]]) -> str:
    """Return a line for each check under its section's heading, and what to do below it."""
    width = max(len(status) for status in CheckStatus)
    names = max(len(check.name) for check, _ in results)
    lines: list[str] = []
    section = ""
    for check, result in results:
        if check.section != section:
            section = check.section
            lines += ["", section]
        status = colour(result.status.ljust(width), COLOURS[result.status])
        lines.append(f"  {status}  {check.name.ljust(names)}  {result.text}")
        if result.fix:
            lines.append(f"  {' ' * width}  {' ' * names}  fix: {result.fix}")
    return "\n".join(lines)


def main() -> int:
    """Read the cluster and check it; return the exit code."""
    arguments = argparse.ArgumentParser(
        prog="python -m scripts.live.preflight", description=__doc__
    )
    clusters.add_cluster(arguments)
    text = "ask the buckets, too: reads what is in the Secrets for them, and shows none of it"
    arguments.add_argument("--buckets", action="store_true", help=text)
    options = arguments.parse_args()
    repository = Repository()
    needed = requirements.read(clusters.chosen(repository.root, options.cluster), repository)
    progress("reading the cluster")
    secrets = [(secret.namespace, secret.name) for secret in needed.secrets]
    cluster = cluster_state.read(secrets, checks.resources(needed))
    wanted = (*checks.CHECKS, *checks.BUCKETS) if options.buckets else checks.CHECKS
    results = list(checks.run(needed, cluster, wanted))
    nodes = ", ".join(item["metadata"]["name"] for item in cluster.lists["nodes"])
    print(f"clusters/{needed.name} on {nodes or 'nodes that may not be read'}")
    print(table(results))
    count = Counter(result.status for _, result in results)
    print(f"\n{count[CheckStatus.MISSING]} missing, {count[CheckStatus.WARNING]} to look at")
    return 1 if count[CheckStatus.MISSING] else 0


if __name__ == "__main__":
    execute(main)
