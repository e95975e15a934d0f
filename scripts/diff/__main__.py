"""`make diff`: compare two revisions of what every cluster gets, rendered through the charts.

Run as `python -m scripts.diff [--base REVISION] [--head REVISION] [--format …] [--output FOLDER]
[--registries]`.

Exit codes: 0 when both revisions could be compared, whatever differs; 1 when the change is why
something could not, such as a release that no longer renders, or brings an image that cannot be
run; 2 for bad usage, such as an unknown revision. With --exit-code, as of diff: 0 when nothing
differs, 1 when something does, 2 in place of the other's 1. make turns each but 0 into 2.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, counted, execute, progress, report
from scripts.diff.model import Report
from scripts.diff.outputs import DATA, MARKDOWN, PAGE, data, formatting, html, markdown, terminal
from scripts.model import revisions
from scripts.model.revisions import Revision

# To import all that renders and compares takes longer than to say that nothing differs.
if TYPE_CHECKING:
    from scripts.diff.objects import ClusterPair
    from scripts.model.rendered import Cluster

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "terminal": terminal.text,
    "summary": functools.partial(terminal.text, summary=True),
    "markdown": markdown.text,
    "html": html.page,
    "json": data.text,
}
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
    from scripts.diff import compare
    from scripts.diff.analyzers import images
    from scripts.diff.rendering import BuiltRevision, cluster_pairs

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
    """Write the report for a comment, as a page and as data, and both rendered trees.

    Raises:
        RepositoryError: If the folder cannot be written to.
    """
    try:
        _write(found, pairs, folder)
    except OSError as error:
        text = f"cannot be written: {error.strerror}"
        fix = "name another folder by --output, or make room"
        place = str(error.filename or folder)
        raise RepositoryError(Finding(place, None, text, fix)) from error


def _write(found: Report, pairs: Sequence[ClusterPair], folder: Path) -> None:
    from scripts.model import object_files

    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKDOWN).write_text(markdown.text(found, whole=PAGE))
    (folder / PAGE).write_text(html.page(found))
    (folder / DATA).write_text(f"{data.text(found)}\n")
    for name in ("before", "after"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for pair in pairs:
        for name, cluster in (("before", pair.before), ("after", pair.after)):
            if cluster.sync.units:
                released = _released(cluster)
                object_files.write(cluster.sync, released, folder / name / pair.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; return the exit code, as the module's documentation has it."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.diff",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", help="default: where this left the main branch")
    parser.add_argument("--head", help="default: the working tree")
    parser.add_argument("--format", choices=FORMATS, default="terminal")
    parser.add_argument("--output", type=Path, help="folder for the reports and both trees")
    parser.add_argument(
        "--exit-code", action="store_true", help="1 when something differs, 2 for trouble"
    )
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
    try:
        found, pairs = compared(root, before, after, registries=options.registries)
        if options.output:
            write(found, pairs, options.output)
    except RepositoryError as error:
        report(error.findings)
        return _code(options.exit_code, differs=True, blocking=True)
    print(FORMATS[options.format](found))
    if (seconds := time.monotonic() - started) > SLOW:
        progress(f"compared in {seconds:.1f} s")
    return _code(options.exit_code, differs=not formatting.empty(found), blocking=found.blocking)


def _code(like_diff: bool, *, differs: bool, blocking: bool) -> int:
    if blocking:
        return 2 if like_diff else 1
    return int(like_diff and differs)


def _released(cluster: Cluster) -> dict[str, list[dict[str, object]]]:
    names = [release.name for release in cluster.sync.releases]
    return {n: [dict(i.manifest) for i in cluster.rendered() if i.release == n] for n in names}


if __name__ == "__main__":
    execute(main)
