"""Thanos: one compactor, blocks that can be told apart, one bucket and one version for all parts.

What it needs is of https://thanos.io/tip/components/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts.core.findings import Finding
from scripts.core.quantities import duration, duration_text
from scripts.core.yamlfile import Json, get, load_all
from scripts.model import images
from scripts.model.rendered import REPLICA_LABEL, Cluster, Item, Pod, Written, command_line
from scripts.model.scraping import behind

# The operator keeps Prometheus from compacting, and the sidecar ships each block of two hours once
# it is complete: https://thanos.io/tip/components/sidecar.md/#sidecar
BLOCK = 7200.0
SHORTEST = 3 * BLOCK
# How old data must be to be downsampled from, so that it has to be there still:
# https://thanos.io/tip/components/compact.md/#downsampling
DOWNSAMPLED: Mapping[str, tuple[str, float]] = {
    "raw": ("5m", 40 * 3600.0),
    "5m": ("1h", 10 * 86400.0),
}
RETENTION = "--retention.resolution-"
ASKED = "--query.replica-label="
IMAGE = "thanos"


class Part(NamedTuple):
    """A container of Thanos, and the pods that it is in.

    Attributes:
        pod: The pods.
        name: Which part it is, such as `compact`.
        version: Of its image.
        arguments: Of its command line.
        container: The container.
    """

    pod: Pod
    name: str
    version: str
    arguments: list[str]
    container: Mapping[str, Json]

    def values(self, flag: str) -> list[str]:
        """Return what a flag is set to, as often as it is there."""
        return [a.removeprefix(flag) for a in self.arguments if a.startswith(flag)]


def one_compactor(cluster: Cluster) -> Iterator[Finding]:
    """No two compactors work on a bucket: they write the same blocks, and delete the other's."""
    compactors = [part for part in parts(cluster) if part.name == "compact"]
    count = sum(part.pod.count(1) for part in compactors)
    if count > 1:
        owner = compactors[-1].pod.owner
        text = f"{count} compactors for one bucket: they spoil its blocks"
        at = (("replicas",), compactors[-1].pod.replicas)
        yield cluster.finding(owner, text, "run one, with one replica", at)


def replicas_told_apart(cluster: Cluster) -> Iterator[Finding]:
    """Each Prometheus of a pair ships blocks of its own, and each sample is shown once."""
    for item in shipping(cluster):
        if _count(item) < 2:
            continue
        label = item.spec.get("replicaExternalLabelName", REPLICA_LABEL)
        if not label:
            text = f"{_count(item)} replicas ship blocks with the same external labels: the "
            text += "compactor halts"
            fix = "remove replicaExternalLabelNameClear"
            yield cluster.finding(item, text, fix, (("replicaExternalLabelNameClear",), True))
            continue
        for part in parts(cluster):
            if part.name == "query" and label not in ",".join(part.values(ASKED)).split(","):
                text = f"does not know the replica label {label}: every series is shown "
                text += f"{_count(item)} times"
                yield cluster.finding(
                    part.pod.owner, text, f"add {label} to additionalReplicaLabels"
                )


def blocks_shipped_in_time(cluster: Cluster) -> Iterator[Finding]:
    """Prometheus keeps a block until it is shipped, also where the bucket is away for hours."""
    for item in shipping(cluster):
        retention = item.spec.get("retention")
        if retention and duration(str(retention)) < SHORTEST:
            text = f"keeps {retention}, and a block is complete after {duration_text(BLOCK)}"
            fix = f"set retention: {duration_text(SHORTEST)} or more"
            yield cluster.finding(
                item, f"{text}: some are never shipped", fix, (("retention",), retention)
            )


def one_version(cluster: Cluster) -> Iterator[Finding]:
    """All parts are of the sidecar's version, as they speak with each other."""
    found = list(parts(cluster))
    sidecar = next((part for part in found if part.name == "sidecar"), None)
    for part in found:
        if sidecar and part.version != sidecar.version:
            text = f"{part.name} is Thanos {part.version}, and the sidecar {sidecar.version}"
            at = (("tag",), part.version)
            yield cluster.finding(part.pod.owner, text, "leave the tag to scale/thanos", at)


