"""Values without effect: each key is removed in turn, and what the chart renders must change.

Helm ignores a key that no template reads, and most charts have no schema, so a misspelt key looks
as if it worked. Keys are removed one at a time; a list is one value. One trial removes nothing: two
renders of the same values must be equal.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json
from scripts.model import charts
from scripts.model.manifests import ClusterSync, Release, Repository

Keys = tuple[str, ...]
# From so many trials on, which take about two seconds, progress is printed.
ANNOUNCED_FROM = 20
ABSENT = object()
# A chart's own values, and those of the charts in it.
VALUES = r"(charts/[^/]+/)?values\.yaml"


class Variant:
    """One release as one cluster sync configures it, and the outcomes of its trials.

    Attributes:
        sync: Whose release it is.
        release: The release.
        renders: How often Helm was run for it.
    """

    def __init__(self, sync: ClusterSync, release: Release) -> None:
        """Read the outcomes that the per-user cache has."""
        self.sync = sync
        self.release = release
        self.renders = 0
        self._path = tools.cache() / "unused-values" / f"{charts.content_key(release)}.json"
        text = self._path.read_text() if self._path.exists() else "{}"
        self._changes: dict[str, bool] = json.loads(text)

    def knows(self, keys: Keys) -> bool:
        """Whether the cache has the outcome of a trial."""
        return json.dumps(keys) in self._changes

    def changes(self, keys: Keys) -> bool:
        """Whether the chart renders something else, or fails, without this key."""
        name = json.dumps(keys)
        if name not in self._changes:
            values = without(self.release.values, keys) if keys else self.release.values
            try:
                self._changes[name] = self._render(values) != self._rendered
            except RepositoryError:
                self._changes[name] = True
        return self._changes[name]

    def save(self) -> None:
        """Write the outcomes to the per-user cache."""
        if self.renders:
            tools.write(self._path, json.dumps(self._changes, indent=0, sort_keys=True))

    @functools.cached_property
    def _rendered(self) -> str:
        return self._render(self.release.values)

    def _render(self, values: dict[str, Json]) -> str:
        self.renders += 1
        return charts.template(self.release, values)


@dataclass(frozen=True)
class Trial:
    """A key of a release, and every variant that sets it to the same value."""

    keys: Keys
    variants: tuple[Variant, ...]

    @property
    def pending(self) -> bool:
        """Whether Helm has to be run to decide it."""
        return not any(v.knows(self.keys) for v in self.variants)

    def changes(self) -> bool:
        """Whether the key has an effect in at least one variant."""
        return any(variant.changes(self.keys) for variant in self.variants)


def paths(values: Mapping[str, Json], *keys: str) -> Iterator[tuple[Keys, Json]]:
    """Yield each scalar, list and empty map of the values, with the keys that lead to it."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from paths(value, *keys, key)
        else:
            yield (*keys, key), value


def without(values: Mapping[str, Json], keys: Keys) -> dict[str, Json]:
    """Return a copy of the values that lacks one key."""
    first, *rest = keys
    if rest:
        return {**values, first: without(values[first], tuple(rest))}
    return {key: value for key, value in values.items() if key != first}


def variants(repository: Repository) -> list[Variant]:
    """Return every release of every cluster sync; of those with equal values, one."""
    distinct = {
        charts.content_key(release): (sync, release)
        for sync in reversed(repository.syncs)
        for release in sync.releases
    }
    return [Variant(sync, release) for sync, release in distinct.values()]


def trials(releases: list[Variant]) -> list[Trial]:
    """Return a trial for each key and value of each release, and one that removes nothing."""
    grouped: dict[tuple[str, Keys, str], list[Variant]] = {}
    for variant in releases:
        for keys, value in paths(variant.release.values):
            text = json.dumps(value, sort_keys=True)
            grouped.setdefault((variant.release.name, keys, text), []).append(variant)
    unchanged = [Trial((), (variant,)) for variant in releases]
    return unchanged + [Trial(keys, tuple(members)) for (_, keys, _), members in grouped.items()]


def run(releases: list[Variant]) -> Iterator[tuple[Trial, bool]]:
    """Run the trials that the cache lacks, in parallel; yield each trial with its outcome."""
    planned = trials(releases)
    pending = sum(trial.pending for trial in planned)
    if pending > ANNOUNCED_FROM:
        progress(f"removing {pending} keys from the charts' values, one at a time")
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        yield from zip(planned, pool.map(Trial.changes, planned), strict=True)
    for variant in releases:
        variant.save()


def findings(
    repository: Repository, releases: list[Variant], outcomes: Collection[Finding] = ()
) -> list[Finding]:
    """Return a finding for each key without effect, and for each release that renders at random.

    Args:
        repository: The tree.
        releases: Every release of every cluster sync.
        outcomes: Findings in what is rendered. While a release has some, no value of it is
            reported as the chart's default, to be removed: the default may be what is wrong.
    """
    blamed = {finding.path for finding in outcomes}
    found = []
    for trial, changed in run(releases):
        first = trial.variants[0]
        release = first.release
        place = ("HelmRelease", release.owner[1], "spec", "values", *trial.keys)
        path, line = repository.where(*place, sync=first.sync)
        name = f"{release.name}: {'.'.join(trial.keys)}"
        if not trial.keys and changed:
            text = f"{release.name} renders something else each time"
            fix = "find what is random, usually a generated password, and set it"
            found.append(Finding(path, line, text, fix))
        elif trial.keys and not changed:
            value = functools.reduce(lambda at, key: at[key], trial.keys, release.values)
            if default(release, trial.keys) == value:
                if blamed & {path, repository.where("HelmRelease", release.owner[1])[0]}:
                    continue
                # An overlay may return to the default that its base has left.
                files = repository.files(first.sync)
                if repository.sources.layers(*place, within=files) < 2:
                    found.append(Finding(path, line, f"{name} is the chart's default", "remove it"))
            else:
                text = f"{name} changes nothing that the chart renders"
                fix = f"correct its name or its place: compare the values of {release.chart}"
                found.append(Finding(path, line, text, fix))
    return found


def default(release: Release, keys: Keys) -> Json:
    """Return the default that the chart, or the sub-chart named by the first key, has for a key.

    Returns:
        `ABSENT` where its `values.yaml` has nothing there.
    """
    files = values(release)
    own = _value_at(files.get("", {}), keys)
    return _value_at(files.get(keys[0], {}), keys[1:]) if own is ABSENT else own


def values(release: Release) -> dict[str, Json]:
    """Return a chart's own values by the name of the sub-chart; its own by the empty string."""
    return _read(charts.archive(release))


@functools.cache
def _read(path: Path) -> dict[str, Json]:
    return {
        name.split("/")[1] if "/" in name else "": yaml.load(text, Loader=yaml.CSafeLoader) or {}
        for name, text in charts.read(path, VALUES).items()
    }


def _value_at(values: Json, keys: Keys) -> Json:
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return ABSENT
        values = values[key]
    return values
