"""Every image that a cluster pulls, with what names it and where somebody wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scripts.core.yamlfile import Json, leaves
from scripts.model import images
from scripts.model.manifests import group
from scripts.model.rendered import OPERATED, Cluster, Item, Pod, command_line, declared

# An argument or a variable by which a controller is told what its pods run, such as cert-manager's
# --acme-http01-solver-image. Which of the Prometheus operator's are run, its pods here say.
_ARGUMENT = re.compile(r"--[\w.-]*image=(?P<image>.+)")
_DEFAULT = re.compile(r"--[\w.-]*-default-base-image=")
_VARIABLE = re.compile(r"(?:\w+_IMAGE|RELATED_IMAGE_\w+)")
# What cannot be anything else: host, path, and a tag or a digest.
_WHOLE_NAME = re.compile(
    r"[\w-]+(\.[\w-]+)*(\.[a-z]{2,}|:\d+)(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    rf"(:[\w][\w.-]*(@{images.DIGEST.pattern})?|@{images.DIGEST.pattern})"
)


class ImageReference(NamedTuple):
    """An image that something in a cluster names.

    Attributes:
        image: As a kubelet gets it.
        item: The object, the operator's own included.
        container: The container that runs it; empty where none does yet.
    """

    image: str
    item: Item
    container: str = ""


def references(cluster: Cluster) -> list[ImageReference]:
    """Return the images that a cluster's pods run, and those that its controllers will start.

    Left out are images that a kubelet never pulls (`imagePullPolicy: Never`), and those of custom
    resources of which the default is in a controller's code.
    """
    found = [one for pod in cluster.pods for one in _of_pod(pod)]
    for item in cluster.items:
        if _custom(item):
            found += [
                ImageReference(value, item)
                for keys, value in leaves(item.spec)
                if keys[-1].lower().endswith("image") and _whole(value)
            ]
    return list({(one.image, str(one.item), one.container): one for one in found}.values())


def _of_pod(pod: Pod) -> Iterator[ImageReference]:
    for container in pod.containers:
        name, image = str(container.get("name")), container.get("image")
        if image and container.get("imagePullPolicy") != "Never":
            yield ImageReference(str(image), pod.owner, name)
        for argument in command_line(container):
            told = _ARGUMENT.fullmatch(argument)
            if told and _whole(told["image"]) and not _DEFAULT.match(argument):
                yield ImageReference(told["image"], pod.owner)
        for variable in container.get("env") or []:
            if _VARIABLE.fullmatch(str(variable["name"])) and _whole(variable.get("value")):
                yield ImageReference(variable["value"], pod.owner)
    for volume in pod.spec.get("volumes") or []:
        if reference := (volume.get("image") or {}).get("reference"):
            yield ImageReference(str(reference), pod.owner)


def _custom(item: Item) -> bool:
    """Say whether an object is a custom resource; the pods of the operator's are known."""
    kind = group(dict(item.manifest))
    return "." in kind and not kind.endswith(".k8s.io") and item.kind not in OPERATED


def _whole(value: Json) -> bool:
    return isinstance(value, str) and bool(_WHOLE_NAME.fullmatch(value))


def place(cluster: Cluster, reference: ImageReference) -> tuple[str, int | None]:
    """Return the file and line where an image's tag is written; of a chart's default, its version.

    Args:
        cluster: The cluster that has the reference.
        reference: The image.
    """
    item = declared(cluster, reference.item)
    release = cluster.release(item.release) if item.release else None
    keys = _written(release.values if release else dict(item.manifest), reference.image)
    if keys or not release:
        return cluster.place(item, *keys)
    return cluster.repository.chart_version(cluster.sync, release)


def _written(whole: Mapping[str, Json], image: str) -> tuple[str, ...]:
    """Return the keys of what makes a name: all of it, else its digest, its tag, its repository."""
    digest, tag = images.digest(image), images.tag(image)
    found: dict[str, tuple[str, ...]] = {}
    values = dict(leaves(dict(whole)))
    for keys, value in values.items():
        key = keys[-1].lower() if keys else ""
        beside = str(values.get((*keys[:-1], "repository")) or "")
        if not isinstance(value, str) or (beside and not _same(images.repository(image), beside)):
            continue
        if value == image or value.endswith(f"={image}"):
            found.setdefault("name", keys)
        elif digest and value in (digest, digest.partition(":")[2]):
            found.setdefault("digest", keys)
        elif tag and value == tag and key.endswith(("tag", "version")):
            found.setdefault("tag", keys)
        elif key == "repository" and _same(images.repository(image), value):
            found.setdefault("repository", keys)
    return next(
        (found[kind] for kind in ("name", "digest", "tag", "repository") if kind in found), ()
    )


def _same(repository: str, written: str) -> bool:
    """Say whether a repository is one that is written in full, or without its registry."""
    return repository == written or repository.endswith(f"/{written}")
