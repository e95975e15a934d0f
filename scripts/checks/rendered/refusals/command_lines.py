"""Command lines that programs parse themselves: with `--version`, they do it and exit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scripts import tools
from scripts.checks.rendered.refusals.model import (
    NODE_EXPORTER,
    OPERATOR,
    Job,
    Refusal,
    arguments,
    containers,
)
from scripts.model.rendered import Cluster

# By the image's name: the tool, who refuses, what becomes of it.
PROGRAMS: Mapping[str, tuple[str, str, str]] = {
    "node-exporter": (
        NODE_EXPORTER,
        "node-exporter",
        "it exits, and every node_ metric is missing",
    ),
    "prometheus-operator": (
        OPERATOR,
        "the Prometheus operator",
        "the operator exits, and reconciles nothing any more",
    ),
}
_PREFIX = re.compile(r"^(Error parsing command line arguments|\S+: error): ")


def flags(cluster: Cluster) -> Iterator[Job]:
    """Yield the arguments of each of these programs."""
    for image, (tool, program, effect) in PROGRAMS.items():
        for pod, container in containers(cluster, image):
            given = arguments(container)
            yield Job(tool, program, given, cluster, pod.owner, f"correct it: {effect}")


def verify(job: Job) -> list[Refusal]:
    """Return what a program says of its arguments; nothing if it takes them."""
    run = tools.run(job.tool, *job.input, "--version")
    if not run.returncode:
        return []
    lines = (run.stderr + run.stdout).strip().splitlines() or ["no reason"]
    return [Refusal(_PREFIX.sub("", lines[0]))]
