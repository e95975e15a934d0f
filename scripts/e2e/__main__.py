"""`make e2e`: sync each cluster for real, look at what is there, and break it."""

from __future__ import annotations

import argparse

from scripts import charts
from scripts.e2e.world import World
from scripts.findings import execute
from scripts.manifests import Repository
from scripts.processes import Processes


def main() -> int:
    """Run every cluster; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    charts.add_allow_missing(parser)
    options = parser.parse_args()
    repository = Repository()
    entries = [e for e in repository.entries if e.engine == "flux" and e.cluster != "options"]
    if not charts.provable(entries, allow_missing=options.allow_missing):
        return 0
    for entry in entries:
        with Processes() as processes:
            world = World(processes, repository, entry)
            world.bootstrap()
            print(f"{entry.cluster}: synced in {world.synced():.1f} s")
    return 0


if __name__ == "__main__":
    execute(main)
