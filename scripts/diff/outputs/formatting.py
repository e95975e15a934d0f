"""What every output says alike: who and where, how many, and values in words."""

from __future__ import annotations

import difflib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from scripts.core.findings import counted
from scripts.core.yamlfile import Json
from scripts.diff.model import ABSENT, Absent, Action, Amount, Bump, Change, Edit, Picture, Report

# What stands where there is nothing.
NONE = "none"
NOTHING = "Nothing changes in any cluster."
WHOLE = "`make diff DIFF=--output=build/diff` writes all of it."
SIGNS = {Action.ADDED: "+", Action.CHANGED: "~", Action.REMOVED: "-"}
# Of the table of objects, so that the summary stays on one screen.
ROWS = 12
# Where each kind that declares a release says what it is made of.
DECLARED = {
    "Application": ("spec.source.helm.valuesObject.", "spec.source.targetRevision"),
    "HelmRelease": ("spec.values.", "spec.chart."),
    "OCIRepository": ("spec.ref.",),
}
# Characters of what two long values have in common that are kept before they differ.
BEFORE = 20


class ObjectCounts(NamedTuple):
    """How many objects of one release or unit differ, in the clusters where it is as many.

    Attributes:
        unit: The release or unit.
        release: Whether it is a release.
        places: The clusters.
        counts: How many objects, by what became of them.
    """

    unit: str
    release: bool
    places: tuple[str, ...]
    counts: Counter[Action]

    @property
    def owner(self) -> str:
        """The release or unit as `owner` says it."""
        return _owner(self.unit, self.release)

    @property
    def where(self) -> str:
        """The clusters as `places` says them."""
        return places(self.places)


def empty(report: Report) -> bool:
    """Say whether a report has nothing in it."""
    return report == Report(report.base, report.head)


def block(text: str) -> str:
    """Return text of several lines in which nothing hides or moves what is shown.

    What is not printable (terminal sequences, letters without width, marks that turn the direction
    of writing) is written as its escape.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)


def line(text: str) -> str:
    """Return text as `block` does, on one line."""
    return "".join(map(_escaped, block(text))) if "\n" in text or "\t" in text else block(text)


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def places(names: Iterable[str]) -> str:
    """Return clusters with their engines: `local, oke-free (argocd, flux); options (flux)`."""
    engines: dict[str, list[str]] = {}
    for name in names:
        cluster, _, engine = name.partition("/")
        engines.setdefault(cluster, []).append(engine)
    alike: dict[str, list[str]] = {}
    for cluster, own in engines.items():
        alike.setdefault(", ".join(filter(None, own)), []).append(cluster)
    return line(
        "; ".join(
            ", ".join(clusters) + (f" ({own})" if own else "") for own, clusters in alike.items()
        )
    )


def owner(change: Change) -> str:
    """Return what brings an object: `release grafana`, or the unit's name."""
    return _owner(change.unit, change.release)


def _owner(unit: str, release: bool) -> str:
    return line(f"release {unit}" if release else unit)


def title(change: Change) -> str:
    """Return `Kind namespace/name`, as findings name an object."""
    namespace = f"{change.namespace}/" if change.namespace else ""
    return line(f"{change.kind} {namespace}{change.name}")


def signed(change: Change) -> str:
    """Return an object's title after the sign of what became of it."""
    return f"{SIGNS[change.action]} {title(change)}"


def groups(changes: Iterable[Change]) -> Iterator[tuple[str, str, list[Change]]]:
    """Yield what one release or unit changes in the same clusters: owner, clusters, changes."""
    alike = itertools.groupby(changes, lambda change: (owner(change), places(change.places)))
    for (name, where), own in alike:
        yield name, where, list(own)


