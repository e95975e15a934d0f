"""Metric families: read from what a program exposes, written as a file of the catalogue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.core.findings import Finding, RepositoryError
from scripts.model.catalogue import FOLDER, SERIES, TYPES, is_captured
from scripts.model.exporters import TARGETS
from scripts.servers.http_client import request

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+(?: \d+)?")
# What Go's runtime says of itself in detail: it differs by Go's release, not by the program.
_RUNTIME = re.compile(
    r"go_(cgo|cpu|gc|godebug|memory|sched|sync)_"
    r"(?!(duration_seconds|gogc_percent|gomaxprocs_threads|gomemlimit_bytes)$).+"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"')


@dataclass
class CapturedFamily:
    """A metric's type, every label that one of its series has, and how many samples there are.

    Attributes:
        type: One of the catalogue's.
        labels: Of any of its series.
        samples: By name as they are stored, `_bucket` and the like included; none in a document.
    """

    type: str
    labels: set[str] = field(default_factory=set)
    samples: Counter[str] = field(default_factory=Counter)


Families = dict[str, CapturedFamily]


@dataclass(frozen=True)
class Captured:
    """Metric families of one program, and where they are from.

    Attributes:
        source: The program and its version.
        how: `run …` or `document …`.
        families: What it exposes.
    """

    source: str
    how: str
    families: Families

    @property
    def captured(self) -> bool:
        """Whether a running program exposed them."""
        return is_captured(self.how)


def parse(text: str) -> Families:
    """Read Prometheus' text format: families that have at least one series.

    https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    types: dict[str, str] = {}
    found: Families = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind if kind in TYPES else "untyped"
        sample = _SAMPLE.fullmatch(line)
        if line.startswith("#") or not sample:
            continue
        name, kind, own = _family(sample[1], types)
        family = found.setdefault(name, CapturedFamily(kind))
        family.labels.update(set(_LABEL.findall(sample[2] or "")) - own)
        family.samples[sample[1]] += 1
    return found


def _family(name: str, types: Mapping[str, str]) -> tuple[str, str, set[str]]:
    """Return family, type and the labels that stand for the type."""
    for kind, parts in SERIES.items():
        for suffix, _ in parts:
            base = name.removesuffix(suffix) if suffix else name
            if (suffix == "" or name.endswith(suffix)) and types.get(base) == kind:
                return base, kind, {"le", "quantile"}
    return name, types.get(name, "untyped"), set()


def scrape(*urls: str) -> Families:
    """Return what is exposed at some addresses of this machine, as Prometheus would read it.

    Raises:
        RepositoryError: If one does not answer with metrics.
    """
    found = []
    for url in urls:
        answer = request(url)
        if answer.status != 200:
            text, fix = f"{url} answers {answer.status}", "see the program's log"
            raise RepositoryError(Finding("scripts/cluster/capture", None, text, fix))
        found.append(parse(answer.content.decode()))
    return merge(*found)


def merge(*parts: Families) -> Families:
    """Return the union of several scrapes: a family has the labels of all of them.

    Of samples it has those of the target that has most.
    """
    found: Families = {}
    for part in parts:
        for name, family in part.items():
            merged = found.setdefault(name, CapturedFamily(family.type))
            merged.labels.update(family.labels)
            merged.samples |= family.samples
    return found


def write(name: str, *captured: Captured) -> int:
    """Write `<name>.yaml` of the catalogue; what a later one repeats is left out.

    Numbers of samples are written of what is one target, to be compared with its sampleLimit.

    Returns:
        How many families it lists.
    """
    known: set[str] = set()
    texts = []
    for one in captured:
        families = {
            name: family
            for name, family in one.families.items()
            if name not in known and not _RUNTIME.fullmatch(name)
        }
        known |= families.keys()
        if not families:
            continue
        lines = [f'source: "{one.source}"', f'how: "{one.how}"', "metrics:"]
        lines += [
            f'  {metric}: "{" ".join((family.type, *sorted(family.labels)))}"'
            for metric, family in sorted(families.items())
        ]
        counts = {
            metric + suffix: family.samples[metric + suffix]
            for metric, family in sorted(families.items())
            for suffix, _ in SERIES.get(family.type, (("", ""),))
        }
        if one.captured and name in TARGETS:
            lines += ["samples:", *(f"  {s}: {n}" for s, n in counts.items() if n != 1)]
        texts.append("\n".join(lines) + "\n")
    (FOLDER / f"{name}.yaml").write_text("---\n".join(texts), encoding="utf-8")
    return len(known)
