"""What the application's sidecars and Dapr's control plane expose.

Names and labels of Dapr's metrics are those of its pkg/diagnostics and, for the control plane, of
the package `monitoring` of each component.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from scripts.simulation.exporters.series import histogram, once_seen
from scripts.simulation.model import Array, Consumed, Exposed, Requests, SimulatedPod, cumulative
from scripts.simulation.state import BACKEND, FRONTEND, RECURRING, REMINDERS, Simulation
from scripts.simulation.traffic import people, split

# Milliseconds, Dapr's defaults.
_LATENCY = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300),
    *(400, 500, 650, 800, 1000, 2000, 5000, 10000, 20000, 50000, 100000),
)
# Routes that the frontend invokes: their whole paths are in labels, by Dapr's default.
_INVOKED = (("GET", "tasks"), ("POST", "chat"))


def sidecar(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield what daprd exposes beside one of the application's pods."""
    yield from _messages(sim, pod)
    yield from _invocations(sim, pod)
    yield from _components(sim, pod)
    yield from _resiliency(sim, pod)
    yield "process_start_time_seconds", {}, sim.clock.constant(pod.created)


def _app(pod: SimulatedPod) -> dict[str, str]:
    return {"app_id": pod.labels["dapr.io/app-id"]}


def _component(pod: SimulatedPod, component: str) -> dict[str, str]:
    return {**_app(pod), "component": component, "namespace": pod.namespace}


def _counted(name: str, labels: Mapping[str, str], count: Array) -> Iterator[Exposed]:
    """Yield a counter from the first event on."""
    if count.any():
        yield name, labels, once_seen(cumulative(count))


