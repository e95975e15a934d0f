"""`make render`: what each cluster will get, through the charts, as files and as a table."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import yaml

from scripts import budget, charts, tools
from scripts.findings import YELLOW, colour, execute, report
from scripts.manifests import Entry, Repository, identity
from scripts.rendered import clusters
from scripts.yamlfile import Json

OUTPUT = tools.ROOT / "build"


def write(entry: Entry, rendered: dict[str, list[dict[str, Json]]], folder: Path) -> int:
    """Write an entry's units and releases as one YAML file each.

    Args:
        entry: A cluster under one engine.
        rendered: Objects by release.
        folder: Replaced as a whole.

    Returns:
        How many objects were written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    files = {f"{unit.name}.yaml": unit.objects for unit in entry.units}
    files |= {f"releases/{name}.yaml": objects for name, objects in rendered.items()}
    for name, objects in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ordered = sorted(objects, key=identity)
        path.write_text(yaml.dump_all(ordered, Dumper=yaml.CSafeDumper, sort_keys=False))
    return sum(map(len, files.values()))


def main() -> int:
    """Render every cluster; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out what needs a chart that cannot be had, and say so",
    )
    options = arguments.parse_args()
    repository = Repository()
    entries = [entry for entry in repository.entries if entry.synced]
    if absent := charts.missing(entries):
        if not options.allow_missing:
            report(absent)
            return 1
        for finding in absent:
            print(colour(f"not rendered: {finding.path}: {finding.message}", YELLOW))
        return 0
    rendered = charts.render_all(entries)
    for entry in entries:
        own = {r.name: rendered[entry.name, r.name] for r in entry.releases}
        count = write(entry, own, OUTPUT / entry.cluster / entry.engine)
        print(f"build/{entry.name}: {count} objects")
    print(f"\n{budget.table(clusters(repository))}")
    return 0


if __name__ == "__main__":
    execute(main)
