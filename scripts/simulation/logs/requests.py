"""The access log of uvicorn: exactly the simulated traffic, and the kubelet's probes."""

from __future__ import annotations

import http
import uuid
from collections.abc import Callable

import numpy as np

from scripts.simulation.logs.lines import Line, LinePlan, Make, token
from scripts.simulation.model import Requests
from scripts.simulation.state import AUDIT, BACKEND, NOTIFICATION, RECURRING

_STRANGE = ("/favicon.ico", "/wp-login.php", "/.env", "/robots.txt")
_PROBE = 'INFO:     10.0.10.1:{port} - "GET /health HTTP/1.1" 200 OK'


def add(plan: LinePlan) -> None:
    """Add a line for each request."""
    for number, requests in enumerate(plan.sim.traffic):
        _add_requests(plan, number, requests)
    for app in (BACKEND, RECURRING, NOTIFICATION, AUDIT):
        up = 1 - plan.sim.during("crash loop") * (app == NOTIFICATION)
        pods = plan.sim.of_app(app)
        line = Line(name="probe", text=_PROBE, kept=False)
        plan.write(line, pods, app, [p.exists * up for p in pods])


def _add_requests(plan: LinePlan, number: int, requests: Requests) -> None:
    sim, pods = plan.sim, plan.sim.of_app(requests.app)
    method, route, status = requests.method, requests.route, requests.status
    name = f"access {number} {method} {route} {status}"
    counted = (method, route, f"{status // 100}xx")
    plain = requests.count
    if route.endswith("/tasks") and method == "GET" and status == 200:
        # The page asks with the token in the query where it opens in a new tab.
        several = sim.noise.counts(f"tokens {name}", plain / sim.clock.step * 0.01)
        with_token = np.minimum(plain, several)
        filtered = np.floor((plain - with_token) / 3)
        plain = plain - with_token - filtered
        line = Line(
            name=f"{name} token",
            text=_access(plan, requests, lambda user: f"?token={token(user)}"),
            request=counted,
            redactions=("jwt",),
        )
        plan.write(line, pods, requests.app, with_token)
        text = _access(plan, requests, lambda _: "?status=pending&sort=due")
        line = Line(name=f"{name} query", text=text, request=counted)
        plan.write(line, pods, requests.app, filtered)
    line = Line(name=name, text=_access(plan, requests), request=counted)
    plan.write(line, pods, requests.app, plain)


def _access(
    plan: LinePlan, requests: Requests, suffix: Callable[[str], str] = lambda _: ""
) -> Make:
    """Return what makes lines of requests; `suffix` is the query of somebody's request."""
    topic = next((c.topic for c in plan.sim.consumed if c.app == requests.app), "")
    route, status = requests.route, requests.status

    def make(random: np.random.Generator) -> str:
        user = plan.user(random)
        path = route.replace("{user_id}", user)
        if route == "other":
            path = f"/{topic}" if topic else str(random.choice(_STRANGE))
        of_task = "conversations" not in route
        thing = random.integers(1, 400) if of_task else uuid.UUID(bytes=random.bytes(16), version=4)
        path = path.replace("{id}", str(thing))
        client = f"10.244.{random.integers(2)}.{random.integers(2, 250)}"
        client += f":{random.integers(32768, 60999)}"
        asked = f'"{requests.method} {path}{suffix(user)} HTTP/1.1"'
        return f"INFO:     {client} - {asked} {status} {http.HTTPStatus(status).phrase}"

    return make
