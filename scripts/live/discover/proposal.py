"""The values that `application.yaml` should have, by what was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.discover import cluster, risks, routes
from scripts.live.discover.objects import ObjectSet
from scripts.live.discover.recognition import Application, ServedWorkload
from scripts.live.discover.risks import Risk
from scripts.live.discover.routes import HEALTH, METRICS, OpenApiDocument

OPENAPI = "/openapi.json"
# What public deployments answer at.
HEALTH_PATHS = ("/health", "/api/health")


@dataclass(frozen=True)
class Proposal:
    """New values for application.yaml, and why.

    Attributes:
        values: New values by name; the others stay.
        found: What was found, a line each.
        risks: Warnings.
        notices: What stays as it is, and why.
    """

    values: Mapping[str, str]
    found: tuple[str, ...] = field(repr=False)
    risks: tuple[Risk, ...]
    notices: tuple[str, ...]


def of(
    objects: ObjectSet,
    application: Application,
    now: Mapping[str, str],
    limits: Mapping[str, Json],
    document: OpenApiDocument | None = None,
    frontend: str = "",
) -> Proposal:
    """Work out the values.

    Args:
        objects: Where the application was found.
        application: What was found.
        now: The values of before.
        limits: The environment's `budget.yaml`.
        document: The OpenAPI document that somebody named.
        frontend: The URL of pages that are not in the cluster.
    """
    notices = list(objects.notices)
    if document is None:
        document = _served(objects, application.backend)
    warned = list(risks.of_objects(objects, application, limits))
    path, why = _health(objects, application.backend, document)
    if not why:
        why = "a guess"
        text = f"no probe and no document says where {application.backend} answers: {path} is taken"
        place = cluster.proxy(application.backend.service, application.backend.port)
        fix = f"ask it by `kubectl get --raw {place}{path}`, and correct BACKEND_URL"
        warned.append(Risk("health-path-assumed", text, fix))
    values = {
        "NAMESPACES": "|".join(application.namespaces),
        "FRONTEND_URL": frontend,
        "BACKEND_URL": f"{application.backend.address}{path}",
    }
    found = [f"backend     {application.backend} ({path}: {why})"]
    if application.frontend:
        values["FRONTEND_URL"] = f"{application.frontend.address}{_page(application.frontend)}"
        found.append(f"frontend    {application.frontend}")
    found.append(f"namespaces  {', '.join(application.namespaces)}")
    if application.reminders:
        values["REMINDER_BINDING"] = application.reminders
        found.append(f"reminders   {application.reminders}")
    else:
        notices.append("no Dapr cron binding was found: REMINDER_BINDING stays")
    if document:
        counted, left = document.templates(now["ROUTES"].split())
        if counted:
            values["ROUTES"] = "".join(f"{route}\n" for route in counted)
            found.append(f"routes      {len(counted)} of {document.source}")
        for route in left:
            notices.append(f"cannot be counted as a route: {route}")
    else:
        notices.append(
            "no OpenAPI document was found: ROUTES stay; --openapi names a file or a URL"
        )
    if _metrics_are_json(objects, application.backend, document):
        warned.append(risks.of_metrics(str(application.backend)))
    return Proposal(values, tuple(found), tuple(warned), tuple(notices))


def _served(objects: ObjectSet, backend: ServedWorkload) -> OpenApiDocument | None:
    """Return the document that the running backend serves, if it does."""
    text = objects.get and objects.get(backend.service, backend.port, OPENAPI)
    try:
        return routes.parsed(text, f"{backend}{OPENAPI}") if text else None
    except RepositoryError:
        # Nobody named it: an application may answer something else there.
        return None


def _health(
    objects: ObjectSet, backend: ServedWorkload, document: OpenApiDocument | None
) -> tuple[str, str]:
    """Return the backend's health path and how it is known; empty if it is not."""
    if backend.probed:
        return backend.probed, "its probe"
    if document and document.health:
        return document.health, document.source
    for path in HEALTH_PATHS if objects.get else ():
        if objects.get and objects.get(backend.service, backend.port, path) is not None:
            return path, "it answers"
    return HEALTH_PATHS[0], ""


def _page(frontend: ServedWorkload) -> str:
    """Return the path of the page that people open, which the kubelet may ask, too."""
    return "/" if HEALTH.fullmatch(frontend.probed) else frontend.probed or "/"


def _metrics_are_json(
    objects: ObjectSet, backend: ServedWorkload, document: OpenApiDocument | None
) -> bool:
    text = objects.get and objects.get(backend.service, backend.port, METRICS)
    if text is None:
        return document is not None and document.metrics_are_json
    return _is_json(text)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False
