"""What Thanos needs and takes, beside a Prometheus alone: load by load, and a year.

Memory and CPU are of processes on this machine; seconds are to be compared within one run.
"""

from __future__ import annotations

from collections.abc import Iterator

from scripts import simulation, tools
from scripts.grafana import model
from scripts.lab.scale.metrics import load, months
from scripts.lab.scale.metrics.fleet import of_thanos
from scripts.lab.scale.metrics.load import Load
from scripts.lab.scale.metrics.months import Year
from scripts.lab.scale.metrics.panels import table
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.model.manifests import Repository
from scripts.servers import thanos
from scripts.simulation import Day

# How often each series is there. Beyond the first, the half of the day that no dashboard shows is
# left out, for the disk's sake.
COPIES = (1, 10)
MIB = 2.0**20


def tables() -> Iterator[str]:
    """Yield the table of each load, then that of a year."""
    declared = thanos.declared(of_thanos(Repository(tools.ROOT)))
    day, boards = simulation.day("healthy"), model.committed()
    for copies in COPIES:
        yield load_table(load.measure(declared, day.tsdb, day.at, boards, changes(day, copies)))
    yield year_table(months.ask(declared, day.tsdb, day.end))


def changes(day: Day, copies: int) -> Changes:
    """Return how a day is copied."""
    noon = day.start + (day.end - day.start) / 2
    return Changes(copies=copies, gap=(day.start - 3600, noon) if copies > 1 else None)


def load_table(found: Load) -> str:
    """Return what each program used."""
    lines = [
        (need.program, f"{need.idle / MIB:.0f}", f"{need.memory / MIB:.0f}", f"{need.cpu:.1f}")
        for need in found.needs
    ]
    alone, through = found.seconds
    head = (
        f"\n{found.series:,} series in each Prometheus, {found.samples:,} samples in the bucket; "
        f"{found.queries} queries, refused {found.refused[0]} alone and {found.refused[1]} through "
        f"Thanos; {through / alone:.1f} times as long, {found.requests:,} requests of the bucket"
    )
    names = ("program", "MiB before", "MiB at most", "CPU s")
    return f"{head}\n{table(names, lines)}"


def year_table(found: Year) -> str:
    """Return what a year costs."""
    lines = [
        (
            one.question.text,
            str(len(one.alone.points)),
            f"{one.apart:.2%}",
            f"{one.alone.loaded:,}",
            f"{one.through.loaded:,}",
            f"{one.through.loaded / one.alone.loaded:.3f}" if one.alone.loaded else "-",
            f"{one.alone.seconds:.2f}",
            f"{one.through.seconds:.2f}",
            f"{one.through.seconds / one.alone.seconds:.2f}",
        )
        for one in found.asked
    ]
    sizes = ", ".join(f"{size / MIB:.0f} MiB of {s} s" for s, size in sorted(found.sizes.items()))
    memory = ", ".join(f"{name} {size / MIB:.0f}" for name, size in found.memory.items())
    head = (
        f"\na year, {found.series} series, {found.samples:,} samples; in the bucket {sizes}; "
        f"downsampled in {found.downsampling:.0f} s; MiB at most: {memory}"
    )
    names = ("graph of a year", "points", "apart", "samples alone", "Thanos", "ratio", "s alone")
    return f"{head}\n{table((*names, 'Thanos', 'ratio'), lines)}"
