"""Images that move to another major version, and where notes about it are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scripts.core.quantities import major_version
from scripts.diff.objects import ClusterPair
from scripts.model import charts, image_references, image_registries, images
from scripts.model.image_registries import Found
from scripts.model.manifests import Release
from scripts.model.rendered import Item

_GITHUB = re.compile(r"(?:https://)?(github\.com/[\w.-]+/[\w.-]+?)(?:\.git)?(?:/.*)?")


class ImageMove(NamedTuple):
    """An image that becomes one of another major version.

    Attributes:
        item: What names it.
        before: The image before.
        after: The image after.
    """

    item: Item
    before: str
    after: str

    def __str__(self) -> str:
        """Return `repository old → new`, with both repositories where they differ."""
        old, new = images.repository(self.before), images.repository(self.after)
        moved = f"{new}:" if old != new else ""
        return f"{old} {images.tag(self.before)} → {moved}{images.tag(self.after)}"

    @property
    def back(self) -> bool:
        """Whether it goes back to an older one."""
        old, new = (major_version(images.tag(image)) for image in (self.before, self.after))
        return old is not None and new is not None and new < old

    @property
    def initial(self) -> bool:
        """Whether both versions are before 1.0."""
        numbers = [major_version(images.tag(image)) for image in (self.before, self.after)]
        return all(one is not None and one[0] == 0 for one in numbers)


def moves(pair: ClusterPair) -> Iterator[ImageMove]:
    """Yield images whose major version differs from the one that the same container ran before.

    Where there is no such container, it is compared with the one version of the same image that is
    run no more. A registry or a path that differs makes no other image; another name does.
    """
    before, after = (image_references.references(one) for one in (pair.before, pair.after))
    ran = {(str(one.item), one.container): one.image for one in before if one.container}
    known, runs = ({one.image for one in found} for found in (before, after))
    gone = sorted(known - runs)
    for one in after:
        former = ran.get((str(one.item), one.container), "")
        if not _same_name(former, one.image):
            alike = [image for image in gone if _same_name(image, one.image)]
            former = alike[0] if len(alike) == 1 and one.image not in known else ""
        old, new = (major_version(images.tag(image)) for image in (former, one.image))
        if old is not None and new is not None and old != new:
            yield ImageMove(one.item, former, one.image)


def risk(found: Iterable[ImageMove], *, major: bool = False) -> str:
    """Return what may go wrong, in words that end a sentence.

    Args:
        found: Images that move.
        major: Whether their chart moves to another major version, too.
    """
    own = list(found)
    words = ["a major version may break"]
    if own and not major and all(one.initial for one in own):
        words = ["before 1.0, each minor version may break"]
    if any(one.back for one in own):
        words.append("an older one may not read what a newer one has written")
    return ", and ".join(words)


def pages(pair: ClusterPair, found: Iterable[ImageMove], release: Release | None) -> list[str]:
    """Return the pages of releases of these images' sources, as far as they are known.

    The list of images knows them by the Go module, a chart by its `sources`, an image by its label.
    """
    known = images.known(pair.after.repository.root)
    sources = charts.metadata(release).get("sources") or [] if release else []
    links = []
    for one in found:
        repository = images.repository(one.after)
        answer = pair.answers.get(image_registries.pulled(one.after))
        places = [
            (known.get(repository) or {}).get("module") or "",
            *(source for source in sources if _names(source, repository)),
            answer.source if isinstance(answer, Found) else "",
        ]
        matches = (_GITHUB.fullmatch(str(place)) for place in places)
        links += [f"https://{match[1]}/releases" for match in matches if match][:1]
    return list(dict.fromkeys(links))


def _same_name(one: str, other: str) -> bool:
    return _base(one) == _base(other) != ""


def _base(image: str) -> str:
    return images.repository(image).rpartition("/")[2]


def _names(source: str, repository: str) -> bool:
    """Say whether a chart's source is the image's: others of its sources are the chart's own."""
    match = _GITHUB.fullmatch(str(source))
    return match is not None and _spelled(match[1]) == _spelled(repository)


def _spelled(path: str) -> str:
    return path.rpartition("/")[2].replace("_", "-")
