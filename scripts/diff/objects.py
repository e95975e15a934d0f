"""Every object of a cluster at both revisions, and those that differ as changes."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scripts.core.yamlfile import Json
from scripts.diff import noise, text, values
from scripts.diff.model import Action, Change, Edit
from scripts.model.manifests import Release, group
from scripts.model.rendered import Cluster

Manifest = Mapping[str, Json]


class Key(NamedTuple):
    """What an object is known by, whatever version its API has.

    Attributes:
        unit: The Kustomization or Application that applies it, or the release that brings it.
        release: Whether `unit` is a release.
        group: Its API group.
        kind: Its kind.
        namespace: Empty if it has none.
        name: Its name, without a hash of its content.
    """

    unit: str
    release: bool
    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `Kind namespace/name`, as findings name it."""
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


class Both(NamedTuple):
    """An object at both revisions, as it is; None where it is not."""

    key: Key
    before: Manifest | None
    after: Manifest | None


@dataclass(frozen=True)
class Pair:
    """A cluster under one engine at both revisions; what one side cannot show, neither has.

    Attributes:
        name: `cluster/engine`.
        before: At the revision before; without units if there was no such cluster.
        after: At the revision after, likewise.
        releases: The releases that are declared before and after, rendered or not.
        whole: Whether nothing had to be left out.
    """

    name: str
    before: Cluster
    after: Cluster
    releases: tuple[list[Release], list[Release]]
    whole: bool

    @functools.cached_property
    def differing(self) -> list[Both]:
        """The objects that are not the same at both revisions, noise included."""
        before, after = _objects(self.before), _objects(self.after)
        keys = sorted({*before, *after})
        found = (Both(key, before.get(key), after.get(key)) for key in keys)
        return [both for both in found if both.before != both.after]

    @functools.cached_property
    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """On either side, names that end in a hash of the content, and what is before it."""
        before, after = (noise.generated(_placed(c)) for c in (self.before, self.after))
        return before, after


def changes(pairs: Iterable[Pair]) -> Iterator[Change]:
    """Yield what differs in the clusters; what is the same in several of them is one change."""
    found: dict[tuple[str, ...], list[Change]] = {}
    for pair in pairs:
        for change in _changes(pair):
            # Units have names of their own under either engine; a release has one.
            owner = change.unit if change.release else ""
            what = (change.kind, change.namespace, change.name, change.action, change.text)
            found.setdefault((owner, *what), []).append(change)
    merged = [
        dataclasses.replace(
            alike[0],
            places=tuple(sorted(place for change in alike for place in change.places)),
            unit=", ".join(sorted({change.unit for change in alike})),
        )
        for alike in found.values()
    ]
    yield from sorted(merged, key=lambda c: (c.places, c.unit, c.kind, c.namespace, c.name))


def _changes(pair: Pair) -> Iterator[Change]:
    for key, before, after in pair.differing:
        compared = _compared(_text(before, pair.names[0]), _text(after, pair.names[1]))
        if compared is not None:
            action, edits, shown = compared
            yield Change(
                (pair.name,),
                key.unit,
                key.release,
                key.kind,
                key.namespace,
                key.name,
                action,
                edits,
                shown,
            )


def _text(manifest: Manifest | None, names: Mapping[str, str]) -> str:
    return json.dumps(noise.quiet(manifest, names) if manifest else None, default=str)


@functools.lru_cache(maxsize=4096)
def _compared(before: str, after: str) -> tuple[Action, tuple[Edit, ...], str] | None:
    """Compare two objects, given as JSON: most are the same in every cluster."""
    one, other = noise.hidden(json.loads(before), json.loads(after))
    if one is None or other is None:
        action, sign = (Action.ADDED, "+") if one is None else (Action.REMOVED, "-")
        return action, (), text.whole(one or other, sign)
    found = sorted(values.differences(one, other), key=lambda difference: difference.order)
    edits = tuple(Edit(d.path, d.before, d.after) for d in found)
    return (Action.CHANGED, edits, text.differing(found)) if found else None


def _objects(cluster: Cluster) -> dict[Key, Manifest]:
    names = noise.generated(_placed(cluster))
    placed = [(u.name, False, m) for u in cluster.sync.units for m in u.objects]
    placed += [(str(i.release), True, dict(i.manifest)) for i in cluster.rendered()]
    found: dict[Key, Manifest] = {}
    for unit, release, manifest in placed:
        metadata = manifest["metadata"]
        name = names.get(metadata["name"], metadata["name"])
        namespace = str(metadata.get("namespace") or "")
        key = Key(unit, release, group(manifest), str(manifest["kind"]), namespace, name)
        found[key] = manifest
    return found


def _placed(cluster: Cluster) -> Iterator[Manifest]:
    yield from cluster.sync.objects()
    for item in cluster.rendered():
        yield item.manifest
