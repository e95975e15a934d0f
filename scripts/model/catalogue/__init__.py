"""The metrics that real programs expose: one file a program, written by `make capture`.

A file has one or more YAML documents: first the metrics scraped from the program, where it can be
run, then metrics that only its documentation lists:

    source: "kube-state-metrics v2.20.0"
    how: "run against kube-apiserver v1.34.3 with one object of each kind"
    metrics:
      kube_pod_info: "gauge created_by_kind created_by_name …"

A metric has a type and labels as the program exposes them; the scrape adds those of the target.
Histograms and summaries have their base name, without `le` and `quantile`.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent
# The series of a family by its type: a suffix, and the label that only these series have.
SERIES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "histogram": (("_bucket", "le"), ("_sum", ""), ("_count", "")),
    "summary": (("", "quantile"), ("_sum", ""), ("_count", "")),
}
TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})


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
    """

    file: str
    source: str
    how: str
    name: str
    type: str
    labels: frozenset[str]

    @property
    def captured(self) -> bool:
        """Whether a running program exposed it."""
        return self.how.startswith("run")

    def series(self) -> dict[str, frozenset[str]]:
        """Return the names of the series that it is stored as, each with its labels."""
        return {
            self.name + suffix: self.labels | ({label} if label else set())
            for suffix, label in SERIES.get(self.type, (("", ""),))
        }


@functools.cache
def load() -> Mapping[str, tuple[Family, ...]]:
    """Return every family by name; several programs may expose one name."""
    found: dict[str, tuple[Family, ...]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for family in read(path):
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
        Family(path.stem, block["source"], block["how"], name, kind, frozenset(labels))
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
