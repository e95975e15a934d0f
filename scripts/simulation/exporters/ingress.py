"""What the two ingress controllers expose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.simulation.exporters.series import histogram
from scripts.simulation.model import Exposed, Requests, cumulative
from scripts.simulation.state import BACKEND, RELEASE, Simulation

_NGINX = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TRAEFIK = (0.1, 0.3, 1.2, 5)


def _from_outside(sim: Simulation) -> dict[tuple[str, int], list[Requests]]:
    """Return the backend's requests by method and status, as an ingress controller sees them."""
    found: dict[tuple[str, int], list[Requests]] = {}
    for requests in sim.traffic:
        if requests.app == BACKEND:
            found.setdefault((requests.method, requests.status), []).append(requests)
    return found


def ingress_nginx(sim: Simulation) -> Iterator[Exposed]:
    """Yield what ingress-nginx exposes, with its default per-host metrics."""
    (pod,) = sim.pods_of("ingress-nginx-controller", "ingress-nginx")
    prefix = "nginx_ingress_controller"
    for (method, status), parts in _from_outside(sim).items():
        labels = {
            "controller_class": "k8s.io/ingress-nginx",
            "controller_namespace": pod.namespace,
            "controller_pod": pod.name,
            "host": "todo.example.org",
            "ingress": RELEASE,
            "method": method,
            "namespace": sim.namespace,
            "path": "/api",
            "service": f"{RELEASE}-backend",
            "status": str(status),
        }
        count = np.sum([r.count for r in parts], axis=0)
        yield f"{prefix}_requests", labels, cumulative(count)
        observed = [(r.count, r.median) for r in parts]
        yield from histogram(f"{prefix}_request_duration_seconds", labels, observed, _NGINX)


def traefik(sim: Simulation) -> Iterator[Exposed]:
    """Yield what Traefik exposes, with metrics of services."""
    service = f"{sim.namespace}-{RELEASE}-backend-http@kubernetes"
    for (method, status), parts in _from_outside(sim).items():
        labels = {"code": str(status), "method": method, "protocol": "http", "service": service}
        count = cumulative(np.sum([r.count for r in parts], axis=0))
        yield "traefik_service_requests_total", labels, count
        observed = [(r.count, r.median) for r in parts]
        yield from histogram("traefik_service_request_duration_seconds", labels, observed, _TRAEFIK)


def gateway(sim: Simulation) -> Iterator[Exposed]:
    """Yield what the door of Grafana's public address exposes."""
    looked = 0.02 + 0.2 * sim.clock.between(8, 22)
    for status, share in (
        ("200", 1.0),
        ("302", 0.05),
        ("401", 0.01),
        ("404", 0.02),
        ("502", 0.001),
    ):
        labels = {
            "code": status,
            "method": "GET",
            "protocol": "http",
            "service": "monitoring-grafana-80@kubernetesgateway",
        }
        count = sim.noise.counts(f"gateway {status}", looked * share)
        yield "traefik_service_requests_total", labels, cumulative(count)
