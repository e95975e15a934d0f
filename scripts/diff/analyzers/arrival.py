"""Changes that a merge takes to no cluster: unread files, other branches, ignored fields."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from scripts.checks.static import unused_files
from scripts.core.yamlfile import Json, get
from scripts.diff.analyzers.suspension import TOPIC
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair, Manifest, RevisionPair
from scripts.model import api_groups, bootstrap, charts
from scripts.model.manifests import CRD, ENGINES, group
from scripts.model.rendered import Cluster

# What helm-controller does with the CRDs of a chart's folder `crds` when it upgrades a release, by
# spec.upgrade.crds: https://fluxcd.io/flux/components/helm/helmreleases/#controlling-the-lifecycle-of-custom-resource-definitions
UPGRADES = {"Create": ("added",), "CreateReplace": ("added", "changed")}
RESPECT = "RespectIgnoreDifferences=true"
TAG = "refs/tags/"
# What does not move by itself: a commit, a tag that is a version, a range of such.
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_VERSION = re.compile(r"refs/tags/.+|v?\d+(\.\d+)+([-+].*)?|[~^<>=*].*|v?\d+(\.\d+)*\.[x*]")


def files(revisions: RevisionPair) -> Analysis:
    """Find changed files that no cluster reads, and those that none reads any more."""
    if not _all_built(revisions):
        return  # What does not build reads files that nobody can name.
    read = [set[str](), set[str]()]
    for pair in revisions.clusters:
        if pair.after.sync.units:
            for own, cluster in zip(read, (pair.before, pair.after), strict=True):
                own |= cluster.repository.files(cluster.sync)
    alone = [
        path
        for path in _changed(revisions)
        if path not in read[0] | read[1] and (revisions.after / path).is_file() and _counts(path)
    ]
    if alone:
        yield Sentence(TOPIC, f"No cluster takes in {listed(alone)}: in git alone")
    for path in sorted(read[0] - read[1]):
        optional = path.startswith(unused_files.OPTIONAL)
        if not optional and (revisions.after / path).is_file():
            why = "It is still there, and no cluster reads it any more: what it declares goes."
            fix = "List it again, or delete it."
            yield Flag(Danger.UNLISTED, path, why, fix)


def branches(revisions: RevisionPair) -> Analysis:
    """Name the clusters that follow a tag or a commit, or another branch than the others do."""
    followed = {
        pair.name: set(_followed(pair.after)) for pair in revisions.clusters if pair.differing
    }
    ours = {name for own in followed.values() for name in own if not _fixed(name)} - {"HEAD"}
    for pair in revisions.clusters:
        for name in sorted(followed.get(pair.name, ())):
            if _fixed(name):
                source = f"is fixed to {name.removeprefix(TAG)}: the change arrives when that moves"
            elif len(ours) > 1 and name != "HEAD":
                source = f"is the branch {name}: the change arrives when that has it"
            else:
                continue
            yield Sentence(TOPIC, f"Its source {source}", (pair.name,))


def ignored(pair: ClusterPair) -> Analysis:
    """Name changed fields that an Application ignores, also when it syncs."""
    rules = {
        item["metadata"]["name"]: get(item, "spec", "ignoreDifferences") or []
        for item in pair.after.sync.objects()
        if item["kind"] == "Application"
        and RESPECT in (get(item, "spec", "syncPolicy", "syncOptions") or ())
    }
    owners = {release.name: release.owner[1] for release in pair.after.sync.releases}
    for key, before, after in pair.changed:
        application = owners.get(key.unit, "") if key.release else key.unit
        own = [rule for rule in rules.get(application, ()) if _about(rule, key.group, after)]
        paths = dict.fromkeys(itertools.chain.from_iterable(map(_paths, own)))
        if not paths:
            continue
        edited = [path for path in paths if _value(before, path) != _value(after, path)]
        if edited:
            shown = listed(".".join(path) for path in edited)
            text = f"{key}: Application {application} ignores {shown}: in git alone"
            yield Sentence(TOPIC, text)


def crds(pair: ClusterPair) -> Analysis:
    """Find CRDs of charts that an upgrade of their release leaves as they are."""
    if pair.after.sync.engine != "flux":
        return
    before = {release.name for release in pair.before.sync.releases}
    objects = {(o["kind"], o["metadata"]["name"]): o for o in pair.after.sync.objects()}
    for release in pair.after.sync.releases:
        if release.name not in before:
            continue
        policy = get(objects.get(release.owner), "spec", "upgrade", "crds")
        does = UPGRADES.get(str(policy), ())
        left = [
            key.name
            for key, old, new in pair.differing
            if key.release and key.unit == release.name and key.kind == CRD and new is not None
            if ("changed" if old else "added") not in does and key.name in charts.crds(release)
        ]
        if left:
            why = f"An upgrade leaves the CRDs of a chart's folder crds: {listed(left)}."
            fix = f"Set spec.upgrade.crds: CreateReplace in {' '.join(release.owner)}."
            yield Flag(Danger.CRD_NOT_UPGRADED, f"release {release.name}", why, fix)


def _all_built(revisions: RevisionPair) -> bool:
    """Say whether every cluster of both revisions is compared, as a whole."""
    folders = {
        f"{path.parent.name}/{path.name}"
        for root in (revisions.before, revisions.after)
        for path in root.glob("clusters/*/*")
        if path.is_dir() and path.name in ENGINES
    }
    return {pair.name for pair in revisions.clusters if pair.whole} >= folders


def _changed(revisions: RevisionPair) -> Iterator[str]:
    """Yield the files of clusters that differ, sorted, relative to the repository."""
    found: set[str] = set()
    for root in (revisions.before, revisions.after):
        for folder in unused_files.FOLDERS:
            found |= {
                path.relative_to(root).as_posix()
                for path in (root / folder).rglob("*")
                if path.is_file()
            }
    yield from filter(revisions.edited, sorted(found))


def _counts(path: str) -> bool:
    """Say whether a file is a cluster's to read: not a generator's, a check's or a person's."""
    if path.startswith(unused_files.OPTIONAL):
        return not path.endswith(".md")
    name = Path(path).name
    elsewhere = any(fnmatch(path, one) for one in unused_files.READ_ELSEWHERE)
    return not elsewhere and not name.startswith(".")


def _followed(cluster: Cluster) -> Iterator[str]:
    """Yield the branch, tag or commit of this repository that a cluster's engine follows."""
    sync = cluster.sync
    if sync.engine == "argocd":
        for item in sync.objects():
            if item["kind"] == "Application" and get(item, "spec", "source", "path"):
                yield str(get(item, "spec", "source", "targetRevision") or "HEAD")
        return
    own = [item for _, item in bootstrap.objects(cluster.repository.root, sync.cluster)]
    objects = [item for item in [*own, *sync.objects()] if group(item).endswith(api_groups.TOOLKIT)]
    # Other repositories are none of this change.
    used = {
        get(item, "spec", "sourceRef", "name")
        for item in objects
        if item["kind"] == "Kustomization"
    }
    for item in objects:
        if item["kind"] == "GitRepository" and item["metadata"]["name"] in used:
            ref = get(item, "spec", "ref") or {}
            # In the order in which source-controller asks for them.
            keys = (key for key in ("commit", "name", "semver", "tag", "branch") if ref.get(key))
            key = next(keys, "")
            name = str(ref.get(key) or "HEAD").removeprefix("refs/heads/")
            yield f"{TAG}{name}" if key in ("semver", "tag") else name


