"""Checks of what Prometheus, Alertmanager and Loki find in a synced cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from scripts.cluster.e2e.background_workloads import LAYOUTS
from scripts.cluster.e2e.environment import Environment, is_oci_helm_repository
from scripts.cluster.e2e.monitoring_programs import MonitoringPrograms
from scripts.cluster.e2e.prometheus_operator import API_GROUP, MONITORING
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.rendered import LOKI_RULES_CONFIGMAP, REPLICA_LABEL
from scripts.model.scraping import SAMPLE_LIMIT_ROOM
from scripts.servers.api import Api
from scripts.servers.kubernetes.client import namespace


@dataclass(frozen=True)
class EnginePools:
    """The scrape pools of one engine, which have targets where it syncs.

    Attributes:
        prefix: What their names in Prometheus begin with.
        scraped: Whether its programs run here and answer a scrape.
    """

    prefix: str
    scraped: bool


# Of Argo CD, the cluster has the pods of its release, in which nothing runs.
ENGINES = {
    "argocd": EnginePools("serviceMonitor/monitoring/argocd/", scraped=False),
    "flux": EnginePools("podMonitor/monitoring/flux/", scraped=True),
}
# Whose programs run here, and so have to be up.
SCRAPED_POOLS = (
    "podMonitor/monitoring/loki/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-alertmanager/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-apiserver/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-kube-state-metrics/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-operator/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-prometheus/0",
)
# The same of what not every cluster has; every target runs.
THANOS_POOLS = (
    "podMonitor/monitoring/thanos-sidecar/0",
    "podMonitor/monitoring/thanos/0",
)
# The alert of an object of the engine that is not ready.
NOT_SYNCED = "GitOpsNotSynced"
WHOSE = "find whose pods it selects"
# Kind of monitor: its name in a scrape pool, and its list of endpoints if it has one.
_MONITORS = {
    ("v1", "ServiceMonitor"): ("serviceMonitor", "endpoints"),
    ("v1", "PodMonitor"): ("podMonitor", "podMetricsEndpoints"),
    ("v1", "Probe"): ("probe", ""),
    ("v1alpha1", "ScrapeConfig"): ("scrapeConfig", ""),
}


def _wait(env: Environment, missing: Callable[[], str], what: str) -> list[Finding]:
    """Wait for a minute until nothing is missing; return what still is."""
    try:
        env.until(missing, what, timeout=60)
    except RepositoryError as error:
        return list(error.findings)
    return []


def declared_pools(env: Environment) -> set[str]:
    """Return the scrape pools that the monitors in the cluster ask for."""
    found = set()
    for (version, kind), (prefix, endpoints) in _MONITORS.items():
        for item in env.client.all(f"{API_GROUP}/{version}", kind):
            name = f"{prefix}/{item['metadata']['namespace']}/{item['metadata']['name']}"
            if endpoints:
                found |= {f"{name}/{index}" for index, _ in enumerate(item["spec"][endpoints])}
            else:
                found.add(name)
    return found


def active_targets(programs: MonitoringPrograms) -> list[Json]:
    """Return every target that Prometheus has found."""
    found: list[Json] = programs.prometheus.get("/api/v1/targets")["data"]["activeTargets"]
    return found


def check_targets(env: Environment, programs: MonitoringPrograms) -> list[Finding]:
    """Check that each monitor is a scrape job with a target, and that what runs here is up."""
    place = env.sync.name
    wanted = declared_pools(env)
    configured = {job["job_name"] for job in programs.generated["scrape_configs"]}
    findings = [
        Finding(f"{place} {pool}", None, "the operator makes no scrape job of it", "see its status")
        for pool in sorted(wanted - configured)
    ]
    findings += [
        Finding(f"{place} {pool}", None, "is scraped and nothing declares it", "find what makes it")
        for pool in sorted(configured - wanted)
    ]
    own = ENGINES[env.sync.engine]
    others = [engine.prefix for engine in ENGINES.values() if engine is not own]
    of_other_engine = {pool for pool in wanted if pool.startswith(tuple(others))}
    answering = {pool for pool in wanted if own.scraped and pool.startswith(own.prefix)}

    def missing() -> str:
        found = active_targets(programs)
        without = wanted - of_other_engine - {one["scrapePool"] for one in found}
        down = [
            f"{pool}: {[one['lastError'] for one in found if one['scrapePool'] == pool]}"
            for pool in (*SCRAPED_POOLS, *sorted(answering))
            if not any(one["scrapePool"] == pool and one["health"] == "up" for one in found)
        ]
        down += [
            f"{one['scrapePool']}, {one['labels'].get('pod')}: {one['lastError'] or one['health']}"
            for one in found
            if one["scrapePool"] in THANOS_POOLS and one["health"] != "up"
        ]
        return "; ".join([*(f"{pool} has no target" for pool in sorted(without)), *down])

    findings += _wait(env, missing, "monitors find nothing")
    findings += [
        Finding(f"{place} {one['scrapePool']}", None, "has a target of the other engine", WHOSE)
        for one in active_targets(programs)
        if one["scrapePool"] in of_other_engine
    ]
    return findings


def check_rules(env: Environment, programs: MonitoringPrograms) -> list[Finding]:
    """Check that both servers evaluate every rule of the cluster, and none with an error."""
    objects = env.client.all(f"{API_GROUP}/v1", "PrometheusRule")
    files = [yaml.safe_load(text) for text in _log_rules(env)]
    servers = (
        ("Prometheus", programs.prometheus, "/api/v1/rules", [o["spec"] for o in objects]),
        ("Loki", programs.loki, "/prometheus/api/v1/rules", files),
    )

    def missing() -> str:
        problems = []
        for name, api, path, groups in servers:
            rules = [r for one in groups for g in one["groups"] for r in g.get("rules") or ()]
            wanted = Counter(str(rule.get("alert") or rule.get("record")) for rule in rules)
            found = [r for g in api.get(path)["data"]["groups"] for r in g["rules"]]
            there = Counter(str(rule["name"]) for rule in found)
            problems += [f"{name} lacks {rule}" for rule in sorted(wanted - there)]
            problems += [
                f"{name} has {rule}, which nothing declares" for rule in sorted(there - wanted)
            ]
            problems += [
                f"{name}, {rule['name']}: {rule.get('lastError') or rule['health']}"
                for rule in found
                if rule["health"] != "ok"
            ]
        return "; ".join(problems)

    return _wait(env, missing, "rules are not evaluated as they are declared")


def _log_rules(env: Environment) -> list[str]:
    found = env.client.get("v1", "ConfigMap", LOKI_RULES_CONFIGMAP, MONITORING)
    return list(found["data"].values())


def check_alerting(env: Environment, programs: MonitoringPrograms) -> list[Finding]:
    """Check that Prometheus has each Alertmanager, and that the Watchdog arrives there."""
    declared = env.client.all(f"{API_GROUP}/v1", "Alertmanager")
    wanted = sum(item["spec"].get("replicas", 1) for item in declared)

    def missing() -> str:
        known = programs.prometheus.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        if len(known) != wanted:
            return f"Prometheus knows {len(known)} Alertmanagers of {wanted}"
        alerts = programs.alertmanager.get("/api/v2/alerts")
        names = {alert["labels"]["alertname"] for alert in alerts}
        return "" if "Watchdog" in names else f"Alertmanager has {sorted(names)}"

    return _wait(env, missing, "alerts go nowhere")


def check_thanos(env: Environment, thanos: Api) -> list[Finding]:
    """Check that Thanos has each series of Prometheus, once and with its cluster's name."""
    (prometheus,) = env.client.all(f"{API_GROUP}/v1", "Prometheus")
    name = (prometheus["spec"].get("externalLabels") or {}).get("cluster")

    def missing() -> str:
        query = {"query": 'up{job="kube-prometheus-stack-prometheus"}'}
        series = [one["metric"] for one in thanos.get("/api/v1/query", query)["data"]["result"]]
        replica = prometheus["spec"].get("replicaExternalLabelName", REPLICA_LABEL)
        if not series:
            return "it has no series"
        wrong = [one for one in series if one.get("cluster") != name or replica in one]
        return f"{wrong[0]} is not of the cluster {name} alone" if wrong else ""

    return _wait(env, missing, "Thanos does not answer as Grafana needs it")


