"""Every object of a cluster at both revisions, and those that differ as changes."""

from __future__ import annotations

import dataclasses
import filecmp
import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from scripts.core.yamlfile import Json
from scripts.diff import normalization, value_diff, yaml_diff
from scripts.diff.model import Action, Change, Edit
from scripts.model.image_registries import Answer
from scripts.model.manifests import Release, group
from scripts.model.rendered import Cluster, Item, Pod

Manifest = Mapping[str, Json]


class ObjectKey(NamedTuple):
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


class ObjectPair(NamedTuple):
    """An object at both revisions, as it is; None where it is not."""

    key: ObjectKey
    before: Manifest | None
    after: Manifest | None


@dataclass(frozen=True)
class ClusterPair:
    """A cluster under one engine at both revisions; what one revision cannot show, neither has.

    Attributes:
        name: `cluster/engine`.
        before: At the revision before; without units if there was no such cluster.
        after: At the revision after, likewise.
        releases: The releases that are declared before and after, rendered or not.
        whole: Whether nothing had to be left out.
        answers: What registries say of images that it did not run before, by what they were asked;
            empty where they were not.
    """

    name: str
    before: Cluster
    after: Cluster
    releases: tuple[list[Release], list[Release]]
    whole: bool
    answers: Mapping[str, Answer] = field(default_factory=dict)

    @functools.cached_property
    def differing(self) -> list[ObjectPair]:
        """The objects that are not the same at both revisions, as they are: not normalized."""
        before, after = _objects(self.before), _objects(self.after)
        keys = sorted({*before, *after})
        found = (ObjectPair(key, before.get(key), after.get(key)) for key in keys)
        return [one for one in found if one.before != one.after]

    @functools.cached_property
    def changed(self) -> list[tuple[ObjectKey, Manifest, Manifest]]:
        """Of those, the objects that are at both revisions: key, before and after."""
        return [
            (key, before, after)
            for key, before, after in self.differing
            if before is not None and after is not None
        ]

    @functools.cached_property
    def pods(self) -> list[tuple[Pod, Pod]]:
        """The pods of each workload that is at both revisions, before and after."""
        before = {str(pod.owner): pod for pod in self.before.pods}
        return [(before[name], p) for p in self.after.pods if (name := str(p.owner)) in before]

    def items(self, kind: str) -> Iterator[tuple[Item, Item]]:
        """Yield the objects of a kind that are at both revisions, the operator's included."""
        before = {str(item): item for item in self.before.of(kind)}
        for item in self.after.of(kind):
            if str(item) in before:
                yield before[str(item)], item

    @functools.cached_property
    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """At either revision, names that end in a hash of the content, and what is before it."""
        before, after = (
            normalization.generated_names(manifests(c)) for c in (self.before, self.after)
        )
        return before, after


class RevisionPair(NamedTuple):
    """Both revisions.

    Attributes:
        before: The files before.
        after: The files after.
        clusters: Every cluster under every engine.
    """

    before: Path
    after: Path
    clusters: Sequence[ClusterPair]

    def edited(self, path: str) -> bool:
        """Say whether a file, relative to the repository, differs or is at one revision alone."""
        old, new = self.before / path, self.after / path
        both = old.is_file() and new.is_file()
        return not both or not filecmp.cmp(old, new, shallow=False)


def changes(pairs: Iterable[ClusterPair]) -> Iterator[Change]:
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


def _changes(pair: ClusterPair) -> Iterator[Change]:
    for key, before, after in pair.differing:
        compared = _compared(_text(before, pair.names[0]), _text(after, pair.names[1]))
        if compared is not None:
            unit, release, _, kind, namespace, name = key
            yield Change((pair.name,), unit, release, kind, namespace, name, *compared)


def _text(manifest: Manifest | None, names: Mapping[str, str]) -> str:
    return json.dumps(normalization.normalized(manifest, names) if manifest else None, default=str)


@functools.lru_cache(maxsize=4096)
def _compared(before: str, after: str) -> tuple[Action, tuple[Edit, ...], str] | None:
    """Compare two objects, given as JSON: most are the same in every cluster."""
    one, other = normalization.without_secrets(json.loads(before), json.loads(after))
    if one is None or other is None:
        action, sign = (Action.ADDED, "+") if one is None else (Action.REMOVED, "-")
        return action, (), yaml_diff.whole(one or other, sign)
    found = sorted(value_diff.differences(one, other), key=lambda difference: difference.order)
    edits = tuple(Edit(d.path, d.before, d.after) for d in found)
    return (Action.CHANGED, edits, yaml_diff.differing(found)) if found else None


def _objects(cluster: Cluster) -> dict[ObjectKey, Manifest]:
    names = normalization.generated_names(manifests(cluster))
    placed = [(u.name, False, m) for u in cluster.sync.units for m in u.objects]
    placed += [(str(i.release), True, dict(i.manifest)) for i in cluster.rendered()]
    found: dict[ObjectKey, Manifest] = {}
    for unit, release, manifest in placed:
        metadata = manifest["metadata"]
        name = names.get(metadata["name"], metadata["name"])
        namespace = str(metadata.get("namespace") or "")
        key = ObjectKey(unit, release, group(manifest), str(manifest["kind"]), namespace, name)
        found[key] = manifest
    return found


def manifests(cluster: Cluster) -> Iterator[Manifest]:
    """Yield every object of a cluster, those of releases included."""
    yield from cluster.sync.objects()
    for item in cluster.rendered():
        yield item.manifest
