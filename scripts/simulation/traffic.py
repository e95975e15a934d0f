"""What people ask of the application, and what its parts send each other."""

from __future__ import annotations

import numpy as np

from scripts.simulation.model import Array, Clock, Consumed, Published, Requests, SimulatedPod
from scripts.simulation.state import (
    AUDIT,
    BACKEND,
    FRONTEND,
    NOTIFICATION,
    PUBSUB,
    RECURRING,
    REMINDERS,
    TASKS,
    Simulation,
)

# Method, route, status it succeeds with, share of all requests, median duration in seconds.
_ROUTES = (
    ("GET", "/api/{user_id}/tasks", 200, 0.40, 0.020),
    ("POST", "/api/{user_id}/tasks", 201, 0.10, 0.045),
    ("PUT", "/api/{user_id}/tasks/{id}", 200, 0.06, 0.040),
    ("DELETE", "/api/{user_id}/tasks/{id}", 204, 0.03, 0.035),
    ("PATCH", "/api/{user_id}/tasks/{id}/complete", 200, 0.08, 0.040),
    ("POST", "/api/{user_id}/chat", 200, 0.12, 2.4),
    ("GET", "/api/{user_id}/conversations", 200, 0.08, 0.030),
    ("GET", "/api/{user_id}/conversations/{id}", 200, 0.05, 0.030),
    ("POST", "/api/auth/login", 200, 0.03, 0.180),
    ("GET", "/api/auth/me", 200, 0.04, 0.012),
    ("GET", "other", 404, 0.01, 0.004),
)


def diurnal(clock: Clock) -> Array:
    """Return how busy people are: a tenth at night, 1 in the evening."""
    return 0.1 + 0.9 * np.exp(-((clock.hours - 19.5) ** 2) / 40)


def add_requests(sim: Simulation, scale: int) -> None:
    """Add requests to the API, its calls of the language model, and invocations of it."""
    clock, noise = sim.clock, sim.noise
    total = 1.5 * scale * diurnal(clock)
    burst, slow = sim.during("error burst"), sim.during("slow route")
    served = 0.003 + 0.3 * burst
    unwell = 0.02 * np.ones(clock.steps)
    for method, route, status, share, median in _ROUTES:
        took = median * (1 + 4 * slow * route.endswith("/chat"))
        for code, part in (
            (status, 1 - served - unwell),
            (500, served),
            (401 if "auth" in route else 422, unwell),
        ):
            count = noise.counts(f"requests {method} {route} {code}", total * share * part)
            sim.traffic.append(Requests(BACKEND, method, route, code, count, took))
    asked = np.sum([r.count for r in sim.traffic if r.route.endswith("/chat")], axis=0)
    limited = sim.during("rate limit of the model")
    rate = asked / clock.step
    sim.model_calls = {
        "ok": asked,
        "rate_limited": noise.counts("rate limited", rate * (0.01 + 1.5 * limited)),
        "overloaded": noise.counts("overloaded", rate * 0.2 * limited),
        "timeout": noise.counts("model timeouts", rate * (0.005 + 0.1 * slow)),
    }
    sim.tool_errors = noise.counts("tool errors", rate * 0.01)
    for status, part in ((200, 0.995 - 0.2 * burst), (500, 0.005 + 0.2 * burst)):
        count = noise.counts(f"invocations {status}", 0.3 * total * part)
        calls = Requests(FRONTEND, "GET", "invoke", status, count, 0.03 * (1 + 3 * slow))
        sim.invocations.append(calls)


def add_messages(sim: Simulation, scale: int) -> None:
    """Add what is published and consumed, and the calls of the cron binding."""
    clock, noise = sim.clock, sim.noise
    rate = 0.4 * scale * diurnal(clock)
    failing, stuck = sim.during("publishing fails"), sim.during("consumer backlog")
    none, took = clock.constant(0), clock.constant(0.006)
    sent = noise.counts("published", rate * (1 - 0.4 * failing))
    lost = noise.counts("publishing failed", rate * (0.0005 + 0.4 * failing))
    due = noise.counts("reminders", 0.3 * rate)
    sim.published = [
        Published(BACKEND, PUBSUB, TASKS, sent, lost, took),
        Published(RECURRING, PUBSUB, REMINDERS, due, none, took),
    ]
    for app, topic, incoming, blocked in (
        (RECURRING, TASKS, sent, none),
        (AUDIT, TASKS, sent, stuck),
        (NOTIFICATION, REMINDERS, due, sim.during("crash loop")),
    ):
        retried = noise.counts(f"retries {app}", 0.004 * rate) + incoming * 0.5 * blocked
        dropped = np.floor(incoming * 0.1 * blocked) + noise.counts(f"drops {app}", 0.0004 * rate)
        dropped = np.minimum(dropped, incoming)
        taken = np.floor((incoming - dropped) * (1 - 0.7 * blocked))
        median = 0.015 * (1 + 20 * blocked)
        sim.consumed.append(Consumed(app, PUBSUB, topic, taken, np.floor(retried), dropped, median))
    ticks = np.zeros(clock.steps)
    ticks[:: max(1, round(60 / clock.step))] = 1
    failed = sim.during("sidecar component fails")
    took = clock.constant(0.02)
    binding = sim.reminder_binding
    sim.cron = Consumed(RECURRING, binding, "", ticks * (1 - failed), none, ticks * failed, took)
    _add_deliveries(sim, sim.cron)


def _add_deliveries(sim: Simulation, cron: Consumed) -> None:
    """What sidecars deliver, the consumers' access logs count, too.

    A sidecar delivers again what is answered with 5xx, and drops what is answered with 404:
    https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response
    """
    for taken in sim.consumed:
        for status, count in ((200, taken.succeeded), (500, taken.retried), (404, taken.dropped)):
            sim.traffic.append(Requests(taken.app, "POST", "other", status, count, taken.median))
    sim.traffic.append(Requests(RECURRING, "POST", "other", 200, cron.succeeded, cron.median))


def backlog(sim: Simulation, consumed: Consumed) -> Array:
    """Return how many messages of a topic its consumer has neither processed nor dropped."""
    sent = [p.succeeded for p in sim.published if p.topic == consumed.topic]
    gone = consumed.succeeded + consumed.dropped
    return np.asarray(np.cumsum(np.sum(sent, axis=0) - gone), dtype=np.float64)


def split(sim: Simulation, pod: SimulatedPod, counts: Array) -> Array:
    """Return a pod's part of what is counted for its workload: whole, and shared out evenly."""
    alike = sim.pods_of(pod.workload[1], pod.namespace)
    exist = np.array([p.exists for p in alike])
    number = np.maximum(1, exist.sum(axis=0))
    rank = exist[: alike.index(pod)].sum(axis=0)
    part = np.floor(counts / number) + (np.mod(counts, number) > rank)
    return np.where(pod.exists > 0, part, 0.0)


def people(sim: Simulation, number: int = 12) -> list[str]:
    """Return user ids as the application's authentication makes them: 32 letters and digits."""
    random = sim.noise.generator("people")
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
    return ["".join(random.choice(letters, 32)) for _ in range(number)]
