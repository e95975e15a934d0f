"""`make diff`: compare two revisions of what every cluster gets, rendered through the charts.

Run as `python -m scripts.diff [--base REVISION] [--head REVISION] [--format …] [--output FOLDER]
[--registries]`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts import tools
from scripts.checks import render
from scripts.core.findings import RepositoryError, counted, execute, progress, report
from scripts.diff import compare
from scripts.diff.analyzers import images
from scripts.diff.model import Report
from scripts.diff.objects import ClusterPair
from scripts.diff.outputs import html, markdown, terminal
from scripts.diff.rendering import BuiltRevision, cluster_pairs
from scripts.model import revisions
from scripts.model.rendered import Cluster
from scripts.model.revisions import Revision

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "terminal": terminal.text,
    "markdown": markdown.text,
    "html": html.page,
}
# The files that --output writes, for a pull request and for its artifact.
MARKDOWN, PAGE = "report.md", "report.html"
SLOW = 2


def compared(
    root: Path, before: Revision, after: Revision, *, registries: bool = False
) -> tuple[Report, list[ClusterPair]]:
    """Return the report, and the clusters that it is made from.

    Args:
        root: Of the clone.
        before: The revision before.
        after: The revision after.
        registries: Whether to ask registries of the images that the change brings.
    """
    if not revisions.differs(root, before, after):
        return Report(before.title, after.title), []
    with tempfile.TemporaryDirectory(prefix="todo-monitoring-diff-") as folder:
        old, new = (
            BuiltRevision(revisions.unpack(root, one, Path(folder) / name), one.title)
            for name, one in (("before", before), ("after", after))
        )
        pairs = cluster_pairs(old, new)
        if registries:
            pairs = images.asked(pairs)
        elif brought := set().union(*map(images.new_images, pairs)):
            text = f"DIFF=--registries asks registries for {counted(len(brought), 'new image')}"
            progress(text)
        return compare.report(pairs, old, new), pairs


def write(found: Report, pairs: Sequence[ClusterPair], folder: Path) -> None:
    """Write the report in both forms for a pull request, and both rendered trees."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKDOWN).write_text(markdown.text(found, whole=PAGE))
    (folder / PAGE).write_text(html.page(found))
    for name in ("before", "after"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for pair in pairs:
        for name, cluster in (("before", pair.before), ("after", pair.after)):
            if cluster.sync.units:
                render.write(cluster.sync, _released(cluster), folder / name / pair.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report.

    Returns:
        1 where the change cannot be compared, or brings an image that cannot be run; 2 for bad
        usage.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts.diff", description=__doc__)
    parser.add_argument("--base", help="default: where this left the main branch")
    parser.add_argument("--head", help="default: the working tree")
    parser.add_argument("--format", choices=FORMATS, default="terminal")
    parser.add_argument("--output", type=Path, help="folder for the reports and both trees")
    text = "ask registries whether they have the images that the change brings"
    parser.add_argument("--registries", action="store_true", help=text)
    parser.add_argument("root", nargs="?", type=Path, default=tools.ROOT, help="of the tree")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    root = options.root.resolve()
    try:
        after = (
            revisions.named(root, options.head) if options.head else revisions.working_tree(root)
        )
        before = revisions.base(root, options.base, after)
    except RepositoryError as error:
        report(error.findings)
        return 2
    found, pairs = compared(root, before, after, registries=options.registries)
    if options.output:
        write(found, pairs, options.output)
    print(FORMATS[options.format](found))
    if (seconds := time.monotonic() - started) > SLOW:
        progress(f"compared in {seconds:.1f} s")
    return 1 if found.blocking else 0


def _released(cluster: Cluster) -> dict[str, list[dict[str, object]]]:
    names = [release.name for release in cluster.sync.releases]
    return {n: [dict(i.manifest) for i in cluster.rendered() if i.release == n] for n in names}


if __name__ == "__main__":
    execute(main)
