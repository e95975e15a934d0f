"""Checks of what the charts render; each takes a rendered cluster.

They need the charts, so they are part of `make render` and not of `make validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from scripts.checks.rendered import (
    access,
    arithmetic,
    links,
    loki,
    metrics_exposed,
    objects,
    pods,
    programs,
    references,
    relabelings,
    scrape,
)
from scripts.core.findings import Finding
from scripts.model.rendered import Cluster

Check = Callable[[Cluster], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    objects.no_hooks,
    objects.no_secrets,
    objects.crds_kept,
    objects.crds_not_older_than_operator,
    objects.in_our_namespaces,
    objects.brought_once,
    objects.secrets_unreadable,
    objects.kinds_whitelisted,
    access.strangers_only_read,
    access.people_can_sign_in,
    access.sessions_kept,
    access.passwordless_services_inside,
    access.pods_guarded,
    pods.images_pinned,
    pods.resources_set,
    pods.list_names_unique,
    pods.keeps_to_restricted,
    pods.host_paths_allowed,
    programs.same_version_as_clusters,
    references.service_addresses,
    references.accounts_and_roles,
    references.alertmanager_service,
    references.configmaps_and_secrets,
    links.resolved,
    scrape.monitors_selected,
    scrape.kubelet_discovered,
    scrape.sample_limit_set,
    scrape.targets_found,
    relabelings.expressions_valid,
    relabelings.targets_kept,
    relabelings.metric_lists_valid,
    relabelings.read_metrics_kept,
    relabelings.request_paths_dropped,
    metrics_exposed.metrics_and_labels_exist,
    arithmetic.requests_within_limits,
    arithmetic.scrapes_in_time,
    arithmetic.time_interval_known,
    arithmetic.ranges_hold_two_samples,
    arithmetic.retention_covers_rules,
    arithmetic.notifications_remembered,
    loki.tenant_named,
    loki.enough_ingesters,
    loki.logs_accepted,
    loki.retention_valid,
    loki.rules_mounted,
)


def findings(clusters: Sequence[Cluster]) -> list[Finding]:
    """Run every check on every cluster; a finding of some of the clusters names them."""
    by_finding: dict[Finding, list[str]] = {}
    for cluster in clusters:
        for check in CHECKS:
            for finding in check(cluster):
                by_finding.setdefault(finding, []).append(cluster.name)
    found = [
        *objects.invalid(clusters),
        *objects.same_for_both_engines(clusters),
        *objects.unused_whitelist(clusters),
        *programs.differences_still_exist(clusters),
    ]
    for finding, names in by_finding.items():
        distinct = dict.fromkeys(names)
        text = "" if len(distinct) == len(clusters) else f" ({', '.join(distinct)})"
        found.append(Finding(finding.path, finding.line, finding.message + text, finding.fix))
    return found
