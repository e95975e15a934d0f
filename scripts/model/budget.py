"""What an environment uses, by release, compared with what its `budget.yaml` allows.

`make render` prints it. Requests are what the scheduler counts. Series are an upper bound of what
Prometheus scrapes at one time, as it rejects a scrape above the sampleLimit of its monitor. Series
of pods that are gone stay in memory for up to three hours, and are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.core.columns import aligned
from scripts.core.findings import Finding
from scripts.core.quantities import gibibytes, mebibytes, millicores, quantity
from scripts.core.yamlfile import Json, load_once
from scripts.model import files, images, scraping
from scripts.model.manifests import ENGINES
from scripts.model.rendered import Cluster, Item, Pod, Written, declared

FILE = "budget.yaml"
SECTIONS = ("requests", "volumes", "series")
# Prometheus adds to each scrape: up, scrape_duration_seconds, scrape_samples_scraped,
# scrape_samples_post_metric_relabeling, scrape_series_added.
SYNTHETIC_SERIES = 5
OWN_OBJECTS = "base/config"
RECORDED = "recording rules"


@dataclass
class Usage:
    """What one release uses.

    Attributes:
        cpu: Requested CPU, in cores.
        memory: Requested memory, in bytes.
        limit: Memory limits, in bytes.
        volumes: Size of each volume in bytes, with its storage class.
        images: The images that it runs.
        series: An upper bound of the series that its monitors scrape.
    """

    cpu: float = 0
    memory: float = 0
    limit: float = 0
    volumes: list[tuple[float, str]] = field(default_factory=list)
    images: set[str] = field(default_factory=set)
    series: int = 0


def effective(spec: Mapping[str, Json], resource: str, bound: str) -> float:
    """Return the effective request or limit of a pod, as the scheduler computes it.

    Init containers run one after the other, before the others, beside the sidecars started before
    them: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/.

    Raises:
        ValueError: For an amount that is no quantity.
    """

    def amount(container: Mapping[str, Json]) -> float:
        return quantity(((container.get("resources") or {}).get(bound) or {}).get(resource, 0))

    highest = sidecars = 0.0
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars += amount(container)
            highest = max(highest, sidecars)
        else:
            highest = max(highest, sidecars + amount(container))
    return max(highest, sidecars + sum(map(amount, spec["containers"])))


def environment(cluster: Cluster) -> str | None:
    """Return the overlay that a cluster syncs; None for tests/options, which syncs none."""
    paths = [unit.path.split("/") for unit in cluster.sync.units]
    return next((path[1] for path in paths if path[0] == "overlays"), None)


def limits(cluster: Cluster) -> Mapping[str, Json]:
    """Return the environment's `budget.yaml`; empty where there is none."""
    path = _file(cluster)
    if path is None or not path.exists():
        return {}
    name = path.relative_to(cluster.repository.root).as_posix()
    content: Mapping[str, Json] = load_once(path.read_text(encoding="utf-8"), name)[0]
    return content


def usage_by_release(cluster: Cluster, budget: Mapping[str, Json]) -> dict[str, Usage]:
    """Return what each release uses, and the monitors and rules of the configuration."""
    nodes = int(budget.get("nodes", 1))
    result = {release.name: Usage() for release in cluster.sync.releases} | {OWN_OBJECTS: Usage()}
    for pod in cluster.pods:
        row, count = result[pod.owner.release or OWN_OBJECTS], pod.count(nodes)
        row.cpu += count * _counted(pod, "cpu", "requests")
        row.memory += count * _counted(pod, "memory", "requests")
        row.limit += count * _counted(pod, "memory", "limits")
        row.volumes += [_volume(claim) for claim in pod.claims for _ in range(count)]
        row.images |= {str(container.get("image")) for container in pod.containers}
    for claim in cluster.of("PersistentVolumeClaim"):
        result[claim.release or OWN_OBJECTS].volumes.append(_volume(claim.spec))
    for item in cluster.of(*scraping.MONITORS):
        bound = (int(item.spec.get("sampleLimit") or 0) + SYNTHETIC_SERIES) * scrapes(
            cluster, item, budget
        )
        result[item.release or OWN_OBJECTS].series += bound
    result[RECORDED] = Usage(series=int(budget.get("series", {}).get("recorded", 0)))
    return result


