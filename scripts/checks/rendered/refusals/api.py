"""The API server's own validation of custom resources: schemas, rules in CEL, distinct items."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.checks.rendered.refusals.model import API_SERVER, CONFIGCHECK, Job
from scripts.model import schemas
from scripts.model.manifests import group
from scripts.model.rendered import Cluster, Item


def custom_resources(cluster: Cluster) -> Iterator[Job]:
    """Yield every custom resource that there is a CRD of, of the tree, its engine and of charts."""
    fix = "correct it: the API server refuses it, and the sync fails"
    engine = [Item(o) for o in cluster.sync.objects()]
    for item in (*engine, *cluster.rendered()):
        path = schemas.crd(group(item.manifest), item.kind)
        if path:
            given = {"crd": str(path), "object": dict(item.manifest)}
            yield Job(CONFIGCHECK, API_SERVER, given, cluster, item, fix)
