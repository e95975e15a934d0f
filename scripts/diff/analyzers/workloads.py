"""Workloads that stop, and pods that are replaced."""

from __future__ import annotations

import re

from scripts.diff.analyzers.storage import deletes_claims
from scripts.diff.analyzers.wording import transition
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model.rendered import WORKLOADS, declared

TOPIC, REPLICAS = "Restarts", "Replicas"
# Of what the operator makes pods of, the fields that replace none: they are in the configuration,
# which the pods load again (that of retention since Prometheus 3.11), or in the StatefulSet beside
# its template. The others are in the template, or make the operator delete the StatefulSet.
# https://github.com/prometheus-operator/prometheus-operator: pkg/prometheus/promcfg.go,
# pkg/prometheus/server/statefulset.go, pkg/alertmanager/statefulset.go
_ANY = "paused|persistentVolumeClaimRetentionPolicy|updateStrategy"
RELOADED = {
    "Alertmanager": re.compile(rf"{_ANY}|alertmanagerConfig(?!uration).*|configSecret"),
    "Prometheus": re.compile(
        rf"{_ANY}|additional(Alert|Scrape).*|alerting|apiserverConfig|arbitraryFSAccess.*"
        "|(body|keepDropped|label|sample|target).*(Limit|Targets)|convertClassic.*|enforced.*"
        "|evaluationInterval|excludedFrom.*|exemplars|externalLabels|ignoreNamespaceSelectors"
        "|minReadySeconds|name(Escaping|Validation)Scheme|override.*|pod(Monitor|Target).*|probe.*"
        "|prometheus.*|remote(Read|Write)|replica.*|retention.*|rule(?!s).*|runtime"
        "|scrape(?!Failure).*|service(Discovery|Monitor).*|shard.*|tracingConfig|tsdb"
    ),
}


def stopped(pair: ClusterPair) -> Analysis:
    """Find workloads that are scaled to nothing, the operator's included."""
    for before, after in pair.pods:
        if before.replicas and after.replicas == 0:
            why = f"{transition('Replicas', before.replicas, 0)}: it stops, and nothing says so."
            fix = "Remove what is not to run; scale back what is."
            yield Flag(Danger.SCALED_TO_ZERO, str(after.owner), why, fix)


def scaled(pair: ClusterPair) -> Analysis:
    """Name the workloads that get more or fewer pods, and the claims of those that go."""
    for before, after in pair.pods:
        old, new = before.replicas, after.replicas
        if None in (old, new) or old == new or not new:
            continue
        owner = declared(pair.after, after.owner)
        text = transition(f"{owner}:", old, new)
        kept = before.claims and not deletes_claims(owner.manifest, "whenScaled")
        if (old or 0) > new and kept:
            text += "; the volumes of those that go stay, unused and paid for"
        yield Sentence(REPLICAS, text)


def restarted(pair: ClusterPair) -> Analysis:
    """Name the workloads whose pods are replaced, if only for a label or a digest."""
    for key, before, after in pair.changed:
        if key.kind in WORKLOADS and before["spec"]["template"] != after["spec"]["template"]:
            yield Sentence(TOPIC, f"{key}: its pods are replaced")
    for kind, reloaded in RELOADED.items():
        for item, other in pair.items(kind):
            old, new = item.spec, other.spec
            changed = (field for field in {*old, *new} if old.get(field) != new.get(field))
            if not all(reloaded.fullmatch(field) for field in changed):
                yield Sentence(TOPIC, f"{item}: the operator replaces its pods")