def declaring(changes: Sequence[Change]) -> list[bool]:
    """Say of each change whether it only declares what the changes of its release's objects show.

    The same edit would count three times: in the HelmRelease, in the Application, and in the
    object that it was made for.
    """
    becoming: dict[str, set[str]] = {}
    for change in changes:
        if change.release:
            becoming.setdefault(change.unit, set()).update(change.places)
    return [
        not change.release
        and bool(change.edits)
        and becoming.get(change.name, set()).issuperset(change.places)
        and all(edit.path.startswith(DECLARED.get(change.kind, ())) for edit in change.edits)
        for change in changes
    ]


def counted_changes(changes: Sequence[Change]) -> list[Change]:
    """Return the changes without those that only declare what others show."""
    pairs = zip(changes, declaring(changes), strict=True)
    return [change for change, declares in pairs if not declares]


def headline(report: Report) -> list[str]:
    """Return how much there is of everything."""
    changes = counted_changes(report.changes)
    counts = Counter(change.action for change in changes)
    actions = ", ".join(f"{counts[action]} {action}" for action in Action if counts[action])
    parts = ["No object differs"]
    if changes:
        differ = "differs" if len(changes) == 1 else "differ"
        parts = [f"{counted(len(changes), 'object')} {differ}: {actions}"]
    if more := len(report.changes) - len(changes):
        parts.append(f"{more} more {'declares' if more == 1 else 'declare'} it")
    if report.bumps:
        parts.append(counted(len(report.bumps), "chart version"))
    if report.flags:
        parts.append(counted(len(report.flags), "flag"))
    if over := sum(amount.over for amount in report.amounts):
        parts.append(f"{over} over budget")
    if report.faults:
        parts.append(f"{len(report.faults)} not compared")
    return parts


def counts(report: Report) -> list[ObjectCounts]:
    """Return how many objects of each release and unit differ, without those that only declare.

    Clusters in which as many differ share a row.
    """
    found: dict[tuple[str, str, bool, str], Counter[Action]] = {}
    for change in counted_changes(report.changes):
        for place in change.places:
            key = (owner(change), change.unit, change.release, place)
            found.setdefault(key, Counter())[change.action] += 1
    alike: dict[tuple[str, bool, tuple[int, ...]], list[str]] = {}
    for (_, unit, release, place), own in sorted(found.items()):
        numbers = tuple(own[action] for action in Action)
        alike.setdefault((unit, release, numbers), []).append(place)
    return [
        ObjectCounts(unit, release, tuple(where), Counter(dict(zip(Action, numbers, strict=True))))
        for (unit, release, numbers), where in alike.items()
    ]


def rows(report: Report) -> tuple[list[ObjectCounts], int]:
    """Return the rows of `counts` in which the most differ, and how many are left out."""
    table = counts(report)
    most = sorted(range(len(table)), key=lambda at: -table[at].counts.total())[:ROWS]
    return [table[at] for at in sorted(most)], len(table) - len(most)


def bump_cells(bump: Bump) -> tuple[str, str]:
    """Return a chart's versions before and after, each with that of its application."""
    before = chart_version(bump.before, bump.application_before)
    return before, chart_version(bump.after, bump.application_after)


def chart_version(version: str | None, application: str | None) -> str:
    """Return a chart's version with that of its application, as far as there are any."""
    text = line(version or NONE)
    return f"{text} (application {line(application)})" if application else text


def changed_amounts(amounts: Iterable[Amount]) -> list[Amount]:
    """Return the budgets' lines that differ, their limits too, or are above them."""
    return [amount for amount in amounts if not _same(amount)]


def unchanged_amounts(amounts: Iterable[Amount]) -> str:
    """Return the budgets' other lines in words: `oke-free: volumes 100Gi of 100Gi, images 14`."""
    clusters: dict[str, list[str]] = {}
    for amount in amounts:
        if _same(amount):
            most = limit(amount)
            text = f"{amount.resource} {amount.after}{f' of {most}' if most else ''}"
            clusters.setdefault(amount.cluster, []).append(text)
    return line("; ".join(f"{name}: {', '.join(own)}" for name, own in clusters.items()))


