"""What `make diff` takes and says, beside `flate diff` on the same changes of the same trees.

Wall-clock seconds of new processes, one after the other. flate compares one cluster's Flux folder
at a time and nothing of Argo CD; `make diff` compares every cluster under both engines.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from scripts import tools
from scripts.bench import flate, trees
from scripts.bench.flate import Flate, FlateResult
from scripts.bench.timing import timed
from scripts.core import git
from scripts.core.findings import progress
from scripts.core.yamlfile import Json
from scripts.diff.__main__ import compared
from scripts.model import charts, revisions
from scripts.model.manifests import Release, Repository
from scripts.servers.processes import Processes
from scripts.servers.registry import renumbered

# Releases of one cluster, and copies of it that are compared.
COPY = 7
REVIEWED = (2, 7)
ROUNDS = 3
GRAFANA = "base/releases/grafana.yaml"
VALUE = {"file": GRAFANA, "replace": "cpu: 100m", "by": "cpu: 101m"}
# Of the user's cache, what both revisions find there on any machine.
SHARED = ("schemas", "tools")
# Comments in a file of each unit: everything is rendered once, and nothing differs.
WARMING = (
    {"file": "base/releases/loki.yaml", "append": "# Nothing.\n"},
    {"file": "base/config/network-policies.yaml", "append": "# Nothing.\n"},
)
NOT_MEASURED = "–"
COUNTED = (
    "objects: each once; says: sentences; lines: added and removed, in all clusters together;\n"
    "CRDs, which flate leaves out unless it is told otherwise, are compared by both"
)


class DiffSummary(NamedTuple):
    """What `make diff` says of one change: how many objects, sentences, and flags' names."""

    objects: int
    sentences: int
    flags: tuple[str, ...]


class ComparedChange(NamedTuple):
    """One change, what each says of it, and the seconds that this takes each of them."""

    change: str
    report: DiffSummary
    seconds: float
    flate: FlateResult
    flate_seconds: float


def tables(tree: Path, changes: Path | None) -> Iterator[str]:
    """Yield the tables, each as soon as it is measured.

    Args:
        tree: The repository that copies are changed of.
        changes: A list of changes to compare once, besides those that are compared again and again.

    Raises:
        RepositoryError: Where a chart or openssl is missing.
    """
    syncs = [sync for sync in Repository(tree).syncs if sync.synced]
    releases = [release for sync in syncs for release in sync.releases]
    with Processes() as processes:
        flate_ = Flate(processes)
        flate_.registry.fill(releases)
        grafana = next(release for release in releases if release.name == "grafana")
        folder, cache = processes.folder("trees"), processes.folder("cache")
        share_cache(cache)
        yield f"\n{_repeated(tree, flate_, grafana, folder, cache)}"
        if changes:
            yield f"\n{_scripted(tree, trees.changes(changes), flate_, folder, cache)}"


def share_cache(cache: Path) -> None:
    """Have a cache begin with the user's programs, schemas and charts, and without any render."""
    user, own = tools.cache(), cache / tools.cache().name
    (own / "charts").mkdir(parents=True)
    for name in SHARED:
        if (user / name).exists():
            (own / name).symlink_to(user / name)
    for archive in (user / "charts").rglob("*.tgz"):
        link = own / archive.relative_to(user)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(archive)


def by_turns(
    diff: Callable[[], object], flate_diff: Callable[[], FlateResult]
) -> tuple[float, float, tuple[str, ...]]:
    """Return the median seconds of both, and what flate could not compare.

    Each is done once before, which fills its caches; then they take turns, so that whatever else
    the machine does slows both down.
    """
    diff()
    results = [flate_diff()]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        seconds[0].append(timed(diff)[1])
        result, taken = timed(flate_diff)
        seconds[1].append(taken)
        results.append(result)
    failures = dict.fromkeys(one for result in results for one in result.failures)
    return statistics.median(seconds[0]), statistics.median(seconds[1]), tuple(failures)


def _repeated(tree: Path, flate_: Flate, grafana: Release, folder: Path, cache: Path) -> str:
    """Compare the same trees again and again."""
    major, _, rest = grafana.version.partition(".")
    bumped = f"{int(major) + 1}.{rest}"
    flate_.registry.push(
        renumbered(charts.archive(grafana), bumped, cache / tools.cache().name / "charts"), grafana
    )
    bump = {"file": GRAFANA, "replace": f'"{grafana.version}"', "by": f'"{bumped}"'}
    cases: tuple[tuple[str, int, Sequence[Json]], ...] = (
        ("nothing changed", 1, ()),
        ("one value", 1, (VALUE,)),
        ("a chart's version", 1, (bump,)),
        *((f"one value, {COPY * n} releases", n, (VALUE,)) for n in REVIEWED),
    )
    lines = [f"{'the same change again, seconds':<42}{'make diff':>10}{'flate':>8}{'ratio':>8}"]
    notes = [_conditions()]
    for number, (text, copies, edits) in enumerate(cases):
        progress(f"make diff and flate: {text}")
        root = trees.multiply(tree, folder / f"tree-{number}", copies)
        flate_.adopt(root)
        trees.commit(root)
        for edit in edits:
            trees.apply(edit, root)
        seconds, flate_seconds, failures = by_turns(
            partial(_diff, root, cache), partial(flate_.diff, root)
        )
        beside = f"{flate_seconds:>8.2f}{flate_seconds / seconds:>7.2f}x"
        beside = f"{NOT_MEASURED:>8}" * 2 if failures else beside
        lines.append(f"{text:<42}{seconds:>10.2f}{beside}")
        notes += [f"{text}: {one}" for one in failures]
    return "\n".join([*lines, *notes])


