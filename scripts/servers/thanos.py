"""Thanos as processes on loopback, with the arguments of the pods that a cluster renders.

What has to differ on one machine is listed once, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from scripts.core.findings import Finding, RepositoryError
from scripts.model.rendered import Cluster
from scripts.servers.api import Api
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.own_metrics import total
from scripts.servers.processes import LOOPBACK, Processes, free_ports

TOOL = "thanos"
SIDECAR, STORE, COMPACT = "sidecar", "store", "compact"
QUERY, FRONTEND = "query", "query-frontend"
PARTS = (SIDECAR, STORE, COMPACT, QUERY, FRONTEND)

# Flags whose rendered values are replaced, and why.
REPLACED: Mapping[str, str] = {
    "--http-address": "only this machine may reach it, and the pod's port may be taken here",
    "--grpc-address": "only this machine may reach it, and the pod's port may be taken here",
    "--data-dir": "the pod's volume",
    "--tsdb.path": "the pod's volume",
    "--prometheus.url": "the pod's other container",
    "--objstore.config": "a Secret that people fill",
    "--objstore.config-file": "a Secret that people fill",
    "--endpoint": "there are no Services to look up",
    "--endpoint-group": "there are no Services to look up",
    "--query-frontend.downstream-url": "there are no Services to look up",
    "--consistency-delay": "what was shipped just now would be left alone for half an hour",
    "--wait-interval": "else the next look at the bucket is five minutes away",
    "--sync-block-duration": "else new blocks are seen a quarter of an hour later",
    "--log.level": "a log that is read only after a failure",
    "--log.format": "a log that is read only after a failure",
}
_SECONDS = "5s"
# Of a compaction, on a busy machine.
_TIMEOUT = 300.0


@dataclass(frozen=True)
class Component:
    """A running part of Thanos.

    Attributes:
        name: Among the processes.
        api: Its HTTP port: its own metrics, and the answers of those that answer queries.
        grpc: Its port for other parts; 0 where it has none.
    """

    name: str
    api: Api
    grpc: int = 0

    @property
    def endpoint(self) -> str:
        """Where other parts reach it."""
        return f"{LOOPBACK}:{self.grpc}"

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the sum of its own metric over all series with these labels; None without any."""
        return total(self.api, name, **labels)


@dataclass
class Thanos:
    """The parts that share a bucket; they end with the other processes.

    Attributes:
        declared: Arguments of each part as rendered, by its command; see `declared`.
        bucket: The object storage's configuration as a file.
        parts: What runs, by name.
    """

    processes: Processes
    declared: Mapping[str, Sequence[str]]
    bucket: Path
    parts: dict[str, Component] = field(default_factory=dict)

    def sidecar(self, prometheus: str, port: int, name: str = "") -> Component:
        """Start a sidecar that ships a Prometheus' blocks.

        Args:
            prometheus: Its name among the processes; `data` in its folder is its TSDB.
            port: Its port.
            name: Of the sidecar; by default made of the other.
        """
        return self._start(
            SIDECAR,
            name or f"{SIDECAR}-{prometheus}",
            {
                "--prometheus.url": [f"http://{LOOPBACK}:{port}"],
                "--tsdb.path": [str(self.processes.folder(prometheus) / "data")],
                "--objstore.config-file": [str(self.bucket)],
            },
        )

    def store(self, name: str = STORE) -> Component:
        """Start a store gateway; it is ready once it has seen every block of the bucket."""
        replaced = self._of_bucket(name) | {"--sync-block-duration": [_SECONDS]}
        return self._start(STORE, name, replaced)

    def compact(self, name: str = COMPACT, *more: str, without: Sequence[str] = ()) -> Component:
        """Start a compactor; `wait_for_compaction` waits until it has seen the whole bucket.

        Args:
            name: Among the processes.
            more: Arguments besides the declared ones.
            without: Flags that it is started without although they are declared.
        """
        replaced = self._of_bucket(name) | {
            "--consistency-delay": ["0s"],
            "--wait-interval": [_SECONDS],
            **{flag: [] for flag in without},
        }
        return self._start(COMPACT, name, replaced, *more)

    def query(
        self, endpoints: Sequence[Component], name: str = QUERY, without: Sequence[str] = ()
    ) -> Component:
        """Start a querier.

        Args:
            endpoints: Sidecars and store gateways that it asks.
            name: Among the processes.
            without: As of `compact`.
        """
        replaced = {
            "--endpoint": [one.endpoint for one in endpoints],
            "--endpoint-group": [],
            **{flag: [] for flag in without},
        }
        started = self._start(QUERY, name, replaced)
        self.processes.until(name, lambda: _missing(started, len(endpoints)))
        return started

    def frontend(self, query: Component, name: str = FRONTEND) -> Component:
        """Start a query frontend, which is what Grafana asks."""
        url = f"http://{LOOPBACK}:{query.api.port}"
        return self._start(FRONTEND, name, {"--query-frontend.downstream-url": [url]})

    def wait_for_compaction(self, part: Component, timeout: float = _TIMEOUT) -> bool:
        """Wait until a compactor has been through the bucket; return whether it has halted.

        Args:
            part: The compactor.
            timeout: In seconds.
        """

        def missing() -> str:
            if part.metric("thanos_compact_halted"):
                return ""
            done = part.metric("thanos_compact_iterations_total") or 0
            return "" if done else "it has not been through the bucket"

        self.processes.until(part.name, missing, timeout)
        return bool(part.metric("thanos_compact_halted"))

    def stop(self, *parts: Component) -> None:
        """End parts at once, as a node's failure would."""
        for part in parts:
            part.api.close()
            self.processes.kill(part.name)
            self.parts.pop(part.name, None)

    def close(self) -> None:
        """Close every connection."""
        for part in self.parts.values():
            part.api.close()

    def _of_bucket(self, name: str) -> dict[str, list[str]]:
        return {
            "--data-dir": [str(self.processes.folder(name) / "data")],
            "--objstore.config-file": [str(self.bucket)],
        }

    def _start(
        self, command: str, name: str, replaced: Mapping[str, Sequence[str]], *more: str
    ) -> Component:
        http, grpc = free_ports(2)
        replaced = {
            "--http-address": [f"{LOOPBACK}:{http}"],
            "--log.level": ["info"],
            "--log.format": [],
            **replaced,
        }
        has_grpc = command in (SIDECAR, STORE, QUERY)
        if has_grpc:
            replaced["--grpc-address"] = [f"{LOOPBACK}:{grpc}"]
        arguments = with_replaced(self.declared[command], replaced)
        self.processes.start(name, *arguments, *more, tool=TOOL)
        self.processes.wait(name, f"http://{LOOPBACK}:{http}/-/ready")
        part = Component(name, Api(http), grpc if has_grpc else 0)
        self.parts[name] = part
        return part


