"""Checks of what the charts render; each takes a rendered cluster.

They need the charts, so they are part of `make render` and not of `make validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from scripts.checks.rendered import (
    access,
    exposed,
    objects,
    pods,
    programs,
    referents,
    relabelings,
    scrape,
)
from scripts.core.findings import Finding
from scripts.model.rendered import Cluster

Check = Callable[[Cluster], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    objects.hooks,
    objects.secrets,
    objects.crds,
    objects.namespaces,
    objects.twice,
    objects.roles,
    objects.whitelisted,
    access.strangers,
    access.outside,
    access.guarded,
    pods.images,
    pods.resources,
    pods.unique,
    pods.restricted,
    pods.host_paths,
    programs.same,
    referents.addresses,
    referents.accounts,
    referents.alertmanagers,
    referents.configuration,
    scrape.selected,
    scrape.limited,
    scrape.targeted,
    relabelings.kept,
    exposed.real,
)


def faults(clusters: Sequence[Cluster]) -> list[Finding]:
    """Run every check on every cluster; what holds for some clusters only names them."""
    held: dict[Finding, list[str]] = {}
    for cluster in clusters:
        for check in CHECKS:
            for finding in check(cluster):
                held.setdefault(finding, []).append(cluster.name)
    findings = [
        *objects.invalid(clusters),
        *objects.unequal(clusters),
        *objects.unused_whitelist(clusters),
        *programs.stale(clusters),
    ]
    for finding, names in held.items():
        distinct = dict.fromkeys(names)
        text = "" if len(distinct) == len(clusters) else f" ({', '.join(distinct)})"
        findings.append(Finding(finding.path, finding.line, finding.message + text, finding.fix))
    return findings
