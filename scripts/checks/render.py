"""`make render`: what each cluster gets through the charts, and each check that needs them."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from scripts import tools
from scripts.checks import rendered as rendered_checks
from scripts.checks import unused_values
from scripts.checks.rendered import kubernetes, refusals
from scripts.core.findings import (
    GREEN,
    SHAPE_ERRORS,
    YELLOW,
    Finding,
    colour,
    counted,
    execute,
    report,
)
from scripts.model import budget, charts, object_files
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, clusters

OUTPUT = tools.ROOT / "build"


def check(
    repository: Repository, rendered: Sequence[Cluster], left_out: Collection[str] = ()
) -> list[Finding]:
    """Return what every check that needs the charts finds.

    Args:
        repository: The tree.
        rendered: All its clusters, with their charts rendered.
        left_out: Tools that are not asked, as they are not built.
    """
    if malformed := rendered_checks.malformed(rendered, left_out):
        return malformed
    exceeded = [finding for cluster in rendered for finding in budget.findings(cluster)]
    found = rendered_checks.findings(rendered, left_out)
    values = unused_values.findings(repository, unused_values.variants(repository), found)
    return [*found, *exceeded, *budget.unused_images(rendered), *values]


def main() -> int:
    """Render and check every cluster; return the exit code."""
    started = time.monotonic()
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("root", nargs="?", type=Path, default=tools.ROOT, help="of the tree")
    arguments.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out what needs a chart that cannot be had or a program not built yet; say so",
    )
    options = arguments.parse_args()
    repository = Repository(options.root.resolve())
    if absent := charts.missing(repository.syncs):
        if not options.allow_missing:
            report(absent)
            return 1
        for finding in absent:
            print(colour(f"not rendered: {finding.path}: {finding.message}", YELLOW))
        return 0
    rendered = charts.render_all(repository.syncs)
    for sync in repository.syncs:
        if sync.synced:
            releases = {r.name: rendered[sync.name, r.name] for r in sync.releases}
            count = object_files.write(sync, releases, OUTPUT / sync.cluster / sync.engine)
            print(f"build/{sync.name}: {count} objects")
    with_charts = clusters(repository, rendered=rendered)
    left_out = refusals.not_built() if options.allow_missing else []
    if left_out:
        text = f"not checked: what programs refuse; not built yet: {', '.join(left_out)}"
        print(colour(f"{text} (`make render` builds what it needs, once)", YELLOW), flush=True)
    for note in kubernetes.notes(with_charts):
        print(colour(f"note: {note}", YELLOW), flush=True)
    found = check(repository, with_charts, left_out)
    # Of what the API server refuses, nothing can be added up.
    with contextlib.suppress(*SHAPE_ERRORS if found else ()):
        print(f"\n{budget.table(with_charts)}\n", flush=True)
    if count := report(found):
        print(counted(count, "finding"), file=sys.stderr)
        return 1
    print(colour(f"valid: every chart is rendered, {time.monotonic() - started:.1f} s", GREEN))
    return 0


if __name__ == "__main__":
    execute(main)
