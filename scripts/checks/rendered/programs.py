"""Tools that stand for programs of the cluster have the version that clusters run.

`scripts/images.yaml` names the Go module that an image is built from. A tool of `scripts/tools`
from the same module stands for the program in the cluster, and what it proves holds for its own
version only. Known differences are listed there, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding
from scripts.model import images
from scripts.model.images import IMAGES
from scripts.model.rendered import Cluster

# An image's repository, a tool, the tool's version, and the versions that run in a cluster.
Difference = tuple[str, str, str, frozenset[str]]


def same_version_as_clusters(cluster: Cluster) -> Iterator[Finding]:
    """Every tool has a version that the cluster runs, or the difference is listed."""
    known = list(_known(cluster.repository.root))
    for difference in _differences(cluster):
        if not any(_covers(one, difference) for one in known):
            image, tool, built, run = difference
            yield Finding(
                f"scripts/tools/{tool}/go.mod",
                None,
                f"{tool} is {built}, and {image} is {', '.join(sorted(run))}",
                "move one to the other's version: the image's tag in the release's values, or the "
                f"go.mod, then `make capture`; or say why not, under `differs` of {IMAGES}",
            )


def differences_still_exist(clusters: Sequence[Cluster]) -> Iterator[Finding]:
    """Every listed difference exists, as described, in at least one cluster."""
    existing = {difference for cluster in clusters for difference in _differences(cluster)}
    for known in _known(clusters[0].repository.root):
        if not any(_covers(known, difference) for difference in existing):
            image, tool, built, run = known
            other = ", ".join(sorted(run)) or "of another version"
            text = f"no cluster has {image} {other} where {tool} is {built}"
            yield Finding(IMAGES, None, text, "correct what `differs` says, or remove it")


def _differences(cluster: Cluster) -> Iterator[Difference]:
    described = images.known(cluster.repository.root)
    running: dict[str, set[str]] = {}
    for pod in cluster.pods:
        for container in pod.containers:
            image = str(container.get("image"))
            running.setdefault(images.repository(image), set()).add(images.version(image))
    for image, versions in sorted(running.items()):
        # An image that is not listed is a finding of scripts/model/budget.py.
        module = described.get(image, {}).get("module")
        for tool in tools.NAMES:
            if module not in (pinned := tools.modules(tool)):
                continue
            built = tools.release(module, pinned[module])
            # Two releases may run one program in two versions; one of them is enough.
            if built not in versions:
                yield image, tool, built, frozenset(versions)


def _covers(known: Difference, difference: Difference) -> bool:
    return known[:3] == difference[:3] and known[3] in (frozenset(), difference[3])


def _known(root: Path) -> Iterator[Difference]:
    """Yield what `differs` lists; without a version that runs, it is any but the tool's."""
    for image, described in images.known(root).items():
        for one in described.get("differs", ()):
            for tool in one["tools"]:
                yield image, tool, one["built"], frozenset({one["run"]} if "run" in one else ())
