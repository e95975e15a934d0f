"""Default series: what a program exposes besides the series that are written here by hand.

Names, types and labels are those of the catalogue. Values are plausible and tell of nothing wrong:
a gauge stays as it is, a counter grows steadily, what counts failures stays at 0.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.model import catalogue
from scripts.simulation.exporters.series import histogram
from scripts.simulation.model import Array, Clock, Exposed, counter

_DAY = 86400.0
# Families that a program exposes only where there is, or has been, something that it tells of.
# What a rule or a panel reads of them is written by hand.
_OCCASIONAL = re.compile(
    # Members, remote storages and TLS that nobody has here.
    r"alertmanager_cluster_.+|prometheus_remote_storage_.+|probe_(ssl|tls)_.+"
    # What depends on a component of Alloy, and lines that Loki discards.
    r"|loki_(process|source|write)_.+|loki_discarded_.+"
    # What happens in one sidecar and not in another.
    r"|dapr_component_(input_binding|pubsub)_.+|dapr_http_(client_completed|server_request)_count"
    r"|dapr_resiliency_.+|dapr_runtime_(component_init_fail|service_invocation)_.+"
    # Containers with a limit, volumes.
    r"|container_cpu_cfs_.+|kubelet_volume_stats_.+"
    # Objects, taints and reasons.
    r"|kube_(poddisruptionbudget|resourcequota).*|kube_job_failed"
    r"|kube_node_spec_taint|kube_pod_status_(reason|unschedulable)"
    r"|kube_pod_container_status_(last_terminated|terminated|waiting)_.+"
)
# What these count, or are 1 for, is wrong.
_WRONG = re.compile(
    r"fail|error|errs|drop|discard|corrupt|exceed|reject|unavailable|evict|miss|invalid|unknown"
    r"|duplicate|out_of_|readonly|paused|unschedulable"
)
# Values of labels that mean something; any other is named as its label.
_LABELS = {
    "code": "200",
    "method": "GET",
    "namespace": "default",
    "quantile": "0.5",
    "result": "success",
    "status": "success",
    "status_code": "200",
    "version": "v1.0.0",
}
_BOUNDS = (0.1, 1.0, 10.0)


@dataclass(frozen=True)
class Program:
    """What a target runs, as far as the catalogue knows it.

    Attributes:
        file: Of the catalogue; "" where it knows nothing.
        families: Regular expression of those that this target exposes.
    """

    file: str
    families: str = ".*"


@dataclass(frozen=True, eq=False)
class Exporter:
    """What one target exposes.

    Attributes:
        by_hand: The series that are written by hand.
    """

    program: Program
    clock: Clock
    by_hand: Callable[[], Iterable[Exposed]]

    def series(self) -> Iterator[Exposed]:
        """Yield the series that are written by hand, then one of each family that is not.

        A default series has the labels of one by hand that has the same label names, so that it is
        about an object that is there.
        """
        names: set[str] = set()
        labels: dict[frozenset[str], Mapping[str, str]] = {}
        for name, own, values in self.by_hand():
            names.add(name)
            labels.setdefault(frozenset(own), own)
            yield name, own, values
        for family in families(self.program):
            if not names & family.series().keys():
                known = {name: _LABELS.get(name, name) for name in sorted(family.labels)}
                yield from _default(family, labels.get(family.labels, known), self.clock)


@functools.cache
def families(program: Program) -> tuple[catalogue.Family, ...]:
    """Return the families that a program may expose: captured ones where it could be run."""
    path = catalogue.FOLDER / f"{program.file}.yaml"
    listed = catalogue.read(path) if program.file else []
    return tuple(
        entry
        for entry in [e for e in listed if e.captured] or listed
        if re.fullmatch(program.families, entry.name) and not _OCCASIONAL.fullmatch(entry.name)
    )


def _default(
    family: catalogue.Family, labels: Mapping[str, str], clock: Clock
) -> Iterator[Exposed]:
    growing = counter(clock.constant(1 / 60), clock)
    if family.type == "histogram":
        observed = clock.constant(clock.step / 60), clock.constant(0.05)
        yield from histogram(family.name, labels, [observed], _BOUNDS)
    elif family.type == "summary":
        yield family.name, {**labels, "quantile": _LABELS["quantile"]}, clock.constant(0.05)
        yield f"{family.name}_sum", labels, growing * 0.05
        yield f"{family.name}_count", labels, growing
    elif _WRONG.search(family.name):
        yield family.name, labels, clock.constant(0)
    elif family.type == "counter":
        yield family.name, labels, growing
    else:
        yield family.name, labels, _gauge(family.name, clock)


def _gauge(name: str, clock: Clock) -> Array:
    if re.search(r"expir|not_after", name):
        return clock.constant(clock.start + 60 * _DAY)
    if re.search(r"_time(stamp)?_seconds$", name):
        return clock.constant(clock.start - 5 * _DAY)
    return clock.constant(64 * 2**20 if name.endswith("_bytes") else 1)
