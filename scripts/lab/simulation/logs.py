"""What the containers write in a day, and what Loki gets of it.

`written` says who writes which lines, how often in each step, and what the counters made from logs
count of them. Lines of one kind differ in ids only, so the real pipeline (`obscheck pipeline` with
the files of `base/logs`) sees each distinct line once; `entries` then lays them out over the day.
"""

from __future__ import annotations

import base64
import functools
import http
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.lab.simulation.application import people, split
from scripts.lab.simulation.model import Array, Exposed, Pod, cumulative
from scripts.lab.simulation.programs import once_seen
from scripts.lab.simulation.world import (
    AUDIT,
    BACKEND,
    FRONTEND,
    NOTIFICATION,
    RECURRING,
    RELEASE,
    World,
    diurnal,
)

EVENTS = "kubernetes-events"
# Distinct lines of each kind.
_POOL = 60
# Stands for the time at which a line is written, in the two formats that are in use.
_ISO, _KLOG = "2001-02-03T04:05:06", "0203 04:05:06"
# Not a secret, but what a Secret holds in a real cluster.
_SALT = "simulated"

Make = Callable[[np.random.Generator], str]
Counted = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Written:
    """Lines that the pods of one workload write for one reason.

    Attributes:
        name: The reason.
        app: The label that the pipeline gives.
        namespace: Of the pods, or of an event's object.
        pods: Who writes; for events, who reads them from the API server.
        container: Empty for events.
        stream: `stdout` or `stderr`.
        texts: One of them is written each time; one with line feeds is one entry.
        counts: How often in each step, for each pod.
        kept: Whether it reaches Loki.
        request: Method, route and status class that it is counted under.
        redactions: Kinds of what is taken out of it.
        offset: Seconds after a step's begin; anywhere in it where there is none.
    """

    name: str
    app: str
    namespace: str
    pods: tuple[Pod, ...]
    container: str
    stream: str
    texts: tuple[str, ...]
    counts: tuple[Array, ...]
    kept: bool = True
    request: Counted | None = None
    redactions: tuple[str, ...] = ()
    offset: float | None = None

    @property
    def total(self) -> Array:
        """How often in each step, by all pods."""
        return np.asarray(np.sum(self.counts, axis=0), dtype=np.float64)

    @property
    def lines(self) -> int:
        """How many lines it is as the container writes it."""
        return self.texts[0].count("\n") + 1

    @property
    def size(self) -> float:
        """Its mean length."""
        return sum(map(len, self.texts)) / len(self.texts)


class _Plan:
    """Collects what is written; the order of the calls does not matter."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: list[Written] = []
        self.people = people(world)

    def write(
        self,
        name: str,
        pods: Sequence[Pod],
        container: str,
        counts: Array | Sequence[Array],
        make: Make,
        *,
        stream: str = "stdout",
        kept: bool = True,
        request: Counted | None = None,
        redactions: Iterable[str] = (),
        offset: float | None = None,
    ) -> None:
        """Add lines; counts of the workload are shared out between its pods."""
        if not pods:
            return
        if isinstance(counts, np.ndarray):
            counts = [split(self.world, pod, counts) for pod in pods]
        most = int(sum(c.sum() for c in counts))
        if not most:
            return
        random = self.world.noise.generator(f"lines {pods[0].workload} {container} {name}")
        texts = tuple(make(random) for _ in range(min(_POOL, most)))
        self.found.append(
            Written(
                name,
                _app(pods[0], container),
                pods[0].namespace,
                tuple(pods),
                container,
                stream,
                texts,
                tuple(counts),
                kept,
                request,
                tuple(redactions),
                offset,
            )
        )

    def event(
        self,
        counts: Array,
        about: tuple[str, str, str],
        reason: str,
        message: str,
        component: str,
        *,
        warning: bool = False,
        node: str = "",
        offset: float | None = None,
    ) -> None:
        """Add a Kubernetes event about a kind, namespace and name."""
        if not counts.any():
            return
        kind, namespace, name = about
        content = {
            "count": 1,
            "kind": kind,
            "msg": message,
            "name": name,
            "reason": reason,
            "reportingcontroller": component,
            "sourcecomponent": component,
            "type": "Warning" if warning else "Normal",
        } | ({"sourcehost": node} if node else {})
        (reader,) = self.world.pods_of("alloy-events", "monitoring")
        self.found.append(
            Written(
                f"{reason} {kind}/{name}",
                EVENTS,
                namespace,
                (reader,),
                "",
                "",
                (json.dumps(content),),
                (counts,),
                offset=offset,
            )
        )

    def user(self, random: np.random.Generator) -> str:
        """Return somebody's id."""
        return self.people[int(random.integers(len(self.people)))]


def _always(line: str) -> Make:
    return lambda _: line


def _app(pod: Pod, container: str) -> str:
    labels = pod.labels
    name, component = (labels.get(f"app.kubernetes.io/{k}", "") for k in ("name", "component"))
    qualified = f"{name}-{component}" if name and component else name
    return labels.get("dapr.io/app-id") or qualified or labels.get("app") or container


@functools.lru_cache(maxsize=4)
def written(world: World) -> tuple[Written, ...]:
    """Return everything that is written in a day."""
    plan = _Plan(world)
    _access(plan)
    _backend(plan)
    _consumers(plan)
    _frontend(plan)
    _lifecycle(plan)
    _sidecars(plan)
    _platform(plan)
    _events(plan)
    return tuple(plan.found)


