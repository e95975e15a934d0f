"""Kubernetes' events: a rollout every day, the rest where something is wrong."""

from __future__ import annotations

from functools import partial

import numpy as np

from scripts.simulation.logs.lines import Event, LinePlan, began, ended
from scripts.simulation.model import SimulatedPod
from scripts.simulation.state import BACKEND, FRONTEND, NOTIFICATION, RECURRING


def add(plan: LinePlan) -> None:
    """Add the day's events."""
    for pod in plan.sim.pods:
        _of_pod(plan, pod)
    _unready(plan)
    _killed(plan)
    _pressure(plan)
    _rejected(plan)
    _synced(plan)


def _of_pod(plan: LinePlan, pod: SimulatedPod) -> None:
    """A pod begins and ends."""
    about = partial(Event, about=("Pod", pod.namespace, pod.name))
    first, last = began(pod), ended(pod)
    if pod.node:
        text = f"Successfully assigned {pod.namespace}/{pod.name} to {pod.node.name}"
        scheduler = "default-scheduler"
        event = about(reason="Scheduled", message=text, component=scheduler, offset=0.1)
        plan.event(event, first)
        by_kubelet = partial(about, component="kubelet", node=pod.node.name)
        for number, container in enumerate(pod.containers):
            name, image = container.name, container.image
            for step, (reason, text) in enumerate(
                (
                    ("Pulled", f'Container image "{image}" already present on machine'),
                    ("Created", f"Created container: {name}"),
                    ("Started", f"Started container {name}"),
                )
            ):
                after = 1.0 + number + step / 10
                plan.event(by_kubelet(reason=reason, message=text, offset=after), first)
            text = f"Stopping container {name}"
            plan.event(by_kubelet(reason="Killing", message=text, offset=24.0), last)
    if pod.owner[0] == "ReplicaSet":
        event = Event(
            about=("Deployment", pod.namespace, pod.workload[1]),
            reason="ScalingReplicaSet",
            message=f"Scaled up replica set {pod.owner[1]} from 0 to 1",
            component="deployment-controller",
            offset=0.0,
        )
        plan.event(event, first)
    if "Pending" in pod.phases:
        number = len(plan.sim.nodes)
        event = about(
            reason="FailedScheduling",
            message=f"0/{number} nodes are available: {number} Insufficient memory.",
            component="default-scheduler",
            warning=True,
        )
        plan.event(event, plan.repeated("unschedulable", 300))


def _by_kubelet(pod: SimulatedPod, reason: str, message: str) -> Event:
    return Event(
        about=("Pod", pod.namespace, pod.name),
        reason=reason,
        message=message,
        component="kubelet",
        warning=True,
        node=pod.node.name if pod.node else "",
    )


def _unready(plan: LinePlan) -> None:
    """Containers that crash, and probes that fail: one of them once, on every day."""
    for pod in plan.sim.of_app(NOTIFICATION):
        container = f"{NOTIFICATION} in pod {pod.name}_{pod.namespace}"
        text = f"Back-off restarting failed container {container}"
        plan.event(_by_kubelet(pod, "BackOff", text), plan.repeated("crash loop", 60))
    failed = "Readiness probe failed:"
    for pod in plan.sim.of_app(RECURRING):
        event = _by_kubelet(pod, "Unhealthy", f"{failed} HTTP probe failed with statuscode: 500")
        plan.event(event, plan.repeated("sidecar component fails", 60))
    event = _by_kubelet(
        plan.sim.of_app(FRONTEND)[0], "Unhealthy", f"{failed} context deadline exceeded"
    )
    clock = plan.sim.clock
    plan.event(event, clock.between(2.5, 2.5 + clock.step / 3600))


def _killed(plan: LinePlan) -> None:
    for pod in plan.sim.of_app(BACKEND):
        kills = pod.containers[0].oom_kills
        if kills is not None and pod.node:
            event = Event(
                about=("Node", "", pod.node.name),
                reason="OOMKilling",
                message="Memory cgroup out of memory: Killed process 4711 (uvicorn)",
                component="kernel-monitor",
                warning=True,
                node=pod.node.name,
            )
            plan.event(event, np.maximum(0, np.diff(kills, prepend=0.0)) * pod.exists)


def _pressure(plan: LinePlan) -> None:
    node = plan.sim.nodes[1].name
    of_node = partial(Event, about=("Node", "", node), component="kubelet", node=node)
    text = f"Node {node} status is now: NodeHasInsufficientMemory"
    begins = np.maximum(0, np.diff(plan.sim.during("node pressure"), prepend=0.0))
    plan.event(of_node(reason="NodeHasInsufficientMemory", message=text), begins)
    text = "Attempting to reclaim memory"
    event = of_node(reason="EvictionThresholdMet", message=text, warning=True)
    plan.event(event, plan.repeated("node pressure", 300))


def _rejected(plan: LinePlan) -> None:
    namespace = plan.sim.namespace
    event = Event(
        about=("ReplicaSet", namespace, "export-6f9d7c5b8"),
        reason="FailedCreate",
        message='Error creating: pods "export-6f9d7c5b8-" is forbidden: error looking up service '
        f'account {namespace}/export: serviceaccount "export" not found',
        component="replicaset-controller",
        warning=True,
    )
    plan.event(event, plan.repeated("rejected pods", 300))


def _synced(plan: LinePlan) -> None:
    """Flux says of each of its objects that it is well, or that it is not."""
    clock = plan.sim.clock
    event = Event(
        about=("Kustomization", "flux-system", "monitoring-config"),
        reason="ReconciliationSucceeded",
        message="Reconciliation finished in 1.2s, next run in 10m0s",
        component="kustomize-controller",
    )
    ticks = np.mod(np.arange(clock.steps), 600 / clock.step) == 0
    plan.event(event, ticks.astype(float))
    event = Event(
        about=("HelmRelease", "monitoring", "grafana"),
        reason="UpgradeFailed",
        message="Helm upgrade failed for release monitoring/grafana: context deadline exceeded",
        component="helm-controller",
        warning=True,
    )
    plan.event(event, plan.repeated("sync fails", 120))