def scrapes(cluster: Cluster, item: Item, budget: Mapping[str, Json]) -> int:
    """Return how many targets a monitor has, over all of its endpoints.

    How many there are of what this repository does not declare, the budget says.
    """
    declared = budget.get("series", {}).get("targets", {})
    if item.kind == "Probe":
        return len(item.spec["targets"]["staticConfig"]["static"])
    if item.kind == "ScrapeConfig":
        return sum(len(config["targets"]) for config in item.spec.get("staticConfigs") or [])
    if item.name in ENGINES and item.name != cluster.sync.engine:
        return 0  # A cluster runs only one of the engines.
    total = 0
    nodes = int(budget.get("nodes", 1))
    for endpoint in scraping.endpoints(item):
        if item.name in scraping.EXTERNAL:
            total += int(declared.get(item.name, 0))
            continue
        for target in scraping.targets(cluster, item, endpoint):
            if target.service and target.service.name in scraping.NO_PODS:
                # Of API servers one is counted: the load balancer of a managed control plane.
                total += 1 if target.service.namespace == "default" else nodes
            total += sum(pod.count(nodes) for pod in target.pods)
    return total


def findings(cluster: Cluster) -> Iterator[Finding]:
    """Compare what a cluster uses with its budget, and its images with its processors."""
    yield from exceeded(cluster)
    yield from architectures(cluster)


def exceeded(cluster: Cluster) -> Iterator[Finding]:
    """Compare what a cluster uses with its budget."""
    path = _file(cluster)
    if path is None:
        return
    place = str(path.relative_to(cluster.repository.root))
    budget = limits(cluster)
    if not budget:
        yield Finding(place, None, "there is no budget", "write one, as the other overlays have")
        return
    schema = files.schemas()[f"overlays/*/{FILE}"]["properties"]
    known = {"": schema} | {section: schema[section]["properties"] for section in SECTIONS}
    for section, keys in known.items():
        for key in sorted((budget.get(section, {}) if section else budget).keys() - keys.keys()):
            text = f"{section}{'.' if section else ''}{key} is no limit that is checked"
            yield Finding(place, None, text, f"use one of {', '.join(sorted(keys))}")
    usage = usage_by_release(cluster, budget)
    for name in sorted(_monitors_without_target_count(cluster, budget)):
        text = f"how many targets has the monitor {name!r}?"
        yield Finding(place, None, text, f"say so in it: series.targets.{name}")
    overlay = place.rpartition("/")[0]
    for text, fix in [
        *_totals_exceeded(budget, usage, overlay),
        *_volumes_exceeded(budget, usage, overlay),
        *_tier_exceeded(budget),
    ]:
        yield Finding(place, None, f"{cluster.name}: {text}", fix)
    yield from _volumes_unfit(cluster, budget, overlay)
    if "replicas" in budget:
        for pod in cluster.pods:
            if pod.replicas is not None and pod.replicas > budget["replicas"]:
                text = f"{pod.replicas} replicas, and {place} allows {budget['replicas']}"
                yield _value(cluster, pod.owner, text, overlay, (("replicas",), pod.replicas))


def _value(cluster: Cluster, item: Item, text: str, overlay: str, *written: Written) -> Finding:
    """Return a finding where a value is written, with the ways out: of all environments, or one."""
    found = cluster.finding(declared(cluster, item), text, "", *written)
    fix = f"change it in {found.path}"
    if not found.path.startswith(f"{overlay}/"):
        fix += f" for every environment, or by a patch in {overlay} for this one"
    fix += f"; or change the limit in {overlay}/{FILE}"
    return Finding(found.path, found.line, found.message, fix)


def _monitors_without_target_count(cluster: Cluster, budget: Mapping[str, Json]) -> set[str]:
    """Return the monitors of external targets whose number the budget does not declare."""
    other = set(ENGINES) - {cluster.sync.engine}
    monitors = {item.name for item in cluster.of(*scraping.MONITORS)} & set(scraping.EXTERNAL)
    return monitors - other - set(budget.get("series", {}).get("targets", {}))


# The label of a node's processors.
ARCHITECTURE = "kubernetes.io/arch"


