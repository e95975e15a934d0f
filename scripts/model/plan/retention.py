"""How long a cluster keeps what, by what its charts render."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.core.quantities import duration
from scripts.model import rendered
from scripts.model.manifests import Repository
from scripts.model.plan.sizes import DAY, Workload
from scripts.model.rendered import Cluster

_DEFAULT = Workload(clusters=1, nodes=1, pods=1, log_lines=1, months=1)
_THANOS = re.compile(r"--retention\.resolution-(raw|5m|1h)=(\S+)")


@dataclass(frozen=True)
class Retention:
    """How long a cluster keeps what, in days.

    Attributes:
        interval: Seconds between two scrapes.
        local_days: Metrics on Prometheus' volume.
        log_days: Lines.
        raw_days: Samples as they were, in Thanos' bucket.
        five_minute_days: Samples of five minutes.
        hour_days: Samples of an hour.
        thanos: Whether it has Thanos.
        recursive: Whether its compactor lists the bucket at once.
    """

    interval: float
    local_days: float
    log_days: float
    raw_days: float
    five_minute_days: float
    hour_days: float
    thanos: bool
    recursive: bool

    @property
    def metrics_days(self) -> float:
        """Days of metrics that it keeps, wherever."""
        return max(self.local_days, self.hour_days if self.thanos else 0)


def retention(root: Path, name: str) -> Retention:
    """Return how long a cluster keeps what.

    Args:
        root: The repository.
        name: A folder of `clusters/`.

    Raises:
        RepositoryError: If a chart is missing, or the cluster does not build.
    """
    repository = Repository(root)
    sync = next(iter(repository.cluster(name).values()))
    return of_cluster(rendered.clusters(repository, [sync])[0])


def of_cluster(cluster: Cluster) -> Retention:
    """Return how long a rendered cluster keeps what; defaults where it has no such part."""
    spec = next((item.spec for item in cluster.of("Prometheus")), {})
    logs = _DEFAULT.log_days
    for item in cluster.of("ConfigMap"):
        if item.release == "loki" and "config.yaml" in item.data:
            limits = yaml.safe_load(item.data["config.yaml"])["limits_config"]
            logs = duration(limits["retention_period"]) / DAY
    arguments = " ".join(
        argument
        for pod in cluster.pods
        for container in pod.containers
        for argument in rendered.command_line(container)
    )
    found = {key: duration(value) / DAY for key, value in _THANOS.findall(arguments)}
    return Retention(
        interval=duration(str(spec.get("scrapeInterval", f"{_DEFAULT.interval}s"))),
        local_days=duration(spec["retention"]) / DAY
        if "retention" in spec
        else _DEFAULT.local_days,
        log_days=logs,
        raw_days=found.get("raw", _DEFAULT.raw_days),
        five_minute_days=found.get("5m", _DEFAULT.five_minute_days),
        hour_days=found.get("1h", _DEFAULT.hour_days),
        thanos=bool(found),
        recursive="--block-discovery-strategy=recursive" in arguments,
    )
