"""Lists that another list replaces: whoever adds one item loses those that were there.

kustomize merges a patch's list into a custom resource by replacing it, as it knows no key of its
items (https://github.com/kubernetes-sigs/kustomize/issues/2734), and Helm does so with values.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.checks import unused_values
from scripts.core.yamlfile import Json, get, leaves, line_of, load_once
from scripts.diff import value_diff
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model.manifests import ClusterSync, Release, Repository, is_engine_object

TOPIC = "Lists"
OVERLAYS, BASE = "overlays/", "base/"
# From which share of equal characters, or of equal values, an item is another state of one that is
# gone, and nothing is lost.
ALIKE = 0.6
# Characters of an item that nothing tells from the others.
SHOWN = 60
Keys = tuple[str, ...]


@dataclass(frozen=True)
class _Written:
    """An object as one file writes it, or what a patch in a kustomization says of it.

    Attributes:
        path: The file.
        text: Its text.
        content: The object; None of a patch in JSON.
        at: Where in the file it begins: the document's number, and keys.
        pointers: What a patch in JSON sets or removes.
    """

    path: str
    text: str
    content: Json
    at: tuple[int, Keys]
    pointers: tuple[Keys, ...] = ()

    def place(self, keys: Keys) -> str:
        """Return `file:line` of a key."""
        document, way = self.at
        line = line_of(self.text, *way, *(() if way else keys), document=document)
        return f"{self.path}:{line}"

    def replaces(self, keys: Keys) -> bool:
        """Say whether it sets a list, or removes it, or a map that holds it."""
        if any(keys[: len(pointer)] == pointer for pointer in self.pointers):
            return True
        at = self.content
        for key in keys:
            if not isinstance(at, dict):
                return at is None and self.content is not None
            if at.get("$patch") in {"delete", "replace"}:
                return True
            if key not in at:
                return False
            at = at[key]
        return True


def analyze(pair: ClusterPair) -> Analysis:
    """Find items that a cluster loses although the base, or the chart, still has them."""
    known = {release.name: release for release in pair.releases[0]}
    rendered = {release.name for release in pair.after.sync.releases}
    for after in pair.releases[1]:
        before = known.get(after.name)
        if before and before.values != after.values:
            # Under Argo CD, too, values are written in the HelmRelease.
            named, states = ("HelmRelease", after.owner[1]), (before.values, after.values)
            yield from _overlaid(pair, named, states, ("spec", "values"), f"release {after.name}")
            if after.name in rendered:
                yield from _of_chart(pair, before, after)
    for key, old, new in pair.changed:
        if not key.release and not is_engine_object(new):
            yield from _overlaid(pair, (key.kind, key.name), (old, new), (), str(key))


def _overlaid(
    pair: ClusterPair, named: tuple[str, str], states: tuple[Json, Json], root: Keys, what: str
) -> Analysis:
    """Find what an overlay's lists take from those of the base.

    Args:
        pair: The cluster.
        named: Kind and name of the object that is written.
        states: What the cluster gets of it before and after.
        root: Where in the object this is.
        what: The object, as a flag names it.
    """
    written = list(_written(pair.after.repository, pair.after.sync, *named))
    before, after = states
    seen: set[Keys] = set()
    for base in (one for one in written if one.path.startswith(BASE)):
        for keys, items in _lists(get(base.content, *root)):
            own = (*root, *keys)
            over = [o for o in written if o.path.startswith(OVERLAYS) and o.replaces(own)]
            if not over or keys in seen:
                continue
            if gone := lost(items, get(before, *keys), get(after, *keys), keys[-1]):
                seen.add(keys)
                verb = "replaces" if isinstance(get(after, *keys), list) else "removes"
                yield Flag(
                    Danger.LIST_REPLACED,
                    f"{what}, {'.'.join(keys)}",
                    f"{over[0].place(own)} {verb} the list of {base.place(own)}: lost: "
                    f"{', '.join(gone)}.",
                    "A patch's list is not merged: repeat in it what is to stay.",
                )


def _of_chart(pair: ClusterPair, before: Release, after: Release) -> Analysis:
    """Say what a new list of the values takes from the chart's.

    No flag: many lists of charts are examples, there to be replaced.
    """
    for chart, content in unused_values.values(after).items():
        root = (chart,) if chart else ()
        for keys, items in _lists(content):
            own = (*root, *keys)
            new = get(after.values, *own)
            if get(before.values, *own) is not None or not isinstance(new, list):
                continue
            if gone := lost(items, items, new, keys[-1]):
                written = "HelmRelease", after.owner[1], "spec", "values", *own
                path, line = pair.after.repository.where(*written, sync=pair.after.sync)
                text = f"release {after.name}, {'.'.join(own)}: {path}:{line} replaces the chart's"
                yield Sentence(TOPIC, f"{text} list: lost: {', '.join(gone)}")


def lost(items: Sequence[Json], before: Json, after: Json, name: str) -> list[str]:
    """Return which items a list loses that another one still has.

    What is only written otherwise, or at another place, is not lost.

    Args:
        items: The list that still has them.
        before: The list that the cluster had; anything else has no items.
        after: The list that it gets, likewise.
        name: The lists' key, by which their items are told apart.
    """
    old, new = (value if isinstance(value, list) else [] for value in (before, after))
    lists = [list(items), old, new]
    identities = value_diff.identify(name, *lists)
    known, had, has = identities or lists
    # Without an identity, a new item may be an old one that is written otherwise.
    gained = [] if identities else [one for one in new if one not in old]
    result: list[str] = []
    for one, item in zip(known, items, strict=True):
        if one in has:
            was = old[had.index(one)] if one in had else None
            result += _within(item, was, new[has.index(one)])
        elif one in had and not _taken(item, gained):
            result.append(_shown(one))
    return result


def _within(item: Json, before: Json, after: Json) -> Iterator[str]:
    """Yield what the lists of an item that is kept lose."""
    for keys, items in _lists(item):
        yield from lost(items, get(before, *keys), get(after, *keys), keys[-1])


def _taken(item: Json, gained: list[Json]) -> bool:
    """Say whether an item is only written otherwise; it is then one of the new ones no more."""
    best = max(gained, key=lambda other: _likeness(item, other), default=None)
    if best is None or _likeness(item, best) < ALIKE:
        return False
    gained.remove(best)
    return True


def _likeness(item: Json, other: Json) -> float:
    """Return how alike two items are, from 0 to 1."""
    if isinstance(item, dict) and isinstance(other, dict):
        one, two = (dict(leaves(value)) for value in (item, other))
        equal = sum(key in two and two[key] == value for key, value in one.items())
        return float(equal / max(len(one), len(two), 1))
    return difflib.SequenceMatcher(None, str(item), str(other), autojunk=False).ratio()


def _shown(item: object) -> str:
    text = re.sub(r"\s+", " ", str(item)).strip("[]")
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _lists(value: Json, *keys: str) -> Iterator[tuple[Keys, list[Json]]]:
    """Yield every list with items that is in no other list, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lists(item, *keys, str(key))
    elif isinstance(value, list) and value and keys:
        yield keys, value


