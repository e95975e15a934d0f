"""Checks of what the charts render; each takes a rendered cluster.

They need the charts, so they are part of `make render` and not of `make validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from scripts.checks.rendered import (
    access,
    arithmetic,
    kubernetes,
    links,
    loki,
    metrics_exposed,
    objects,
    pods,
    programs,
    public_address,
    references,
    refusals,
    relabelings,
    scrape,
    sign_in,
    thanos,
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
    access.links_lead_to_grafana,
    access.passwordless_services_inside,
    access.pods_guarded,
    sign_in.strangers_kept_out,
    sign_in.only_viewers,
    public_address.hardened,
    public_address.encrypted,
    public_address.says_its_address,
    public_address.one_route_per_host,
    public_address.free_load_balancer,
    pods.images_pinned,
    pods.resources_set,
    pods.list_names_unique,
    pods.keeps_to_restricted,
    pods.host_paths_allowed,
    pods.enough_nodes,
    programs.same_version_as_clusters,
    kubernetes.charts_take_it,
    references.service_addresses,
    references.accounts_and_roles,
    references.alertmanager_service,
    references.configmaps_and_secrets,
    references.configmaps_before_pods,
    links.resolved,
    scrape.monitors_selected,
    scrape.kubelet_discovered,
    scrape.sample_limit_set,
    scrape.sample_limits_leave_room,
    scrape.targets_found,
    relabelings.targets_kept,
    relabelings.read_metrics_kept,
    relabelings.request_paths_dropped,
    metrics_exposed.metrics_and_labels_exist,
    arithmetic.requests_within_limits,
    arithmetic.scrapes_often,
    arithmetic.time_interval_known,
    arithmetic.ranges_hold_two_samples,
    arithmetic.retention_covers_rules,
    arithmetic.notifications_remembered,
    loki.tenant_named,
    loki.enough_ingesters,
    loki.survives_one,
    loki.periods_reached,
    loki.logs_accepted,
    loki.retention_valid,
    loki.rules_mounted,
    thanos.one_compactor,
    thanos.replicas_told_apart,
    thanos.blocks_shipped_in_time,
    thanos.one_version,
    thanos.downsampled_in_time,
    thanos.one_bucket,
    thanos.pairs_asked_through_thanos,
)


def malformed(clusters: Sequence[Cluster], left_out: Collection[str] = ()) -> list[Finding]:
    """Return a finding for each object that the API server refuses; others rely on their shape.

    Args:
        clusters: Clusters with their charts rendered.
        left_out: Tools of `refusals.TOOLS` that are not built, so that they are not asked.
    """
    refused = list(refusals.found(refusals.API, clusters, left_out))
    said = {str(job.item) for job, _ in refused}
    found = [(finding, job.cluster.name) for job, finding in refused]
    return [*_with_clusters(found, len(clusters)), *objects.invalid(clusters, said)]


def findings(clusters: Sequence[Cluster], left_out: Collection[str] = ()) -> list[Finding]:
    """Run every other check on every cluster; a finding of some of the clusters names them.

    Args:
        clusters: As for `malformed`, of which nothing is.
        left_out: As for `malformed`.
    """
    found = [
        (finding, job.cluster.name)
        for job, finding in refusals.found(refusals.KINDS, clusters, left_out)
    ]
    found += [(f, cluster.name) for cluster in clusters for check in CHECKS for f in check(cluster)]
    return [
        *objects.same_for_both_engines(clusters),
        *objects.unused_whitelist(clusters),
        *programs.differences_still_exist(clusters),
        *_with_clusters(found, len(clusters)),
    ]


def _with_clusters(found: Iterable[tuple[Finding, str]], count: int) -> Iterator[Finding]:
    """Yield each finding once, with the clusters that it is of, unless it is of all."""
    by_finding: dict[Finding, dict[str, None]] = {}
    for finding, name in found:
        by_finding.setdefault(finding, {})[name] = None
    for finding, names in by_finding.items():
        text = "" if len(names) == count else f" ({', '.join(names)})"
        yield Finding(finding.path, finding.line, finding.message + text, finding.fix)
