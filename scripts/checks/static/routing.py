"""Alertmanager's template routes, groups and inhibits by alerts and labels that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts import tools
from scripts.checks.static import alerts, catalogue, queries
from scripts.checks.static.alerts import SEVERITIES
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, line_with, load, maps
from scripts.model import clusters
from scripts.model.alertmanager import TEMPLATE, AlertMatcher, matchers
from scripts.model.manifests import Repository

# Alerts of the chart that the template names.
OF_CHART = frozenset({"InfoInhibitor"})
# Keys of receivers whose values may only be in files.
CREDENTIAL = re.compile(r"(url|token|password|secret|key)$")
# Labels that do not say which of several things of one kind an alert is about.
SAME = frozenset({"alertname", clusters.LABEL, "namespace", "severity"})


@dataclass(frozen=True)
class AlertLabels:
    """What matchers can match.

    Attributes:
        labels: Every label that an alert can have, by the alert's name.
        of_logs: Names of the alerts that Loki evaluates: which labels their queries leave is not
            known, so they have all of a stream's.
    """

    labels: Mapping[str, frozenset[str]]
    of_logs: frozenset[str] = frozenset()

    def matching(self, texts: Sequence[str]) -> list[str]:
        """Return the names of the alerts that matchers of `alertname` select."""
        patterns = [m.value for m in matchers(texts) if m.label == "alertname"]
        return [name for name in self.labels if all(re.fullmatch(p, name) for p in patterns)]


def check(repository: Repository) -> list[Finding]:
    """Check the template: by amtool, then by this repository's alerts."""
    path = repository.root / TEMPLATE
    run = tools.run("amtool", "check-config", path)
    if run.returncode:
        error = " ".join(run.stdout.partition("FAILED:")[2].split()) or run.stderr.strip()
        return [Finding(TEMPLATE, None, f"amtool: {error}", "correct what it names")]
    (config,) = load(path, repository.root)
    alert_labels = alert_labels_of(repository)
    found = [
        *unknown_matchers(config, alert_labels),
        *uncompared(config, alert_labels),
        *across_clusters(config),
        *no_credentials(config),
    ]
    return [Finding(TEMPLATE, line_with(path, key), text, fix) for key, text, fix in found]


def unknown_matchers(
    config: Mapping[str, Json], known: AlertLabels
) -> Iterator[tuple[str, str, str]]:
    """Yield text of the template to find the line by, what is wrong, and what to do."""
    all_labels = frozenset().union(*known.labels.values())
    for _, holder in maps(config):
        for key in ("matchers", "source_matchers", "target_matchers"):
            for text in map(str, holder.get(key) or ()):
                for matcher in matchers([text]) or [AlertMatcher(text, "", "")]:
                    yield from _matcher(text, matcher, known, all_labels)
        for label in holder.get("group_by") or ():
            if label != "..." and label not in all_labels:
                yield f"group_by: [{', '.join(holder['group_by'])}]", *_no_label(label, all_labels)
    for rule in config.get("inhibit_rules") or ():
        sources, targets = (known.matching(rule[f"{k}_matchers"]) for k in ("source", "target"))
        for label in rule.get("equal") or ():
            lacking = [
                side
                for names, side in ((sources, "source"), (targets, "target"))
                if names and not any(label in known.labels[name] for name in names)
            ]
            if lacking:
                text = f"no alert that is the {' or the '.join(lacking)} has the label {label}"
                fix = "compare labels that both have: a missing one equals a missing one"
                yield str(rule[f"{lacking[0]}_matchers"][0]), text, fix


