"""Values whose absence is noticed only in production: a full disk, an empty panel, a slow start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from scripts.checks.static import references
from scripts.core.findings import Finding, Violation
from scripts.core.quantities import byte_size, quantity
from scripts.core.yamlfile import get
from scripts.model import api_groups
from scripts.model.manifests import ClusterSync, Release, Repository, in_values
from scripts.model.scraping import SELECTORS

# The share of its volume that Prometheus may fill with blocks; WAL and head block come on top.
MAX_FILL = 0.85
VOLUME = ("storageSpec", "volumeClaimTemplate", "spec", "resources", "requests", "storage")
EVENTS = "loki.source.kubernetes_events"


def check(repository: Repository) -> list[Finding]:
    """Check the values of every release."""
    findings = []
    for sync in repository.syncs:
        findings += repository.locate(sync, events(sync))
        for release in sync.releases:
            if rule := RULES.get(release.chart):
                findings += repository.locate(sync, rule(release))
    return findings


def prometheus(release: Release) -> Iterator[Violation]:
    """Prometheus selects what this repository declares, and never fills its volume."""
    at = ("prometheus", "prometheusSpec")
    spec = get(release.values, *at) or {}
    for kind in SELECTORS:
        key = f"{kind}SelectorNilUsesHelmValues"
        if spec.get(key) is not False:
            text = f"{key} is not false: only what the chart itself brings is loaded"
            yield in_values(release, (*at, key), text, f"set {key}: false")
    retention, volume = spec.get("retentionSize"), get(spec, *VOLUME)
    if not retention:
        text = "no retentionSize: the volume fills, and Prometheus stops"
        yield in_values(
            release, (*at, "retentionSize"), text, "set it to 85 % of the volume at most"
        )
        return
    try:
        too_much = volume is not None and byte_size(str(retention)) > MAX_FILL * quantity(
            str(volume)
        )
    except ValueError as error:
        fix = "write retentionSize as 40GiB and the volume as 50Gi"
        yield in_values(release, (*at, "retentionSize"), str(error), fix)
        return
    if too_much:
        text = f"retentionSize {retention} is over 85 % of the volume of {volume}"
        fix = "leave room for the write-ahead log and the head block"
        yield in_values(release, (*at, "retentionSize"), text, fix)


def loki(release: Release) -> Iterator[Violation]:
    """Loki deletes what is older than its retention, and has no memory-hungry caches."""
    enabled = ("loki", "compactor", "retention_enabled")
    if not get(release.values, *enabled):
        text = "compactor.retention_enabled is not set, so retention_period deletes nothing"
        yield in_values(release, enabled, text, "set it, and delete_request_store beside it")
    retention = ("loki", "limits_config", "retention_period")
    if not get(release.values, *retention):
        text = "no retention_period: logs are kept for ever"
        yield in_values(release, retention, text, "set it, such as 168h")
    at = ("loki", "schemaConfig", "configs")
    periods = get(release.values, *at) or [{}]
    newest = max(periods, key=lambda period: str(period.get("from")))
    kind = (newest.get("store"), newest.get("schema"), get(newest, "index", "period"))
    if kind != ("tsdb", "v13", "24h"):
        text = f"the schema is {kind}; structured metadata and retention need tsdb, v13, 24h"
        yield in_values(release, at, text, "add a period with these that begins in the future")
    for cache in ("chunksCache", "resultsCache"):
        if get(release.values, cache, "enabled") is not False:
            text = f"{cache} is on: by default it requests gigabytes"
            yield in_values(release, (cache, "enabled"), text, "set enabled: false")


def grafana(release: Release) -> Iterator[Violation]:
    """Grafana starts without a volume, a download or a generated password."""
    if not get(release.values, "admin", "existingSecret"):
        text = "no admin.existingSecret: each render makes a new password, and a restart"
        yield in_values(release, ("admin", "existingSecret"), text, "name the Secret grafana-admin")
    if get(release.values, "persistence", "enabled"):
        text = "a volume: attaching it takes longer than a dashboard may"
        yield in_values(release, ("persistence",), text, "keep all as code, without a volume")
    at = ("grafana.ini", "plugins", "preinstall_disabled")
    if get(release.values, *at) is not True:
        text = "plugins are downloaded at each start: preinstall_disabled is not true"
        yield in_values(release, at, text, "set preinstall_disabled: true")
    if release.values.get("plugins"):
        yield in_values(release, ("plugins",), "plugins are downloaded at each start", "remove it")


def crds(release: Release) -> Iterator[Violation]:
    """CRDs, and with them all custom resources, outlive their release under either engine."""
    at = ("crds", "annotations")
    found = get(release.values, *at) or {}
    options = set(str(found.get(api_groups.SYNC_OPTIONS)).split(","))
    if (
        found.get(api_groups.RESOURCE_POLICY) != "keep"
        or not {"Prune=false", "Delete=false"} <= options
    ):
        text = "CRDs go with their release, and every object of these kinds with them"
        fix = "annotate helm.sh/resource-policy: keep and sync-options: Prune=false,Delete=false"
        yield in_values(release, at, text, fix)


def events(sync: ClusterSync) -> Iterator[Violation]:
    """Exactly one pod of the cluster sends Kubernetes' events: a second one duplicates them."""
    pipelines = {
        (item["metadata"].get("namespace"), item["metadata"]["name"]): item.get("data") or {}
        for item in sync.objects()
        if item["kind"] == "ConfigMap"
    }
    collectors = [release for release in sync.releases if release.chart == "alloy"]
    senders = []
    for release in collectors:
        name, key = references.pipeline(release)
        if EVENTS not in pipelines.get((release.namespace, name), {}).get(key, ""):
            continue
        senders.append(release)
        controller = release.values.get("controller", {})
        single = controller.get("type") == "deployment" and controller.get("replicas", 1) == 1
        if not single:
            text = "sends each of Kubernetes' events from several pods"
            fix = "set controller.type: deployment, and one replica"
            yield in_values(release, ("controller",), text, fix)
    for release in senders[1:]:
        text = f"sends Kubernetes' events, which {senders[0].name} sends already"
        fix = f"take {EVENTS} out of its pipeline"
        yield in_values(release, ("alloy", "configMap"), text, fix)
    if collectors and not senders:
        text, fix = "nothing sends Kubernetes' events", f"put {EVENTS} into its pipeline"
        yield in_values(collectors[-1], ("alloy", "configMap"), text, fix)


RULES: Mapping[str, Callable[[Release], Iterator[Violation]]] = {
    "grafana": grafana,
    "kube-prometheus-stack": prometheus,
    "loki": loki,
    "prometheus-operator-crds": crds,
}
