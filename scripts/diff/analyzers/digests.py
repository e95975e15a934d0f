"""Charts and images that are pinned by a digest beside their version, and what becomes of the two.

Whoever pulls by a digest does not look at the tag: Flux for charts, containerd for images.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from scripts.core.findings import RepositoryError
from scripts.diff.analyzers.wording import transition
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model import charts, images
from scripts.model.images import DIGEST, EXACT
from scripts.model.manifests import Release


class _Pin(NamedTuple):
    """What is pulled: `repository` without tag, the tag, and the digest or nothing."""

    repository: str
    tag: str
    digest: str


def of_charts(pair: ClusterPair) -> Analysis:
    """Find charts whose version and digest do not move together."""
    known = {release.name: release for release in pair.releases[0]}
    for after in pair.releases[1]:
        if before := known.get(after.name):
            unseen = ""
            if before.digest != after.digest and _same_archive(before, after):
                unseen = " The archive here was put there by hand: what that changes is not shown."
            where = f"release {after.name}"
            yield from _flags(where, _chart(before), _chart(after), "Flux", unseen)


def of_images(pair: ClusterPair) -> Analysis:
    """Find images whose tag and digest do not move together."""
    for before, after in pair.pods:
        known = {one["name"]: one for one in before.containers}
        for container in after.containers:
            if old := known.get(container["name"]):
                where = f"{after.owner}, container {container['name']}"
                one, other = (_image(str(c.get("image") or "")) for c in (old, container))
                yield from _flags(where, one, other, "the node")


def _flags(where: str, before: _Pin, after: _Pin, puller: str, unseen: str = "") -> Iterator[Flag]:
    if before.digest and not after.digest:
        why = f"No digest pins it any more: {puller} takes whatever {after.tag or 'its tag'} names."
        fix = "Let the digest move with the tag, as Renovate does, in place of taking it away."
        yield Flag(Danger.DIGEST_REMOVED, where, why, fix)
    if not (before.digest and after.digest and _exact(before) and _exact(after)):
        return
    if before.digest == after.digest and _version(before) != _version(after):
        text = transition("The version says", before.tag, after.tag)
        why = f"{text} and the digest stays: {puller} takes what it had before."
        command = f"crane digest {after.repository}:{after.tag}"
        fix = f"Write the digest that `{command}` prints, if it is another."
        yield Flag(Danger.DIGEST_STALE, where, why, fix)
    elif before.digest != after.digest and before[:2] == after[:2]:
        why = f"{after.tag} has another digest: somebody has pushed other content as that version."
        fix = "See what it changes and that its publisher says why; else keep the digest."
        yield Flag(Danger.DIGEST_CHANGED, where, why + unseen, fix)


def _chart(release: Release) -> _Pin:
    # What is no digest pins nothing: Flux refuses it.
    digest = release.digest if DIGEST.fullmatch(release.digest) else ""
    return _Pin(f"{release.repository}/{release.chart}", release.version, digest)


def _image(image: str) -> _Pin:
    return _Pin(images.repository(image), images.tag(image), images.digest(image))


def _exact(pin: _Pin) -> bool:
    """Say whether a tag is a whole version: others, as `3`, are meant to be pushed again."""
    return bool(EXACT.fullmatch(pin.tag))


def _version(pin: _Pin) -> str:
    return pin.tag.removeprefix("v")


def _same_archive(before: Release, after: Release) -> bool:
    """Say whether both are rendered from one archive; not where the report says that none is."""
    with contextlib.suppress(RepositoryError):
        return charts.archive(before) == charts.archive(after)
    return False
