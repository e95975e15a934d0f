"""A simulated day as the Prometheis of a pair keep it: blocks of two hours, not quite the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError

TOOL = "blocks"


@dataclass(frozen=True)
class Changes:
    """What is different in a copy.

    Attributes:
        labels: That each series gets.
        gap: From and to (s since the epoch): no samples in between.
        shift: Seconds by which each sample is later.
        copies: How often each series is there.
        days: How many days like this one.
        duration: Of a block, as Prometheus writes durations.
        match: Selectors of the series that are copied; by default all.
    """

    labels: Mapping[str, str] | None = None
    gap: tuple[float, float] | None = None
    shift: float = 0.0
    copies: int = 1
    days: int = 1
    duration: str = "2h"
    match: Sequence[str] = ()


@dataclass(frozen=True)
class Written:
    """What a copy has; a series counts once for each block."""

    blocks: int
    series: int
    samples: int


def copy(tsdb: Path, folder: Path, changes: Changes | None = None) -> Written:
    """Copy a TSDB into a new folder.

    Raises:
        RepositoryError: With what the program says.
    """
    changes = changes or Changes()
    arguments = [f"--output={folder}", f"--duration={changes.duration}"]
    arguments += [f"--copies={changes.copies}", f"--days={changes.days}"]
    arguments += [f"--shift={round(changes.shift * 1000)}ms"]
    arguments += [f"--label={name}={value}" for name, value in (changes.labels or {}).items()]
    arguments += [f"--match={selector}" for selector in changes.match]
    if changes.gap:
        arguments.append(f"--without={changes.gap[0]:.3f}/{changes.gap[1]:.3f}")
    command = [str(tools.path(TOOL)), *arguments, str(tsdb)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        text = f"{TOOL}: {done.stderr.strip()}"
        raise RepositoryError(Finding(f"scripts/tools/{TOOL}", None, text, "correct its arguments"))
    return Written(**json.loads(done.stdout))
