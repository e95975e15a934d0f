"""Several Lokis on loopback that are one: the pods that a cluster renders, each a process.

Which there are, and with which flags, is read from the rendered pods: three that do everything, or
the components of Loki's distributed mode. The configuration is the rendered one; what has to differ
is in `monitoring.LOKI_OVERRIDES` and here.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.core.yamlfile import Json, leaves
from scripts.model.rendered import Cluster, command_line
from scripts.servers.api import Api
from scripts.servers.monitoring import Override, loki_config
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.own_metrics import total
from scripts.servers.processes import LOOPBACK, Processes, free_ports
from scripts.servers.tcp_proxy import TcpProxy

RELEASE = "loki"
# What each kind of pod runs, and who takes pushes and queries.
ALL, DISTRIBUTOR, FRONTEND, RULER = "all", "distributor", "query-frontend", "ruler"
_TARGET = re.compile(r"-{1,2}target=(?P<target>\S+)")
# Flags of the pods that name files and addresses, which are others here.
_OWN_FLAGS = ("config.file", "target", "memberlist.advertise-addr")
_SERVICE = re.compile(
    r"^(?:dns\w*\+)?(?:_grpc\._tcp\.)?(?P<scheme>https?://)?"
    rf"{RELEASE}-(?P<target>[a-z-]+?)(?:-headless)?\.[\w-]+\.svc[\w.]*(?::(?P<port>\d+))?$"
)
_GRPC_PORT = "9095"
# Seconds that an answer may take.
_TIMEOUT = 60.0


def buckets(cluster: Cluster) -> list[str]:
    """Return the names of the buckets that a cluster's Loki is told."""
    found = (i for i in cluster.of("ConfigMap") if i.release == RELEASE and i.name == RELEASE)
    names = {
        value
        for item in found
        for keys, value in leaves(yaml.safe_load(item.data["config.yaml"]))
        if keys[-1] == "bucketnames"
    }
    return sorted(names)


def replicas_overrides(storage: ObjectStorage | None) -> tuple[Override, ...]:
    """Return what has to differ besides `LOKI_OVERRIDES`.

    Args:
        storage: In place of the provider's; None where the rendered one is a volume.
    """
    common = (
        Override(
            "common.ring",
            {
                "kvstore": {"store": "memberlist"},
                "instance_addr": LOOPBACK,
            },
            "each pod has a host name and an address of its own",
        ),
        Override("memberlist.node_name", "{name}", "each pod has a host name of its own"),
        Override("memberlist.advertise_addr", LOOPBACK, "the pod's own address"),
        Override(
            "memberlist.leave_timeout", "1s", "where all end at once, nobody is left to hear it"
        ),
        Override("memberlist.advertise_port", "{gossip}", "the pod's port may be taken here"),
    )
    if storage is None:
        return common
    return (
        *common,
        Override(
            "ingester.query_store_max_look_back_period",
            "0s",
            "Loki refuses any other with a bucket",
        ),
        Override("common.storage.s3.endpoint", storage.endpoint, "the server on this machine"),
        Override("common.storage.s3.region", storage.region, "the server on this machine"),
        Override("common.storage.s3.insecure", True, "it has no certificate"),
    )


@dataclass(frozen=True)
class Member:
    """One process.

    Attributes:
        name: As the ring knows it; its rendered workload and a number.
        target: What it runs.
        flags: The rendered ones that need not differ.
        http: Port of its API.
        grpc: Port for the others.
        gossip: Port of the ring.
        folder: Of its files.
    """

    name: str
    target: str
    flags: tuple[str, ...]
    http: int
    grpc: int
    gossip: int
    folder: Path

    @property
    def volume(self) -> Path:
        """What its pod has at /var/loki."""
        return self.folder / "var/loki"