def uncompared(config: Mapping[str, Json], known: AlertLabels) -> Iterator[tuple[str, str, str]]:
    """Yield inhibit rules whose alerts both say which of several things is wrong, uncompared.

    One pod, job or node would hold back what is said of every other in its cluster. A namespace may
    be left out: it holds the whole application.
    """
    for rule in config.get("inhibit_rules") or ():
        texts = [rule[f"{side}_matchers"] for side in ("source", "target")]
        sources, targets = ([n for n in known.matching(t) if n not in known.of_logs] for t in texts)
        # What a matcher sets to one value is not one of several.
        fixed = {m.label for m in matchers([*texts[0], *texts[1]]) if m.operator == "="}
        shared = {
            label: target
            for source in sources
            for target in targets
            for label in known.labels[source] & known.labels[target] - SAME - fixed
        }
        if shared and not set(rule.get("equal") or ()) - {clusters.LABEL}:
            label = min(shared)
            held = shared[label]
            text = f"without {label} in `equal`, it holds back {held} whatever {label} it is of"
            yield str(texts[1][0]), text, f"add equal: [{clusters.LABEL}, {label}]"


def across_clusters(config: Mapping[str, Json]) -> Iterator[tuple[str, str, str]]:
    """Yield inhibit rules and routes by which an alert of one cluster stands for another's.

    One Alertmanager may be sent the alerts of several: Loki's of a hub are, and people let others
    follow.
    """
    label = clusters.LABEL
    for rule in config.get("inhibit_rules") or ():
        if label not in (rule.get("equal") or ()):
            text = "a fault of one cluster holds back what is said of another"
            yield str(rule["target_matchers"][0]), text, f"add `{label}` to its `equal`"
    top = config.get("route") or {}
    for _, route in maps(top):
        grouped = route.get("group_by", None if route is not top else ())
        if grouped is not None and not {label, "..."} & set(grouped):
            place = f"group_by: [{', '.join(grouped)}]" if grouped else "route:"
            text = "one notification may be of several clusters"
            yield place, text, f"add `{label}` to its `group_by`"


def no_credentials(config: Mapping[str, Json]) -> Iterator[tuple[str, str, str]]:
    """No receiver has a credential: those are files of the Secret."""
    for _, holder in maps(config.get("receivers") or []):
        for key, value in holder.items():
            if CREDENTIAL.search(key) and isinstance(value, str):
                yield f"{key}:", f"{key} holds what should be in a file", f"use {key}_file"


def _matcher(
    text: str, matcher: AlertMatcher, known: AlertLabels, all_labels: frozenset[str]
) -> Iterator[tuple[str, str, str]]:
    label, values = matcher.label, matcher.value.split("|")
    if label not in all_labels:
        yield text, *_no_label(label, all_labels)
    elif label == "severity":
        for value in sorted(set(values) - set(SEVERITIES)):
            yield text, f"no alert has the severity {value}", f"use {', '.join(SEVERITIES)}"
    elif label == "alertname":
        for value in values:
            if not any(re.fullmatch(value, name) for name in (*known.labels, *OF_CHART)):
                fix = f"use one of {', '.join(sorted(known.labels))}"
                yield text, f"no alert is called {value}", fix


def _no_label(label: str, all_labels: frozenset[str]) -> tuple[str, str]:
    return f"no alert has the label {label!r}", f"use one of {', '.join(sorted(all_labels))}"


def alert_labels_of(repository: Repository) -> AlertLabels:
    """Return an upper bound of each alert's labels."""
    found: dict[str, frozenset[str]] = {}
    of_logs: set[str] = set()
    for sync in repository.syncs:
        names = catalogue.Names(sync.objects())
        declared = list(alerts.alerts_of(sync))
        parsed = queries.parse([alert.query for alert in declared])
        for alert in declared:
            own = frozenset({"alertname", clusters.LABEL, *(alert.rule.get("labels") or {})})
            if alert.lang == "logql":
                own |= queries.STREAM_LABELS
                of_logs.add(alert.name)
            else:
                result = parsed[alert.query].result
                own |= result.labels | (names.labels(result.metrics) or frozenset())
            found[alert.name] = found.get(alert.name, frozenset()) | own
    return AlertLabels(found, frozenset(of_logs))