def architecture(cluster: Cluster) -> str | None:
    """Return the environment's CPU architecture; None where it names none."""
    found = limits(cluster).get("architecture")
    return None if found is None else str(found)


def architectures(cluster: Cluster, asked: Container[str] = ()) -> Iterator[Finding]:
    """Every image supports the environment's CPU architecture, and no pod asks for another.

    Args:
        cluster: The cluster.
        asked: Images of which a registry has said it, so that it need not be known here.
    """
    own = architecture(cluster)
    if not own:
        return
    known = images.known(cluster.repository.root)
    for pod in cluster.pods:
        wanted = (pod.spec.get("nodeSelector") or {}).get(ARCHITECTURE)
        if wanted and wanted != own:
            text = f"asks for a node of {wanted}, and the environment has {own} alone"
            written = (("nodeSelector", ARCHITECTURE), wanted)
            yield cluster.finding(pod.owner, text, "remove its nodeSelector", written)
        for image in (str(container.get("image")) for container in pod.containers):
            name = images.repository(image)
            if image in asked:
                continue
            if name not in known:
                text = f"whether {name} runs on {own} is not known"
                yield cluster.finding(pod.owner, text, f"look it up and add it to {images.IMAGES}")
            elif known[name].get(own) is not True:
                text = f"{name} does not run on {own}"
                yield cluster.finding(pod.owner, text, "use another image")


def unused_images(clusters: Sequence[Cluster]) -> Iterator[Finding]:
    """`images.yaml` lists no image that no pod runs."""
    run = {
        images.repository(str(container.get("image")))
        for cluster in clusters
        for pod in cluster.pods
        for container in pod.containers
    }
    root = clusters[0].repository.root
    for name in sorted(images.known(root).keys() - run):
        yield Finding(images.IMAGES, None, f"nothing runs {name}", "remove it")


def table(clusters: Sequence[Cluster]) -> str:
    """Return a table for each environment; engines with equal usage share one."""
    bodies: dict[str, list[str]] = {}
    for cluster in clusters:
        if environment(cluster):
            bodies.setdefault(_body(cluster), []).append(cluster.name)
    return "\n\n".join(f"{', '.join(names)}\n{body}" for body, names in bodies.items())


def _body(cluster: Cluster) -> str:
    budget = limits(cluster)
    usage = usage_by_release(cluster, budget)
    total = Usage(
        sum(row.cpu for row in usage.values()),
        sum(row.memory for row in usage.values()),
        sum(row.limit for row in usage.values()),
        [volume for row in usage.values() for volume in row.volumes],
        {image for row in usage.values() for image in row.images},
        sum(row.series for row in usage.values()),
    )
    lines: list[tuple[str, ...]] = [("", "CPU", "memory", "limit", "volumes", "images", "series")]
    lines += [_cells(name, row) for name, row in (*usage.items(), ("total", total))]
    requests, volumes = budget.get("requests", {}), budget.get("volumes", {})
    allowed = Usage(
        quantity(requests.get("cpu", 0)),
        quantity(requests.get("memory", 0)),
        volumes=[(quantity(volumes.get("total", 0)), "")],
        series=int(budget.get("series", {}).get("limit", 0)),
    )
    lines.append(_cells("allowed", allowed))
    return "\n".join(f"  {line}" for line in aligned(lines))


def _cells(name: str, row: Usage) -> tuple[str, ...]:
    values: tuple[tuple[float, Callable[[float], str]], ...] = (
        (row.cpu, millicores),
        (row.memory, mebibytes),
        (row.limit, mebibytes),
        (sum(size for size, _ in row.volumes), gibibytes),
        (len(row.images), _count),
        (row.series, _count),
    )
    return (name, *(written(value) if value else "" for value, written in values))


def _count(number: float) -> str:
    return f"{number:.0f}"


def _counted(pod: Pod, resource: str, bound: str) -> float:
    """Return what a pod asks for; 0 where it is no quantity, as `_amount` does."""
    try:
        return effective(pod.spec, resource, bound)
    except ValueError:
        return 0.0


def _amount(text: Json) -> float:
    """Return a quantity; 0 for an invalid one, which `checks.rendered.arithmetic` reports."""
    try:
        return quantity(text)
    except ValueError:
        return 0.0