class LokiCluster:
    """The processes of one Loki, not started at first.

    Attributes:
        members: All of them, by name.
    """

    def __init__(
        self,
        processes: Processes,
        cluster: Cluster,
        storage: ObjectStorage | None = None,
        overrides: Sequence[Override] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Write each member's configuration.

        Args:
            processes: What they are started with.
            cluster: A cluster sync with its charts rendered, or a change of it.
            storage: The S3 server, where the rendered configuration has a bucket.
            overrides: Besides those that are needed on one machine.
            environment: Variables in place of those that hold the storage's keys.
        """
        known = storage.environment if storage else {}
        self._environment = known if environment is None else environment
        self._processes = processes
        self._cluster = cluster
        self._overrides = (*replicas_overrides(storage), *overrides)
        self.members = {m.name: m for m in _members(processes, cluster)}
        for member in self.members.values():
            self._configure(member)

    def of(self, *targets: str) -> list[Member]:
        """Return the members that run one of these."""
        return [m for m in self.members.values() if m.target in targets]

    def start(self, *names: str, wait: bool = True) -> None:
        """Start members, by default all, and wait until they are ready.

        Raises:
            RepositoryError: If one does not start.
        """
        chosen = names or tuple(self.members)
        for name in chosen:
            member = self.members[name]
            self._processes.start(
                name,
                f"-config.file={member.folder / 'loki.yaml'}",
                f"-target={member.target}",
                *member.flags,
                tool="loki",
                environment=self._environment,
            )
        for name in chosen if wait else ():
            self.wait(name)

    def wait(self, name: str) -> None:
        """Wait until a member is ready.

        Raises:
            RepositoryError: If it is not.
        """
        self._processes.wait(name, f"http://{LOOPBACK}:{self.members[name].http}/ready")

    def kill(self, *names: str) -> None:
        """End members at once, as where their nodes are gone."""
        for name in names:
            self._processes.kill(name)

    def restart(self, *names: str) -> None:
        """Start members again on their volumes, and wait until they are ready."""
        for name in names:
            self._processes.restart(name)
        for name in names:
            self.wait(name)

    def stop(self) -> None:
        """Ask all that run to end, as before a pod is replaced, and wait until they have."""
        self._processes.end(*self.members)

    def streams(self, name: str) -> int:
        """Return how many streams a member that runs has in memory."""
        with contextlib.closing(Api(self.members[name].http)) as api:
            return int(total(api, "loki_ingester_memory_streams") or 0)

    def lose_volumes(self, *names: str) -> None:
        """Remove what members that do not run have written, by default of all."""
        for name in names or tuple(self.members):
            shutil.rmtree(self.members[name].volume, ignore_errors=True)

    def lose_write_ahead_logs(self) -> None:
        """Remove what members that do not run would read again at their start."""
        for member in self.members.values():
            shutil.rmtree(member.volume / "wal", ignore_errors=True)

    @contextlib.contextmanager
    def api(self, *targets: str, timeout: float = _TIMEOUT) -> Iterator[Api]:
        """Talk to a member that runs one of these, another each time.

        Args:
            targets: As of `of`.
            timeout: Seconds until it counts as silent.
        """
        port = random.choice(self.of(*targets)).http  # noqa: S311 - no secret
        with contextlib.closing(Api(port, timeout)) as api:
            yield api

    @contextlib.contextmanager
    def service(self, *targets: str) -> Iterator[TcpProxy]:
        """Spread connections over the members that run one of these, as a Service does."""
        proxy = TcpProxy(*(member.http for member in self.of(*targets)))
        proxy.open()
        try:
            yield proxy
        finally:
            proxy.close()

    def _configure(self, member: Member) -> None:
        numbers = {
            "folder": str(member.folder),
            "name": member.name,
            "http": member.http,
            "grpc": member.grpc,
            "gossip": member.gossip,
        }
        config = loki_config(self._cluster, member.folder, numbers, self._overrides)
        config["common"]["ring"]["instance_id"] = member.name
        config["memberlist"]["join_members"] = [
            f"{LOOPBACK}:{other.gossip}" for other in self.members.values()
        ]
        text = yaml.safe_dump(self._addressed(config))
        (member.folder / "loki.yaml").write_text(text)

    def _addressed(self, value: Json) -> Json:
        """Return a configuration with processes in place of the release's Services."""
        if isinstance(value, dict):
            return {key: self._addressed(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._addressed(inner) for inner in value]
        found = _SERVICE.match(value) if isinstance(value, str) else None
        members = self.of(found["target"]) if found else []
        if not found or not members:
            return value
        port = members[0].grpc if found["port"] in (None, _GRPC_PORT) else members[0].http
        return f"{found['scheme'] or ''}{LOOPBACK}:{port}"


def _members(processes: Processes, cluster: Cluster) -> list[Member]:
    """Return a member for each of the rendered pods of Loki."""
    found = []
    for pod in cluster.pods:
        if pod.owner.release != RELEASE:
            continue
        for container in pod.spec["containers"]:
            flags = command_line(container)
            target = next((t["target"] for f in flags if (t := _TARGET.fullmatch(f))), None)
            if target is None:
                continue
            own = tuple(f for f in flags if f.lstrip("-").partition("=")[0] not in _OWN_FLAGS)
            for number in range(pod.count(1)):
                name = f"{pod.owner.name}-{number}"
                folder = processes.folder(f"{name}-files")
                http, grpc, gossip = free_ports(3)
                found.append(Member(name, target, own, http, grpc, gossip, folder))
    return found
