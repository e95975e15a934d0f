"""What registries say of images: whether they are there, and for which processors.

`crane` asks: it signs in anonymously, or as `docker login` has left it, reads indexes and single
manifests, and takes plain HTTP on loopback.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts import tools
from scripts.core.findings import RepositoryError, counted, progress
from scripts.core.yamlfile import Json
from scripts.model import images

# Seconds that one request may take, and after which progress is printed.
LIMIT = 20
PATIENCE = 2
# Requests at a time: each waits for the network, and computes next to nothing.
_PARALLEL = 16
# Seconds for which a tag is believed to be what it was. A digest stays what it is.
_TAG_KEPT = 24 * 3600
# Characters of what a registry says.
_WORDS = 160
# How crane reports what a registry answers: the request, then a code of the distribution
# specification, or the status where there is none. A manifest that is not there is a 404 with or
# without a code (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests).
_ANSWERED = re.compile(r"\b(?:GET|HEAD) (?P<url>\S+): (?:multiple errors returned: )?(?P<says>.*)")
_ABSENT = re.compile(r"(?P<code>MANIFEST_UNKNOWN|NAME_UNKNOWN)\b")
_NOT_FOUND = "unexpected status code 404"
_LIMITED = re.compile(r"TOOMANYREQUESTS|unexpected status code 429")
_REFUSED = re.compile(r"UNAUTHORIZED|DENIED|unexpected status code 40[13]")


@dataclass(frozen=True)
class Found:
    """An image that its registry has.

    Attributes:
        digest: Of its manifest or index.
        architectures: Those of Linux that it is for; None where it does not say.
        parts: Digests of the manifests that its index lists.
        source: Where its sources are, as its annotations or labels say; empty where they do not.
    """

    digest: str
    architectures: frozenset[str] | None = None
    parts: frozenset[str] = frozenset()
    source: str = ""


@dataclass(frozen=True)
class Missing:
    """An image that its registry does not have.

    Attributes:
        code: What it says: `MANIFEST_UNKNOWN`, `NAME_UNKNOWN`, or the status `404`.
    """

    code: str


@dataclass(frozen=True)
class Unknown:
    """An image of which its registry says nothing.

    Attributes:
        why: The reason, in words that end a sentence.
    """

    why: str


Answer = Found | Missing | Unknown


@dataclass(frozen=True)
class Question:
    """What is asked of an image.

    Attributes:
        image: Its name, with a tag or a digest, not both.
        architectures: Those that it has to be for.
        digest: What the tag has to be; empty where it does not matter.
    """

    image: str
    architectures: frozenset[str] = field(default_factory=frozenset)
    digest: str = ""

    def answered(self, found: Found) -> bool:
        """Say whether an image is all that is asked for."""
        known = found.architectures is None or self.architectures <= found.architectures
        return known and (not self.digest or self.digest in {found.digest, *found.parts})


def pulled(image: str) -> str:
    """Return the name by which a kubelet pulls an image: a tag beside a digest does not count."""
    digest = images.digest(image)
    return f"{images.repository(image)}@{digest}" if digest else image


def tagged(image: str) -> str:
    """Return an image's name without its digest; empty where it has no tag."""
    tag = images.tag(image)
    return f"{images.repository(image)}:{tag}" if tag else ""


def questions(image: str, architectures: Iterable[str]) -> Iterator[Question]:
    """Yield what has to be asked of an image: of one with a tag and a digest, about both."""
    yield Question(pulled(image), frozenset(architectures))
    if (digest := images.digest(image)) and (tag := tagged(image)):
        yield Question(tag, digest=digest)


def ask(asked: Iterable[Question]) -> dict[str, Answer]:
    """Ask registries, all at once; what they had before is taken from the user's cache.

    Only what answers a question in full is: a missing image may be pushed any time.

    Returns:
        The answers by image.
    """
    wanted = list(dict.fromkeys(asked))
    answers: dict[str, Answer] = {}
    left = []
    for question in wanted:
        cached = _cached(question.image)
        if cached and question.answered(cached):
            answers[question.image] = cached
        else:
            left.append(question.image)
    if not left:
        return answers
    try:
        tools.path("crane")
    except RepositoryError as error:
        why = f"crane, which asks, is not here: {error.findings[0].message}"
        return answers | dict.fromkeys(left, Unknown(why[:_WORDS]))
    with ThreadPoolExecutor(_PARALLEL) as pool:
        jobs = {name: pool.submit(_answer, name) for name in dict.fromkeys(left)}
        if waiting := wait(jobs.values(), timeout=PATIENCE).not_done:
            progress(f"asking registries for {counted(len(waiting), 'image')}")
        fresh = {name: job.result() for name, job in jobs.items()}
    for name, answer in fresh.items():
        if isinstance(answer, Found):
            _keep(name, answer)
    return answers | fresh


