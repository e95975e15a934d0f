"""What the application's parts and their sidecars write, beside the access log."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from scripts.simulation.logs.lines import ISO, KEY, PASSWORD, Line, LinePlan, began, ended
from scripts.simulation.model import Array
from scripts.simulation.state import AUDIT, BACKEND, FRONTEND, NOTIFICATION, RECURRING
from scripts.simulation.traffic import diurnal

_TRACEBACK = """ERROR:    Exception in ASGI application
Traceback (most recent call last):
  File "/usr/local/lib/python3.12/site-packages/sqlalchemy/engine/base.py", line 1967, in execute
    self.dialect.do_execute(
psycopg2.OperationalError: connection to server at "ep-calm-1.eu-central-1.aws.neon.tech" failed

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/routes/tasks.py", line 58, in list_tasks
    tasks = session.exec(statement).all()
sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) SSL connection closed unexpectedly
[SQL: SELECT task.id, task.title FROM task WHERE task.user_id = %(user_id_1)s]
[parameters: {'user_id_1': '{user}'}]
(Background on this error at: https://sqlalche.me/e/20/e3q8)"""
_STARTING = (
    "INFO:     Started server process [1]",
    "INFO:     Waiting for application startup.",
    "INFO:     Application startup complete.",
    "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)",
)
_ENDING = (
    "INFO:     Shutting down",
    "INFO:     Waiting for application shutdown.",
    "INFO:     Application shutdown complete.",
    "INFO:     Finished server process [1]",
)
_CRASH = """ERROR:    Traceback (most recent call last):
  File "/usr/local/lib/python3.12/site-packages/starlette/routing.py", line 693, in lifespan
    async with self.lifespan_context(app) as maybe_state:
  File "/app/main.py", line 31, in lifespan
    host = os.environ["SMTP_HOST"]
KeyError: 'SMTP_HOST'"""
_FAILED = "ERROR:    Application startup failed. Exiting."
_MODEL = "INFO:httpx:HTTP Request: POST https://api.openai.com/v1/chat/completions"
_OTHER_MODEL = (
    "INFO:httpx:HTTP Request: "
    "POST https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
)


def add(plan: LinePlan) -> None:
    """Add what each part of the application writes."""
    _backend(plan)
    _model(plan)
    _consumers(plan)
    _frontend(plan)
    for app in (BACKEND, RECURRING, NOTIFICATION, AUDIT):
        _server(plan, app)
    for app in (BACKEND, FRONTEND, RECURRING, NOTIFICATION, AUDIT):
        _sidecar(plan, app)


def _say(plan: LinePlan, app: str, name: str, counts: Array, text: str, *redactions: str) -> None:
    """Write a line with Python's logging, which goes to stderr."""
    line = Line(name=name, text=text, stream="stderr", redactions=redactions)
    plan.write(line, plan.sim.of_app(app), app, counts)


def _backend(plan: LinePlan) -> None:
    traffic = [r for r in plan.sim.traffic if r.app == BACKEND]

    def answered(*statuses: int, route: str = "") -> Array:
        counts = [r.count for r in traffic if r.status in statuses and route in r.route]
        return np.asarray(np.sum(counts, axis=0), dtype=np.float64)

    failed = answered(500)
    traced = np.floor(failed / 4) + (failed == 1)
    _say(plan, BACKEND, "traceback", traced, _TRACEBACK, "sql_parameters")
    leaking = np.floor((failed - traced) / 20)
    text = (
        f"ERROR:app.database:cannot connect to postgresql://todo_owner:{PASSWORD}"
        "@ep-calm-1.eu-central-1.aws.neon.tech/todo (attempt {attempt})"
    )
    _say(plan, BACKEND, "database", leaking, text, "connection_password")
    text = (
        "ERROR:app.routes:request failed user_id={user} request_id=req-{hex}: database unavailable"
    )
    _say(plan, BACKEND, "request failed", failed - traced - leaking, text)
    text = "Decoded JWT payload: {'sub': '{user}', 'email': '{mail}', 'exp': {expiry}}"
    line = Line(name="token payload", text=text, redactions=("jwt_payload",))
    plan.write(line, plan.sim.of_app(BACKEND), BACKEND, answered(200, route="/auth/"))
    text = "WARNING:app.auth:Invalid token: signature has expired"
    _say(plan, BACKEND, "refused", answered(401), text)
    text = "INFO:app.services.tasks:Task {task} created user_id={user} request_id=req-{hex}"
    _say(plan, BACKEND, "created", answered(201), text)


def _model(plan: LinePlan) -> None:
    """Calls of the language model: httpx logs each, the agent what went wrong."""
    calls = plan.sim.model_calls
    limited, late, overloaded = calls["rate_limited"], calls["timeout"], calls["overloaded"]
    many = '"HTTP/1.1 429 Too Many Requests"'
    agent = "ERROR:app.agents.chat:"
    other = np.floor(limited / 10)
    for name, counts, text in (
        ("model", calls["ok"], f'{_MODEL} "HTTP/1.1 200 OK"'),
        ("model limits", limited, f"{_MODEL} {many}"),
        ("model overload", overloaded, f'{_MODEL} "HTTP/1.1 503 Service Unavailable"'),
        (
            "model retries",
            limited + overloaded + late,
            "INFO:openai._base_client:Retrying request to /chat/completions in {delay} seconds",
        ),
        (
            "rate limit",
            np.floor(limited / 3) + (limited == 1),
            agent + "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o-mini "
            "on requests per min (RPM): Limit 500, Used {used}, Requested 1. Please try again in "
            "120ms.', 'type': 'requests', 'param': None, 'code': 'rate_limit_exceeded'}} "
            "user_id={user}",
        ),
        ("other model", other, f"{_OTHER_MODEL} {many}"),
        (
            "other limit",
            other,
            agent + "google.genai.errors.ClientError: 429 RESOURCE_EXHAUSTED. "
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        ("timeout", late, agent + "openai.APITimeoutError: Request timed out."),
        (
            "tool",
            plan.sim.tool_errors,
            "ERROR:app.mcp.server:Tool '{tool}' failed user_id={user}: task {task} not found",
        ),
    ):
        _say(plan, BACKEND, name, counts, text)
    # Somebody tries a key that has been revoked, in the morning.
    clock = plan.sim.clock
    tried = 2 * clock.between(9, 9 + clock.step / 3600)
    text = f"{agent}openai.AuthenticationError: Incorrect API key: {KEY}"
    _say(plan, BACKEND, "revoked key", tried, text, "token_parameter")


def _consumers(plan: LinePlan) -> None:
    done = {c.app: c for c in plan.sim.consumed}
    text = "INFO:app.notification:Reminder of task {task} sent to {mail}"
    _say(plan, NOTIFICATION, "sent", done[NOTIFICATION].succeeded, text, "email")
    text = "INFO:app.recurring:Next occurrence of task {task} created user_id={user}"
    _say(plan, RECURRING, "next", np.floor(done[RECURRING].succeeded / 5), text)
    text = (
        "ERROR:app.audit:cannot write entry of event {uuid}: "
        "canceling statement due to lock timeout"
    )
    _say(plan, AUDIT, "late", done[AUDIT].retried, text)
    text = "WARNING:app.audit:event {uuid} of an unknown type is dropped"
    _say(plan, AUDIT, "dropped", done[AUDIT].dropped, text)


def _frontend(plan: LinePlan) -> None:
    """Next.js; a fault makes it silent."""
    sim, pods = plan.sim, plan.sim.of_app(FRONTEND)
    speaks = 1 - sim.during("silent logs")
    busy = diurnal(sim.clock) * speaks * len(pods)
    for name, rate, stream, text in (
        ("page", 0.16, "stdout", " GET {page} 200 in {took}ms"),
        (
            "fetch",
            0.002,
            "stderr",
            " ⨯ Error: fetch failed for /api/{user}/tasks\n"
            "    at async Page (/app/.next/server/app/dashboard/page.js:1:2345) {\n"
            "  digest: '{digest}'\n}",
        ),
        (
            "metadata",
            0.004,
            "stderr",
            " ⚠ Unsupported metadata viewport is configured in metadata export in /chat",
        ),
        ("compiled", 0.006, "stdout", " ✓ Compiled in {short}ms"),
    ):
        counts = sim.noise.counts(f"frontend {name}", rate * busy)
        plan.write(Line(name=name, text=text, stream=stream), pods, FRONTEND, counts)


def _server(plan: LinePlan, app: str) -> None:
    """Servers start and stop; one that crashes says why each time."""
    pods = plan.sim.of_app(app)
    mains = [p.containers[0] for p in pods]
    restarted = [np.maximum(0, np.diff(c.restarts, prepend=c.restarts[0])) for c in mains]
    starts = [began(p) + again for p, again in zip(pods, restarted, strict=True)]
    stops = [ended(p) for p in pods]
    crashes = app == NOTIFICATION and plan.sim.during("crash loop").any()
    for number, text in enumerate(_STARTING[:2] if crashes else _STARTING):
        plan.write(Line(name=text, text=text, offset=1 + number / 10), pods, app, starts)
    for number, text in enumerate(_ENDING):
        plan.write(Line(name=text, text=text, offset=25 + number), pods, app, stops)
    for number, text in ((3, _CRASH), (4, _FAILED)) if crashes else ():
        line = Line(name=text, text=text, stream="stderr", offset=number)
        plan.write(line, pods, app, starts)


def _sidecar(plan: LinePlan, app: str) -> None:
    """The sidecars' lines, of one app as JSON."""
    sim, pods = plan.sim, plan.sim.of_app(app)

    def say(
        name: str,
        counts: Array | Sequence[Array],
        level: str,
        message: str,
        scope: str = "",
        *,
        offset: float | None = None,
    ) -> None:
        scope = f"dapr.runtime{scope}"
        text = _daprd(app, {"level": level, "msg": message, "scope": scope}, pods[0].name)
        plan.write(Line(name=name, text=text, offset=offset), pods, "daprd", counts)

    for number, (message, scope) in enumerate(
        (
            ("Starting Dapr Runtime -- version 1.16.0 -- commit 7b691da", ""),
            ("Component loaded: task-pubsub (pubsub.kafka/v1)", ".processor"),
            ("application discovered on port 8000", ""),
            ("dapr initialized. Status: Running. Init Elapsed 412ms", ""),
        )
    ):
        starts = [began(p) for p in pods]
        say(f"start {number}", starts, "info", message, scope, offset=2 + number / 10)
    hourly = sim.noise.counts(f"daprd {app}", sim.clock.constant(6 / 3600))
    message = "Valid workload certificate; next renewal scheduled"
    say("certificate", hourly, "info", message, ".security")
    for sent in (p for p in sim.published if p.app == app):
        message = (
            "error publishing to topic task-events of pubsub task-pubsub: kafka: client has "
            "run out of available brokers to talk to"
        )
        say("publish", sent.failed, "error", message, ".pubsub")
    for taken in (c for c in sim.consumed if c.app == app):
        message = (
            "retriable error returned from app while processing pub/sub event, "
            f"topic: {taken.topic}, status code returned: 500"
        )
        say("retry", taken.retried, "warning", message, ".processor.pubsub")
        message = f"DROP status returned from app, topic: {taken.topic}"
        say("drop", taken.dropped, "warning", message, ".processor.pubsub")
    if app == RECURRING:
        message = (
            f"Failed to init component {sim.reminder_binding} (bindings.cron/v1): "
            "[INIT_COMPONENT_FAILURE]: initialization error occurred: "
            "expected 5 to 6 fields, found 2: every 1m"
        )
        tries = plan.repeated("sidecar component fails", 300)
        say("component", tries, "error", message, ".processor")


def _daprd(app: str, said: dict[str, str], pod: str) -> str:
    """Return a line of a sidecar, in one of its two formats."""
    time, kind, version = f"{ISO}.123456789Z", "log", "1.16.0"
    if app == RECURRING:
        who = {"app_id": app, "instance": pod, "time": time, "type": kind, "ver": version}
        return json.dumps(dict(sorted((who | said).items())))
    return (
        f'time="{time}" level={said["level"]} msg="{said["msg"]}" app_id={app} instance={pod} '
        f"scope={said['scope']} type={kind} ver={version}"
    )