def downsampled_in_time(cluster: Cluster) -> Iterator[Finding]:
    """Data are kept until the next coarser ones are made of them."""
    for part in parts(cluster):
        if part.name != "compact":
            continue
        for resolution, (coarser, needed) in DOWNSAMPLED.items():
            flag = f"{RETENTION}{resolution}="
            for kept in part.values(flag):
                if not (text := _too_short(kept, coarser, needed)):
                    continue
                fix = f"keep them for {duration_text(needed)} at least, better as long as all"
                at = _argument(part, f"{flag}{kept}")
                yield cluster.finding(part.pod.owner, f"{flag}{kept}: {text}", fix, *at)


def one_bucket(cluster: Cluster) -> Iterator[Finding]:
    """All parts read the Secret that the sidecar ships with."""
    wanted = {str(s) for item in shipping(cluster) if (s := _secret(item))}
    for part in parts(cluster):
        for volume in part.pod.spec.get("volumes") or []:
            name = get(volume, "secret", "secretName")
            mounts = [m["name"] for m in part.container.get("volumeMounts") or []]
            files = part.values("--objstore.config-file=")
            if not (name and files and volume["name"] in mounts and wanted):
                continue
            if name not in wanted:
                text = f"{part.name} reads the bucket of the Secret {name}, and the sidecar ships "
                text += f"to that of {', '.join(sorted(wanted))}"
                fix = "name the same Secret for both"
                yield cluster.finding(part.pod.owner, text, fix, (("name",), name))


def pairs_asked_through_thanos(cluster: Cluster) -> Iterator[Finding]:
    """Grafana does not ask one of two Prometheis, whichever it is this time."""
    services = {(s.namespace, s.name): s for s in cluster.of("Service")}
    for item, url in _sources(cluster):
        name, namespace, *_ = [*(urlsplit(url).hostname or "").split("."), item.namespace]
        service = services.get((namespace, name))
        pods = [pod for pod in behind(cluster, service) if _is_prometheus(pod)] if service else []
        count = max((pod.count(1) for pod in pods), default=0)
        if count > 1:
            text = f"asks {url}, which is one of {count} Prometheis at a time: panels jump between "
            text += "what each of them has missed"
            fix = "take in base/optional/scale/thanos, which asks all, or run one Prometheus"
            yield cluster.finding(item, text, fix, (("url",), url))


def shipping(cluster: Cluster) -> Iterator[Item]:
    """Yield every Prometheus whose sidecar ships blocks to a bucket."""
    for item in cluster.of("Prometheus"):
        if get(item.spec, "thanos", "objectStorageConfig"):
            yield item


def parts(cluster: Cluster) -> Iterator[Part]:
    """Yield every container of Thanos."""
    for pod in cluster.pods:
        for container in pod.containers:
            image = str(container.get("image") or "")
            if images.repository(image).rpartition("/")[2] != IMAGE:
                continue
            arguments = command_line(container)
            # The operator writes the sidecar's.
            name = next((a for a in arguments if not a.startswith(("-", "/"))), "sidecar")
            yield Part(pod, name, images.version(image), arguments, container)


def _sources(cluster: Cluster) -> Iterator[tuple[Item, str]]:
    """Yield the address of each of Grafana's data sources that speak PromQL."""
    for item in cluster.of("ConfigMap", "Secret"):
        for key, text in item.data.items():
            if "datasources:" in str(text) and item.release is not None:
                for source in load_all(str(text), f"{item}: {key}")[0].get("datasources") or []:
                    if source.get("type") == "prometheus":
                        yield item, str(source.get("url"))


def _secret(item: Item) -> Json:
    return get(item.spec, "thanos", "objectStorageConfig", "name")


def _count(item: Item) -> int:
    return int(item.spec.get("replicas", 1))


def _is_prometheus(pod: Pod) -> bool:
    return pod.labels.get("app.kubernetes.io/name") == "prometheus"


def _too_short(kept: str, coarser: str, needed: float) -> str:
    """Return what is wrong with how long data are kept; 0d is for ever."""
    try:
        if not 0 < duration(kept) < needed:
            return ""
    except ValueError as error:
        return str(error)
    text = f"data of {coarser} are made of those that are {duration_text(needed)} old"
    return f"{text}, which are gone by then"


def _argument(part: Part, text: str) -> Iterator[Written]:
    """Yield an argument as an item of a list in values, whichever it is there."""
    for number in range(len(part.arguments)):
        yield (str(number),), text
