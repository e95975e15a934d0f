"""What Flux's controllers and Argo CD expose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.simulation.exporters.series import histogram, once_seen
from scripts.simulation.model import Exposed, SimulatedPod, cumulative
from scripts.simulation.state import Simulation

NAMESPACE = "monitoring"
# fluxcd/pkg/runtime/metrics: ExponentialBucketsRange(10e-3, 1800, 10).
_GOTK = tuple(10e-3 * (1800 / 10e-3) ** (n / 9) for n in range(10))
_RECONCILED = {
    "source-controller": ("GitRepository", "OCIRepository", "HelmRepository", "HelmChart"),
    "kustomize-controller": ("Kustomization",),
    "helm-controller": ("HelmRelease",),
    "notification-controller": ("Provider", "Alert", "Receiver"),
}


def flux(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield a Flux controller's metrics.

    A release that fails is tried again and again, so its reconciliations become more, and errors.
    """
    for kind in _RECONCILED[pod.workload[1]]:
        bad = sim.clock.constant(0)
        usual = 0.05 if kind.endswith("Repository") else 1.6
        for metadata in (item["metadata"] for item in sim.synced if item["kind"] == kind):
            name = metadata["name"]
            labels = {
                "kind": kind,
                "name": name,
                "namespace": metadata.get("namespace", NAMESPACE),
            }
            failing = sim.during("sync fails") * (kind == "HelmRelease" and name == "grafana")
            regular = np.roll(sim.every(600), len(name)) * (1 - failing)
            retried = sim.every(120) * failing
            median = np.where(failing > 0, 300 * usual, usual)
            metric = "gotk_reconcile_duration_seconds"
            yield from histogram(metric, labels, [(regular + retried, median)], _GOTK)
            bad = bad + retried
        controller = {"controller": kind.lower()}
        yield "controller_runtime_reconcile_errors_total", controller, cumulative(bad)


def argocd(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield what a component of Argo CD exposes."""
    if pod.workload[1] == "argocd-application-controller":
        yield from _applications(sim)


def _applications(sim: Simulation) -> Iterator[Exposed]:
    """One Application for each release, and one for the repository's own objects."""
    server = {"dest_server": "https://kubernetes.default.svc"}
    apps = [(r.name, r.namespace, r.repository) for r in sim.cluster.sync.releases]
    repository = "https://github.com/example/todo-monitoring"
    for name, destination, repo in (*apps, ("monitoring-config", NAMESPACE, repository)):
        app = {"name": name, "namespace": "argocd", "project": "default", **server}
        failing = sim.during("sync fails") * (name == "grafana")
        states = (("Synced", "Healthy", 1 - failing), ("OutOfSync", "Degraded", failing))
        for sync, health, holds in states:
            if holds.any():
                labels = {
                    **app,
                    "autosync_enabled": "true",
                    "dest_namespace": destination,
                    "health_status": health,
                    "operation": "",
                    "repo": repo,
                    "sync_status": sync,
                }
                yield "argocd_app_info", labels, once_seen(holds)
        failed = cumulative(sim.every(180) * failing)
        for phase, count in (("Succeeded", sim.clock.constant(1)), ("Failed", failed)):
            if count.any():
                yield "argocd_app_sync_total", {**app, "phase": phase}, once_seen(count)
    reconciled = sim.clock.constant(np.floor(len(apps) / 6) + 1)
    labels = {**server, "namespace": "argocd"}
    bounds = (0.25, 0.5, 1, 2, 4, 8, 16)
    parts = [(reconciled, sim.clock.constant(0.4))]
    yield from histogram("argocd_app_reconcile", labels, parts, bounds)