def _answer(image: str) -> Answer:
    manifest = _crane("manifest", image)
    if isinstance(manifest, Missing | Unknown):
        return manifest
    digest = f"sha256:{hashlib.sha256(manifest.encode(errors='surrogateescape')).hexdigest()}"
    try:
        content = json.loads(manifest)
        if "manifests" in content:
            return _index(digest, content)
        return _single(digest, image, content)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Unknown("its manifest cannot be read")


def _index(digest: str, index: Mapping[str, Json]) -> Found:
    listed = index["manifests"]
    platforms = [one.get("platform") or {} for one in listed]
    # Attestations are for the platform unknown/unknown.
    architectures = frozenset(
        str(one["architecture"]) for one in platforms if one.get("os") == "linux"
    )
    parts = frozenset(str(one["digest"]) for one in listed)
    known = architectures if any("os" in one for one in platforms) else None
    return Found(digest, known, parts, _source(index.get("annotations")))


def _single(digest: str, image: str, manifest: Mapping[str, Json]) -> Found:
    """Read an image of one platform, which only its configuration names."""
    source = _source(manifest.get("annotations"))
    answer = _crane("config", f"{images.repository(image)}@{digest}")
    if isinstance(answer, Missing | Unknown):
        return Found(digest, source=source)
    config = json.loads(answer)
    source = source or _source((config.get("config") or {}).get("Labels"))
    if "architecture" not in config:
        return Found(digest, source=source)
    linux = config.get("os") == "linux"
    return Found(digest, frozenset({str(config["architecture"])} if linux else ()), source=source)


def _source(labels: Json) -> str:
    """https://github.com/opencontainers/image-spec/blob/main/annotations.md."""
    return str((labels or {}).get("org.opencontainers.image.source") or "")


def _crane(command: str, image: str) -> str | Missing | Unknown:
    try:
        run = subprocess.run(
            [str(tools.path("crane")), command, "--", image],
            # A helper that asks for a password must not wait for one.
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return Unknown(f"{images.registry(image)} has not answered within {LIMIT} s")
    if not run.returncode:
        return run.stdout.decode(errors="surrogateescape")
    return _refusal(images.registry(image), run.stderr.decode(errors="replace"))


def _refusal(registry: str, told: str) -> Missing | Unknown:
    """Tell what is not there from what nobody could say.

    Args:
        registry: The registry.
        told: What crane has printed: notes, then the error.
    """
    error = " ".join(told[max(told.find("Error: "), 0) :].split())
    answered = _ANSWERED.search(error)
    if not answered:
        if "could not parse reference" in error:
            return Unknown("that is no name of an image, as crane reads it")
        # Without the addresses that it has tried, each before what became of it.
        text = error.rpartition('": ')[2] or "crane says nothing"
        return Unknown(f"{registry} cannot be reached ({text[-_WORDS:]})")
    says = answered["says"]
    if absent := _ABSENT.match(says):
        return Missing(absent["code"])
    if "/manifests/" in answered["url"] and says.startswith(_NOT_FOUND):
        return Missing("404")
    if _LIMITED.search(says):
        return Unknown(f"{registry} answers no more for now, as it was asked too often")
    if _REFUSED.search(says):
        why = "as it does for what is private and for what does not exist"
        return Unknown(f"{registry} refuses to say (401 or 403), {why}")
    return Unknown(f"{registry} answers {says[:_WORDS]}")


def _file(image: str) -> Path:
    return tools.cache() / "images" / f"{hashlib.sha256(image.encode()).hexdigest()}.json"


def _cached(image: str) -> Found | None:
    """Return what the registry had, if that can still be believed."""
    try:
        content = json.loads(_file(image).read_text())
        age = time.time() - content.pop("asked")
        if not images.digest(image) and not 0 <= age < _TAG_KEPT:
            return None
        architectures = content["architectures"]
        known = None if architectures is None else frozenset(architectures)
        return Found(content["digest"], known, frozenset(content["parts"]), content["source"])
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _keep(image: str, found: Found) -> None:
    content = asdict(found) | {"asked": time.time(), "image": image}
    tools.write(_file(image), json.dumps(content, default=sorted))
