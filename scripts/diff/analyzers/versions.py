"""Charts that move: from where, the notes to read, and values that the new version ignores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from scripts.checks import unused_values
from scripts.core.quantities import major_version
from scripts.diff.analyzers import image_versions
from scripts.diff.analyzers.image_versions import ImageMove
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Bump, Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model import charts
from scripts.model.manifests import Release

# Where charts say what to do on the way to a new version: a file of their own, or a link to it.
UPGRADE = re.compile(r"https://[^\s)]+(?:UPGRADE\.md|#upgrading[\w-]*)")
NOTES = ("README.md", "UPGRADE.md", "UPGRADING.md")
# A heading of such a file, without a link behind it, and the version that it leads to.
_HEADING = re.compile(
    r"^#+ *((?:upgrad\w+ +)?(?:from\b.*?\bto|to)\b *(v?\d+(?:\.[\dx]+)*)\b.*?) *(?:\(?\[.*)?$",
    re.MULTILINE | re.IGNORECASE,
)


def bumps(pairs: Iterable[ClusterPair]) -> list[Bump]:
    """Return each chart that is new, gone, or of another version, with where."""
    places: dict[tuple[str, ...], list[str]] = {}
    for pair in pairs:
        old, new = ({r.name: r for r in releases} for releases in pair.releases)
        for name in {*old, *new}:
            before, after = old.get(name), new.get(name)
            versions = tuple(one.version if one else "" for one in (before, after))
            chart = next(release.chart for release in (after, before) if release)
            if versions[0] != versions[1]:
                applications = (_application(one) if one else "" for one in (before, after))
                moved = (name, chart, *versions, *applications)
                places.setdefault(moved, []).append(pair.name)
    return [Bump(tuple(sorted(where)), *bump) for bump, where in sorted(places.items())]


def analyze(pair: ClusterPair) -> Analysis:
    """Find other sources, major versions, and values that only the version before reads."""
    known = {release.name: release for release in pair.releases[0]}
    rendered = {release.name for release in pair.after.sync.releases}
    moves: dict[str, list[ImageMove]] = {}
    for move in image_versions.moves(pair):
        owner = move.item.release
        moves.setdefault(f"release {owner}" if owner else str(move.item), []).append(move)
    for after in pair.releases[1]:
        before = known.get(after.name)
        if before is None:
            continue
        if (source := _source(after)) != _source(before):
            why = f"{_source(before)} → {source}: who writes there decides what runs here."
            fix = "Be sure that it is the chart's own place, or a mirror of yours."
            yield Flag(Danger.CHART_SOURCE, f"release {after.name}", why, fix)
        yield from _major(pair, before, after, moves.pop(f"release {after.name}", []))
        if before.version == after.version:
            continue
        if after.name in rendered:
            yield from (
                Flag(
                    Danger.DEAD_VALUE,
                    f"release {after.name}, {'.'.join(keys)}",
                    f"{after.chart} {after.version} does not read it: what it set is the default.",
                    "Find its new name in the chart's values, or take it out.",
                )
                for keys in _dead_values(before, unused_values.Variant(pair.after.sync, after))
            )
    for where, own in moves.items():
        what, links = listed(dict.fromkeys(map(str, own))), image_versions.pages(pair, own, None)
        why, fix = f"{what}: {image_versions.risk(own)}.", _read(links, what)
        yield Flag(Danger.MAJOR_VERSION, where, why, fix)


def _source(release: Release) -> str:
    return f"{release.repository.rstrip('/')}/{release.chart}"


def _application(release: Release) -> str:
    return str(charts.metadata(release).get("appVersion") or "")


def _major(
    pair: ClusterPair, before: Release, after: Release, moves: Sequence[ImageMove]
) -> Iterator[Flag]:
    """Flag a chart's major version, or that of images within it: one flag says both."""
    chart = f"{after.chart} {before.version} → {after.version}"
    major = major_version(before.version) != major_version(after.version)
    if not (major or moves):
        return
    what = listed(dict.fromkeys(map(str, moves)))
    if major and moves:
        what = f"{chart}, and with it {what}"
    elif major:
        what = chart
    elif before.version != after.version:
        what = f"{what} within {chart}"
    why = f"{what}: {image_versions.risk(moves, major=major)}."
    places = [notes(before, after)] if major else []
    places += image_versions.pages(pair, moves, after)
    yield Flag(Danger.MAJOR_VERSION, f"release {after.name}", why, _read(places, what))


def _read(places: Sequence[str], what: str) -> str:
    return f"Read {' and '.join(places) or f'the notes of {what}'}."


def notes(before: Release, after: Release) -> str:
    """Return where the notes are for all major versions from one to another of a chart."""
    texts = charts.texts(after, "|".join((*NOTES, charts.METADATA)))
    old, new = (major_version(one.version) or () for one in (before, after))
    steps = []
    for name in NOTES:
        found = {
            numbers: heading[1]
            for heading in reversed(list(_HEADING.finditer(texts.get(name, ""))))
            if old < (numbers := major_version(heading[2]) or ()) <= new
        }
        if found:
            headings = ", ".join(f"“{found[numbers]}”" for numbers in sorted(found))
            steps.append(f"{headings} in the chart's {name}")
    if steps:
        return " and ".join(steps)
    link = next((match[0] for text in texts.values() for match in UPGRADE.finditer(text)), "")
    place = link or f"the notes of {after.chart} at {after.repository}"
    several = old and new and new[0] - old[0] > 1
    return f"{place}, of each major version after {old[0]}" if several else place


def _dead_values(before: Release, variant: unused_values.Variant) -> Iterator[unused_values.Keys]:
    """Yield keys that the old chart's values list and the new one's do not, and that do nothing.

    To take out every key, as `make test` does, takes minutes.
    """
    after = variant.release
    for keys, _ in unused_values.paths(after.values):
        if _known_depth(before, keys) > _known_depth(after, keys) and not variant.changes(keys):
            yield keys
    variant.save()


def _known_depth(release: Release, keys: unused_values.Keys) -> int:
    """How many of the keys the chart's values, or those of the sub-chart that is named, list."""
    files = unused_values.values(release)
    roads = ((files.get("", {}), keys, 0), (files.get(keys[0], {}), keys[1:], 1))
    deepest = 0
    for values, rest, depth in roads:
        at = values
        for key in rest:
            if not isinstance(at, dict) or key not in at:
                break
            at, depth = at[key], depth + 1
            deepest = max(deepest, depth)
    return deepest