def _written(repository: Repository, sync: ClusterSync, kind: str, name: str) -> Iterator[_Written]:
    """Yield an object as each file that a cluster reads writes it, the overlay's first."""
    for path in sorted(repository.files(sync), key=lambda one: (one.startswith(BASE), one)):
        if not path.endswith(".yaml") or not path.startswith((OVERLAYS, BASE)):
            continue
        text = (repository.root / path).read_text(encoding="utf-8")
        patched = path.startswith(OVERLAYS) and path.endswith("/kustomization.yaml")
        for number, content in enumerate(load_once(text, path) if patched or name in text else ()):
            if patched:
                for index, patch in enumerate(content.get("patches") or ()):
                    own = _Written(path, text, None, (number, ("patches", str(index))))
                    yield from _patch(repository, own, patch, (kind, name))
            elif _is(content, kind, name):
                yield _Written(path, text, content, (number, ()))


def _patch(
    repository: Repository, here: _Written, patch: Mapping[str, Json], named: tuple[str, str]
) -> Iterator[_Written]:
    """Yield what an item of a kustomization's `patches` says of an object.

    Args:
        repository: Where its file is, if it has one.
        here: Where the kustomization has the item.
        patch: The item.
        named: Kind and name of the object.
    """
    target = patch.get("target") or {}
    aimed = bool(target) and all(
        re.fullmatch(str(target[key]), value)
        for key, value in zip(("kind", "name"), named, strict=True)
        if key in target
    )
    text = str(patch.get("patch") or "")
    if "path" in patch:
        file = (repository.root / here.path).parent / str(patch["path"])
        path = os.path.relpath(file, repository.root)
        if not aimed or path.startswith("..") or not file.is_file():
            return  # Without a target, the file names its object.
        text = file.read_text(encoding="utf-8")
        here = _Written(path, text, None, (0, ()))
    for number, content in enumerate(load_once(text, here.path)):
        at = here.at if here.at[1] else (number, ())
        if isinstance(content, list):
            pointers = tuple(_pointer(str(one.get("path"))) for one in content) if aimed else ()
            yield dataclasses.replace(here, at=at, pointers=pointers)
        elif aimed or _is(content, *named):
            yield dataclasses.replace(here, at=at, content=content)


def _pointer(path: str) -> Keys:
    keys = path.strip("/").split("/")
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in keys)


def _is(content: Json, kind: str, name: str) -> bool:
    found = get(content, "kind"), get(content, "metadata", "name")
    return found == (kind, name)
