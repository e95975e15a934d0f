"""What programs refuse of their rendered configuration, as their own code says it.

`configcheck` (scripts/tools) has the code of the API server, the Prometheus operator, Prometheus,
Alertmanager, kube-state-metrics and the blackbox exporter; others are asked themselves. A kind of
job is a function in a module of this folder, and its name in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from scripts import tools
from scripts.checks.rendered.refusals import api, command_lines, exporters, loki, operator, running
from scripts.checks.rendered.refusals.model import CONFIGCHECK, Job
from scripts.core.findings import Finding
from scripts.model.rendered import Cluster

Kind = Callable[[Cluster], Iterable[Job]]
# What all others rely on.
API: tuple[Kind, ...] = (api.custom_resources,)
KINDS: tuple[Kind, ...] = (
    command_lines.flags,
    operator.kubelet,
    operator.prometheus,
    operator.alertmanager,
    exporters.state_metrics,
    exporters.blackbox,
    loki.configurations,
)
TOOLS = (CONFIGCHECK, *running.ALONE)


def found(
    kinds: Iterable[Kind], clusters: Sequence[Cluster], left_out: Collection[str] = ()
) -> Iterator[tuple[Job, Finding]]:
    """Yield what programs refuse, each with what they were asked.

    Args:
        kinds: Of `API` or `KINDS`.
        clusters: Clusters with their charts rendered.
        left_out: Tools of `TOOLS` that are not asked.
    """
    jobs = [job for cluster in clusters for kind in kinds for job in kind(cluster)]
    jobs = [job for job in jobs if job.tool not in left_out]
    for job, refusals in zip(jobs, running.answers(jobs), strict=True):
        for refusal in refusals:
            yield job, job.finding(refusal)


def not_built() -> list[str]:
    """Return the tools that are to be built before programs can be asked."""
    return [name for name in TOOLS if not tools.built(name)]