def _fixed(name: str) -> bool:
    return bool(_COMMIT.fullmatch(name) or _VERSION.fullmatch(name))


def _about(rule: Json, api_group: str, manifest: Manifest) -> bool:
    """Say whether an entry of ignoreDifferences is about an object."""
    metadata = manifest["metadata"]
    wanted = (
        ("group", api_group),
        ("kind", manifest["kind"]),
        ("name", metadata.get("name")),
        ("namespace", metadata.get("namespace")),
    )
    # Without a group, it is the core group that is meant; the others may be left out.
    pairs = [(rule.get(key) or ("" if key == "group" else "*"), value) for key, value in wanted]
    return all(one in ("*", value or "") or fnmatch(str(value), str(one)) for one, value in pairs)


def _paths(rule: Json) -> Iterator[tuple[str, ...]]:
    """Yield the keys that an entry ignores, as far as they can be read without running jq."""
    for pointer in rule.get("jsonPointers") or ():
        steps = str(pointer).removeprefix("/").split("/")
        yield tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)
    for expression in rule.get("jqPathExpressions") or ():
        if re.fullmatch(r"(\.[A-Za-z_]\w*)+", str(expression)):
            yield tuple(str(expression)[1:].split("."))


def _value(manifest: Manifest, path: tuple[str, ...]) -> Json:
    at: Json = dict(manifest)
    for step in path:
        if isinstance(at, list):
            at = at[int(step)] if step.isdigit() and int(step) < len(at) else None
        else:
            at = at.get(step) if isinstance(at, dict) else None
    return at
