"""Names of images: repository, tag and digest."""

from __future__ import annotations

import re

# What is known of each image: its CPU architectures, and the Go module that it is built from.
IMAGES = "scripts/images.yaml"

# A manifest's digest, as registries write it.
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# A whole version: of charts and images. Shorter ones, such as `3`, are pushed again.
EXACT = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
IMAGE_NAME = re.compile(
    r"(?P<repository>[^@]+?)(:(?P<tag>[^/:@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def repository(image: str) -> str:
    """Return an image's repository, without tag and digest."""
    match = IMAGE_NAME.fullmatch(image)
    return match["repository"] if match else image


def version(image: str) -> str:
    """Return the version that an image's tag names, such as `3.14.0`; empty if it has no tag."""
    match = IMAGE_NAME.fullmatch(image)
    return ((match and match["tag"]) or "").removeprefix("v").removesuffix("-distroless")