def _scripted(tree: Path, changes: Sequence[Json], flate_: Flate, folder: Path, cache: Path) -> str:
    """Compare each of the scripted changes once, with caches that know the tree before."""
    root = trees.copied(tree, folder / "each")
    flate_.adopt(root)
    first = trees.commit(root)
    for edit in WARMING:
        trees.apply(edit, root)
    _diff(root, cache)
    flate_.diff(root, flate.CRDS)
    rows = []
    # What is read of a report stays in memory for as long as the process that reads it.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_use_cache, initargs=(cache,)) as apart:
        for number, change in enumerate(changes, 1):
            progress(f"make diff and flate, {number} of {len(changes)}: {change['change']}")
            git.isolated(root, "reset", "--quiet", "--hard", first)
            git.isolated(root, "clean", "--quiet", "--force", "-d")
            for edit in change.get("both", ()):
                trees.apply(edit, root)
            if "both" in change:
                trees.commit(root)
            for edit in change["edits"]:
                trees.apply(edit, root)
            _, seconds = timed(partial(_diff, root, cache))
            result, flate_seconds = timed(partial(flate_.diff, root, flate.CRDS))
            report = apart.submit(_summary, root).result()
            rows.append(ComparedChange(change["change"], report, seconds, result, flate_seconds))
    return "\n".join([changes_table(rows), COUNTED, _conditions(flate.CRDS), *failed(rows)])


def changes_table(rows: Sequence[ComparedChange]) -> str:
    """Return the table of the scripted changes."""
    heading = "each change once, new to both"
    ours, theirs = f"{'objects':>8}{'says':>6}{'s':>7}", f"{'objects':>9}{'lines':>7}{'s':>7}"
    lines = [
        f"{heading:<68}{'make diff':>21}{'flate':>23}",
        f"{'':<68}{ours}{theirs}  flags of make diff",
        *map(_row, rows),
    ]
    compared_ = [row for row in rows if not row.flate.failures]
    ours = f"{sum(any(r.report) for r in compared_):>8}{sum(r.seconds for r in compared_):>13.2f}"
    found = sum(bool(row.flate.objects) for row in compared_)
    theirs = f"{found:>9}{sum(row.flate_seconds for row in compared_):>14.2f}"
    text = f"it says something of, among {len(compared_)} that both compare"
    return "\n".join([*lines, f"{text:<68}{ours}{theirs}"])


def failed(rows: Sequence[ComparedChange]) -> list[str]:
    """Return what flate could not compare."""
    return [f"{row.change}: {one}" for row in rows for one in row.flate.failures]


def _row(row: ComparedChange) -> str:
    report, result = row.report, row.flate
    theirs = f"{len(result.objects):>9}{result.lines:>7}{row.flate_seconds:>7.2f}"
    if result.failures:
        theirs = f"{NOT_MEASURED:>9}{NOT_MEASURED:>7}{NOT_MEASURED:>7}"
    ours = f"{report.objects:>8}{report.sentences:>6}{row.seconds:>7.2f}"
    return f"{row.change:<68}{ours}{theirs}  {', '.join(report.flags)}".rstrip()


def _conditions(*flags: str) -> str:
    asked = " ".join((flate.NAME, *flate.arguments(*flags)))
    return (
        f"{flate.NAME} {tools.version(flate.NAME)}: `{asked}` for one cluster's Flux folder\n"
        "after the other, nothing of Argo CD; make diff compares both engines of every cluster"
    )


def _use_cache(cache: Path) -> None:
    os.environ["XDG_CACHE_HOME"] = str(cache)


def _summary(root: Path) -> DiffSummary:
    after = revisions.working_tree(root)
    report, _ = compared(root, revisions.named(root, flate.BASE), after)
    names = sorted({flag.name for flag in report.flags})
    return DiffSummary(len(report.changes), len(report.sentences), tuple(names))


def _diff(root: Path, cache: Path) -> None:
    command = (sys.executable, "-m", "scripts.diff", f"--base={flate.BASE}", str(root))
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    run = subprocess.run(
        command, cwd=tools.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(run.stdout[-2000:] + run.stderr[-2000:])
