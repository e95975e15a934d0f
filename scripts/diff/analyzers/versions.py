"""Charts that move: from where, the notes to read, and values that the new version ignores."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator

from scripts.checks import unused_values
from scripts.core.findings import RepositoryError
from scripts.diff.model import Analysis, Bump, Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model import charts
from scripts.model.manifests import Release

# Where charts say what to do on the way to a new version: a file of their own, or a link to it.
UPGRADE = re.compile(r"https://[^\s)]+(?:UPGRADE\.md|#upgrading[\w-]*)")
_NUMBER = re.compile(r"v?(\d+)")


def bumps(pairs: Iterable[ClusterPair]) -> list[Bump]:
    """Return each chart that is new, gone, or of another version, with where."""
    places: dict[tuple[str, str, str, str], list[str]] = {}
    for pair in pairs:
        old, new = ({r.name: r for r in releases} for releases in pair.releases)
        for name in {*old, *new}:
            before, after = old.get(name), new.get(name)
            versions = tuple(one.version if one else "" for one in (before, after))
            chart = next(release.chart for release in (after, before) if release)
            if versions[0] != versions[1]:
                places.setdefault((name, chart, versions[0], versions[1]), []).append(pair.name)
    return [Bump(tuple(sorted(where)), *bump) for bump, where in sorted(places.items())]


def analyze(pair: ClusterPair) -> Analysis:
    """Find other sources, major versions, and values that only the version before reads."""
    known = {release.name: release for release in pair.releases[0]}
    rendered = {release.name for release in pair.after.sync.releases}
    for after in pair.releases[1]:
        before = known.get(after.name)
        if before is None:
            continue
        if (source := _source(after)) != _source(before):
            why = f"{_source(before)} → {source}: who writes there decides what runs here."
            fix = "Be sure that it is the chart's own place, or a mirror of yours."
            yield Flag(Danger.CHART_SOURCE, f"release {after.name}", why, fix)
        if before.version == after.version:
            continue
        if _major(before.version) != _major(after.version):
            why = f"{after.chart} {before.version} → {after.version}: a major version may break."
            yield Flag(Danger.MAJOR_VERSION, f"release {after.name}", why, f"Read {notes(after)}.")
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


def _source(release: Release) -> str:
    return f"{release.repository.rstrip('/')}/{release.chart}"


def notes(release: Release) -> str:
    """Return where the notes for a chart's major version are."""
    try:
        path = charts.archive(release)
    except RepositoryError:
        return f"the notes of {release.chart} at {release.repository}"
    text = dict.fromkeys(("README.md", "Chart.yaml"), "")
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            if name in text and (content := archive.extractfile(member)):
                text[name] = content.read().decode()
    found = [match[0] for match in UPGRADE.finditer("\n".join(text.values()))]
    heading = re.search(
        rf"^#+ *((?:from|to)\b.*\b{_major(release.version)}\.[0x].*)$",
        text["README.md"],
        re.MULTILINE | re.IGNORECASE,
    )
    if heading:
        return f"“{heading[1]}” in the chart's README.md"
    return found[0] if found else f"the notes of {release.chart} at {release.repository}"


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


def _major(version: str) -> str:
    match = _NUMBER.match(version)
    return match[1] if match else version