def declared(cluster: Cluster) -> dict[str, list[str]]:
    """Return the arguments of each part of Thanos in a cluster, by its command.

    The Prometheus operator makes the sidecar's; the Prometheus may add some.

    Raises:
        RepositoryError: Where a part is missing.
    """
    found: dict[str, list[str]] = {}
    for pod in cluster.pods:
        for container in pod.containers:
            arguments = [str(a) for a in container.get("args") or []]
            if arguments and arguments[0] in (STORE, COMPACT, QUERY, FRONTEND):
                found[arguments[0]] = arguments
    for item in cluster.of("Prometheus"):
        sidecar = item.spec.get("thanos")
        if sidecar is not None:
            more = sidecar.get("additionalArgs") or []
            found[SIDECAR] = [SIDECAR, *(f"--{a['name']}={a.get('value', '')}" for a in more)]
    missing = [command for command in PARTS if command not in found]
    if missing:
        text = f"{cluster.name} renders no Thanos {', '.join(missing)}"
        fix = "take in base/optional/scale/thanos"
        raise RepositoryError(Finding("clusters", None, text, fix))
    return found


def with_replaced(arguments: Sequence[str], replaced: Mapping[str, Sequence[str]]) -> list[str]:
    """Return arguments with all of some flags replaced, by none where there is no value."""
    kept = [argument for argument in arguments if argument.partition("=")[0] not in replaced]
    return kept + [f"{flag}={value}" for flag, values in replaced.items() for value in values]


def bucket_of(storage: ObjectStorage, bucket: str, folder: Path) -> Path:
    """Write the configuration of a bucket, as its Secret has it; return the file."""
    config = {
        "type": "S3",
        "config": {
            "bucket": bucket,
            "endpoint": storage.host,
            "region": storage.region,
            "access_key": storage.access_key,
            "secret_key": storage.secret_key,
            "insecure": True,
        },
    }
    path = folder / f"{bucket}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def blocks(storage: ObjectStorage, bucket: str) -> set[str]:
    """Return the ids of the blocks that a bucket has whole: what comes last is its meta.json."""
    keys = [one.key for one in storage.objects(bucket)]
    whole = {key.split("/")[0] for key in keys if key.endswith("/meta.json")}
    return whole - {key.split("/")[0] for key in keys if key.endswith("/deletion-mark.json")}


def _missing(query: Component, expected: int) -> str:
    stores = query.api.get("/api/v1/stores")["data"]
    up = sum(not one.get("lastError") for kind in stores.values() for one in kind or [])
    return "" if up == expected else f"it reaches {up} of {expected} endpoints"
