"""kube-state-metrics' reading of its flags, and the blackbox exporter's of its modules."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.checks.rendered.refusals.model import (
    CONFIGCHECK,
    Job,
    argument,
    arguments,
    containers,
    files,
)
from scripts.model.rendered import Cluster


def state_metrics(cluster: Cluster) -> Iterator[Job]:
    """Yield the flags of kube-state-metrics, and the files that it may be told to read."""
    for pod, container in containers(cluster, "kube-state-metrics"):
        mounted = {path: text for path, (text, _) in files(cluster, pod, container).items()}
        given = {"args": arguments(container), "files": mounted}
        fix = "correct it: kube-state-metrics exits, and every kube_ metric is missing"
        yield Job(
            CONFIGCHECK,
            "kube-state-metrics",
            given,
            cluster,
            pod.owner,
            fix,
            hints=("metricAllowlist",),
        )


def blackbox(cluster: Cluster) -> Iterator[Job]:
    """Yield the modules of the blackbox exporter."""
    for pod, container in containers(cluster, "blackbox-exporter"):
        mounted = files(cluster, pod, container)
        path = argument(container, "config.file")
        if path in mounted:
            text, item = mounted[path]
            fix = "correct it: the exporter exits, and every probe is missing"
            yield Job(CONFIGCHECK, "blackbox_exporter", text, cluster, item, fix)
