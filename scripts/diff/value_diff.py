"""What differs between two values: maps by key, list items by identity, texts by what they hold.

dyff (github.com/homeport/dyff, v1.12.0) compares maps and lists much like this, but says it in
texts for people only, from which nothing below could be made, and takes a dashboard or a
configuration in a ConfigMap for one long string.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json, get, load_all
from scripts.diff.model import ABSENT

# Keys that tell the items of a list apart, the best first; of two with a bar between them, either.
IDENTITIES: tuple[tuple[str, ...], ...] = (
    ("mountPath",),
    ("alert|record",),
    ("alert|record", "labels.severity"),
    ("title",),
    ("name",),
    ("refId",),
    ("containerPort",),
    ("port", "path"),
    ("port",),
    ("key", "operator"),
    ("group", "kind"),
    ("server", "namespace"),
    ("groupVersionKind.kind",),
    ("matcher.id", "matcher.options"),
    ("from",),
    ("id",),
)
# Of those, the ones that several items may share; then they are numbered.
SHARED: tuple[tuple[str, ...], ...] = (("alert|record",), ("title",))
# Lists whose order means nothing, of texts or of maps without an identity.
SETS = frozenset(
    {
        "accessModes",
        "add",
        "apiGroups",
        "drop",
        "egress",
        "equal",
        "finalizers",
        "from",
        "hosts",
        "ingress",
        "matchExpressions",
        "matchNames",
        "namespaces",
        "nonResourceURLs",
        "policyTypes",
        "resourceNames",
        "resources",
        "rules",
        "sourceRepos",
        "static",
        "syncOptions",
        "targets",
        "to",
        "tolerations",
        "values",
        "verbs",
    }
)
# Lists with an identity whose order counts all the same.
ORDERED = frozenset({"initContainers"})
# Lines of context around those that differ.
CONTEXT = 2
_PLAIN = re.compile(r"[\w-]+")
_FLAG = re.compile(r"--?[^=]+(=.*)?", re.DOTALL)


class ListItem(NamedTuple):
    """An item of a list, by its identity: the keys that tell it from the others."""

    keys: tuple[tuple[str, Json], ...]

    def __str__(self) -> str:
        """Return it as a part of a path: `[name=grafana]`."""
        return f"[{','.join(f'{key}={value}' if key else str(value) for key, value in self.keys)}]"


class TextLines(NamedTuple):
    """Lines of a text, by the number of the first, with the lines around them that stay."""

    number: int
    above: tuple[str, ...]
    below: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as a part of a path: `[line 12]`."""
        return f"[line {self.number}]"


# A key of a map, or what stands for an item of a list or lines of a text.
PathStep = str | ListItem | TextLines


class Difference(NamedTuple):
    """One value that differs: the path to it, and both values; ABSENT where there is none."""

    steps: tuple[PathStep, ...]
    before: Json
    after: Json

    @property
    def order(self) -> tuple[str, ...]:
        """What to sort by, so that what is below one key stays together, and lines in order."""
        return tuple(f"{s.number:09}" if isinstance(s, TextLines) else str(s) for s in self.steps)

    @property
    def path(self) -> str:
        """The way in one line: `spec.containers[name=grafana].image`."""
        text = ""
        for step in self.steps:
            if not isinstance(step, str):
                text += str(step)
            elif _PLAIN.fullmatch(step):
                text += f".{step}" if text else step
            else:
                text += f"[{step}]"
        return text


def differences(before: Json, after: Json, *steps: PathStep) -> Iterator[Difference]:
    """Yield what differs, maps in the order of their keys."""
    if before == after and type(before) is type(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}, key=str):
            one, other = before.get(key, ABSENT), after.get(key, ABSENT)
            # A panel's place on the grid is one thing: a panel more moves all that are below.
            if key == "gridPos" and one != other:
                yield Difference((*steps, key), one, other)
            else:
                yield from differences(one, other, *steps, str(key))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, *steps)
    elif isinstance(before, str) and isinstance(after, str):
        yield from _texts(before, after, *steps)
    else:
        yield Difference(steps, before, after)


def _lists(before: list[Json], after: list[Json], *steps: PathStep) -> Iterator[Difference]:
    name = str(steps[-1]) if steps else ""
    keys = identify(name, before, after)
    if keys is None:
        found = _unordered(before, after) if name in SETS else _sequence(before, after)
        for step, one, other in found:
            yield from differences(one, other, *steps, step)
        return
    old, new = (
        dict(zip(own, items, strict=True)) for own, items in zip(keys, (before, after), strict=True)
    )
    for key in dict.fromkeys((*old, *new)):
        yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), *steps, key)
    kept = [[str(key) for key in order if key in old and key in new] for order in (old, new)]
    if name in ORDERED and kept[0] != kept[1]:
        yield Difference((*steps, "order"), *kept)