def _same(amount: Amount) -> bool:
    return not (amount.over or amount.former or amount.before != amount.after)


def amount_cells(amount: Amount) -> tuple[str, str, str, str, str]:
    """Return a budget's line: cluster, resource, before, after, limit."""
    cells = (amount.cluster, amount.resource, amount.before or NONE, amount.after or NONE)
    cluster, resource, before, after = map(line, cells)
    return cluster, resource, before, after, limit(amount)


def limit(amount: Amount) -> str:
    """Return a budget's limit, and what it was before if that is another; empty without."""
    after = line(amount.limit)
    return f"{line(amount.former)} → {after or NONE}" if amount.former else after


def topics(report: Report) -> dict[str, list[tuple[str, str]]]:
    """Return each topic's sentences, with their clusters."""
    found: dict[str, list[tuple[str, str]]] = {}
    for sentence in report.sentences:
        own = found.setdefault(line(sentence.topic), [])
        own.append((line(sentence.text), places(sentence.places)))
    return found


def undrawn(found: Iterable[Picture]) -> str:
    """Return what to do for the pictures that are not drawn; empty where all are."""
    names = [one.dashboard for one in found if None in (one.before, one.after)]
    if not names:
        return ""
    how = "`make pictures`, given the same BASE, draws them or says why not."
    return f"Not drawn: {', '.join(names)}. {how}"


def placeholder(picture: Absent | None) -> str:
    """Return what stands in the place of a picture that is not there."""
    return NONE if picture is ABSENT else "not drawn"


def value(content: Json) -> str:
    """Return a value on one line; a string has quotes where its type or its ends do not show."""
    if not isinstance(content, str) or _scalar(content):
        return line(json.dumps(content, ensure_ascii=False, default=str))
    return line(content if content == content.strip() else f'"{content}"')


def _scalar(text: str) -> bool:
    try:
        return not isinstance(json.loads(text or "0"), dict | list)
    except ValueError:
        return False


def edit(one: Edit, width: int) -> list[str]:
    """Return an edit as lines: `path: old → new`, what does not fit below the path.

    Of long values, what both begin with is left out; of values with several lines, the lines that
    do not differ.

    Args:
        one: The edit.
        width: Columns.
    """
    path = line(one.path)
    if _several_lines(one):
        return [f"{path}:", *_differing(one)]
    if one.before is ABSENT or one.after is ABSENT:
        verb, content = ("added", one.after) if one.before is ABSENT else ("removed", one.before)
        return _wrapped(f"{path}:", f"{verb} {clip(value(content), width - len(verb) - 3)}", width)
    before, after = value(one.before), value(one.after)
    room = (width - len("   → ")) // 2
    pairs = enumerate(itertools.zip_longest(before, after))
    start = next((at for at, (old, new) in pairs if old != new), 0) - BEFORE
    if max(len(before), len(after)) > room and start > 0:
        before, after = f"…{before[start:]}", f"…{after[start:]}"
    return _wrapped(f"{path}:", f"{clip(before, room)} → {clip(after, room)}", width)


def _wrapped(path: str, text: str, width: int) -> list[str]:
    together = f"{path} {text}"
    return [together] if len(together) <= width else [path, f"    {text}"]


def _several_lines(one: Edit) -> bool:
    return any(isinstance(content, str) and "\n" in content for content in (one.before, one.after))


def _differing(one: Edit) -> list[str]:
    """Return the lines that differ after `-` and `+`, others after a space, as a diff has them."""
    before, after = map(_lines, (one.before, one.after))
    compared = list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]
    return [" ⋯" if text.startswith("@@") else text for text in compared]


def _lines(content: Json | Absent) -> list[str]:
    if content is ABSENT:
        return []
    return block(content if isinstance(content, str) else value(content)).splitlines()


def clip(text: str, width: int) -> str:
    """Return text of at most so many characters; a cut shows."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