def _messages(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Publishing is `egress`, consuming is `ingress`."""
    app = pod.labels["dapr.io/app-id"]
    for sent in (s for s in sim.published if s.app == app):
        labels = {**_component(pod, sent.component), "topic": sent.topic}
        for success, count in (("true", sent.succeeded), ("false", sent.failed)):
            outcome = {**labels, "success": success}
            name = "dapr_component_pubsub_egress_count"
            yield from _counted(name, outcome, split(sim, pod, count))
    for taken in (c for c in sim.consumed if c.app == app):
        yield from _delivered(sim, pod, taken)
    if sim.cron and app == sim.cron.app:
        labels = _component(pod, sim.cron.component)
        for success, count in (("true", sim.cron.succeeded), ("false", sim.cron.dropped)):
            outcome = {**labels, "success": success}
            name = "dapr_component_input_binding_count"
            yield from _counted(name, outcome, split(sim, pod, count))


def _delivered(sim: Simulation, pod: SimulatedPod, taken: Consumed) -> Iterator[Exposed]:
    for process_status, status, count in (
        ("success", "success", taken.succeeded),
        ("retry", "retry", taken.retried),
        # Dropped is what the app answers with 404: delivered, as far as the sidecar is concerned.
        ("drop", "success", taken.dropped),
    ):
        labels = {
            **_component(pod, taken.component),
            "topic": taken.topic,
            "process_status": process_status,
            "status": status,
        }
        part = split(sim, pod, count)
        yield from _counted("dapr_component_pubsub_ingress_count", labels, part)
        name = "dapr_component_pubsub_ingress_latencies"
        yield from _latencies(name, labels, part, taken.median)


def _latencies(
    name: str, labels: Mapping[str, str], count: Array, median: Array
) -> Iterator[Exposed]:
    """Yield a histogram of milliseconds, from the first event on."""
    if count.any():
        unseen = np.cumsum(count) == 0
        for metric, own, values in histogram(name, labels, [(count, 1000 * median)], _LATENCY):
            yield metric, own, np.where(unseen, np.nan, values)


def _invocations(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    app = pod.labels["dapr.io/app-id"]
    prefix = "dapr_runtime_service_invocation_res"
    for calls in sim.invocations if app in (FRONTEND, BACKEND) else ():
        part = split(sim, pod, calls.count)
        status = {**_app(pod), "status": str(calls.status)}
        if app == FRONTEND:
            callee = {**status, "src_app_id": BACKEND}
            yield from _counted(f"{prefix}_recv_total", {**callee, "type": "unary"}, part)
            yield from _latencies(f"{prefix}_recv_latency_ms", callee, part, calls.median)
        else:
            yield from _counted(f"{prefix}_sent_total", {**status, "dst_app_id": FRONTEND}, part)
        yield from _paths(sim, pod, calls, part)


def _paths(sim: Simulation, pod: SimulatedPod, calls: Requests, part: Array) -> Iterator[Exposed]:
    """The same calls by their whole path, with the person's id in it."""
    some = people(sim)[:4]
    kinds = [(method, f"api/{user}/{what}") for user in some for method, what in _INVOKED]
    for index, (method, path) in enumerate(kinds):
        share = np.floor(part / len(kinds)) + (np.mod(part, len(kinds)) > index)
        name, whole = "dapr_http_client_completed_count", f"/{path}"
        if pod.labels["dapr.io/app-id"] == FRONTEND:
            name = "dapr_http_server_request_count"
            whole = f"/v1.0/invoke/{BACKEND}/method/{path}"
        labels = {**_app(pod), "method": method, "path": whole, "status": str(calls.status)}
        yield from _counted(name, labels, share)


def _components(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Components that are loaded at the start."""
    clock, app = sim.clock, _app(pod)
    types = ["pubsub.kafka", "secretstores.kubernetes"]
    if app["app_id"] == RECURRING:
        types.append("bindings.cron")
    yield "dapr_runtime_component_loaded", app, clock.constant(len(types))
    for kind in types:
        yield "dapr_runtime_component_init_total", {**app, "component": kind}, clock.constant(1)
    if app["app_id"] == RECURRING:
        # The operator sends the changed component; the sidecar tries it every five minutes.
        fails = sim.during("sidecar component fails")
        steps = np.arange(clock.steps) - int(np.argmax(fails))
        tries = fails * (np.mod(steps, int(300 / clock.step)) == 0)
        component = {"component": types[-1], "componentName": sim.reminder_binding}
        failed = {**app, **component, "reason": "init"}
        yield from _counted("dapr_runtime_component_init_fail_total", failed, tries)


def _resiliency(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Policies of one Resiliency object: retries and circuit breakers."""
    own = {**_app(pod), "name": "todo-resiliency", "namespace": pod.namespace}
    for target, direction, tried, failed in _applied(sim, own["app_id"]):
        labels = {**own, "target": target, "flow_direction": direction}
        bad = split(sim, pod, failed)
        retried = {**labels, "policy": "retry"}
        yield from _counted("dapr_resiliency_activations_total", retried, bad)
        if direction == "outbound":
            yield from _breaker(labels, split(sim, pod, tried), bad, sim.clock.steps)


def _applied(sim: Simulation, app: str) -> Iterator[tuple[str, str, Array, Array]]:
    """Yield target and direction of an app's calls, their number, and those that failed."""
    for sent in (s for s in sim.published if s.app == app):
        yield f"Pubsub_{sent.component}", "outbound", sent.succeeded + sent.failed, sent.failed
    for taken in (c for c in sim.consumed if c.app == app):
        tried = taken.succeeded + taken.dropped + taken.retried
        yield f"Pubsub_{taken.component}", "inbound", tried, taken.retried
    if app == FRONTEND:
        tried = np.sum([c.count for c in sim.invocations], axis=0)
        failed = np.sum([c.count for c in sim.invocations if c.status >= 500], axis=0)
        yield f"app_{BACKEND}", "outbound", tried, failed


def _breaker(
    labels: Mapping[str, str], tried: Array, failed: Array, steps: int
) -> Iterator[Exposed]:
    """A circuit that opens while many calls of the last five minutes failed."""
    window = np.ones(10)
    bad = np.convolve(failed, window)[:steps]
    recent = bad / np.maximum(1, np.convolve(tried, window)[:steps])
    broken = (recent > 0.2) & (bad >= 5)
    probing = broken & (np.arange(steps) % 8 == 7)
    state = np.where(probing, "half-open", np.where(broken, "open", "closed"))
    opened = np.diff(broken.astype(float), prepend=0.0)
    policy = {**labels, "policy": "circuitbreaker"}
    for status in ("closed", "half-open", "open", "unknown"):
        yield "dapr_resiliency_cb_state", {**policy, "status": status}, (state == status) * 1.0
    for status, changes in (("open", opened > 0), ("closed", opened < 0)):
        own = {**policy, "status": status}
        yield from _counted("dapr_resiliency_activations_total", own, changes.astype(float))


def dapr_control_plane(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield what a component of Dapr's control plane exposes, by its label."""
    component = pod.labels["app.kubernetes.io/component"]
    if component == "sentry":
        expiry = sim.clock.constant(sim.certificate_expiry)
        yield "dapr_sentry_issuercert_expiry_timestamp", {}, expiry
    if component == "scheduler":
        yield from _scheduler(sim, pod)


def _scheduler(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Each scheduler has a part of the jobs; reminders are jobs that the backend creates."""
    sidecars = sim.with_label("dapr.io/sidecar-injected", "true")
    connected = np.sum([p.exists for p in sidecars], axis=0)
    yield "dapr_scheduler_sidecars_connected", {}, connected
    due = next(p.succeeded for p in sim.published if p.topic == REMINDERS)
    part = split(sim, pod, due)
    undelivered = np.floor(part * 0.5 * sim.during("sidecar component fails"))
    job = {"type": "job"}
    yield "dapr_scheduler_jobs_triggered_total", job, cumulative(part - undelivered)
    yield from _counted("dapr_scheduler_jobs_undelivered_total", job, undelivered)
