"""The Prometheus operator's command line, its choice of monitors, and what it generates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.checks.rendered.refusals.model import (
    CONFIGCHECK,
    Job,
    Refusal,
    arguments,
    containers,
)
from scripts.core.yamlfile import Json
from scripts.model import alertmanager as template
from scripts.model import schemas
from scripts.model.rendered import Cluster, Item
from scripts.model.scraping import MONITORS


def kubelet(cluster: Cluster) -> Iterator[Job]:
    """Yield the operator's arguments, by which it discovers kubelets."""
    for pod, container in containers(cluster, "prometheus-operator"):
        fix = "correct it: the operator exits, and reconciles nothing any more"
        given = arguments(container)
        yield Job(
            CONFIGCHECK,
            "prometheus-operator",
            given,
            cluster,
            pod.owner,
            fix,
            hints=("kubeletEndpointSliceEnabled", "kubeletEndpointsEnabled"),
        )


def prometheus(cluster: Cluster) -> Iterator[Job]:
    """Yield each Prometheus with what it may select."""
    chosen = cluster.of(*MONITORS, "PrometheusRule")
    fix = "correct it: no change reaches Prometheus any more"
    for item in cluster.of("Prometheus"):
        yield _reconciled(cluster, item, chosen, fix)


def alertmanager(cluster: Cluster) -> Iterator[Job]:
    """Yield each Alertmanager with the template of its Secret, and what it may select."""
    path = cluster.repository.root / template.TEMPLATE
    text = path.read_text() if path.exists() else ""
    fix = "correct it: no change reaches Alertmanager any more"
    for item in cluster.of("Alertmanager"):
        chosen = cluster.of("AlertmanagerConfig")
        yield _reconciled(cluster, item, chosen, fix, text)


def _reconciled(
    cluster: Cluster, item: Item, chosen: list[Item], fix: str, secret: str = ""
) -> Job:
    operators = containers(cluster, "prometheus-operator")
    args = [argument for _, container in operators for argument in arguments(container)]
    # What selectors and references lead to.
    around = [
        *cluster.of("Namespace"),
        *(i for i in cluster.of("Secret") if i.manifest.get("data")),
    ]
    given: Json = {
        "args": args,
        "of": dict(item.manifest),
        "objects": [dict(one.manifest) for one in (*chosen, *around)],
        "crds": str(schemas.folder() / "crds"),
        "secret": secret,
    }
    others = {str(one): one for one in chosen}
    return Job(CONFIGCHECK, item.kind.lower(), given, cluster, item, fix, others, place=_place)


def _place(refusal: Refusal) -> tuple[str, int | None] | None:
    if refusal.object != "Secret":
        return None
    # Alertmanager counts the lines of what the operator makes of it.
    line = None if refusal.by else re.search(r"\bline (\d+)", refusal.message)
    return template.TEMPLATE, int(line[1]) if line else None
