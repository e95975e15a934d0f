"""What Argo CD's AppProjects let their Applications do, and Applications that change theirs.

As Argo CD decides it: pkg/apis/application/v1alpha1/app_project_types.go.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scripts.core.yamlfile import Json
from scripts.diff.analyzers.wording import listed, transition
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model.rendered import Cluster

ANY = "*"
NOT = "!"
# What Argo CD makes itself: https://argo-cd.readthedocs.io/en/stable/user-guide/projects/
DEFAULT = "default"
WIDE: Mapping[str, Json] = {
    "sourceRepos": [ANY],
    "destinations": [{"server": ANY, "namespace": ANY}],
    "clusterResourceWhitelist": [{"group": ANY, "kind": ANY}],
}
_WILD = re.compile(r"(\*\*|\*|\?)")
# `*` stops at a slash, unless it is all of a pattern.
_EXPRESSIONS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
# What a pattern matches and a narrower one does not.
_EXAMPLES = {"**": "\0\0/\0\0", "*": "\0\0", "?": "\0"}

Values = tuple[str, ...]


class ProjectPatterns(NamedTuple):
    """Patterns of what a project allows, and of what it forbids all the same."""

    allowed: list[Values]
    forbidden: list[Values]

    def permit(self, values: Values) -> bool:
        """Say whether an Application may use these values."""
        allowed, forbidden = (any(_match(one, values) for one in own) for own in self)
        return allowed and not forbidden


def analyze(pair: ClusterPair) -> Analysis:
    """Find AppProjects that allow more, and Applications that go into one that allows more."""
    before, after = _projects(pair.before), _projects(pair.after)
    for key, old, new in pair.differing:
        if key.kind == "AppProject" and new is not None:
            others = [spec for name, spec in before.items() if name != DEFAULT]
            # An Application of a new project was in one of the others, or could have been.
            more = [_gained(one, new["spec"]) for one in ([old["spec"]] if old else others)]
            if more and all(more):
                least = min(more, key=len)
                why = f"It lets its Applications do more: {listed(least)}."
                fix = "Allow just what its Applications use; `make validate` compares both."
                yield Flag(Danger.PROJECT_WIDENED, str(key), why, fix)
        elif key.kind == "Application" and old is not None and new is not None:
            names = [manifest["spec"].get("project", DEFAULT) for manifest in (old, new)]
            allowed = [own.get(name, {}) for own, name in zip((before, after), names, strict=True)]
            if names[0] != names[1] and (gained := _gained(*allowed)):
                why = f"{transition('Its project', *names)}, so it may do more: {listed(gained)}."
                fix = "Leave it in the project that allows what it uses and no more."
                yield Flag(Danger.PROJECT_WIDENED, str(key), why, fix)


def _projects(cluster: Cluster) -> dict[str, Mapping[str, Json]]:
    own = (item for item in cluster.sync.objects() if item["kind"] == "AppProject")
    return {DEFAULT: WIDE} | {item["metadata"]["name"]: item["spec"] for item in own}


def _gained(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """What one project permits that another does not, in words."""
    found = []
    known = _patterns(before)
    for topic, lists in _patterns(after).items():
        for values in dict.fromkeys(itertools.chain(*lists, *known[topic])):
            example = tuple(_WILD.sub(lambda wild: _EXAMPLES[wild[0]], value) for value in values)
            if lists.permit(example) and not known[topic].permit(example):
                shown = "any" if set(values) == {ANY} else " ".join(values).removesuffix(f" {ANY}")
                found.append(f"{topic}: {shown}")
    return found


def _patterns(spec: Mapping[str, Json]) -> dict[str, ProjectPatterns]:
    places = [
        (place, item.get("namespace", ""))
        for item in spec.get("destinations") or ()
        for place in (item.get("server"), item.get("name"))
        if place
    ]
    found = {"destinations": _split_negated(places)}
    for key in ("sourceRepos", "sourceNamespaces"):
        found[key] = _split_negated((value,) for value in spec.get(key) or ())
    for scope in ("namespace", "cluster"):
        allowed = spec.get(f"{scope}ResourceWhitelist")
        if allowed is None and scope == "namespace":
            allowed = [{"group": ANY, "kind": ANY}]  # Only an empty list allows none.
        lists = (allowed, spec.get(f"{scope}ResourceBlacklist"))
        found[f"{scope} resources"] = ProjectPatterns(
            *(_resource_kinds(own or ()) for own in lists)
        )
    return found


def _resource_kinds(items: Iterable[Mapping[str, str]]) -> list[Values]:
    return [(item.get("group") or "core", item["kind"], item.get("name") or ANY) for item in items]


def _split_negated(items: Iterable[Values]) -> ProjectPatterns:
    """Take patterns apart of which `!x` forbids x, and allows all else."""
    lists = ProjectPatterns([], [])
    for item in items:
        lists.allowed.append(tuple(ANY if value.startswith(NOT) else value for value in item))
        if any(value.startswith(NOT) for value in item):
            lists.forbidden.append(tuple(value.removeprefix(NOT) for value in item))
    return lists


def _match(patterns: Values, values: Values) -> bool:
    return all(map(_glob, patterns, values))


def _glob(pattern: str, value: str) -> bool:
    parts = (_EXPRESSIONS.get(part, re.escape(part)) for part in _WILD.split(pattern))
    return pattern in {ANY, value} or bool(re.fullmatch("".join(parts), value, re.DOTALL))
