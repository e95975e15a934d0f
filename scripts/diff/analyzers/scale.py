"""Workloads that stop, and pods that are replaced."""

from __future__ import annotations

import re

from scripts.diff.analyzers.analyzer import Said, moved
from scripts.diff.model import Flag, Sentence
from scripts.diff.objects import Pair
from scripts.model.rendered import WORKLOADS, Cluster

TOPIC = "Restarts"
# Of what the operator makes pods of, the fields that replace none: they are in the configuration,
# which the pods load again (that of retention since Prometheus 3.11), or in the StatefulSet beside
# its template. The others are in the template, or make the operator delete the StatefulSet.
# https://github.com/prometheus-operator/prometheus-operator: pkg/prometheus/promcfg.go,
# pkg/prometheus/server/statefulset.go, pkg/alertmanager/statefulset.go
_ANY = "paused|persistentVolumeClaimRetentionPolicy|updateStrategy"
QUIET = {
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


def stopped(pair: Pair) -> Said:
    """Find workloads that are scaled to nothing, the operator's included."""
    before, after = _replicas(pair.before), _replicas(pair.after)
    for owner, count in after.items():
        if count == 0 and before.get(owner):
            why = f"{moved('Replicas', before[owner], 0)}: it stops, and nothing says so."
            fix = "Remove what is not to run; scale back what is."
            yield Flag("scaled-to-zero", owner, why, fix)


def restarted(pair: Pair) -> Said:
    """Name the workloads whose pods are replaced, if only for a label or a digest."""
    for key, before, after in pair.differing:
        if key.kind not in WORKLOADS or before is None or after is None:
            continue
        if before["spec"]["template"] != after["spec"]["template"]:
            yield Sentence(TOPIC, f"{key}: its pods are replaced")
    for kind, quiet in QUIET.items():
        old, new = ({str(i): i.spec for i in c.of(kind)} for c in (pair.before, pair.after))
        for name in old.keys() & new.keys():
            one, other = old[name], new[name]
            changed = (field for field in {*one, *other} if one.get(field) != other.get(field))
            if not all(quiet.fullmatch(field) for field in changed):
                yield Sentence(TOPIC, f"{name}: the operator replaces its pods")


def _replicas(cluster: Cluster) -> dict[str, int]:
    return {str(pod.owner): pod.replicas for pod in cluster.pods if pod.replicas is not None}
