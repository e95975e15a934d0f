"""Two trees compared: everything a report has, from both sides of every cluster."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import yaml

from scripts.core.findings import MISSHAPEN, Finding, RepositoryError, misread
from scripts.diff import objects
from scripts.diff.analyzers import (
    access,
    alerts,
    amounts,
    dashboards,
    delivery,
    immutable,
    network,
    objectives,
    pictures,
    projects,
    redaction,
    removal,
    retention,
    routing,
    scale,
    secrets,
    storage,
    targets,
    versions,
)
from scripts.diff.analyzers.analyzer import Reader
from scripts.diff.model import Flag, Report, Sentence
from scripts.diff.objects import Pair
from scripts.diff.rendering import Side
from scripts.model.alertmanager import TEMPLATE
from scripts.rules import slos

T = TypeVar("T")

READERS: tuple[Reader, ...] = (
    alerts.read,
    delivery.read,
    dashboards.read,
    dashboards.sources,
    retention.retention,
    retention.schema,
    targets.read,
    redaction.read,
    secrets.read,
    storage.read,
    removal.read,
    immutable.read,
    access.roles,
    access.accounts,
    access.pods,
    access.namespaces,
    projects.read,
    network.read,
    scale.stopped,
    scale.restarted,
    versions.read,
    amounts.read,
)
# Flags, the most dangerous first: what is lost for good, what opens a door, what nobody notices,
# what fails in sight.
DANGERS = (
    "volume-removed",
    "volume-shrunk",
    "object-removed",
    "release-renamed",
    "release-removed",
    "retention-shortened",
    "loki-schema",
    "pruning",
    "volume-deletion",
    "forcing",
    "protection-removed",
    "moved",
    "redaction-weakened",
    "chart-source",
    "privileged",
    "rbac-widened",
    "project-widened",
    "network-opened",
    "watchdog-removed",
    "watchdog-changed",
    "alert-silenced",
    "alert-removed",
    "alert-weakened",
    "monitor-unselected",
    "redaction-changed",
    "scaled-to-zero",
    "immutable-field",
    "image-architecture",
    "over-budget",
    "budget-raised",
    "major-version",
    "dead-value",
    "datasource-uid",
    "dashboard-uid",
    "volume-class",
    "volume-grown",
)


def report(found: Sequence[Pair], before: Side, after: Side) -> Report:
    """Return all that differs.

    Args:
        found: The clusters at both revisions, as `sides.pairs` returns them.
        before: The revision before.
        after: The revision after.
    """
    said: dict[Sentence | Flag, list[str]] = {}
    faults: list[Finding] = []

    def read(place: str, items: Iterator[T]) -> list[T]:
        # Where one topic cannot read what is there, the others still can.
        result: list[T] = []
        try:
            result.extend(items)
        except (RepositoryError, yaml.YAMLError, *MISSHAPEN) as error:
            faults.extend(misread(place, error))
        return result

    for pair, reader in itertools.product(found, READERS):
        for one in read(f"{pair.name}, {_topic(reader)}", reader(pair)):
            said.setdefault(one, []).append(pair.name)
    roots = (before.root, after.root)
    for one in (
        *read(slos.SPECIFICATIONS.as_posix(), objectives.read(*roots)),
        *read(TEMPLATE, routing.read(*roots, _alerts(found))),
    ):
        said.setdefault(one, [])
    changes = tuple(read("objects", objects.changes(found)))
    placed = [
        dataclasses.replace(one, places=tuple(sorted(set(places)))) for one, places in said.items()
    ]
    sentences = (one for one in placed if isinstance(one, Sentence))
    flags = _merged(one for one in placed if isinstance(one, Flag))
    clusters = {place for change in changes for place in change.places}
    changed = [
        pair
        for pair in found
        if pair.name in clusters or read(f"{pair.name}, budget", amounts.limits(pair))
    ]
    once: dict[str, Pair] = {}
    for pair in changed:
        if pair.whole:
            once.setdefault(pair.after.sync.cluster, pair)  # Its engines get the same.
    nothing = not any(pair.before.sync.units for pair in found)
    return Report(
        before.title,
        after.title,
        changes,
        tuple(versions.bumps(found)),
        tuple(sorted(sentences, key=lambda one: (one.topic, one.text, one.places))),
        tuple(sorted(flags, key=lambda one: (DANGERS.index(one.name), one.where, one.places))),
        tuple(
            itertools.chain(*(read(f"{p.name}, budget", amounts.amounts(p)) for p in once.values()))
        ),
        tuple(read("pictures", pictures.pictures(changed))),
        tuple(dict.fromkeys((*before.faults, *after.faults, *faults))),
        bool(after.faults or faults or (before.faults and nothing)),
    )


def _merged(flags: Iterable[Flag]) -> Iterator[Flag]:
    """Put flags that differ only in whom they are about into one."""
    alike: dict[Flag, list[str]] = {}
    for flag in flags:
        alike.setdefault(dataclasses.replace(flag, where=""), []).append(flag.where)
    for flag, places in alike.items():
        yield dataclasses.replace(flag, where=", ".join(sorted(places)))


def _topic(reader: Reader) -> str:
    return reader.__module__.rpartition(".")[2]


def _alerts(found: Iterable[Pair]) -> Iterator[tuple[str, str]]:
    """Name and severity of each alert that is there before and after."""
    for pair in found:
        before, after = (
            {(name, alerts.severity(rule)) for name, rules in own.items() for rule in rules}
            for own in (alerts.of(pair.before), alerts.of(pair.after))
        )
        yield from before & after
