"""Alerts that fire on a day: of Prometheus' rules, of Loki's, and of the chart's default rules."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace

import yaml

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.quantities import duration
from scripts.core.yamlfile import Json
from scripts.model import charts
from scripts.model.rendered import Cluster, rule_files
from scripts.rules import rules_of
from scripts.servers import monitoring
from scripts.servers.api import Api, ApiError
from scripts.simulation import Day

CHART = "kube-prometheus-stack"
# Loki's default of `ruler.evaluation_interval`, in seconds.
_EVERY = 60


@dataclass(frozen=True)
class FiringAlert:
    """One alert, from when it fired until it was resolved or the day ended.

    Attributes:
        labels: All of it, `alertname` included.
        annotations: Of its rule, templates as they are written.
        start: In seconds since the epoch.
        end: Likewise; it fires until just before.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    start: float
    end: float

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.labels["alertname"]


def of_day(cluster: Cluster, day: Day) -> list[FiringAlert]:
    """Return all that Prometheus and Loki send to Alertmanager on a day.

    Args:
        cluster: The one that was simulated.
        day: A day that was made with its rules.

    Raises:
        RepositoryError: If Loki refuses an expression.
    """
    return of_both(cluster, day, monitoring.loki(cluster, day.logs))


def of_both(cluster: Cluster, day: Day, loki: AbstractContextManager[Api]) -> list[FiringAlert]:
    """Return the same, of a Loki that is begun only where it has to be asked."""
    alerts = of_prometheus(day, rule_files(cluster))
    alerts += of_loki_once(loki, day, loki_rules(cluster))
    # The notifier of both adds these where the alert has no such label: the cluster of an alert of
    # Loki is that of its lines. relabelAlerts of Prometheus' notifier/alert.go.
    added = external_labels(cluster)
    return [replace(alert, labels={**added, **alert.labels}) for alert in alerts]


def of_prometheus(day: Day, rules: Mapping[str, Json]) -> list[FiringAlert]:
    """Return what fired of the rules that the day was made with.

    Args:
        day: A simulated day.
        rules: Rule files by name, for the annotations.
    """
    annotations = {
        (rule["alert"], rule.get("labels", {}).get("severity")): rule.get("annotations") or {}
        for rule in _alerts(rules)
    }
    return [
        FiringAlert(
            {**alert["labels"], "alertname": alert["alertname"]},
            annotations[alert["alertname"], alert["labels"].get("severity")],
            alert["start"] / 1000,
            alert["end"] / 1000,
        )
        for alert in day.summary["alerts"]
    ]


def of_loki_once(
    loki: AbstractContextManager[Api], day: Day, rules: Mapping[str, Json]
) -> list[FiringAlert]:
    """Return the same as `of_loki`, from the day's folder where it was asked before.

    Args:
        loki: Begun only where it has to be asked.
        day: As of `of_loki`.
        rules: As of `of_loki`.
    """
    asked = json.dumps([rules, str(tools.path("loki"))], sort_keys=True)
    known = day.folder / f"loki-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"
    if not known.exists():
        progress(f"{day.name}: alerts on log lines")
        with loki as api:
            alerts = [asdict(alert) for alert in of_loki(api, day, rules)]
        tools.write(known, json.dumps(alerts))
    return [FiringAlert(**alert) for alert in json.loads(known.read_text(encoding="utf-8"))]


def of_loki(loki: Api, day: Day, rules: Mapping[str, Json]) -> list[FiringAlert]:
    """Return what would have fired of Loki's rules, evaluated once a minute.

    Args:
        loki: A server that holds the day's lines.
        day: Which one.
        rules: Rule files by name.

    Raises:
        RepositoryError: If Loki refuses an expression.
    """
    return [alert for rule in _alerts(rules) for alert in _of_rule(loki, day, rule)]


def loki_rules(cluster: Cluster) -> dict[str, Json]:
    """Return each rule file that a cluster's Loki reads, by its file's name."""
    return {
        name: yaml.safe_load(text) for name, text in monitoring.loki_rule_texts(cluster).items()
    }


def external_labels(cluster: Cluster) -> dict[str, str]:
    """Return what Prometheus, and Loki likewise, adds to the labels of each alert that it sends."""
    return {
        label: value
        for item in cluster.of("Prometheus")
        for label, value in (item.spec.get("externalLabels") or {}).items()
    }


def default_rules(cluster: Cluster) -> dict[str, Json]:
    """Return the rules that the chart installs where nobody says which, by their file's name.

    Raises:
        RepositoryError: If the chart is missing.
    """
    release = cluster.release(CHART)
    values = {key: value for key, value in release.values.items() if key != "defaultRules"}
    return {
        f"{item['metadata']['name']}.yaml": {"groups": item["spec"]["groups"]}
        for item in charts.render(replace(release, values=values))
        if item["kind"] == "PrometheusRule"
    }


def _alerts(rules: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    for content in rules.values():
        yield from (rule for rule in rules_of(content) if "alert" in rule)


def _of_rule(loki: Api, day: Day, rule: Mapping[str, Json]) -> Iterator[FiringAlert]:
    query = {
        "query": str(rule["expr"]),
        "start": str(int(day.start)),
        "end": str(int(day.end - _EVERY)),
        "step": str(_EVERY),
    }
    try:
        answer = loki.form("/loki/api/v1/query_range", query)
    except ApiError as error:
        raise RepositoryError(
            Finding(f"rule {rule['alert']}", None, f"Loki: {error}", "correct its expression")
        ) from error
    wait = duration(str(rule.get("for", "0s")))
    for series in answer["data"]["result"]:
        labels = series["metric"] | (rule.get("labels") or {}) | {"alertname": rule["alert"]}
        for begin, end in active_periods([float(at) for at, _ in series["values"]]):
            if end - begin > wait:
                yield FiringAlert(labels, rule.get("annotations") or {}, begin + wait, end)


def active_periods(times: list[float]) -> Iterator[tuple[float, float]]:
    """Yield when an alert becomes active and when it is over, in seconds.

    Args:
        times: Of the evaluations at which an expression had a result, in order.
    """
    # One after another, the difference to the number of evaluations stays the same.
    runs = itertools.groupby(enumerate(times), lambda pair: pair[1] - pair[0] * _EVERY)
    for _, run in runs:
        evaluations = [at for _, at in run]
        yield evaluations[0], evaluations[-1] + _EVERY
