"""The metrics that real programs expose: one file a program, written by `make capture`.

A file has one or more YAML documents: first the metrics scraped from the program, where it can be
run, then metrics that only its documentation lists:

    source: "alertmanager v0.34.1"
    how: "run with one alert and a receiver that does not answer"
    metrics:
      alertmanager_alerts: "gauge state"
    samples:
      alertmanager_alerts: 4

A metric has a type and labels as the program exposes them; the scrape adds those of the target.
Histograms and summaries have their base name, without `le` and `quantile`. `samples` says how many
there were of a name as it is stored, where not one, in files of one target each
(`exporters.TARGETS`); a program in use shows more.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent
# The series of a family by its type: a suffix, and the label that only these series have.
SERIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "histogram": (("_bucket", "le"), ("_sum", ""), ("_count", "")),
    "summary": (("", "quantile"), ("_sum", ""), ("_count", "")),
}
TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})


def is_captured(how: str) -> bool:
    """Say whether a block of the catalogue is of a running program, not of a document."""
    return how.startswith("run")


@dataclass(frozen=True)
class Family:
    """A metric family as one program exposes it.

    Attributes:
        file: The file that lists it, without its ending.
        source: The program and its version.
        how: `run …` or `document …`.
        name: The family's name; a histogram's or summary's without suffix.
        type: One of `TYPES`.
        labels: What the program puts on it, `le` and `quantile` left out.
        samples: How many there were when it was captured, by the series' name, where several.
    """

    file: str
    source: str
    how: str
    name: str
    type: str
    labels: frozenset[str]
    samples: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def captured(self) -> bool:
        """Whether a running program exposed it."""
        return is_captured(self.how)

    def series(self) -> dict[str, frozenset[str]]:
        """Return the names of the series that it is stored as, each with its labels."""
        return {
            self.name + suffix: self.labels | ({label} if label else set())
            for suffix, label in SERIES.get(self.type, (("", ""),))
        }


@functools.cache
def by_file() -> Mapping[str, tuple[Family, ...]]:
    """Return every file's families, by the file's name without its ending."""
    return {path.stem: tuple(read(path)) for path in sorted(FOLDER.glob("*.yaml"))}


@functools.cache
def load() -> Mapping[str, tuple[Family, ...]]:
    """Return every family by name; several programs may expose one name."""
    found: dict[str, tuple[Family, ...]] = {}
    for families in by_file().values():
        for family in families:
            found[family.name] = (*found.get(family.name, ()), family)
    return found


@functools.cache
def series() -> Mapping[str, tuple[tuple[Family, frozenset[str]], ...]]:
    """Return every series' name with the families behind it and its labels, `le` included."""
    found: dict[str, tuple[tuple[Family, frozenset[str]], ...]] = {}
    for families in load().values():
        for family in families:
            for name, labels in family.series().items():
                found[name] = (*found.get(name, ()), (family, labels))
    return found


def read(path: Path) -> list[Family]:
    """Return the families that one file lists."""
    return [
        Family(
            path.stem,
            block["source"],
            block["how"],
            name,
            kind,
            frozenset(labels),
            block.get("samples", {}),
        )
        for block in yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        for name, text in block["metrics"].items()
        for kind, *labels in (text.split(),)
    ]


@functools.cache
def nearest(name: str) -> str:
    """Return the series' name that a misspelt one was most likely meant to be; "" if none is."""
    # Comparing all names is slow: those with the same prefix come first.
    prefix = name.partition("_")[0] + "_"
    candidates = [other for other in series() if other.startswith(prefix)]
    found = difflib.get_close_matches(name, candidates or series(), n=1, cutoff=0.7)
    return found[0] if found else ""
