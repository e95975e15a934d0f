"""Names of images: registry, repository, tag and digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from scripts.core.yamlfile import Json, load_once

# What is known of each image: its CPU architectures, and the Go module that it is built from.
IMAGES = "scripts/images.yaml"
# The registry of names that begin with none.
DOCKER_HUB = "docker.io"

# A manifest's digest, as registries write it.
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# A whole version: of charts and images. Shorter ones, such as `3`, are pushed again.
EXACT = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
IMAGE_NAME = re.compile(
    r"(?P<repository>[^@]+?)(:(?P<tag>[^/:@]+))?(@(?P<digest>" + DIGEST.pattern + "))?"
)


def known(root: Path) -> Mapping[str, Mapping[str, Json]]:
    """Return what `images.yaml` says of each image, by its repository; nothing without the file."""
    path = root / IMAGES
    return load_once(path.read_text(encoding="utf-8"), IMAGES)[0] if path.exists() else {}


def repository(image: str) -> str:
    """Return an image's repository, without tag and digest."""
    match = IMAGE_NAME.fullmatch(image)
    return match["repository"] if match else image


def registry(image: str) -> str:
    """Return the host of an image's registry, with its port, as container runtimes read the name.

    The first part of a name is a host where it has a dot or a port, or is `localhost`.
    """
    host, slash, _ = repository(image).partition("/")
    return host if slash and (host == "localhost" or "." in host or ":" in host) else DOCKER_HUB


def tag(image: str) -> str:
    """Return an image's tag; empty where it has none."""
    match = IMAGE_NAME.fullmatch(image)
    return (match and match["tag"]) or ""


def digest(image: str) -> str:
    """Return the digest that an image is pinned to, as `sha256:…`; empty where it is not."""
    match = IMAGE_NAME.fullmatch(image)
    return (match and match["digest"]) or ""


def version(image: str) -> str:
    """Return the version that an image's tag names, such as `3.14.0`; empty if it has no tag."""
    return tag(image).removeprefix("v").removesuffix("-distroless")