def identify(name: str, *lists: list[Json]) -> list[list[ListItem]] | None:
    """Tell the items of lists apart; None where nothing does.

    Args:
        name: The key that the lists are under.
        lists: The lists; an item is known in all of them by the same keys.

    Returns:
        The identity of each item of each list.
    """
    every = list(itertools.chain.from_iterable(lists))
    if all(isinstance(item, dict) for item in every):
        for fields in IDENTITIES:
            found = _split(_members(every, fields), lists)
            if found and not any(map(_repeated, found)):
                return found
        for fields in SHARED:
            if found := _split(_members(every, fields), lists):
                return [_numbered(own) for own in found]
    elif name == "args" and all(_FLAG.fullmatch(str(item)) for item in every):
        named = [[_argument_name(item) for item in items] for items in lists]
        if not any(map(_repeated, named)):
            return named
    return None


def _split(members: list[ListItem], lists: Iterable[list[Json]]) -> list[list[ListItem]]:
    """Return the identities of each list; nothing where there are none."""
    rest = iter(members)
    return [list(itertools.islice(rest, len(items))) for items in lists] if members else []


def _members(items: Sequence[Mapping[str, Json]], fields: tuple[str, ...]) -> list[ListItem]:
    """Return the identity of each item; nothing where one has none."""
    found = [member for item in items if (member := _member(item, fields))]
    return found if len(found) == len(items) else []


def _repeated(members: Sequence[ListItem]) -> bool:
    return len(set(members)) < len(members)


def _member(item: Mapping[str, Json], fields: tuple[str, ...]) -> ListItem | None:
    found: list[tuple[str, Json]] = []
    for number, field in enumerate(fields):
        either = [key for key in field.split("|") if get(item, *key.split(".")) is not None]
        value = get(item, *either[0].split(".")) if either else None
        if isinstance(value, dict | list) or (value is None and number == 0):
            return None
        if either:
            found.append((either[0].rpartition(".")[2], value))
    return ListItem(tuple(found))


def _argument_name(argument: str) -> ListItem:
    return ListItem((("", argument.partition("=")[0]),))


def _numbered(members: list[ListItem]) -> list[ListItem]:
    seen: Counter[ListItem] = Counter()
    result = []
    for member in members:
        seen[member] += 1
        more = (("number", seen[member]),) if seen[member] > 1 else ()
        result.append(ListItem((*member.keys, *more)))
    return result


def _unordered(before: list[Json], after: list[Json]) -> Iterator[tuple[PathStep, Json, Json]]:
    """Pair what is left of two lists without the items that both have."""
    common = Counter(map(_canonical, before)) & Counter(map(_canonical, after))
    removed, added = (_without_common(items, common) for items in (before, after))
    if not any(isinstance(item, dict | list) for item in (*removed, *added)):
        yield from ((ListItem((("", item),)), item, ABSENT) for item in removed)
        yield from ((ListItem((("", item),)), ABSENT, item) for item in added)
        return
    for one, other in itertools.zip_longest(removed, added, fillvalue=ABSENT):
        where = before if other is ABSENT else after
        item = one if other is ABSENT else other
        index = next(index for index, known in enumerate(where) if known is item)
        yield ListItem((("", index),)), one, other


def _without_common(items: list[Json], common: Counter[str]) -> list[Json]:
    left, rest = Counter(common), []
    for item in items:
        if left[_canonical(item)]:
            left[_canonical(item)] -= 1
        else:
            rest.append(item)
    return rest


def _sequence(before: list[Json], after: list[Json]) -> Iterator[tuple[PathStep, Json, Json]]:
    """Align two lists: what is equal stays, and what stands between is paired in order."""
    texts = [[_canonical(item) for item in items] for items in (before, after)]
    matcher = difflib.SequenceMatcher(None, texts[0], texts[1], autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        for offset in range(max(end - start, new_end - new_start)):
            old = before[start + offset] if start + offset < end else ABSENT
            new = after[new_start + offset] if new_start + offset < new_end else ABSENT
            index = start + offset if new is ABSENT else new_start + offset
            yield ListItem((("", index),)), old, new


def _texts(before: str, after: str, *steps: PathStep) -> Iterator[Difference]:
    held = _parsed(before, after)
    if held is not None:
        yield from differences(*held, *steps)
    elif "\n" in before.strip() and "\n" in after.strip():
        yield from _lines(before.splitlines(), after.splitlines(), *steps)
    else:
        yield Difference(steps, before, after)


def _parsed(before: str, after: str) -> tuple[Json, Json] | None:
    """Return the maps or lists that both texts are, in JSON or YAML; None for other texts."""
    parsed = []
    for text in (before, after):
        if text.lstrip()[:1] in {"{", "["}:
            try:
                parsed.append(json.loads(text))
                continue
            except ValueError:
                pass
        if "\n" not in text.strip():
            return None
        try:
            documents = load_all(text, "")
        except (RepositoryError, ValueError):
            return None
        parsed.append(documents[0] if len(documents) == 1 else documents)
    one, other = parsed
    return (one, other) if type(one) is type(other) and isinstance(one, dict | list) else None


def _lines(before: list[str], after: list[str], *steps: PathStep) -> Iterator[Difference]:
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag != "equal":
            above = tuple(after[max(new_start - CONTEXT, 0) : new_start])
            step = TextLines(new_start + 1, above, tuple(after[new_end : new_end + CONTEXT]))
            old, new = before[start:end], after[new_start:new_end]
            yield Difference(
                (*steps, step),
                "\n".join(old) if old else ABSENT,
                "\n".join(new) if new else ABSENT,
            )


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, default=str)
