"""Images that a change brings: whether their registries have them, and for the nodes' processors.

What a registry says is believed before `scripts/images.yaml`, which is what is known otherwise.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from scripts.core.findings import SHAPE_ERRORS, RepositoryError
from scripts.diff.analyzers.wording import listed, sentence
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model import budget, image_references, image_registries, images
from scripts.model.image_references import ImageReference
from scripts.model.image_registries import Answer, Found, Missing, Unknown
from scripts.model.rendered import Cluster

TOPIC = "Images"
# Characters of a digest that tell it from others.
_DIGEST = len("sha256:") + 12


def brought(pair: ClusterPair) -> list[ImageReference]:
    """Return what a cluster will pull and did not before; all of it where its processors differ."""
    after = image_references.references(pair.after)
    if budget.architecture(pair.before) != budget.architecture(pair.after):
        return after
    before = {one.image for one in image_references.references(pair.before)}
    return [one for one in after if one.image not in before]


def new_images(pair: ClusterPair) -> set[str]:
    """Return the images that it brings; none where it cannot be read, which `analyze` reports."""
    with contextlib.suppress(RepositoryError, *SHAPE_ERRORS):
        return {one.image for one in brought(pair)}
    return set()


def asked(pairs: Sequence[ClusterPair]) -> list[ClusterPair]:
    """Ask registries of all that clusters will pull and did not before, and return the answers."""
    questions = {
        pair.name: [
            question
            for image in sorted(new_images(pair))
            for question in image_registries.questions(image, _architectures(pair))
        ]
        for pair in pairs
    }
    answers = image_registries.ask(one for own in questions.values() for one in own)
    return [
        dataclasses.replace(
            pair, answers={one.image: answers[one.image] for one in questions[pair.name]}
        )
        for pair in pairs
    ]


def analyze(pair: ClusterPair) -> Analysis:
    """Find images that are not there, or for other processors, and tags that moved."""
    users: dict[str, list[ImageReference]] = {}
    for one in brought(pair):
        users.setdefault(one.image, []).append(one)
    answers = {image: pair.answers.get(image_registries.pulled(image)) for image in users}
    for image, own in users.items():
        yield from _unusable(pair, own, answers[image])
        yield from _other_digest(pair, image)
    told = {i for i, a in answers.items() if isinstance(a, Found) and a.architectures is not None}
    before, after = _unfit(pair.before, set()), _unfit(pair.after, told)
    yield from (after[text] for text in after.keys() - before.keys())
    silent: dict[str, list[str]] = {}
    for image, answer in answers.items():
        if isinstance(answer, Unknown):
            silent.setdefault(answer.why, []).append(image)
    for why, names in silent.items():
        verb = "exists" if len(names) == 1 else "exist"
        yield Sentence(TOPIC, f"Whether {listed(sorted(names))} {verb} is not known: {why}.")


def _architectures(pair: ClusterPair) -> set[str]:
    return set(filter(None, [budget.architecture(pair.after)]))


def _unusable(
    pair: ClusterPair, users: Sequence[ImageReference], answer: Answer | None
) -> Iterator[Flag]:
    image = users[0].image
    path, line = image_references.place(pair.after, users[0])
    where = f"{path}:{line}" if line else path
    owners = listed(dict.fromkeys(str(one.item) for one in users))
    until = "`make diff` fails until then"
    if isinstance(answer, Missing):
        why = f"{images.registry(image)} has no {image} ({answer.code}), which {owners} would pull."
        what = "the repository's name" if answer.code == "NAME_UNKNOWN" else "the tag"
        what = "the digest" if images.digest(image) and what == "the tag" else what
        fix = f"Correct {what}, or wait until it is pushed: {until}."
        yield Flag(Danger.IMAGE_MISSING, where, why, fix, blocks=True)
    if isinstance(answer, Found) and answer.architectures is not None:
        for architecture in _architectures(pair) - answer.architectures:
            only = listed(sorted(answer.architectures)) or "no Linux"
            why = (
                f"{image}, which {owners} would pull, is for {only}, and nodes are {architecture}."
            )
            fix = f"Use a version that is built for {architecture}: {until}."
            yield Flag(Danger.IMAGE_ARCHITECTURE, where, why, fix, blocks=True)


def _other_digest(pair: ClusterPair, image: str) -> Iterator[Sentence]:
    """Say where a tag is not what it is pinned to, nor an index that lists it."""
    digest, tag = images.digest(image), images.tag(image)
    if not (digest and tag):
        return
    answer = pair.answers.get(image_registries.tagged(image))
    if isinstance(answer, Missing):
        text = f"{image}: there is no tag {tag} any more ({answer.code}); the digest counts."
        yield Sentence(TOPIC, text)
    if isinstance(answer, Found) and digest not in {answer.digest, *answer.parts}:
        text = f"{image}: the tag is {answer.digest[:_DIGEST]}… by now: it was pushed anew, or the"
        yield Sentence(TOPIC, f"{text} digest is another version's; the digest counts.")


def _unfit(cluster: Cluster, told: set[str]) -> dict[str, Flag]:
    """Return what is not for the processors, by what it says, as far as it is known here."""
    found = {}
    for fault in budget.architectures(cluster, told):
        where, _, text = fault.message.partition(": ")
        why, fix = sentence(text), sentence(fault.fix)
        found[fault.message] = Flag(Danger.IMAGE_ARCHITECTURE, where, why, fix)
    return found
