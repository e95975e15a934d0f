"""Which step of the way up is due for a workload, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json
from scripts.model.plan import constants as c
from scripts.model.plan import sizes
from scripts.model.plan.sizes import DAY, GB, GI, MONTH, Workload

BUCKET, THREE, PARTS = "object storage", "three Lokis", "Loki in parts"
SECOND, THANOS, HUB = "a second Prometheus", "Thanos", "hub and members"
AT_ONCE = "let Thanos list the bucket at once"
# Where each is.
COMPONENTS = {
    BUCKET: "base/optional/scale/object-storage",
    THREE: "base/optional/scale/loki-replicas",
    PARTS: "base/optional/scale/loki-distributed",
    SECOND: "prometheusSpec.replicas, as in overlays/oke",
    THANOS: "base/optional/scale/thanos",
    HUB: "base/optional/scale/hub, member",
    AT_ONCE: "--block-discovery-strategy=recursive of compactor and store",
}
# Of a head of this size, a restart takes minutes and a query gigabytes.
_LARGE_HEAD = 2_000_000
# The largest volume that lines are to be on alone: one disk, no second copy.
_LARGE_VOLUME = 200 * GB


@dataclass(frozen=True)
class Step:
    """A step of the way up.

    Attributes:
        name: A key of COMPONENTS, or what else is to be done.
        due: Whether it is, for this workload.
        reason: Why, or why not.
    """

    name: str
    due: bool
    reason: str

    @property
    def where(self) -> str:
        """The component that does it; empty for what no component does."""
        return COMPONENTS.get(self.name, "")


def steps(w: Workload) -> list[Step]:
    """Return every step, in the order in which they are taken; a due one implies what it needs."""
    daily = w.log_rate * DAY
    volume = sizes.local_logs(w) / sizes.FILLED
    copies = w.prometheis > 1
    in_parts = daily > c.LOKI_DAILY.value
    wanted = w.months * MONTH / DAY
    nodes = f"{w.nodes} nodes"
    result = [
        Step(
            BUCKET,
            copies or in_parts or volume > _LARGE_VOLUME,
            f"{w.log_days:g} days of lines are {volume / GI:.1f} GiB of volume"
            + (", and replicas share a bucket" if copies or in_parts else ""),
        ),
        Step(THREE, copies and not in_parts, f"{nodes}: lines {_survive(copies)} the loss of one"),
        Step(
            PARTS,
            in_parts,
            f"{daily / GB:.2f} GB of lines a day; one process does for {c.LOKI_DAILY.value / GB:g}",
        ),
        Step(SECOND, copies, f"{nodes}: metrics and alerts {_survive(copies)} the loss of one"),
        Step(
            THANOS,
            copies or w.clusters > 1 or wanted > w.local_days,
            f"{wanted:.0f} days of metrics are wanted, Prometheus keeps {w.local_days:g}; "
            f"{'two Prometheis' if copies else 'one Prometheus'} in each of {w.clusters}",
        ),
        Step(HUB, w.clusters > 1, f"clusters in one Grafana: {w.clusters}"),
    ]
    thanos = next(step for step in result if step.name == THANOS)
    return [*result, _listing(w, thanos=thanos.due), *_limits(w)]


def names_due(w: Workload) -> set[str]:
    """Return the names of the steps that are due."""
    return {step.name for step in steps(w) if step.due}


def copies(w: Workload) -> int:
    """Return how many Lokis get each line."""
    return 3 if names_due(w) & {THREE, PARTS} else 1


def tier(w: Workload, budget: Mapping[str, Json]) -> Iterator[Step]:
    """Yield what a free tier does not do for; nothing for an environment that is in none."""
    if "tier" not in budget:
        return
    due = names_due(w)
    requests = 0.0
    if BUCKET in due:
        requests += sizes.lines_bucket(w, copies(w)).requests
    if THANOS in due:
        requests += sizes.metrics_bucket(w).requests
    found = taken(w)
    cpu, memory = (
        sum(one.cpu * one.pods for one in found),
        sum(one.memory * one.pods for one in found),
    )
    allowed = budget.get("requests") or {}
    for text, value, most in (
        ("requests of CPU, cores", cpu, quantity(allowed.get("cpu", 0))),
        ("requests of memory, GiB", memory / GI, quantity(allowed.get("memory", 0)) / GI),
        ("requests to buckets a month", requests, c.FREE_REQUESTS.value),
    ):
        reason = f"{text}: {value:,.2f} of {most:,.2f}"
        yield Step("leave the free tier", value > most, reason)


def taken(w: Workload) -> list[sizes.Component]:
    """Return the components of the hub, or of the only cluster, with the steps that are due."""
    due = names_due(w)
    replaced = bool(due & {THREE, PARTS})
    return [
        one
        for one in sizes.components(w)
        if (one.step in due if one.step else not (one.name == sizes.ONE_LOKI and replaced))
    ]


def _survive(copies: bool) -> str:
    return "are to survive" if copies else "need not survive"


def _listing(w: Workload, *, thanos: bool) -> Step:
    """Return whether requests are to be saved by how Thanos looks what is in the bucket."""
    asked = sizes.metrics_bucket(w).requests
    least = sizes.metrics_bucket(replace(w, recursive=True)).requests
    text = f"{asked:,.0f} requests a month to the bucket of metrics, listed at once {least:,.0f}"
    return Step(AT_ONCE, thanos and not w.recursive and asked > c.FREE_REQUESTS.value, text)


def _limits(w: Workload) -> Iterator[Step]:
    """Yield what no component of this repository does by itself."""
    expected = w.expected_series
    if w.series_limit:
        enough = expected * 1.2 <= w.series_limit
        text = f"{expected} series, {w.series_limit} are allowed"
        yield Step("raise series.limit of the budget", not enough, text)
    streams = w.clusters * w.streams
    text = f"{streams} streams; base/releases/loki.yaml allows {c.MAX_STREAMS.value:g}"
    yield Step("raise max_global_streams_per_user", streams > c.MAX_STREAMS.value, text)
    text = f"{expected} series in one head; past {_LARGE_HEAD} a restart takes long"
    yield Step("divide Prometheus, or drop metrics", expected > _LARGE_HEAD, text)
