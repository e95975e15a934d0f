"""Two revisions compared: everything that a report holds, from both states of every cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import yaml

from scripts.core.findings import SHAPE_ERRORS, Finding, RepositoryError, shape_findings
from scripts.diff import objects
from scripts.diff.analyzers import (
    ANALYZERS,
    REVISION_ANALYZERS,
    Analyzer,
    budget,
    pictures,
    versions,
)
from scripts.diff.model import Flag, Report, Sentence
from scripts.diff.objects import ClusterPair, RevisionPair
from scripts.diff.rendering import BuiltRevision

T = TypeVar("T")


def report(pairs: Sequence[ClusterPair], before: BuiltRevision, after: BuiltRevision) -> Report:
    """Return all that differs.

    Args:
        pairs: The clusters at both revisions, as `rendering.cluster_pairs` returns them.
        before: The revision before.
        after: The revision after.
    """
    faults: list[Finding] = []

    def read(place: str, items: Iterator[T]) -> list[T]:
        """Return what can be read; where one topic cannot, the others still can."""
        result: list[T] = []
        try:
            result.extend(items)
        except (RepositoryError, yaml.YAMLError, *SHAPE_ERRORS) as error:
            faults.extend(shape_findings(place, error))
        return result

    places: dict[Sentence | Flag, set[str]] = {}
    for pair, analyzer in itertools.product(pairs, ANALYZERS):
        topic = analyzer.__module__.rpartition(".")[2]
        known = _known(pair, pairs, analyzer)
        for one in read(f"{pair.name}, {topic}", analyzer(pair)):
            if one not in known:
                places.setdefault(one, set()).add(pair.name)
    revisions = RevisionPair(before.root, after.root, pairs)
    for path, revision_analyzer in REVISION_ANALYZERS.items():
        for one in read(path, revision_analyzer(revisions)):
            places.setdefault(dataclasses.replace(one, places=()), set()).update(one.places)
    placed = [dataclasses.replace(one, places=tuple(sorted(own))) for one, own in places.items()]
    sentences = (one for one in placed if isinstance(one, Sentence))
    flags = list(_merged(one for one in placed if isinstance(one, Flag)))
    changes = tuple(read("objects", objects.changes(pairs)))
    changed = set(itertools.chain.from_iterable(change.places for change in changes))
    differing = [
        pair
        for pair in pairs
        if pair.name in changed or read(f"{pair.name}, budget", budget.limits(pair))
    ]
    # A cluster asks for the same whichever engine syncs it.
    budgets: dict[str, ClusterPair] = {}
    for pair in differing:
        if pair.whole:
            budgets.setdefault(pair.after.sync.cluster, pair)
    nothing_before = not any(pair.before.sync.units for pair in pairs)
    return Report(
        before.title,
        after.title,
        changes,
        tuple(versions.bumps(pairs)),
        tuple(sorted(sentences, key=lambda one: (one.topic, one.text, one.places))),
        tuple(sorted(flags, key=lambda one: (one.name.rank, one.where, one.places, one.why))),
        tuple(
            amount
            for pair in budgets.values()
            for amount in read(f"{pair.name}, budget", budget.amounts(pair))
        ),
        tuple(read("pictures", pictures.pictures(differing))),
        tuple(dict.fromkeys((*before.faults, *after.faults, *faults))),
        bool(after.faults or faults or (before.faults and nothing_before))
        or any(flag.blocks for flag in flags),
    )


def _known(pair: ClusterPair, pairs: Sequence[ClusterPair], analyzer: Analyzer) -> set[Flag]:
    """Return the flags of a new cluster that one which is there already would raise as a new one.

    Somebody has looked at those: in the new cluster they are not what the change is about.
    """
    if pair.before.sync.units:
        return set()
    known: set[Flag] = set()
    for other in pairs:
        if other.before.sync.units and other.after.sync.engine == pair.after.sync.engine:
            new = dataclasses.replace(other, before=pair.before, after=other.before)
            with contextlib.suppress(RepositoryError, yaml.YAMLError, *SHAPE_ERRORS):
                known |= {one for one in analyzer(new) if isinstance(one, Flag)}
    return known


def _merged(flags: Iterable[Flag]) -> Iterator[Flag]:
    """Put flags that differ only in whom they are about into one."""
    alike: dict[Flag, list[str]] = {}
    for flag in flags:
        alike.setdefault(dataclasses.replace(flag, where=""), []).append(flag.where)
    for flag, places in alike.items():
        yield dataclasses.replace(flag, where=", ".join(sorted(places)))
