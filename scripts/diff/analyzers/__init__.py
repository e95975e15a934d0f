"""What each topic says of a change, in sentences and flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scripts.diff.analyzers import (
    access,
    alerts,
    arrival,
    budget,
    dashboards,
    delivery,
    digests,
    images,
    immutable,
    kubernetes,
    lists,
    network,
    objectives,
    projects,
    pruning,
    readers,
    redaction,
    removal,
    retention,
    routing,
    secrets,
    storage,
    suspension,
    targets,
    versions,
    workloads,
)
from scripts.diff.model import Analysis
from scripts.diff.objects import ClusterPair, RevisionPair
from scripts.model import sourceignore
from scripts.model.alertmanager import TEMPLATE
from scripts.rules import slos

# An analyzer gets one cluster under one engine at both revisions, rendered, and yields what it has
# to say of it. What it yields of several clusters is reported once, with all of them. Where it
# cannot read an object, it raises one of SHAPE_ERRORS or a RepositoryError: the report says so,
# with the cluster and the analyzer's module, and the others still run.
# A new one is a public function of a module here, and a line in this list.
Analyzer = Callable[[ClusterPair], Analysis]
ANALYZERS: tuple[Analyzer, ...] = (
    alerts.analyze,
    alerts.labels,
    delivery.analyze,
    dashboards.analyze,
    dashboards.datasources,
    retention.retention,
    retention.schema,
    targets.analyze,
    redaction.analyze,
    secrets.analyze,
    storage.analyze,
    removal.analyze,
    immutable.analyze,
    access.roles,
    access.accounts,
    access.pods,
    access.namespaces,
    projects.analyze,
    network.analyze,
    lists.analyze,
    readers.settings,
    readers.exposed,
    readers.accounts,
    suspension.analyze,
    arrival.ignored,
    arrival.crds,
    pruning.analyze,
    workloads.stopped,
    workloads.scaled,
    workloads.restarted,
    versions.analyze,
    images.analyze,
    digests.of_charts,
    digests.of_images,
    kubernetes.apis,
    kubernetes.supported,
    budget.analyze,
)
# Likewise of both revisions as a whole, by where what they read is. They name the clusters
# themselves, if what they say is about any.
RevisionAnalyzer = Callable[[RevisionPair], Analysis]
REVISION_ANALYZERS: Mapping[str, RevisionAnalyzer] = {
    slos.SPECIFICATIONS.as_posix(): objectives.analyze,
    TEMPLATE: routing.analyze,
    sourceignore.FILE: suspension.packed,
    "clusters": suspension.unreached,
    "base": arrival.files,
    "clusters/*": arrival.branches,
}