def check_sample_limits(env: Environment, programs: MonitoringPrograms) -> list[Finding]:
    """Check that what each target has after relabeling leaves room below its monitor's limit.

    A target above its limit is down: Prometheus keeps nothing of the scrape.
    """
    labels = ("job", "namespace", "pod", "instance")

    def most(metric: str) -> dict[str, float]:
        query = {"query": f"max by ({', '.join(labels)}) (max_over_time({metric}[10m]))"}
        series = programs.prometheus.get("/api/v1/query", query)["data"]["result"]
        return {
            " ".join(s["metric"].get(label, "-") for label in labels): float(s["value"][1])
            for s in series
        }

    limits = {target: limit for target, limit in most("scrape_sample_limit").items() if limit}
    if not limits:
        text, fix = "Prometheus tells no sample limit", "see extra_scrape_metrics"
        return [Finding(env.sync.name, None, text, fix)]
    return [
        Finding(
            f"{env.sync.name} {target}",
            None,
            f"has {samples:.0f} samples after relabeling, its sampleLimit is {limits[target]:.0f}",
            f"drop some by metricRelabelings, or set at least {samples * SAMPLE_LIMIT_ROOM:.0f}",
        )
        for target, samples in sorted(most("scrape_samples_post_metric_relabeling").items())
        if target in limits and samples * SAMPLE_LIMIT_ROOM > limits[target]
    ]


