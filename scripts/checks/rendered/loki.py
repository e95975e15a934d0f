"""Loki's rendered configuration fits what is sent to it, and the pods that run it.

What Loki takes where nothing is set is of its version 3:
https://grafana.com/docs/loki/latest/configure/.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import yaml

from scripts.checks.static.queries import STREAM_LABELS
from scripts.core.findings import Finding
from scripts.core.quantities import byte_size, duration
from scripts.core.yamlfile import Json, get
from scripts.model.rendered import Cluster, Item, Pod, command_line, mount_of

# Chunks are deleted by the day's index that lists them.
SHORTEST = 86400.0
# What Loki calls its only tenant where it asks nobody for one.
TENANT = "fake"
REPLICATION_FACTOR, LABEL_NAMES, OLDEST = 3, 15, "168h"
INGESTERS = frozenset({"all", "write", "ingester"})
READERS = frozenset({"all", "read", "querier", "ingester"})
BURST = 6.0
# What Alloy pushes at once where nothing else is written (loki.write, endpoint, batch_size).
BATCH, _BATCH = "1MiB", re.compile(r"batch_size\s*=\s*\"(\w+)\"")


class Loki(NamedTuple):
    """A Loki: its configuration, the object that holds it, and its pods."""

    item: Item
    config: Mapping[str, Json]
    pods: tuple[Pod, ...]

    @property
    def ingesters(self) -> int:
        """How many pods take in logs."""
        return sum(pod.count(1) for pod in self.pods if _targets(pod) & INGESTERS)


def tenant_named(cluster: Cluster) -> Iterator[Finding]:
    """Who pushes and asks says which tenant it is, where Loki wants to know."""
    for loki in installed(cluster):
        enabled = loki.config.get("auth_enabled", True)
        if enabled and not any("tenant_id" in text for text in _pipelines(cluster)):
            text = "auth_enabled is true, and neither Alloy nor Grafana names a tenant"
            yield cluster.finding(
                loki.item,
                f"{text}: every push and every query is refused with 401",
                "set auth_enabled: false; the chart's default is true",
                (("auth_enabled",), True),
            )


def enough_ingesters(cluster: Cluster) -> Iterator[Finding]:
    """Each log line has as many copies as there are pods to keep them."""
    for loki in installed(cluster):
        own = get(loki.config, "common", "replication_factor")
        factor = REPLICATION_FACTOR if own is None else int(own)
        if factor > loki.ingesters:
            text = f"replication_factor is {factor}, and {loki.ingesters} of its pods take in logs"
            yield cluster.finding(
                loki.item,
                f"{text}: pushes and queries fail, as too few copies can be made",
                f"set commonConfig.replication_factor: {max(loki.ingesters, 1)}",
                (("replication_factor",), own),
            )


def survives_one(cluster: Cluster) -> Iterator[Finding]:
    """Of several Lokis one may be away, and what was not in the bucket yet is not lost with it."""
    for loki in installed(cluster):
        if loki.ingesters < 2:
            continue
        own = get(loki.config, "common", "replication_factor")
        factor = REPLICATION_FACTOR if own is None else int(own)
        # Half of the copies, and one, must be written: of two, both.
        if factor < 3:
            lost = "pushes fail" if factor == 2 else "what it alone has is not found"
            text = f"{loki.ingesters} pods take in logs, and replication_factor is {factor}"
            yield cluster.finding(
                loki.item,
                f"{text}: while one is away, {lost}",
                "set commonConfig.replication_factor: 3, with three pods or more, or run one pod",
                (("replication_factor",), own),
            )
        for pod in loki.pods:
            if _targets(pod) & INGESTERS and not pod.claims:
                yield cluster.finding(
                    pod.owner,
                    "keeps its write-ahead log in the pod: lines that are not stored yet are lost "
                    "when all are replaced",
                    "set persistence.enabled: true for what takes in logs",
                )


def periods_reached(cluster: Cluster) -> Iterator[Finding]:
    """What a pod keeps on its own volume is read by one pod alone.

    Where there are several, a line of a period on the volume is found only if the pod that has it
    is asked, so such a period must be over, and what is kept of it, too.
    """
    for loki in installed(cluster):
        readers = sum(pod.count(1) for pod in loki.pods if _targets(pod) & READERS)
        # Opt-ins that no owner has side by side are so in tests/options.
        if readers < 2 or not cluster.sync.synced:
            continue
        periods = sorted(_periods(loki), key=lambda period: str(period.get("from")))
        for number, period in enumerate(periods):
            if period.get("object_store") != "filesystem":
                continue
            since = period.get("from")
            text = f"the period from {since} is on a volume, of which each of {readers} "
            text += "pods has one: queries miss lines"
            fix = "run one, or take in base/optional/scale/object-storage"
            until = _until(loki, periods[number + 1 :])
            if until:
                if until <= datetime.datetime.now(datetime.UTC).date():
                    continue
                fix = f"run one until {until}, when the last of them is no longer kept"
            yield cluster.finding(loki.item, text, fix, (("from",), since))


def logs_accepted(cluster: Cluster) -> Iterator[Finding]:
    """Loki takes what Alloy sends."""
    for loki in installed(cluster):
        own = loki.config.get("limits_config") or {}
        metadata = any("stage.structured_metadata" in text for text in _pipelines(cluster))
        if own.get("allow_structured_metadata", True) is False and metadata:
            text = "allow_structured_metadata is false, and Alloy sends structured metadata"
            yield cluster.finding(
                loki.item,
                f"{text}: Loki refuses every push with 400",
                "remove allow_structured_metadata",
                (("allow_structured_metadata",), False),
            )
        most = own.get("max_label_names_per_series", LABEL_NAMES)
        if int(most) < len(STREAM_LABELS):
            text = f"max_label_names_per_series is {most}, and streams have {len(STREAM_LABELS)}"
            yield cluster.finding(
                loki.item,
                f"{text} labels ({', '.join(sorted(STREAM_LABELS))}): every push is refused",
                f"set {len(STREAM_LABELS)} or more",
                (("max_label_names_per_series",), most),
            )
        sizes = [size for text in _pipelines(cluster) for size in _BATCH.findall(text)]
        batch = max((byte_size(size) for size in sizes), default=byte_size(BATCH))
        burst = own.get("ingestion_burst_size_mb", BURST)
        if float(burst) * 2**20 < batch:
            text = (
                f"ingestion_burst_size_mb is {burst}, and Alloy pushes {batch / 2**20:.3g} at once"
            )
            yield cluster.finding(
                loki.item,
                f"{text}: each full push is refused with 429, and lost after its retries",
                "set it to a few pushes at least, or remove it",
                (("ingestion_burst_size_mb",), burst),
            )


def retention_valid(cluster: Cluster) -> Iterator[Finding]:
    """Logs are kept for days, and the schema covers the oldest that is taken in."""
    for loki in installed(cluster):
        own = loki.config.get("limits_config") or {}
        streams = [s.get("period") for s in own.get("retention_stream") or []]
        for key, text in (
            ("retention_period", own.get("retention_period")),
            *(("period", text) for text in streams),
        ):
            if text is None or not (wrong := _retention(str(text))):
                continue
            message = f"{key} {text}: {wrong}"
            fix = "write it in hours, 24h or more, such as 168h"
            yield cluster.finding(loki.item, message, fix, ((key,), text))
        oldest = duration(str(own.get("reject_old_samples_max_age", OLDEST)))
        today = datetime.datetime.now(datetime.UTC)
        begin = (today - datetime.timedelta(seconds=oldest)).date()
        since = min((str(period.get("from")) for period in _periods(loki)), default="")
        if since[:10] > str(begin):
            text = f"the schema begins on {since}, but lines from {begin} on are taken in"
            yield cluster.finding(
                loki.item,
                f"{text}: for those, whole batches are refused",
                "let the first period begin earlier, as long as it has no data",
                (("from",), since),
            )


def rules_mounted(cluster: Cluster) -> Iterator[Finding]:
    """The ruler's folder of the tenant is mounted: it reads no other."""
    for loki in installed(cluster):
        storage = get(loki.config, "ruler", "storage") or {}
        folder = get(storage, "local", "directory")
        if storage.get("type") != "local" or not folder or loki.config.get("auth_enabled", True):
            continue
        wanted = f"{str(folder).rstrip('/')}/{TENANT}"
        for pod in loki.pods:
            if not _targets(pod) & {"all", "backend", "ruler"}:
                continue
            mounts = [m for c in pod.spec["containers"] for m in c.get("volumeMounts") or []]
            paths = [m["mountPath"].rstrip("/") for m in mounts]
            # A ConfigMap is one folder, without any below it.
            flat = {v["name"] for v in pod.spec.get("volumes") or [] if "configMap" in v}
            above = [m for c in pod.spec["containers"] if (m := mount_of(c, wanted))]
            if wanted in paths or any(m["name"] not in flat for m in above):
                continue
            text = f"the ruler reads {wanted}, and nothing is mounted there"
            yield cluster.finding(
                pod.owner,
                f"{text}: no alert on logs is ever evaluated",
                f"mount the ConfigMap of rules at {wanted}",
                *((("mountPath",), path) for path in paths),
            )


