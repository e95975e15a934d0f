"""Clusters that share a bucket: pairs of Prometheis, each with a sidecar, and Thanos over all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.lab.scale.metrics import tsdb
from scripts.lab.scale.metrics.tsdb import Changes
from scripts.model import rendered
from scripts.model.clusters import LABEL as CLUSTER
from scripts.model.manifests import Repository
from scripts.model.rendered import REPLICA_LABEL, Cluster
from scripts.servers.api import Api
from scripts.servers.monitoring import start_prometheus
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.processes import Processes
from scripts.servers.thanos import Component, Thanos, blocks, bucket_of

BUCKET = "metrics"
RELEASE = "thanos"


@dataclass(frozen=True)
class Member:
    """A Prometheus of a pair.

    Attributes:
        cluster: Its external label.
        replica: Its other one; without it the two are not a pair.
        tsdb: The day that it has seen.
        changes: What is different in its copy.
        called: Its name among the processes, where another one has the same labels.
    """

    cluster: str
    replica: str
    tsdb: Path
    changes: Changes = field(default_factory=Changes)
    called: str = ""

    @property
    def name(self) -> str:
        """What it is called among the processes."""
        return self.called or f"{self.cluster}-{self.replica}"

    @property
    def external_labels(self) -> dict[str, str]:
        """What tells its blocks from others' in the bucket."""
        return {CLUSTER: self.cluster, **({REPLICA_LABEL: self.replica} if self.replica else {})}


def pair(cluster: str, day: Path, *changes: Changes) -> list[Member]:
    """Return the Prometheis of a cluster, which are named as their pods are numbered."""
    each = changes or (Changes(), Changes())
    return [Member(cluster, f"replica-{i}", day, changed) for i, changed in enumerate(each)]


def of_thanos(repository: Repository) -> Cluster:
    """Return a cluster that has Thanos, its charts rendered.

    Raises:
        RepositoryError: If none has.
    """
    syncs = [s for s in repository.syncs if any(r.name == RELEASE for r in s.releases)]
    if not syncs:
        text, fix = "no cluster has the release thanos", "take in base/optional/scale/thanos"
        raise RepositoryError(Finding("clusters", None, text, fix))
    return rendered.clusters(repository, syncs[:1])[0]


class Fleet:
    """Prometheis with sidecars that have shipped all that they have.

    Attributes:
        prometheus: The API of each, by its member's name.
        sidecars: By the same name.
        thanos: Everything of Thanos; what else is to run is started on it.
        written: What each one's TSDB has.
    """

    def __init__(
        self,
        processes: Processes,
        declared: Mapping[str, Sequence[str]],
        members: Sequence[Member],
    ) -> None:
        """Start them, and wait until every block is in the bucket.

        Args:
            processes: What they are started with.
            declared: Arguments of Thanos' parts, see `thanos.declared`.
            members: The Prometheis of all clusters.
        """
        self.processes = processes
        self.storage = ObjectStorage(processes, BUCKET)
        bucket = bucket_of(self.storage, BUCKET, processes.folder("thanos"))
        self.thanos = Thanos(processes, declared, bucket)
        self.prometheus: dict[str, Api] = {}
        self.sidecars: dict[str, Component] = {}
        copies = processes.folder("copies")
        with ThreadPoolExecutor(2) as pool:
            self.written = dict(
                pool.map(lambda m: (m.name, tsdb.copy(m.tsdb, copies / m.name, m.changes)), members)
            )
        for member in members:
            config = {"global": {"external_labels": member.external_labels}}
            port = start_prometheus(processes, member.name, copies / member.name, config)
            self.prometheus[member.name] = Api(port)
            self.sidecars[member.name] = self.thanos.sidecar(member.name, port)
        self.wait_until_shipped()

    def wait_until_shipped(self) -> None:
        """Wait until the bucket has every block of every Prometheus."""
        progress("waiting until every block is in the bucket")
        expected = sum(written.blocks for written in self.written.values())

        def missing() -> str:
            found = len(blocks(self.storage, BUCKET))
            return "" if found >= expected else f"the bucket has {found} of {expected} blocks"

        self.processes.until(next(iter(self.sidecars.values())).name, missing)

    def through(self, live: Iterable[str]) -> Component:
        """Start store gateway, querier and frontend; return the frontend.

        Args:
            live: The Prometheis whose sidecars are asked, too; the others' blocks are found in the
                bucket alone, as those of a cluster whose sidecars cannot be reached.
        """
        endpoints = [self.thanos.store(), *(self.sidecars[name] for name in live)]
        return self.thanos.frontend(self.thanos.query(endpoints))

    def kill(self, name: str) -> None:
        """End a Prometheus and its sidecar at once."""
        self.prometheus.pop(name).close()
        self.processes.kill(name)
        self.thanos.stop(self.sidecars.pop(name))

    def close(self) -> None:
        """Close every connection."""
        for api in self.prometheus.values():
            api.close()
        self.thanos.close()
        self.storage.close()
