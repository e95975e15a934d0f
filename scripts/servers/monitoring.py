"""Prometheus and Loki as processes on loopback, with the configuration that a cluster renders.

Prometheus loads the rules, and Loki the configuration, that the charts render; what has to differ
on one machine is listed once, with its reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model import clusters
from scripts.model.rendered import LOKI_RULES_CONFIGMAP, Cluster, rule_files
from scripts.servers.api import Api, ApiError
from scripts.servers.processes import LOOPBACK, Processes, free_port, free_ports

# Bytes of lines in one push; Loki's own limit is 100 MiB.
_PUSH_BYTES = 4 << 20
# What Loki calls the tenant where it knows none (auth_enabled: false).
_TENANT = "fake"


@dataclass(frozen=True)
class Servers:
    """The APIs that Grafana would ask."""

    prometheus: Api
    loki: Api


@dataclass(frozen=True)
class Override:
    """A value that replaces one of Loki's rendered configuration.

    Attributes:
        key: Path in the configuration, with dots.
        value: The new one; `{folder}`, `{http}`, `{grpc}` and `{gossip}` are filled in.
        reason: Why it has to differ.
    """

    key: str
    value: Json
    reason: str


# Besides these, each path below /var/loki and /etc/loki is moved into a temporary folder.
LOKI_OVERRIDES = (
    Override("server.http_listen_address", LOOPBACK, "only this machine may reach it"),
    Override("server.grpc_listen_address", LOOPBACK, "only this machine may reach it"),
    Override("server.http_listen_port", "{http}", "the pod's port may be taken here"),
    Override("server.grpc_listen_port", "{grpc}", "the pod's port may be taken here"),
    Override("server.log_level", "warn", "a log that is read only after a failure"),
    Override("common.instance_addr", LOOPBACK, "else Loki asks itself at another interface"),
    Override(
        "common.ring",
        {"kvstore": {"store": "inmemory"}, "instance_addr": LOOPBACK},
        "there is no other member to gossip with",
    ),
    Override("common.compactor_grpc_address", f"{LOOPBACK}:{{grpc}}", "no Service has that name"),
    Override(
        "frontend.address", LOOPBACK, "else queries wait for an interface that does not answer"
    ),
    Override("memberlist.bind_addr", [LOOPBACK], "only this machine may reach it"),
    Override("memberlist.bind_port", "{gossip}", "the pod's port may be taken here"),
    Override("memberlist.join_members", [], "no Service has that name"),
    Override("ingester.lifecycler.min_ready_duration", "0s", "nobody hands over to it"),
    Override("querier.query_ingesters_within", 0, "yesterday's lines are still in memory"),
    Override(
        "ingester.query_store_max_look_back_period", "-1ns", "yesterday's lines are still in memory"
    ),
    Override("frontend.scheduler_dns_lookup_period", "100ms", "else it is ready after 10 s"),
    Override("frontend_worker.dns_lookup_duration", "100ms", "else it is ready after 10 s"),
    Override("limits_config.ingestion_rate_mb", 1000, "a day arrives in seconds"),
    Override("limits_config.ingestion_burst_size_mb", 1000, "a day arrives in seconds"),
    Override("limits_config.per_stream_rate_limit", "1GB", "a day arrives in seconds"),
    Override("limits_config.per_stream_rate_limit_burst", "1GB", "a day arrives in seconds"),
)


@contextlib.contextmanager
def servers(cluster: Cluster, tsdb: Path, logs: Path) -> Iterator[Servers]:
    """Run both servers on a day's data; they end with the block.

    Args:
        cluster: A cluster sync with its charts rendered.
        tsdb: Folder of blocks; it is not written to.
        logs: JSON lines, one log entry each.

    Raises:
        RepositoryError: If a server does not start or does not take its data.
    """
    with prometheus(cluster, tsdb) as metrics, loki(cluster, logs) as lines:
        yield Servers(metrics, lines)


@dataclass(frozen=True)
class Evaluation:
    """How a running Prometheus evaluates its rules, and which Alertmanager it notifies.

    Attributes:
        interval: In seconds; after as long, an alert that still fires is sent again.
        alertmanager: Its port on this machine.
    """

    interval: int
    alertmanager: int


@contextlib.contextmanager
def prometheus(cluster: Cluster, tsdb: Path, live: Evaluation | None = None) -> Iterator[Api]:
    """Run Prometheus on a copy of a TSDB, with the rules of a cluster.

    Args:
        cluster: A cluster sync with its charts rendered.
        tsdb: Folder of blocks; it is not written to.
        live: How rules are evaluated; by default they are only there to be accepted, as those of a
            day were evaluated when it was made.
    """
    files = rule_files(cluster)
    spec = cluster.of("Prometheus")[0].spec
    with Processes() as processes:
        folder = processes.folder("prometheus")
        for file, content in files.items():
            (folder / file).write_text(yaml.safe_dump(content, sort_keys=False))
        config: dict[str, Json] = {
            "global": {
                "evaluation_interval": f"{live.interval}s" if live else "1h",
                "external_labels": dict(spec.get("externalLabels") or {}),
            },
            "rule_files": [str(folder / file) for file in files],
        }
        if live:
            target = {"targets": [f"{LOOPBACK}:{live.alertmanager}"]}
            config["alerting"] = {"alertmanagers": [{"static_configs": [target]}]}
        # What fired before goes on at once, as after a short restart.
        flags = (
            f"--rules.alert.resend-delay={live.interval}s" if live else "",
            "--rules.alert.for-grace-period=0s" if live else "",
        )
        port = start_prometheus(processes, "prometheus", tsdb, config, *filter(None, flags))
        with contextlib.closing(Api(port)) as api:
            _check_rules(api, files)
            yield api


def start_prometheus(processes: Processes, name: str, tsdb: Path, config: Json, *flags: str) -> int:
    """Run Prometheus on a copy of a TSDB, which is the folder `data` among its files.

    Args:
        processes: What it is started with.
        name: What it is called there.
        tsdb: Folder of blocks; it is not written to.
        config: Its configuration.
        flags: Besides those that every server here gets.

    Returns:
        Its port.
    """
    folder = processes.folder(name)
    for block in sorted(path.parent for path in tsdb.glob("*/meta.json")):
        shutil.copytree(block, folder / "data" / block.name, copy_function=_link)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    processes.start(
        name,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=10y",
        # Compaction would spoil the timing, and there is nothing to gain for a few minutes; beside
        # a sidecar that ships blocks there is none either.
        "--storage.tsdb.min-block-duration=2h",
        "--storage.tsdb.max-block-duration=2h",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
        *flags,
        tool="prometheus",
    )
    processes.wait(name, f"http://{LOOPBACK}:{port}/-/ready")
    return port


@contextlib.contextmanager
def loki(cluster: Cluster, logs: Path, overrides: Sequence[Override] = ()) -> Iterator[Api]:
    """Run Loki with the configuration and the rules of a cluster, and push a day's lines into it.

    Args:
        cluster: A cluster sync with its charts rendered.
        logs: JSON lines, one log entry each.
        overrides: Besides LOKI_OVERRIDES.
    """
    with tempfile.TemporaryDirectory(prefix="loki-") as name:
        folder = Path(name)
        http, grpc, gossip = free_ports(3)
        numbers = {"folder": name, "http": http, "grpc": grpc, "gossip": gossip}
        config = loki_config(cluster, folder, numbers, overrides)
        (folder / "loki.yaml").write_text(yaml.safe_dump(config))
        arguments = (f"-config.file={folder / 'loki.yaml'}",)
        with running("loki", arguments, http, "/ready") as api:
            push(api, logs)
            yield api


def loki_config(
    cluster: Cluster,
    folder: Path,
    numbers: Mapping[str, object],
    overrides: Sequence[Override] = (),
) -> Json:
    """Return the rendered configuration with all overrides; writes the files that it refers to."""
    maps = {i.name: i.manifest["data"] for i in cluster.of("ConfigMap") if i.release == "loki"}
    config = _relocated(yaml.safe_load(maps["loki"]["config.yaml"]), folder)
    runtime = Path(config["runtime_config"]["file"])
    runtime.parent.mkdir(parents=True, exist_ok=True)
    runtime.write_text(maps["loki-runtime"][runtime.name])
    for file, text in loki_rule_texts(cluster).items():
        mount(Path(config["ruler"]["storage"]["local"]["directory"]) / _TENANT, file, text)
    for override in (*LOKI_OVERRIDES, *overrides):
        *parents, last = override.key.split(".")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        value = override.value
        if isinstance(value, str) and "{" in value:
            value = value.format_map(numbers)
            value = int(value) if value.isdigit() else value
        place[last] = value
    return config


def loki_rule_texts(cluster: Cluster) -> dict[str, str]:
    """Return each rule file that a cluster's Loki reads, by its file's name."""
    found = [item for item in cluster.of("ConfigMap") if item.name == LOKI_RULES_CONFIGMAP]
    return {name: text for item in found for name, text in item.manifest["data"].items()}


def mount(folder: Path, name: str, text: str) -> None:
    """Write a file as the kubelet mounts a ConfigMap: behind two symbolic links.

    https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go
    """
    version = folder / "..2026_01_01"
    version.mkdir(parents=True, exist_ok=True)
    (version / name).write_text(text)
    for link, target in ((folder / "..data", version.name), (folder / name, f"..data/{name}")):
        if not link.is_symlink():
            link.symlink_to(target)


def push(api: Api, logs: Path) -> int:
    """Send log entries to Loki and see that it has them; see `send`.

    Raises:
        RepositoryError: If Loki refuses a batch or has fewer lines than were sent.
    """
    sent = send(api, logs)
    check_sent(api, sent)
    return sent.entries


class Sent(NamedTuple):
    """Log entries that Loki took: how many, and when the first and the last are from (ns)."""

    entries: int
    first: int
    last: int


def send(api: Api, logs: Path) -> Sent:
    """Send log entries to Loki.

    Args:
        api: Loki.
        logs: JSON lines with `labels`, `structured_metadata`, `timestamp` and `line`, by time.

    Raises:
        RepositoryError: If Loki refuses a batch.
    """
    count, first, last = 0, "0", "0"
    batch: dict[str, list[list[Json]]] = {}
    size = 0
    try:
        with logs.open(encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line)
                stream = json.dumps(entry["labels"], sort_keys=True)
                value = [entry["timestamp"], entry["line"], entry.get("structured_metadata") or {}]
                batch.setdefault(stream, []).append(value)
                first, last = first if count else entry["timestamp"], entry["timestamp"]
                count += 1
                size += len(line)
                if size >= _PUSH_BYTES:
                    push_streams(api, batch)
                    batch, size = {}, 0
        push_streams(api, batch)
    except ApiError as error:
        message = f"Loki refuses lines of {logs.name}: {error}"
        raise RepositoryError(
            Finding("base/releases/loki.yaml", None, message, "correct the lines, or limits_config")
        ) from error
    return Sent(count, int(first), int(last))


def push_streams(api: Api, batch: Mapping[str, Sequence[Sequence[Json]]]) -> None:
    """Push entries to Loki in one request.

    Args:
        api: Loki.
        batch: Of each stream, by its labels as JSON: time (ns, as text), line, and metadata if any.

    Raises:
        ApiError: With Loki's message.
    """
    streams = [{"stream": json.loads(labels), "values": v} for labels, v in batch.items()]
    if streams:
        api.post("/loki/api/v1/push", {"streams": streams})


def check_sent(api: Api, sent: Sent) -> None:
    """See that Loki has what was sent.

    Raises:
        RepositoryError: If it has fewer lines.
    """
    if not sent.entries:
        return
    expected, first, last = sent
    seconds = (last - first) // 10**9 + 1
    # Every line of the log pipeline has the label.
    query = f'sum(count_over_time({{{clusters.LABEL}=~".+"}}[{seconds}s]))'
    answer = api.get("/loki/api/v1/query", {"query": query, "time": str(last + 1)})
    result = answer["data"]["result"]
    found = int(result[0]["value"][1]) if result else 0
    if found != expected:
        message = f"Loki has {found} of {expected} lines"
        fix = "two entries of a stream may not have the same time and line"
        raise RepositoryError(Finding("scripts/simulation", None, message, fix))


def _check_rules(api: Api, files: Mapping[str, Json]) -> None:
    """Check that the server has each rule, and an error with none."""
    groups = api.get("/api/v1/rules")["data"]["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    expected = sum(len(g.get("rules") or []) for file in files.values() for g in file["groups"])
    findings = [
        Finding(
            f"rule {rule['name']}", None, f"Prometheus: {rule['lastError']}", "correct the rule"
        )
        for rule in found
        if rule["health"] not in ("ok", "unknown")
    ]
    if len(found) != expected:
        message = f"Prometheus has {len(found)} of {expected} rules"
        findings.append(
            Finding("PrometheusRules", None, message, "give each group a name of its own")
        )
    if findings:
        raise RepositoryError(*findings)


@contextlib.contextmanager
def running(name: str, arguments: tuple[str, ...], port: int, ready: str) -> Iterator[Api]:
    """Run a program until the block ends, whatever happens in it."""
    with Processes() as processes:
        processes.start(name, *arguments)
        processes.wait(name, f"http://{LOOPBACK}:{port}{ready}")
        api = Api(port)
        try:
            yield api
        finally:
            api.close()


def start_alertmanager(processes: Processes, config: Json) -> int:
    """Run Alertmanager, the only one of its cluster; return its port."""
    folder = processes.folder("alertmanager")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    port, gossip = free_ports(2)
    processes.start(
        "alertmanager",
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        f"--cluster.listen-address={LOOPBACK}:{gossip}",
    )
    processes.wait("alertmanager", f"http://{LOOPBACK}:{port}/-/ready")
    return port


def _link(source: str, target: str) -> None:
    """Link a file of a block, which Prometheus never changes in place; copy to another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _relocated(value: Json, folder: Path) -> Json:
    """Return a configuration with the pod's folders below another one."""
    if isinstance(value, dict):
        return {key: _relocated(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [_relocated(inner, folder) for inner in value]
    if isinstance(value, str) and value.startswith(("/var/loki", "/etc/loki")):
        return f"{folder}{value}"
    return value