def installed(cluster: Cluster) -> Iterator[Loki]:
    """Yield every Loki of a cluster."""
    for item in cluster.of("ConfigMap"):
        for text in item.data.values():
            if "schema_config:" not in str(text):
                continue
            config = _parsed(str(text))
            pods = (p for p in cluster.pods if p.owner.release == item.release and _targets(p))
            yield Loki(item, config, tuple(pods))


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Mapping[str, Json]:
    """Parse a configuration once for all checks and clusters; it is not to be changed."""
    content: Mapping[str, Json] = yaml.load(text, Loader=yaml.CSafeLoader)
    return content


def _targets(pod: Pod) -> frozenset[str]:
    """Return which of Loki's components a pod runs; none if it does not run Loki."""
    for container in pod.spec["containers"]:
        image = str(container.get("image")).partition("@")[0].rpartition(":")[0]
        if image.rpartition("/")[2] == "loki":
            given = command_line(container)
            found = [a.partition("=")[2] for a in given if a.lstrip("-").startswith("target=")]
            return frozenset((found or ["all"])[0].split(","))
    return frozenset()


def _periods(loki: Loki) -> list[Mapping[str, Json]]:
    return list(get(loki.config, "schema_config", "configs") or [])


def _until(loki: Loki, later: Sequence[Mapping[str, Json]]) -> datetime.date | None:
    """Return the day on which nothing is kept any more of what is older than some periods.

    Returns:
        None where there are none, or lines are kept for ever.
    """
    own = loki.config.get("limits_config") or {}
    streams = [stream.get("period") for stream in own.get("retention_stream") or []]
    try:
        kept = max(duration(str(text)) for text in (own.get("retention_period") or "0", *streams))
        if not kept or not later:
            return None
        begin = datetime.date.fromisoformat(str(later[0]["from"])[:10])
        return begin + datetime.timedelta(seconds=kept)
    except (LookupError, OverflowError, ValueError):  # What Loki itself refuses.
        return None


def _pipelines(cluster: Cluster) -> Iterator[str]:
    """Yield the texts of Alloy's configuration."""
    for item in cluster.of("ConfigMap"):
        for text in item.data.values():
            if "loki.write" in str(text) or "loki.process" in str(text):
                yield str(text)


def _retention(text: str) -> str:
    try:
        seconds = duration(text)
    except ValueError:
        return ""  # Loki itself refuses it.
    if not seconds:
        return "logs are kept for ever"
    if seconds < SHORTEST:
        return "logs are kept for 24h at least, as the index has a table for each day"
    return ""