def _volume(claim: Mapping[str, Json]) -> tuple[float, str]:
    return _amount(claim["resources"]["requests"]["storage"]), claim.get(
        "storageClassName"
    ) or "the default"


def _totals_exceeded(
    budget: Mapping[str, Json], usage: Mapping[str, Usage], overlay: str
) -> Iterator[tuple[str, str]]:
    requests = budget.get("requests", {})
    columns: tuple[tuple[str, dict[str, float], Json, Callable[[float], str]], ...] = (
        ("CPU", {n: r.cpu for n, r in usage.items()}, requests.get("cpu"), millicores),
        ("memory", {n: r.memory for n, r in usage.items()}, requests.get("memory"), mebibytes),
        (
            "series",
            {n: r.series for n, r in usage.items()},
            budget.get("series", {}).get("limit"),
            _count,
        ),
    )
    for name, column, allowed, shown in columns:
        total = sum(column.values())
        if allowed is not None and total > quantity(allowed) + 1e-9:
            most = sorted(column, key=lambda key: -column[key])[:3]
            largest = ", ".join(f"{key} {shown(column[key])}" for key in most)
            text = f"{shown(total)} of {name}, and {allowed} are allowed; most of it: {largest}"
            what = "a sampleLimit" if name == "series" else "a request"
            yield text, f"lower {what}: {_ways(overlay)}; or raise the limit knowing its price"


def _ways(overlay: str) -> str:
    return f"in base for every environment, or by a patch in {overlay} for this one"


def _volumes_exceeded(
    budget: Mapping[str, Json], usage: Mapping[str, Usage], overlay: str
) -> Iterator[tuple[str, str]]:
    allowed = budget.get("volumes")
    if allowed is None:
        return
    found = [volume for row in usage.values() for volume in row.volumes]
    fix = f"remove or shrink one: {_ways(overlay)}"
    if len(found) > allowed.get("count", len(found)):
        yield f"{len(found)} volumes, and {allowed['count']} are allowed", fix
    total = sum(size for size, _ in found)
    if "total" in allowed and total > quantity(allowed["total"]):
        yield f"{gibibytes(total)} of volumes, and {allowed['total']} are allowed", fix


def _volumes_unfit(cluster: Cluster, budget: Mapping[str, Json], overlay: str) -> Iterator[Finding]:
    """Volumes are as large as the cloud makes them, and of the class that it bills as expected."""
    allowed = budget.get("volumes", {})
    claimed = [(pod.owner, claim) for pod in cluster.pods for claim in pod.claims]
    claimed += [(item, item.spec) for item in cluster.of("PersistentVolumeClaim")]
    for owner, claim in claimed:
        written = claim["resources"]["requests"]["storage"]
        size, kind = _volume(claim)
        if size < quantity(allowed.get("smallest", 0)):
            text = f"a volume of {written} is rounded up to {allowed['smallest']}"
            at = ((("size",), written), (("storage",), written))
            yield _value(cluster, owner, text, overlay, *at)
        if kind != allowed.get("storageClass", kind):
            text = f"a volume of the storage class {kind}, not {allowed['storageClass']}"
            keys = ("storageClass", "storageClassName")
            yield _value(cluster, owner, text, overlay, *(((key,), kind) for key in keys))


def _tier_exceeded(budget: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """The budget itself is within the provider's free tier."""
    tier = budget.get("tier")
    if tier is None:
        return
    for resource, allowed in budget.get("requests", {}).items():
        if resource in tier and quantity(allowed) > quantity(tier[resource]):
            text = f"requests.{resource} of {allowed} are more than the tier's {tier[resource]}"
            yield text, "lower the budget, or correct the tier"
    boot = int(budget.get("nodes", 1)) * quantity(tier["bootVolume"])
    volumes = quantity(budget.get("volumes", {}).get("total", 0))
    if boot + volumes > quantity(tier["storage"]):
        text = f"{gibibytes(boot)} that nodes boot from and {gibibytes(volumes)} of volumes"
        text = f"{text} are more than the tier's {tier['storage']}"
        yield text, "lower volumes.total, or run fewer nodes"


def _file(cluster: Cluster) -> Path | None:
    name = environment(cluster)
    return cluster.repository.root / "overlays" / name / FILE if name else None
