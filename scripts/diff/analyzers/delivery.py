"""Whether alerts come from their rules to Alertmanager's routes, by the operator's objects."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from scripts.core.yamlfile import Json, get, load_all
from scripts.diff.analyzers import selection
from scripts.diff.analyzers.amtool import KNOWN_LABELS
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model.rendered import Cluster, Item

# Actions of a relabelling that let through some alerts only.
DROPPING = frozenset({"drop", "dropequal", "keep", "keepequal"})
WHY = {
    "PrometheusRule": "No Prometheus selects this any more: its alerts do not fire.",
    "AlertmanagerConfig": "No Alertmanager selects this any more: its receivers are not told.",
}


def analyze(pair: ClusterPair) -> Analysis:
    """Find what keeps alerts from being evaluated, sent or notified."""
    for kind, why in WHY.items():
        if names := selection.unselected(pair, kind):
            yield Flag(Danger.ALERT_SILENCED, listed(names), why, selection.fix(kind))
    servers = listed(map(str, pair.after.of("Prometheus")))
    if servers and pair.after.of("Alertmanager"):
        if _sends_alerts(pair.before) and not _sends_alerts(pair.after):
            why = "It sends alerts to no Alertmanager of this cluster any more."
            fix = "Name the Service of Alertmanager in alerting.alertmanagers."
            yield Flag(Danger.ALERT_SILENCED, servers, why, fix)
        known = set(_relabelings(pair.before))
        new = [text for text in _relabelings(pair.after) if text not in known]
        if new and pair.before.of("Prometheus"):
            why = f"It relabels alerts, which may not arrive or miss their routes: {listed(new)}."
            fix = "Let them pass as they are: Alertmanager's routes say who is told of what."
            yield Flag(Danger.ALERT_SILENCED, servers, why, fix)
    yield from _other_configuration(pair)


def _sends_alerts(cluster: Cluster) -> bool:
    """Say whether a Prometheus sends its alerts to a Service that there is."""
    services = {(item.namespace, item.name) for item in cluster.of("Service")}
    return any(
        (endpoint.get("namespace") or item.namespace, endpoint["name"]) in services
        for item in cluster.of("Prometheus")
        for endpoint in get(item.spec, "alerting", "alertmanagers") or ()
    )


def _relabelings(cluster: Cluster) -> Iterator[str]:
    """Yield the steps that take alerts out on the way to Alertmanager, or change how it routes."""
    for item in cluster.of("Prometheus"):
        steps = [
            step
            for endpoint in get(item.spec, "alerting", "alertmanagers") or ()
            for key in ("relabelings", "alertRelabelings")
            for step in endpoint.get(key) or ()
        ]
        if named := item.spec.get("additionalAlertRelabelConfigs"):
            held = _secret_steps(cluster, item.namespace, named)
            if held is None:
                yield f"by {named['key']} of Secret {named['name']}, which is not known here"
            else:
                steps += held
        yield from filter(None, map(_described_step, steps))


def _secret_steps(cluster: Cluster, namespace: str, named: Mapping[str, Json]) -> list[Json] | None:
    """Return the steps in a Secret's key; None if the cluster's objects do not hold it."""
    for secret in cluster.of("Secret"):
        if (secret.namespace, secret.name) == (namespace, named["name"]):
            plain = secret.manifest.get("stringData") or {}
            encoded = secret.data
            if named["key"] in {*plain, *encoded}:
                text = plain.get(named["key"]) or base64.b64decode(encoded[named["key"]]).decode()
                return [step for steps in load_all(text, str(secret)) for step in steps]
    return None


def _described_step(step: Mapping[str, Json]) -> str:
    """Return a step in words; nothing for one that alerts pass as they are routed."""
    action = str(step.get("action", "replace")).lower()
    target = step.get("targetLabel") or step.get("target_label")
    labels = step.get("sourceLabels") or step.get("source_labels") or []
    if action in DROPPING:
        return f"{action} {', '.join(labels)} {step.get('regex', '')}".rstrip()
    return f"{action} {target}" if target in KNOWN_LABELS else ""


def _other_configuration(pair: ClusterPair) -> Iterator[Flag]:
    """Find an Alertmanager that reads another configuration."""
    for before, item in pair.items("Alertmanager"):
        old, new = _configuration_source(before), _configuration_source(item)
        if old != new:
            why = f"It reads {new} instead of {old}: without receivers there, nobody is told."
            fix = "See that it is in the cluster before the merge, and holds what the other held."
            yield Flag(Danger.ALERT_SILENCED, str(item), why, fix)


def _configuration_source(item: Item) -> str:
    """Return where an Alertmanager's configuration is."""
    if name := get(item.spec, "alertmanagerConfiguration", "name"):
        return f"AlertmanagerConfig {name}"
    # The operator's default.
    return f"Secret {item.spec.get('configSecret') or f'alertmanager-{item.name}'}"