def check_flux_readiness(env: Environment, programs: MonitoringPrograms) -> list[Finding]:
    """Check that kube-state-metrics says of each object of Flux that it is ready; no alert waits.

    The charts come from a mirror here, whose HelmRepository has no condition.
    """
    wanted = {
        (item["kind"], item["metadata"]["name"])
        for item in env.objects()
        if item["kind"] != "HelmChart" and not is_oci_helm_repository(item)
    }

    def missing() -> str:
        query = {"query": 'gotk_resource_info{ready="True"}'}
        series = programs.prometheus.get("/api/v1/query", query)["data"]["result"]
        found = {(s["metric"]["customresource_kind"], s["metric"]["name"]) for s in series}
        alerts = programs.prometheus.get("/api/v1/alerts")["data"]["alerts"]
        waiting = [a["labels"] for a in alerts if a["labels"]["alertname"] == NOT_SYNCED]
        texts = [f"{kind} {name} is not said to be ready" for kind, name in sorted(wanted - found)]
        return ", ".join(
            [*texts, *(f"{NOT_SYNCED} waits for {one['kind']} {one['name']}" for one in waiting)]
        )

    return _wait(env, missing, "what is synced is not seen to be")


def check_sidecars(env: Environment, programs: MonitoringPrograms) -> list[Finding]:
    """Install the application as each public deployment lays it out, and wait for its targets.

    Returns:
        A finding for each sidecar that the PodMonitor does not find.
    """
    others = [workload for layout in LAYOUTS.values() for workload in layout]
    env.apply(*(namespace(name) for name in sorted({w.namespace for w in others})))
    env.apply(*(item for workload in others for item in workload.objects()))
    env.wait_for_pods({w.namespace for w in others})

    def missing() -> str:
        found = {
            (
                one["discoveredLabels"]["__meta_kubernetes_namespace"],
                one["discoveredLabels"]["__meta_kubernetes_pod_label_dapr_io_app_id"],
            )
            for one in active_targets(programs)
            if one["scrapePool"] == "podMonitor/monitoring/dapr-sidecars/0"
        }
        return ", ".join(
            f"{w.namespace}/{w.app_id}"
            for w in others
            if w.app_id and (w.namespace, w.app_id) not in found
        )

    return _wait(env, missing, "sidecars are not found")