def secrets(world: World) -> list[str]:
    """Return what the lines hold that must not reach Loki."""
    found = people(world)
    return [*found, *map(_mail, found), *map(_token, found), _PASSWORD, _KEY]


# Composed, so that no file holds what looks like a credential.
_PASSWORD = "npg" + "_" + "w0rdOfTheDay"
_KEY = "sk-" + "proj-" + "A1b2" * 6


def _mail(user: str) -> str:
    return f"{user[:6].lower()}@mail.example.org"


def _token(user: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': user})}.{'c2lnbmF0dXJl' * 3}"


def _uuid(random: np.random.Generator) -> str:
    return str(uuid.UUID(bytes=random.bytes(16), version=4))


def _pods(world: World, app: str) -> list[Pod]:
    return world.with_label("dapr.io/app-id", app)


def _access(plan: _Plan) -> None:
    """The access log of uvicorn: exactly world.traffic, and the kubelet's probes."""
    world = plan.world
    topics = {c.app: c.topic for c in world.consumed}
    for number, requests in enumerate(world.traffic):
        pods = _pods(world, requests.app)
        method, route, status = requests.method, requests.route, requests.status

        def access(
            random: np.random.Generator,
            suffix: Callable[[str], str] = lambda _: "",
            method: str = method,
            route: str = route,
            status: int = status,
            topic: str = topics.get(requests.app, ""),
        ) -> str:
            user = plan.user(random)
            path = route.replace("{user_id}", user)
            if route == "other":
                strange = ("/favicon.ico", "/wp-login.php", "/.env", "/robots.txt")
                path = f"/{topic}" if topic else str(random.choice(strange))
            thing = _uuid(random) if "conversations" in route else str(random.integers(1, 400))
            path = path.replace("{id}", thing)
            client = f"10.244.{random.integers(2)}.{random.integers(2, 250)}"
            phrase = http.HTTPStatus(status).phrase
            line = f'{client}:{random.integers(32768, 60999)} - "{method} {path}{suffix(user)}'
            return f'INFO:     {line} HTTP/1.1" {status} {phrase}'

        name = f"access {number} {method} {route} {status}"
        counted = (method, route, f"{status // 100}xx")
        plain = requests.count
        if route.endswith("/tasks") and method == "GET" and status == 200:
            # The page asks with the token in the query where it opens in a new tab.
            several = world.noise.counts(f"tokens {name}", plain / world.clock.step * 0.01)
            with_token = np.minimum(plain, several)
            filtered = np.floor((plain - with_token) / 3)
            plain = plain - with_token - filtered
            for kind, count, suffix, redacted in (
                ("token", with_token, lambda user: f"?token={_token(user)}", ("jwt",)),
                ("query", filtered, lambda _: "?status=pending&sort=due", ()),
            ):
                make = functools.partial(access, suffix=suffix)
                plan.write(
                    f"{name} {kind}",
                    pods,
                    requests.app,
                    count,
                    make,
                    request=counted,
                    redactions=redacted,
                )
        plan.write(name, pods, requests.app, plain, access, request=counted)
    for app in (BACKEND, RECURRING, NOTIFICATION, AUDIT):
        up = 1 - world.during("crash loop") * (app == NOTIFICATION)
        pods = _pods(world, app)

        def probe(random: np.random.Generator) -> str:
            client = f"10.0.10.1:{random.integers(32768, 60999)}"
            return f'INFO:     {client} - "GET /health HTTP/1.1" 200 OK'

        plan.write("probe", pods, app, [p.exists * up for p in pods], probe, kept=False)


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
[parameters: {{'user_id_1': '{user}'}}]
(Background on this error at: https://sqlalche.me/e/20/e3q8)"""


def _backend(plan: _Plan) -> None:
    """What the backend says beside its access log: Python's logging goes to stderr."""
    world, pods = plan.world, _pods(plan.world, BACKEND)
    traffic = [r for r in world.traffic if r.app == BACKEND]

    def say(name: str, counts: Array, make: Make, *redactions: str, stream: str = "stderr") -> None:
        plan.write(name, pods, BACKEND, counts, make, stream=stream, redactions=redactions)

    failed = np.sum([r.count for r in traffic if r.status == 500], axis=0)
    traced = np.floor(failed / 4) + (failed == 1)
    say(
        "traceback",
        traced,
        lambda random: _TRACEBACK.format(user=plan.user(random)),
        "sql_parameters",
    )
    leaking = np.floor((failed - traced) / 20)
    say(
        "database",
        leaking,
        lambda random: (
            f"ERROR:app.database:cannot connect to postgresql://todo_owner:{_PASSWORD}"
            f"@ep-calm-1.eu-central-1.aws.neon.tech/todo (attempt {random.integers(1, 4)})"
        ),
        "connection_password",
    )
    say(
        "request failed",
        failed - traced - leaking,
        lambda random: (
            f"ERROR:app.routes:request failed user_id={plan.user(random)} "
            f"request_id=req-{random.integers(16**8):08x}: database unavailable"
        ),
    )
    known = np.sum([r.count for r in traffic if "/auth/" in r.route and r.status == 200], axis=0)
    say(
        "token payload",
        known,
        lambda random: (
            f"Decoded JWT payload: {{'sub': '{(user := plan.user(random))}', "
            f"'email': '{_mail(user)}', 'exp': {random.integers(1_700_000_000, 1_800_000_000)}}}"
        ),
        "jwt_payload",
        stream="stdout",
    )
    refused = np.sum([r.count for r in traffic if r.status == 401], axis=0)
    say("refused", refused, lambda _: "WARNING:app.auth:Invalid token: signature has expired")
    created = np.sum([r.count for r in traffic if r.status == 201], axis=0)
    say(
        "created",
        created,
        lambda random: (
            f"INFO:app.services.tasks:Task {random.integers(1, 400)} created "
            f"user_id={plan.user(random)} request_id=req-{random.integers(16**8):08x}"
        ),
    )
    _model(plan, say)


def _model(plan: _Plan, say: Callable[..., None]) -> None:
    """Calls of the language model: httpx logs each, the agent what went wrong."""
    world = plan.world
    url = "POST https://api.openai.com/v1/chat/completions"
    gemini = "POST https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
    limited, late = world.model_calls["rate_limited"], world.model_calls["timeout"]
    say(
        "model",
        world.model_calls["ok"],
        lambda _: f'INFO:httpx:HTTP Request: {url} "HTTP/1.1 200 OK"',
    )
    many = '"HTTP/1.1 429 Too Many Requests"'
    say("model limits", limited, lambda _: f"INFO:httpx:HTTP Request: {url} {many}")
    overloaded = world.model_calls["overloaded"]
    busy = '"HTTP/1.1 503 Service Unavailable"'
    say("model overload", overloaded, lambda _: f"INFO:httpx:HTTP Request: {url} {busy}")
    say(
        "model retries",
        limited + overloaded + late,
        lambda random: (
            "INFO:openai._base_client:Retrying request to /chat/completions "
            f"in {random.uniform(0.3, 8):.3f} seconds"
        ),
    )
    given_up = np.floor(limited / 3) + (limited == 1)
    say(
        "rate limit",
        given_up,
        lambda random: (
            "ERROR:app.agents.chat:Error code: 429 - {'error': {'message': 'Rate limit reached for "
            f"gpt-4o-mini on requests per min (RPM): Limit 500, Used {random.integers(480, 501)}, "
            "Requested 1. Please try again in 120ms.', 'type': 'requests', 'param': None, "
            f"'code': 'rate_limit_exceeded'}}}} user_id={plan.user(random)}"
        ),
    )
    other = np.floor(limited / 10)
    say("other model", other, lambda _: f"INFO:httpx:HTTP Request: {gemini} {many}")
    say(
        "other limit",
        other,
        lambda _: (
            "ERROR:app.agents.chat:google.genai.errors.ClientError: 429 RESOURCE_EXHAUSTED. "
            "You exceeded your current quota, please check your plan and billing details."
        ),
    )
    say(
        "timeout",
        late,
        lambda _: "ERROR:app.agents.chat:openai.APITimeoutError: Request timed out.",
    )
    # Somebody tries a key that has been revoked, in the morning.
    key = 2 * world.clock.between(9, 9 + world.clock.step / 3600)
    say(
        "revoked key",
        key,
        lambda _: f"ERROR:app.agents.chat:openai.AuthenticationError: Incorrect API key: {_KEY}",
        "token_parameter",
    )
    say(
        "tool",
        world.tool_errors,
        lambda random: (
            f"ERROR:app.mcp.server:Tool '{random.choice(['add_task', 'list_tasks'])}' "
            f"failed user_id={plan.user(random)}: task {random.integers(1, 400)} not found"
        ),
    )


def _consumers(plan: _Plan) -> None:
    world = plan.world
    done = {c.app: c for c in world.consumed}

    def say(app: str, name: str, counts: Array, make: Make, *redactions: str) -> None:
        pods = _pods(world, app)
        plan.write(name, pods, app, counts, make, stream="stderr", redactions=redactions)

    say(
        NOTIFICATION,
        "sent",
        done[NOTIFICATION].succeeded,
        lambda random: (
            f"INFO:app.notification:Reminder of task {random.integers(1, 400)} "
            f"sent to {_mail(plan.user(random))}"
        ),
        "email",
    )
    say(
        RECURRING,
        "next",
        np.floor(done[RECURRING].succeeded / 5),
        lambda random: (
            f"INFO:app.recurring:Next occurrence of task {random.integers(1, 400)} "
            f"created user_id={plan.user(random)}"
        ),
    )
    say(
        AUDIT,
        "late",
        done[AUDIT].retried,
        lambda random: (
            f"ERROR:app.audit:cannot write entry of event {_uuid(random)}: "
            "canceling statement due to lock timeout"
        ),
    )
    say(
        AUDIT,
        "dropped",
        done[AUDIT].dropped,
        lambda random: f"WARNING:app.audit:event {_uuid(random)} of an unknown type is dropped",
    )


def _frontend(plan: _Plan) -> None:
    """Next.js; a fault makes it silent."""
    world = plan.world
    pods = _pods(world, FRONTEND)
    speaks = 1 - world.during("silent logs")
    busy = diurnal(world.clock) * speaks * len(pods)
    for name, rate, stream, make in (
        (
            "page",
            0.16,
            "stdout",
            lambda random: (
                f" GET {random.choice(['/dashboard', '/login', '/chat', '/tasks'])} "
                f"200 in {random.integers(3, 180)}ms"
            ),
        ),
        (
            "fetch",
            0.002,
            "stderr",
            lambda random: (
                f" ⨯ Error: fetch failed for /api/{plan.user(random)}/tasks\n"
                "    at async Page (/app/.next/server/app/dashboard/page.js:1:2345) {\n"
                f"  digest: '{random.integers(1_000_000_000, 4_000_000_000)}'\n}}"
            ),
        ),
        (
            "metadata",
            0.004,
            "stderr",
            lambda _: " ⚠ Unsupported metadata viewport is configured in metadata export in /chat",
        ),
        ("compiled", 0.006, "stdout", lambda random: f" ✓ Compiled in {random.integers(20, 90)}ms"),
    ):
        counts = world.noise.counts(f"frontend {name}", rate * busy)
        plan.write(name, pods, FRONTEND, counts, make, stream=stream)


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
KeyError: 'SMTP_HOST'
"""


def began(pod: Pod) -> Array:
    """Return 1 in the step in which a pod begins."""
    return np.maximum(0, np.diff(pod.exists, prepend=pod.exists[0]))


def ended(pod: Pod) -> Array:
    """Return 1 in a pod's last step."""
    return np.maximum(0, -np.diff(pod.exists, append=pod.exists[-1]))


def _lifecycle(plan: _Plan) -> None:
    """Servers start and stop; one that crashes says why each time."""
    world = plan.world
    crashing = world.during("crash loop")
    for app in (BACKEND, RECURRING, NOTIFICATION, AUDIT):
        pods = _pods(world, app)
        mains = [p.containers[0] for p in pods]
        restarted = [np.maximum(0, np.diff(c.restarts, prepend=c.restarts[0])) for c in mains]
        starts = [began(p) + again for p, again in zip(pods, restarted, strict=True)]
        stops = [ended(p) for p in pods]
        crashes = crashing * (app == NOTIFICATION)
        lines = enumerate(_STARTING[:2] if crashes.any() else _STARTING)
        for number, line in lines:
            plan.write(line, pods, app, starts, _always(line), offset=1 + number / 10)
        for number, line in enumerate(_ENDING):
            plan.write(line, pods, app, stops, _always(line), offset=25 + number)
        if crashes.any():
            for number, line in ((3, _CRASH.rstrip("\n")), (4, _FAILED)):
                make = _always(line)
                plan.write(line, pods, app, starts, make, stream="stderr", offset=number)


_FAILED = "ERROR:    Application startup failed. Exiting."


def _sidecars(plan: _Plan) -> None:
    """The sidecars' lines, of one app as JSON."""
    world = plan.world
    sent = {p.app: p for p in world.published}
    taken = {c.app: c for c in world.consumed}
    for app in (BACKEND, FRONTEND, RECURRING, NOTIFICATION, AUDIT):
        pods = _pods(world, app)

        def say(
            name: str,
            counts: Array | Sequence[Array],
            level: str,
            message: str,
            scope: str,
            app: str = app,
            pods: list[Pod] = pods,
            offset: float | None = None,
        ) -> None:
            line = _daprd(app, pods[0].name, level, message, scope)
            plan.write(name, pods, "daprd", counts, _always(line), offset=offset)

        starts = [began(p) for p in pods]
        for number, (message, scope) in enumerate(
            (
                ("Starting Dapr Runtime -- version 1.16.0 -- commit 7b691da", "dapr.runtime"),
                ("Component loaded: task-pubsub (pubsub.kafka/v1)", "dapr.runtime.processor"),
                ("application discovered on port 8000", "dapr.runtime"),
                ("dapr initialized. Status: Running. Init Elapsed 412ms", "dapr.runtime"),
            )
        ):
            say(f"start {number}", starts, "info", message, scope, offset=2 + number / 10)
        hourly = world.noise.counts(f"daprd {app}", np.full(world.clock.steps, 6 / 3600))
        say(
            "certificate",
            hourly,
            "info",
            "Valid workload certificate; next renewal scheduled",
            "dapr.runtime.security",
        )
        if app in sent:
            message = (
                "error publishing to topic task-events of pubsub task-pubsub: kafka: client has "
                "run out of available brokers to talk to"
            )
            say("publish", sent[app].failed, "error", message, "dapr.runtime.pubsub")
        if app in taken:
            message = (
                "retriable error returned from app while processing pub/sub event, "
                f"topic: {taken[app].topic}, status code returned: 500"
            )
            say("retry", taken[app].retried, "warning", message, "dapr.runtime.processor.pubsub")
            message = f"DROP status returned from app, topic: {taken[app].topic}"
            say("drop", taken[app].dropped, "warning", message, "dapr.runtime.processor.pubsub")
        if app == RECURRING:
            fails = world.during("sidecar component fails")
            begun = int(np.argmax(fails))
            every = np.mod(np.arange(world.clock.steps) - begun, 300 / world.clock.step) == 0
            message = (
                f"Failed to init component {world.reminder_binding} (bindings.cron/v1): "
                "[INIT_COMPONENT_FAILURE]: initialization error occurred: "
                "expected 5 to 6 fields, found 2: every 1m"
            )
            say("component", fails * every, "error", message, "dapr.runtime.processor")


def _daprd(app: str, pod: str, level: str, message: str, scope: str) -> str:
    time, kind, version = f"{_ISO}.123456789Z", "log", "1.16.0"
    if app == RECURRING:
        content = {
            "app_id": app,
            "instance": pod,
            "level": level,
            "msg": message,
            "scope": scope,
            "time": time,
            "type": kind,
            "ver": version,
        }
        return json.dumps(content)
    return (
        f'time="{time}" level={level} msg="{message}" app_id={app} instance={pod} '
        f"scope={scope} type={kind} ver={version}"
    )


# Namespace, workload, container, seconds between two lines, lines.
_QUIET: tuple[tuple[str, str, str, float, tuple[str, ...]], ...] = (
    (
        "monitoring",
        "prometheus-kube-prometheus-stack",
        "prometheus",
        600,
        (
            f'time={_ISO}.123Z level=INFO source=head.go:1421 msg="Head GC completed" '
            "component=tsdb caller=truncateMemory duration=21.4ms",
            f'time={_ISO}.123Z level=INFO source=compact.go:616 msg="write block" component=tsdb '
            "mint=1763942400000 maxt=1763949600000 ulid=01KATESTBLOCK duration=812ms",
        ),
    ),
    (
        "monitoring",
        "alertmanager-kube-prometheus-stack",
        "alertmanager",
        3600,
        (
            f"time={_ISO}.123Z level=INFO source=coordinator.go:125 "
            'msg="Completed loading of configuration file" component=configuration',
        ),
    ),
    (
        "monitoring",
        "grafana",
        "grafana",
        300,
        (
            f'logger=context userId=1 orgId=1 uname=admin t={_ISO}.123Z level=info msg="Request '
            'Completed" method=GET path=/api/live/ws status=-1 duration=4.2ms',
            f'logger=cleanup t={_ISO}.123Z level=info msg="Completed cleanup jobs" duration=11.2ms',
            f'logger=tsdb.loki t={_ISO}.123Z level=warn msg="Query took long" duration=2.4s',
        ),
    ),
    (
        "monitoring",
        "loki",
        "loki",
        120,
        (
            f"level=info ts={_ISO}.123456789Z caller=table_manager.go:136 index-store=tsdb "
            'msg="uploading tables"',
            f'level=info ts={_ISO}.123456789Z caller=checkpoint.go:611 msg="starting checkpoint"',
            f"level=info ts={_ISO}.123456789Z caller=compactor.go:677 "
            'msg="finished compacting table" table-name=index_20781',
        ),
    ),
    (
        "monitoring-node",
        "alloy",
        "alloy",
        900,
        (
            f'ts={_ISO}.123456789Z level=info msg="finished node evaluation" '
            "controller_path=/ controller_id= node_id=discovery.kubernetes.pods duration=1.2ms",
        ),
    ),
    (
        "monitoring",
        "kube-prometheus-stack-operator",
        "kube-prometheus-stack",
        600,
        (
            f"ts={_ISO}.123Z level=info caller=operator.go:710 component=prometheus-controller "
            'key=monitoring/kube-prometheus-stack msg="sync prometheus"',
        ),
    ),
    (
        "monitoring",
        "kube-prometheus-stack-kube-state-metrics",
        "kube-state-metrics",
        1800,
        (f"I{_KLOG}.123456       1 trace.go:236] Trace[18]: ListAndWatch (total time: 9ms)",),
    ),
    (
        "monitoring",
        "blackbox-exporter",
        "blackbox-exporter",
        1800,
        (f'time={_ISO}.123Z level=INFO source=handler.go:122 msg="Reloaded config file"',),
    ),
    (
        "kube-system",
        "coredns",
        "coredns",
        600,
        (
            "[INFO] plugin/reload: Running configuration SHA512 = 591cf328cccc12bc",
            "[ERROR] plugin/errors: 2 api.openai.com. AAAA: read udp 10.244.0.9:53: i/o timeout",
        ),
    ),
    (
        "kube-system",
        "metrics-server",
        "metrics-server",
        1800,
        (f"I{_KLOG}.123456       1 handler.go:286] Adding GroupVersion metrics.k8s.io v1beta1",),
    ),
    (
        "ingress-nginx",
        "ingress-nginx-controller",
        "controller",
        900,
        (f"I{_KLOG}.123456       7 event.go:377] Scheduled for sync: Ingress default/{RELEASE}",),
    ),
    (
        "cert-manager",
        "cert-manager",
        "cert-manager",
        1800,
        (f'I{_KLOG}.123456       1 conditions.go:203] "Setting lastTransitionTime"',),
    ),
    (
        "argocd",
        "argocd-application-controller",
        "argocd-application-controller",
        60,
        (
            f'time="{_ISO}Z" level=info msg="Refreshing app status (comparison expired)" '
            "application=argocd/grafana",
            f'time="{_ISO}Z" level=info msg="No status changes. Skipping patch" '
            "application=argocd/loki",
        ),
    ),
    (
        "dapr-system",
        "dapr-sentry",
        "dapr-sentry",
        1800,
        (
            f'time="{_ISO}.123456789Z" level=info msg="Workload certificate signed" '
            "instance=dapr-sentry scope=dapr.sentry.server type=log ver=1.16.0",
        ),
    ),
    (
        "dapr-system",
        "dapr-scheduler-server",
        "dapr-scheduler-server",
        900,
        (
            f'time="{_ISO}.123456789Z" level=info msg="Adding a Sidecar connection to Scheduler" '
            "instance=dapr-scheduler-server-0 scope=dapr.scheduler.server.pool type=log ver=1.16.0",
        ),
    ),
)


def _platform(plan: _Plan) -> None:
    """The monitoring's own lines, the cluster's, and those of the GitOps engines."""
    world = plan.world
    for namespace, workload, container, seconds, lines in _QUIET:
        pods = world.pods_of(workload, namespace)
        for number, line in enumerate(lines):
            name = f"{workload} {number}"
            rate = np.full(world.clock.steps, len(pods) / seconds / len(lines))
            counts = world.noise.counts(name, rate)
            plan.write(name, pods, container, counts, _always(line), stream="stderr")
    failing = world.during("sync fails")
    usual, often = np.full(world.clock.steps, 1 / 600), failing / 120
    for name, kind, about, rate, level, message in (
        ("source", "OCIRepository", "loki", 6 * usual, "info", "artifact up-to-date with remote"),
        (
            "kustomize",
            "Kustomization",
            "monitoring-config",
            3 * usual,
            "info",
            "Reconciliation finished in 1.2s, next run in 10m0s",
        ),
        (
            "helm",
            "HelmRelease",
            "loki",
            8 * usual,
            "info",
            "release in-sync with desired state",
        ),
        ("helm", "HelmRelease", "grafana", often, "error", "Reconciler error"),
    ):
        controller = f"{name}-controller"
        pods = world.pods_of(controller, "flux-system")
        content = {
            "level": level,
            "ts": f"{_ISO}.123Z",
            "msg": message,
            "controller": kind.lower(),
            "controllerKind": kind,
            kind: {"name": about, "namespace": "monitoring"},
            "namespace": "monitoring",
            "name": about,
        }
        if level == "error":
            reason = "upgrade retries exhausted: context deadline exceeded"
            content["error"] = f"Helm upgrade failed for release monitoring/{about}: {reason}"
        counts = world.noise.counts(f"{controller} {level}", rate)
        make = _always(json.dumps(content))
        plan.write(f"{controller} {level}", pods, "manager", counts, make, stream="stderr")


def _events(plan: _Plan) -> None:
    """Kubernetes' events: a rollout every day, the rest where something is wrong."""
    world = plan.world
    steps = np.arange(world.clock.steps)

    def every(fault: str, seconds: float) -> Array:
        lasts = world.during(fault)
        due = np.mod(steps - int(np.argmax(lasts)), seconds / world.clock.step) == 0
        return np.asarray(lasts * due, dtype=np.float64)

    for pod in world.pods:
        about = ("Pod", pod.namespace, pod.name)
        first, last = began(pod), ended(pod)
        node = pod.node.name if pod.node else ""
        if node:
            assigned = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
            plan.event(first, about, "Scheduled", assigned, "default-scheduler", offset=0.1)
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
                    plan.event(first, about, reason, text, "kubelet", node=node, offset=after)
                text = f"Stopping container {name}"
                plan.event(last, about, "Killing", text, "kubelet", node=node, offset=24.0)
        if pod.owner[0] == "ReplicaSet":
            deployment = ("Deployment", pod.namespace, pod.workload[1])
            scaled = f"Scaled up replica set {pod.owner[1]} from 0 to 1"
            manager = "deployment-controller"
            plan.event(first, deployment, "ScalingReplicaSet", scaled, manager, offset=0.0)
        if pod.phases.get("Pending") is not None:
            number = len(world.nodes)
            text = f"0/{number} nodes are available: {number} Insufficient memory."
            counts = every("unschedulable", 300)
            plan.event(counts, about, "FailedScheduling", text, "default-scheduler", warning=True)
    faults = world.faulty
    for app, fault, seconds, reason, text in (
        (NOTIFICATION, "crash loop", 60, "BackOff", "Back-off restarting failed container"),
        (
            RECURRING,
            "sidecar component fails",
            60,
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 500",
        ),
    ):
        for pod in _pods(world, app) if faults else ():
            about = ("Pod", pod.namespace, pod.name)
            suffix = f" {app} in pod {pod.name}_{pod.namespace}" if reason == "BackOff" else ""
            node = pod.node.name if pod.node else ""
            counts = every(fault, seconds)
            message = text + suffix
            plan.event(counts, about, reason, message, "kubelet", warning=True, node=node)
    for pod in _pods(world, BACKEND):
        kills = pod.containers[0].oom_kills
        if kills is not None and pod.node:
            killed = np.maximum(0, np.diff(kills, prepend=0.0)) * pod.exists
            text = "Memory cgroup out of memory: Killed process 4711 (uvicorn)"
            about = ("Node", "default", pod.node.name)
            node = pod.node.name
            plan.event(killed, about, "OOMKilling", text, "kernel-monitor", warning=True, node=node)
    about = ("ReplicaSet", world.namespace, "export-6f9d7c5b8")
    text = (
        'Error creating: pods "export-6f9d7c5b8-" is forbidden: error looking up service account '
        f'{world.namespace}/export: serviceaccount "export" not found'
    )
    manager = "replicaset-controller"
    plan.event(every("rejected pods", 300), about, "FailedCreate", text, manager, warning=True)
    machine = world.nodes[1].name
    about = ("Node", "default", machine)
    begins = np.maximum(0, np.diff(world.during("node pressure"), prepend=0.0))
    text = f"Node {machine} status is now: NodeHasInsufficientMemory"
    plan.event(begins, about, "NodeHasInsufficientMemory", text, "kubelet", node=machine)
    text = "Attempting to reclaim memory"
    counts = every("node pressure", 300)
    plan.event(counts, about, "EvictionThresholdMet", text, "kubelet", warning=True, node=machine)
    # Flux says of each of its objects that it is well, or that it is not.
    ticks = (np.mod(steps, 600 / world.clock.step) == 0).astype(float)
    about = ("Kustomization", "flux-system", "monitoring-config")
    text = "Reconciliation finished in 1.2s, next run in 10m0s"
    plan.event(ticks, about, "ReconciliationSucceeded", text, "kustomize-controller")
    about = ("HelmRelease", "monitoring", "grafana")
    text = "Helm upgrade failed for release monitoring/grafana: context deadline exceeded"
    counts = every("sync fails", 120)
    plan.event(counts, about, "UpgradeFailed", text, "helm-controller", warning=True)
    once = world.clock.between(2.5, 2.5 + world.clock.step / 3600)
    slow = _pods(world, FRONTEND)[0]
    about = ("Pod", slow.namespace, slow.name)
    text = "Readiness probe failed: context deadline exceeded"
    node = slow.node.name if slow.node else ""
    plan.event(once, about, "Unhealthy", text, "kubelet", warning=True, node=node)


def of_alloy(world: World, pod: Pod) -> Iterator[Exposed]:
    """Yield what a pod of Alloy exposes of the logs that it reads and sends."""
    events = pod.workload[1] == "alloy-events"
    requests: dict[tuple[str, str, Counted], Array] = {}
    redactions: dict[tuple[str, str, str], Array] = {}
    read: dict[tuple[Pod, str], Array] = {}
    size: dict[tuple[Pod, str], Array] = {}
    none = world.clock.constant(0)
    dropped, sent, sent_bytes = none, none, none
    for kind in written(world):
        if events != (kind.container == ""):
            continue
        of_node = [
            (writer, counts)
            for writer, counts in zip(kind.pods, kind.counts, strict=True)
            if events or writer.node is pod.node
        ]
        for writer, counts in of_node:
            file = (writer, kind.container)
            read[file] = read.get(file, none) + counts * kind.lines
            size[file] = size.get(file, none) + counts * (kind.size + 46 * kind.lines)
            if not kind.kept:
                dropped = dropped + counts
                continue
            sent, sent_bytes = sent + counts, sent_bytes + counts * kind.size
            if kind.request:
                key = (kind.namespace, kind.app, kind.request)
                requests[key] = requests.get(key, none) + counts
            for what in kind.redactions:
                of_kind = (kind.namespace, kind.app, what)
                redactions[of_kind] = redactions.get(of_kind, none) + counts
    for (namespace, app, (method, route, status)), counts in requests.items():
        labels = {
            "namespace": namespace,
            "app": app,
            "method": method,
            "route": route,
            "status_class": status,
            "component_id": "loki.process.requests",
            "component_path": "/",
        }
        yield "todo_http_requests_total", labels, once_seen(cumulative(counts))
    path = f"/shared.redact.{'events' if events else 'pods'}"
    for (namespace, app, what), counts in redactions.items():
        labels = {"namespace": namespace, "app": app, "kind": what}
        labels |= {"component_id": "loki.process.count", "component_path": path}
        yield "todo_log_redactions_total", labels, once_seen(cumulative(counts))
    if not events:
        source = {"component_id": "loki.source.file.pods", "component_path": "/"}
        yield "loki_source_file_files_active_total", source, world.clock.constant(len(read))
        for (writer, container), lines in read.items():
            folder = f"/var/log/pods/{writer.namespace}_{writer.name}_{writer.uid}"
            file_labels = {**source, "path": f"{folder}/{container}/0.log"}
            total = cumulative(lines)
            yield "loki_source_file_read_lines_total", file_labels, once_seen(total)
            of_file = np.floor(cumulative(size[writer, container]))
            yield "loki_source_file_read_bytes_total", file_labels, once_seen(of_file)
            yield "loki_source_file_file_bytes_total", file_labels, once_seen(of_file)
        labels = {"component_id": "loki.process.read", "component_path": "/", "reason": "probe"}
        yield "loki_process_dropped_lines_total", labels, once_seen(cumulative(dropped))
    store = {
        "component_id": "loki.write.loki",
        "component_path": f"/shared.store.{'events' if events else 'pods'}",
        "host": "loki.monitoring.svc:3100",
    }
    yield "loki_write_sent_entries_total", store, cumulative(sent)
    yield "loki_write_sent_bytes_total", store, np.floor(cumulative(sent_bytes))
    retried = np.floor(refused(world) / (len(world.nodes) + 1))
    yield "loki_write_batch_retries_total", store, cumulative(retried)
    for reason in ("ingester_error", "line_too_long", "rate_limited", "stream_limited"):
        # What is refused to the end of all tries is lost: ten lines of a batch in twenty.
        lost = np.floor(cumulative(retried) / 20) * 10 if reason == "ingester_error" else none
        labels = {**store, "reason": reason}
        yield "loki_write_dropped_entries_total", labels, lost
        yield "loki_write_dropped_bytes_total", labels, lost * 180


def refused(world: World) -> Array:
    """Return how many batches Loki refuses in each step, while its volume is all but full."""
    shares = [v.used / v.capacity for v in world.volumes if v.namespace == "monitoring"]
    full = np.max(shares, axis=0) > 0.97
    return world.noise.counts("refused batches", full * 0.02)


def environment(world: World) -> dict[str, str]:
    """Return the variables of Alloy's DaemonSet, as its release sets them."""
    template = world.rendered["monitoring-node", "alloy"]
    found = {
        str(variable["name"]): str(variable["value"])
        for container in template.containers
        for variable in container.get("env") or ()
        if "value" in variable
    }
    return {**found, "HOSTNAME": world.nodes[0].name, "PSEUDONYM_SALT": _SALT}


def pipeline(world: World, file: str, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run lines through one of the log configurations.

    Args:
        world: Whose Alloy it is.
        file: A file of `base/logs`.
        cases: As `obscheck pipeline` takes them.

    Raises:
        RepositoryError: If it refuses the configuration or a case.
    """
    run = subprocess.run(
        [tools.path("obscheck"), "pipeline", tools.ROOT / "base/logs" / file],
        input=json.dumps(cases),
        env={**os.environ, **environment(world)},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RepositoryError(
            Finding(f"base/logs/{file}", None, run.stderr.strip(), "correct what it names")
        )
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def target(kind: Written) -> dict[str, str]:
    """Return what service discovery finds of a container, or the labels of an event's source."""
    pod = kind.pods[0]
    if kind.app == EVENTS:
        source = "loki.source.kubernetes_events"
        return {"namespace": kind.namespace, "job": source, "instance": f"{source}.cluster"}
    prefix = "__meta_kubernetes"
    return {
        "__address__": pod.ip,
        f"{prefix}_namespace": pod.namespace,
        f"{prefix}_pod_name": pod.name,
        f"{prefix}_pod_uid": pod.uid,
        f"{prefix}_pod_node_name": pod.node.name if pod.node else "",
        f"{prefix}_pod_container_name": kind.container,
        f"{prefix}_pod_ip": pod.ip,
    } | {
        f"{prefix}_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', key)}": value
        for key, value in pod.labels.items()
    }


def case(kind: Written, texts: Iterable[str] | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return a kind's lines as a case of the pipeline, and the time of each text in its answer.

    They are written now: the pipeline drops what is too old, and counts no requests of yesterday.
    """
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    lines: list[dict[str, str]] = []
    times: list[str] = []
    for text in kind.texts if texts is None else texts:
        for number, part in enumerate(text.split("\n")):
            # Never ends with 0, as the answer leaves such digits out.
            stamp = f"{second}.{len(lines) * 10 + 1:06d}Z"
            if number == 0:
                times.append(stamp)
            cri = part if kind.app == EVENTS else f"{stamp} {kind.stream} F {part}"
            lines.append({"timestamp": stamp, "line": cri})
    return {"id": kind.name, "target": target(kind), "lines": lines}, times


def entries(world: World) -> Iterator[dict[str, Any]]:
    """Yield what Loki gets of the day's lines, by time.

    Raises:
        RepositoryError: If a line that should reach Loki does not.
    """
    kinds = [kind for kind in written(world) if kind.kept]
    writers: list[tuple[Pod, Pod, list[dict[str, Any]]]] = []
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for file, of_file in (
        ("pods.alloy", [k for k in kinds if k.app != EVENTS]),
        ("events.alloy", [k for k in kinds if k.app == EVENTS]),
    ):
        cases = [case(kind) for kind in of_file]
        results = pipeline(world, file, [content for content, _ in cases])
        for kind, (_, times), result in zip(of_file, cases, results, strict=True):
            by_time = {entry["timestamp"]: entry for entry in result["entries"]}
            if set(by_time) != set(times):
                message = f"not every line of {kind.app}, {kind.name!r}, is one entry"
                where = f"base/logs/{file}"
                fix = "correct it, or scripts/lab/simulation/logs.py"
                raise RepositoryError(Finding(where, None, message, fix))
            templates = [by_time[stamp] for stamp in times]
            for pod, counts in zip(kind.pods, kind.counts, strict=True):
                writers.append((kind.pods[0], pod, templates))
                parts.append(_laid_out(world, kind, pod, counts))
    moments = np.concatenate([moments for moments, _ in parts])
    chosen = np.concatenate([chosen for _, chosen in parts])
    who = np.repeat(np.arange(len(parts)), [len(moments) for moments, _ in parts])
    order = np.argsort(moments, kind="stable")
    count = np.arange(len(order))
    # Loki takes two equal lines of one moment for one: each comes a nanosecond later at least.
    moments = np.maximum.accumulate(moments[order] - count) + count
    for index, moment in zip(order.tolist(), moments.tolist(), strict=True):
        first, pod, templates = writers[who[index]]
        yield _entry(templates[chosen[index]], first, pod, moment)


def _laid_out(
    world: World, kind: Written, pod: Pod, counts: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when a pod writes lines of a kind, in nanoseconds, and which of its texts."""
    clock = world.clock
    random = world.noise.generator(f"times {kind.namespace} {kind.name} {pod.name}")
    steps = np.repeat(np.arange(clock.steps), counts.astype(int))
    inside = random.random(len(steps)) * clock.step if kind.offset is None else kind.offset
    # What a scrape counts happened since the scrape before.
    seconds = np.maximum(0, (steps - 1) * clock.step + inside)
    moments = np.int64(clock.start) * 10**9 + (seconds * 1e9).astype(np.int64)
    return moments, random.integers(len(kind.texts), size=len(steps))


def _entry(template: dict[str, Any], first: Pod, pod: Pod, moment: int) -> dict[str, Any]:
    """Return an entry as another pod writes it, at another time."""
    line, metadata = template["line"], template["structured_metadata"]
    if _ISO in line or _KLOG in line:
        written_at = time.gmtime(moment // 10**9)
        line = line.replace(_ISO, time.strftime("%Y-%m-%dT%H:%M:%S", written_at))
        line = line.replace(_KLOG, time.strftime("%m%d %H:%M:%S", written_at))
    if pod is not first:
        line = line.replace(first.name, pod.name)
        node = pod.node.name if pod.node else ""
        metadata = {**metadata, "pod": pod.name, "node": node}
    return {
        "labels": template["labels"],
        "structured_metadata": metadata,
        "timestamp": str(moment),
        "line": line,
    }


def truth(world: World) -> dict[str, Array]:
    """Return what panels on logs must show: `log_lines/<app>`, entries per second of each step."""
    found: dict[str, Array] = {}
    for kind in written(world):
        if kind.kept:
            key = f"log_lines/{kind.app}"
            found[key] = found.get(key, world.clock.constant(0)) + kind.total / world.clock.step
    return found
