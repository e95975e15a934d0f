"""Alerts of Prometheus and Loki, the charts' included: which there are, and when they fire."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from scripts.checks.static import alerts
from scripts.core.findings import counted
from scripts.core.yamlfile import Json
from scripts.diff.analyzers.retention import FOREVER, seconds
from scripts.diff.analyzers.wording import listed, query_changes, transition
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model.rendered import Cluster, Item

TOPIC = "Alerts"
# It always fires: that it stops is how an outside service learns that alerting is dead.
WATCHDOG = "Watchdog"
Rule = Mapping[str, Json]


def analyze(pair: ClusterPair) -> Analysis:
    """Compare the alerts of a cluster by their names, and their way to Alertmanager."""
    before, after = of(pair.before), of(pair.after)
    if not pair.before.sync.units:
        yield Sentence(TOPIC, f"{counted(len(after), 'alert')} of a new cluster")
        return
    texts: list[str] = []
    gone: list[str] = []
    for name in sorted({*before, *after}):
        for old, new in _pairs(before.get(name, []), after.get(name, [])):
            if old is None and new is not None:
                duration = f" after {new['for']}" if new.get("for") else ""
                yield Sentence(TOPIC, f"{name}: new, {severity(new)}{duration}")
            elif new is None and old is not None:
                yield Sentence(TOPIC, f"{name}: removed, it was {severity(old)}")
                gone.append(name)
            elif old is not None and new is not None:
                if phrases := list(_phrases(old, new)):
                    yield Sentence(TOPIC, f"{name}: {', '.join(phrases)}")
                elif old.get("annotations") != new.get("annotations"):
                    texts.append(name)
                yield from _weakened(name, old, new)
    if gone:
        yield from _removed(list(dict.fromkeys(gone)))
    if texts:
        yield Sentence(TOPIC, f"What these say changes: {listed(texts)}")


def labels(pair: ClusterPair) -> Analysis:
    """Compare the labels that Prometheus gives each alert on its way to Alertmanager."""
    for before, after in pair.items("Prometheus"):
        old, new = _external(before), _external(after)
        moved = [
            transition(label, old.get(label), new.get(label))
            for label in sorted({*old, *new})
            if old.get(label) != new.get(label)
        ]
        if moved:
            text = f"Every alert of {after}: label {listed(moved)}; silences and routes match on it"
            yield Sentence(TOPIC, text)


def of(cluster: Cluster) -> dict[str, list[Rule]]:
    """Return every alert that a cluster's Prometheus and Loki evaluate, by name."""
    found: dict[str, list[Rule]] = {}
    for item in cluster.of("PrometheusRule"):
        for group in item.spec.get("groups") or ():
            for rule in group.get("rules") or ():
                if "alert" in rule:
                    found.setdefault(rule["alert"], []).append(rule)
    for alert in alerts.alerts_of(cluster.sync):
        if alert.lang == "logql":
            found.setdefault(alert.name, []).append(alert.rule)
    return found


def named(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield the name and severity of each alert."""
    for name, rules in of(cluster).items():
        yield from ((name, severity(rule)) for rule in rules)


def severity(rule: Rule) -> str:
    """Return an alert's severity, in words where it has none."""
    return str((rule.get("labels") or {}).get("severity", "no severity"))


def _external(item: Item) -> dict[str, str]:
    """Return the external labels of a Prometheus, but for the replica's, which alerts lose.

    Prometheus operator, pkg/prometheus/promcfg.go, buildExternalLabels.
    """
    spec = item.spec
    found = {str(k): str(v) for k, v in (spec.get("externalLabels") or {}).items()}
    name = spec.get("prometheusExternalLabelName", "prometheus")
    if name and not spec.get("prometheusExternalLabelNameClear"):
        found[name] = f"{item.namespace}/{item.name}"
    return found


def _pairs(before: list[Rule], after: list[Rule]) -> Iterator[tuple[Rule | None, Rule | None]]:
    """Pair the rules of one name: what is equal, else of one severity, else in their order."""
    old = [rule for rule in before if rule not in after]
    new = [rule for rule in after if rule not in before]
    for one in list(old):
        other = next((rule for rule in new if severity(rule) == severity(one)), None)
        if other is not None:
            old.remove(one)
            new.remove(other)
            yield one, other
    yield from itertools.zip_longest(old, new)


def _phrases(old: Rule, new: Rule) -> Iterator[str]:
    for key in ("for", "keep_firing_for"):
        if old.get(key) != new.get(key):
            yield transition(key, old.get(key), new.get(key))
    before, after = (rule.get("labels") or {} for rule in (old, new))
    for label in sorted({*before, *after}):
        if before.get(label) != after.get(label):
            yield transition(label, before.get(label), after.get(label))
    yield from (
        query_changes(str(old["expr"]), str(new["expr"])) if old["expr"] != new["expr"] else ()
    )


def _removed(names: list[str]) -> Iterator[Flag]:
    if WATCHDOG in names:
        why = "When alerting itself stops, nobody learns of it any more."
        yield Flag(Danger.WATCHDOG_REMOVED, f"alert {WATCHDOG}", why, "Keep it, and its route.")
    others = [name for name in names if name != WATCHDOG]
    if others:
        why = "What this told people of, they are not told any more."
        fix = "Keep it, or say in the pull request what takes its place."
        yield Flag(Danger.ALERT_REMOVED, f"alert {', '.join(others)}", why, fix)


def _weakened(name: str, old: Rule, new: Rule) -> Iterator[Flag]:
    if name == WATCHDOG and query_changes(str(old["expr"]), str(new["expr"])):
        why = "It has to fire always: where it may stop, its silence says nothing any more."
        yield Flag(Danger.WATCHDOG_CHANGED, f"alert {name}", why, "Leave `vector(1)`.")
    if name == WATCHDOG and _pending_seconds(new) > _pending_seconds(old):
        why = f"Until it fires after {new['for']}, the dead man's switch takes alerting for dead."
        yield Flag(Danger.WATCHDOG_CHANGED, f"alert {name}", why, "Leave it without `for`.")
    ranks = {word: rank for rank, word in enumerate(alerts.SEVERITIES)}
    if ranks.get(severity(new), len(ranks)) > ranks.get(severity(old), len(ranks)):
        why = f"{transition('Severity', severity(old), severity(new))}: routes go by it."
        fix = "See in base/config/alertmanager who is told now, and when."
        yield Flag(Danger.ALERT_WEAKENED, f"alert {name}", why, fix)


def _pending_seconds(rule: Rule) -> float:
    """Return for how many seconds an alert is pending; of nothing, a retention makes for ever."""
    found = seconds(rule.get("for"))
    return 0 if found == FOREVER else found
