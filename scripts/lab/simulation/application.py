"""What the application's sidecars, Dapr's control plane, its ingress and its broker expose.

Names and labels of Dapr's metrics are those of its pkg/diagnostics and, for the control plane, of
the package `monitoring` of each component.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from scripts.lab.simulation import programs
from scripts.lab.simulation.model import (
    Array,
    Consumed,
    Exposed,
    Pod,
    Requests,
    cumulative,
    histogram,
)
from scripts.lab.simulation.world import (
    BACKEND,
    FRONTEND,
    RECURRING,
    RELEASE,
    REMINDERS,
    World,
    backlog,
    diurnal,
)

# Milliseconds, Dapr's defaults; bytes.
_LATENCY = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300),
    *(400, 500, 650, 800, 1000, 2000, 5000, 10000, 20000, 50000, 100000),
)
_SIZE = tuple(1024.0 * factor for factor in (1, 2, 4, 16, 64, 256, 1024, 4096, 16384, 65536))
_SIZE = (*_SIZE, 268435456.0, 1073741824.0, 4294967296.0)
_BREAKER = ("closed", "half-open", "open", "unknown")
# Routes that the frontend invokes: their whole paths are in labels, by Dapr's default.
_INVOKED = (("GET", "tasks"), ("POST", "chat"))
_NGINX = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TRAEFIK = (0.1, 0.3, 1.2, 5)
_PARTITIONS = 3


def people(world: World, number: int = 12) -> list[str]:
    """Return user ids as the application's authentication makes them: 32 letters and digits."""
    random = world.noise.generator("people")
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
    return ["".join(random.choice(letters, 32)) for _ in range(number)]


def split(world: World, pod: Pod, counts: Array) -> Array:
    """Return a pod's part of what is counted for its workload: whole, and shared out evenly."""
    alike = world.pods_of(pod.workload[1], pod.namespace)
    exist = np.array([p.exists for p in alike])
    number = np.maximum(1, exist.sum(axis=0))
    rank = exist[: alike.index(pod)].sum(axis=0)
    part = np.floor(counts / number) + (np.mod(counts, number) > rank)
    return np.where(pod.exists > 0, part, 0.0)


def sidecar(world: World, pod: Pod) -> Iterator[Exposed]:
    """Yield what daprd exposes beside one of the application's pods."""
    yield from programs.while_there(pod, _sidecar(world, pod))


def _sidecar(world: World, pod: Pod) -> Iterator[Exposed]:
    yield from _messages(world, pod)
    yield from _invocations(world, pod)
    yield from _components(world, pod)
    yield from _resiliency(world, pod)
    yield from _bodies(world, pod)
    yield from programs.process(world, pod, "daprd")
    yield from programs.go(world, pod, "daprd")


def _app(pod: Pod) -> dict[str, str]:
    return {"app_id": pod.labels["dapr.io/app-id"]}


def _component(pod: Pod, component: str) -> dict[str, str]:
    return {**_app(pod), "component": component, "namespace": pod.namespace}


def _counted(
    count_name: str, latency_name: str, labels: Mapping[str, str], count: Array, median: Array
) -> Iterator[Exposed]:
    """Yield a counter and its latencies, from the first event on."""
    if not count.any():
        return
    total = cumulative(count)
    unseen = total == 0
    yield count_name, labels, programs.once_seen(total)
    for name, own, values in histogram(latency_name, labels, count, 1000 * median, _LATENCY):
        yield name, own, np.where(unseen, np.nan, values)


def _messages(world: World, pod: Pod) -> Iterator[Exposed]:
    """Publishing is `egress`, consuming is `ingress`."""
    app = _app(pod)["app_id"]
    for sent in world.published:
        if sent.app != app:
            continue
        labels = {**_component(pod, sent.component), "topic": sent.topic}
        for success, count in (("true", sent.succeeded), ("false", sent.failed)):
            part = split(world, pod, count)
            yield from _counted(
                "dapr_component_pubsub_egress_count",
                "dapr_component_pubsub_egress_latencies",
                {**labels, "success": success},
                part,
                sent.median,
            )
            if app == BACKEND:
                # The backend publishes with Dapr's SDK, so over gRPC; consumers over HTTP.
                method = {
                    **_app(pod),
                    "grpc_server_method": "/dapr.proto.runtime.v1.Dapr/PublishEvent",
                    "grpc_server_status": "OK" if success == "true" else "Internal",
                }
                if part.any():
                    name = "dapr_grpc_io_server_completed_rpcs"
                    yield name, method, programs.once_seen(cumulative(part))
            else:
                path = f"/v1.0/publish/{sent.component}/{sent.topic}"
                status = "204" if success == "true" else "500"
                yield from _served(pod, "POST", path, status, part, sent.median)
    for taken in world.consumed:
        if taken.app == app:
            yield from _delivered(world, pod, taken)


def _delivered(world: World, pod: Pod, taken: Consumed) -> Iterator[Exposed]:
    labels = {**_component(pod, taken.component), "topic": taken.topic}
    for process_status, status, code, count in (
        ("success", "success", "200", taken.succeeded),
        ("retry", "retry", "500", taken.retried),
        # Dropped is what the app answers with 404: delivered, as far as the sidecar is concerned.
        ("drop", "success", "404", taken.dropped),
    ):
        part = split(world, pod, count)
        yield from _counted(
            "dapr_component_pubsub_ingress_count",
            "dapr_component_pubsub_ingress_latencies",
            {**labels, "process_status": process_status, "status": status},
            part,
            taken.median,
        )
        yield from _called(pod, "POST", f"/{taken.topic}", code, part, taken.median)


def _served(
    pod: Pod, method: str, path: str, status: str, count: Array, median: Array
) -> Iterator[Exposed]:
    """Requests to the sidecar's own HTTP API."""
    labels = {**_app(pod), "method": method, "path": path, "status": status}
    name = "dapr_http_server_request_count"
    yield from _counted(name, "dapr_http_server_latency", labels, count, median)
    if count.any():
        total = programs.once_seen(cumulative(count))
        yield "dapr_http_server_response_count", labels, total


def _called(
    pod: Pod, method: str, path: str, status: str, count: Array, median: Array
) -> Iterator[Exposed]:
    """Requests of the sidecar to the app."""
    labels = {**_app(pod), "method": method, "path": path, "status": status}
    name = "dapr_http_client_completed_count"
    yield from _counted(name, "dapr_http_client_roundtrip_latency", labels, count, median)
    if count.any():
        size = np.full_like(median, 600.0)
        yield from histogram("dapr_http_client_sent_bytes", labels, count, size, _SIZE)


def _invocations(world: World, pod: Pod) -> Iterator[Exposed]:
    app = _app(pod)["app_id"]
    asks, answers = app == FRONTEND, app == BACKEND
    if not (asks or answers):
        return
    prefix = "dapr_runtime_service_invocation"
    parts = [(calls, split(world, pod, calls.count)) for calls in world.invocations]
    every = cumulative(np.sum([part for _, part in parts], axis=0))
    if asks:
        sent = {**_app(pod), "dst_app_id": BACKEND, "type": "unary"}
        yield f"{prefix}_req_sent_total", sent, programs.once_seen(every)
    else:
        received = {**_app(pod), "src_app_id": FRONTEND}
        yield f"{prefix}_req_recv_total", received, programs.once_seen(every)
        # Without an access control policy every caller is allowed.
        allowed = {**_app(pod), "namespace": pod.namespace, "trustDomain": "public"}
        name = "dapr_runtime_acl_global_policy_action_allowed_total"
        yield name, allowed, programs.once_seen(every)
    side = "client" if asks else "server"
    call = {
        **_app(pod),
        f"grpc_{side}_method": "/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream",
        f"grpc_{side}_status": "OK",
    }
    yield f"dapr_grpc_io_{side}_completed_rpcs", call, programs.once_seen(every)
    for calls, part in parts:
        status = {**_app(pod), "status": str(calls.status)}
        if asks:
            callee = {**status, "src_app_id": BACKEND}
            total = programs.once_seen(cumulative(part))
            yield f"{prefix}_res_recv_total", {**callee, "type": "unary"}, total
            latency = f"{prefix}_res_recv_latency_ms"
            for name, labels, values in histogram(
                latency, callee, part, 1000 * calls.median, _LATENCY
            ):
                yield name, labels, np.where(np.cumsum(part) > 0, values, np.nan)
        else:
            caller = {**status, "dst_app_id": FRONTEND}
            yield f"{prefix}_res_sent_total", caller, programs.once_seen(cumulative(part))
        yield from _paths(world, pod, calls, part)


def _paths(world: World, pod: Pod, calls: Requests, part: Array) -> Iterator[Exposed]:
    """The same calls by their whole path, with the person's id in it."""
    some = people(world)[:4]
    kinds = [(method, f"api/{user}/{what}") for user in some for method, what in _INVOKED]
    for index, (method, path) in enumerate(kinds):
        share = np.floor(part / len(kinds)) + (np.mod(part, len(kinds)) > index)
        if _app(pod)["app_id"] == FRONTEND:
            whole = f"/v1.0/invoke/{BACKEND}/method/{path}"
            yield from _served(pod, method, whole, str(calls.status), share, calls.median)
        else:
            yield from _called(pod, method, f"/{path}", str(calls.status), share, calls.median)


def _components(world: World, pod: Pod) -> Iterator[Exposed]:
    """Components loaded at the start, certificates, and the cron binding."""
    clock, app = world.clock, _app(pod)
    one = clock.constant(1)
    fails = world.during("sidecar component fails") * (app["app_id"] == RECURRING)
    types = ["pubsub.kafka", "secretstores.kubernetes"]
    if app["app_id"] == RECURRING:
        types.append("bindings.cron")
    yield "dapr_runtime_component_loaded", app, one * len(types)
    for kind in types:
        yield "dapr_runtime_component_init_total", {**app, "component": kind}, one
    if fails.any():
        # The operator sends the changed component; the sidecar tries it every five minutes.
        every = int(300 / clock.step)
        begun = int(np.argmax(fails))
        tries = fails * (np.mod(np.arange(clock.steps) - begun, every) == 0)
        component = {"component": types[-1], "componentName": world.reminder_binding}
        failed = {**app, **component, "reason": "init"}
        total = programs.once_seen(cumulative(tries))
        yield "dapr_runtime_component_init_fail_total", failed, total
    yield "dapr_runtime_mtls_init_total", app, one
    # A certificate lasts a day and is renewed after 70 % of it.
    age = clock.time - pod.created
    yield "dapr_runtime_mtls_workload_cert_rotated_total", app, np.floor(age / (0.7 * 86400))
    probed = clock.constant(np.floor(clock.step / 6)) * (pod.exists > 0)
    for status, when in (("204", 1 - fails), ("500", fails)):
        yield from _served(
            pod, "GET", "/v1.0/healthz", status, probed * when, clock.constant(0.0015)
        )
    if world.cron and app["app_id"] == world.cron.app:
        labels = _component(pod, world.cron.component)
        for success, count in (("true", world.cron.succeeded), ("false", world.cron.dropped)):
            yield from _counted(
                "dapr_component_input_binding_count",
                "dapr_component_input_binding_latencies",
                {**labels, "success": success},
                split(world, pod, count),
                world.cron.median,
            )
        ticks = split(world, pod, world.cron.succeeded)
        path = f"/{world.reminder_binding}"
        yield from _called(pod, "POST", path, "200", ticks, world.cron.median)


def _resiliency(world: World, pod: Pod) -> Iterator[Exposed]:
    """Policies of one Resiliency object: retries, timeouts and circuit breakers."""
    clock, app = world.clock, _app(pod)["app_id"]
    own = {**_app(pod), "name": "todo-resiliency", "namespace": pod.namespace}
    yield "dapr_resiliency_loaded", own, clock.constant(1)
    # Target, direction, calls, and those that a policy had to act on.
    applied: list[tuple[str, str, Array, Array]] = []
    for sent in world.published:
        if sent.app == app:
            tried = sent.succeeded + sent.failed
            applied.append((f"Pubsub_{sent.component}", "outbound", tried, sent.failed))
    for taken in world.consumed:
        if taken.app == app:
            tried = taken.succeeded + taken.dropped + taken.retried
            applied.append((f"Pubsub_{taken.component}", "inbound", tried, taken.retried))
    if app == FRONTEND:
        tried = np.sum([c.count for c in world.invocations], axis=0)
        failed = np.sum([c.count for c in world.invocations if c.status >= 500], axis=0)
        applied.append((f"app_{BACKEND}", "outbound", tried, failed))
    for target, direction, tried, failed in applied:
        labels = {**own, "target": target, "flow_direction": direction}
        part, bad = split(world, pod, tried), split(world, pod, failed)
        for policy in ("retry", "timeout"):
            name, of_policy = "dapr_resiliency_count", {**labels, "policy": policy}
            yield name, of_policy, programs.once_seen(cumulative(part))
        if bad.any():
            retried = {**labels, "policy": "retry"}
            total = programs.once_seen(cumulative(bad))
            yield "dapr_resiliency_activations_total", retried, total
        if direction == "outbound":
            yield from _breaker(labels, part, bad, clock.steps)


def _breaker(
    labels: Mapping[str, str], tried: Array, failed: Array, steps: int
) -> Iterator[Exposed]:
    """A circuit that opens while many calls of the last five minutes failed."""
    window = np.ones(10)
    recent = np.convolve(failed, window)[:steps] / np.maximum(1, np.convolve(tried, window)[:steps])
    broken = (recent > 0.2) & (np.convolve(failed, window)[:steps] >= 5)
    probing = broken & (np.arange(steps) % 8 == 7)
    state = np.where(probing, "half-open", np.where(broken, "open", "closed"))
    opened = np.diff(broken.astype(float), prepend=0.0)
    for status in _BREAKER:
        own = {**labels, "policy": "circuitbreaker", "status": status}
        yield "dapr_resiliency_cb_state", own, (state == status).astype(float)
        if (state == status).any():
            count = cumulative(tried * (state == status))
            yield "dapr_resiliency_count", own, programs.once_seen(count)
    for status, changes in (("open", opened > 0), ("closed", opened < 0)):
        if changes.any():
            own = {**labels, "policy": "circuitbreaker", "status": status}
            total = programs.once_seen(cumulative(changes.astype(float)))
            yield "dapr_resiliency_activations_total", own, total


def _bodies(world: World, pod: Pod) -> Iterator[Exposed]:
    """Sizes of all bodies, in and out, however many paths there are."""
    count = np.round(world.noise.around(f"bodies {pod.name}", 10 * diurnal(world.clock)))
    count = count * (pod.exists > 0)
    size = world.clock.constant(700.0)
    for name in ("server_request", "server_response", "client_received"):
        yield from histogram(f"dapr_http_{name}_bytes", _app(pod), count, size, _SIZE)


def dapr_control_plane(world: World, pod: Pod) -> Iterator[Exposed]:
    """Yield what a component of Dapr's control plane exposes, by its label."""
    component = pod.labels["app.kubernetes.io/component"]
    own = {
        "operator": _operator,
        "placement": _placement,
        "scheduler": _scheduler,
        "sentry": _sentry,
        "sidecar-injector": _injector,
    }[component]
    yield from own(world, pod)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def _sidecars(world: World) -> list[Pod]:
    return world.with_label("dapr.io/sidecar-injected", "true")


def _created(world: World, pod: Pod) -> Array:
    """1 from the step on in which a pod is there."""
    return np.maximum.accumulate(pod.exists)


def _sentry(world: World, pod: Pod) -> Iterator[Exposed]:
    clock = world.clock
    expiry = clock.constant(world.certificate_expiry)
    yield "dapr_sentry_issuercert_expiry_timestamp", {}, expiry
    signed = np.sum(
        [
            np.floor(np.maximum(0, clock.time - p.created) / (0.7 * 86400)) + _created(world, p)
            for p in _sidecars(world)
        ],
        axis=0,
    )
    yield "dapr_sentry_cert_sign_request_received_total", {}, signed
    yield "dapr_sentry_cert_sign_success_total", {}, signed
    yield "dapr_sentry_issuercert_changed_total", {}, clock.constant(1)


def _injector(world: World, pod: Pod) -> Iterator[Exposed]:
    apps = sorted({p.labels["dapr.io/app-id"] for p in _sidecars(world)})
    name = "dapr_injector_sidecar_injection"
    totals = []
    for app in apps:
        made = [_created(world, p) for p in world.with_label("dapr.io/app-id", app)]
        totals.append(np.sum(made, axis=0))
        yield f"{name}_succeeded_total", {"app_id": app}, programs.once_seen(totals[-1])
    yield f"{name}_requests_total", {}, np.sum(totals, axis=0)


def _operator(world: World, pod: Pod) -> Iterator[Exposed]:
    for app in sorted({p.labels["dapr.io/app-id"] for p in _sidecars(world)}):
        yield "dapr_operator_service_created_total", {"app_id": app}, world.clock.constant(1)


def _placement(world: World, pod: Pod) -> Iterator[Exposed]:
    clock = world.clock
    connected = np.sum([p.exists for p in _sidecars(world)], axis=0)
    yield "dapr_placement_runtimes_total", {"host_namespace": world.namespace}, connected
    none = clock.constant(0)
    yield "dapr_placement_actor_runtimes_total", {"host_namespace": world.namespace}, none
    yield "dapr_placement_leader_status", {}, clock.constant(1)
    yield "dapr_placement_raft_leader_status", {}, clock.constant(1)


def _scheduler(world: World, pod: Pod) -> Iterator[Exposed]:
    """Each scheduler has a part of the jobs; reminders are jobs that the backend creates."""
    clock = world.clock
    connected = np.sum([p.exists for p in _sidecars(world)], axis=0)
    yield "dapr_scheduler_sidecars_connected", {}, connected
    due = next(p.succeeded for p in world.published if p.topic == REMINDERS)
    part = split(world, pod, due)
    undelivered = np.floor(part * 0.5 * world.during("sidecar component fails"))
    job = {"type": "job"}
    # A job is created before it is due: those of the next minutes are there already.
    yield "dapr_scheduler_jobs_created_total", job, cumulative(part) + 20
    yield "dapr_scheduler_jobs_triggered_total", job, cumulative(part - undelivered)
    if undelivered.any():
        total = programs.once_seen(cumulative(undelivered))
        yield "dapr_scheduler_jobs_undelivered_total", job, total
    yield from histogram(
        "dapr_scheduler_trigger_latency",
        job,
        part - undelivered,
        clock.constant(12.0),
        (100, 500, 1000, 5000, 10000),
    )


def _from_outside(world: World) -> dict[tuple[str, int], list[Requests]]:
    """Return the backend's requests by method and status, as an ingress controller sees them."""
    found: dict[tuple[str, int], list[Requests]] = {}
    for requests in world.traffic:
        if requests.app == BACKEND:
            found.setdefault((requests.method, requests.status), []).append(requests)
    return found


def ingress_nginx(world: World) -> Iterator[Exposed]:
    """Yield what ingress-nginx exposes, with its default per-host metrics."""
    pod = programs.of_one(world, "ingress-nginx-controller", "ingress-nginx")
    controller = {
        "controller_class": "k8s.io/ingress-nginx",
        "controller_namespace": pod.namespace,
        "controller_pod": pod.name,
    }
    prefix = "nginx_ingress_controller"
    total = world.clock.constant(0)
    for (method, status), parts in _from_outside(world).items():
        labels = {
            **controller,
            "host": "todo.example.org",
            "ingress": RELEASE,
            "method": method,
            "namespace": world.namespace,
            "path": "/api",
            "service": f"{RELEASE}-backend",
            "status": str(status),
        }
        count = np.sum([r.count for r in parts], axis=0)
        total = total + count
        yield f"{prefix}_requests", labels, cumulative(count)
        observed = [(r.count, r.median) for r in parts]
        name = f"{prefix}_request_duration_seconds"
        yield from programs.merged(name, labels, observed, _NGINX)
    yield f"{prefix}_nginx_process_requests_total", controller, cumulative(total)
    for state, share in (("active", 1.0), ("reading", 0.0), ("waiting", 0.8), ("writing", 0.2)):
        around = np.round(world.noise.around(f"connections {state}", 20 * share))
        yield f"{prefix}_nginx_process_connections", {**controller, "state": state}, around
    yield f"{prefix}_config_last_reload_successful", controller, world.clock.constant(1)
    certificate = {
        **controller,
        "class": "k8s.io/ingress-nginx",
        "host": "todo.example.org",
        "identifier": "0-1",
        "namespace": world.namespace,
        "secret_name": "todo-tls",
    }
    expiry = world.clock.constant(world.clock.start + 55 * 86400)
    yield f"{prefix}_ssl_expire_time_seconds", certificate, expiry
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def traefik(world: World) -> Iterator[Exposed]:
    """Yield what Traefik exposes, with metrics of entrypoints and services."""
    pod = programs.of_one(world, "traefik", "traefik")
    service = f"{world.namespace}-{RELEASE}-backend-http@kubernetes"
    for (method, status), parts in _from_outside(world).items():
        common = {"code": str(status), "method": method, "protocol": "http"}
        count = cumulative(np.sum([r.count for r in parts], axis=0))
        observed = [(r.count, r.median) for r in parts]
        for kind, name in (("service", service), ("entrypoint", "websecure")):
            labels = {**common, kind: name}
            yield f"traefik_{kind}_requests_total", labels, count
            duration = f"traefik_{kind}_request_duration_seconds"
            yield from programs.merged(duration, labels, observed, _TRAEFIK)
    yield "traefik_config_reloads_total", {}, world.clock.constant(4)
    yield "traefik_config_last_reload_success", {}, world.clock.constant(world.clock.start - 4e5)
    for entrypoint in ("web", "websecure", "metrics"):
        labels = {"entrypoint": entrypoint, "protocol": "TCP"}
        around = np.round(world.noise.around(f"open {entrypoint}", 8))
        yield "traefik_open_connections", labels, around
    certificate = {"cn": "todo.example.org", "sans": "todo.example.org", "serial": "4711"}
    expiry = world.clock.constant(world.clock.start + 55 * 86400)
    yield "traefik_tls_certs_not_after", certificate, expiry
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def redpanda(world: World) -> Iterator[Exposed]:
    """Yield the broker's public metrics: topics, and how far each consumer group has come."""
    clock = world.clock
    topics = sorted({p.topic for p in world.published})
    yield "redpanda_application_uptime_seconds_total", {}, clock.time - clock.start + 9e5
    build = {"redpanda_version": "v25.1.1", "redpanda_revision": "4b9d0b1"}
    yield "redpanda_application_build", build, clock.constant(1)
    for name, value in (("brokers", 1), ("topics", len(topics)), ("unavailable_partitions", 0)):
        yield f"redpanda_cluster_{name}", {}, clock.constant(value)
    yield "redpanda_cluster_partitions", {}, clock.constant(_PARTITIONS * len(topics))
    for topic in topics:
        yield from _topic(world, topic)
    for taken in world.consumed:
        yield from _group(world, taken)
    used = np.sum([cumulative(p.succeeded) for p in world.published], axis=0) * 600
    yield "redpanda_storage_disk_total_bytes", {}, clock.constant(20e9)
    yield "redpanda_storage_disk_free_bytes", {}, 17e9 - used
    yield "redpanda_storage_disk_free_space_alert", {}, clock.constant(0)


def _offsets(messages: Array) -> list[Array]:
    """Return the messages of each partition, of all of them."""
    return [np.floor((messages + n) / _PARTITIONS) for n in range(_PARTITIONS)]


def _topic(world: World, topic: str) -> Iterator[Exposed]:
    labels = {"redpanda_namespace": "kafka", "redpanda_topic": topic}
    sent = cumulative(np.sum([p.succeeded for p in world.published if p.topic == topic], axis=0))
    yield "redpanda_kafka_partitions", labels, world.clock.constant(_PARTITIONS)
    for partition, offset in enumerate(_offsets(sent)):
        own = {**labels, "redpanda_partition": str(partition)}
        yield "redpanda_kafka_max_offset", own, offset
        name = "redpanda_kafka_under_replicated_replicas"
        yield name, own, world.clock.constant(0)
    fetched = np.sum([_consumed(world, c) for c in world.consumed if c.topic == topic], axis=0)
    for request, messages in (("produce", sent), ("consume", fetched)):
        own = {**labels, "redpanda_request": request}
        yield "redpanda_kafka_request_bytes_total", own, messages * 600
    yield "redpanda_kafka_records_produced_total", labels, sent
    yield "redpanda_kafka_records_fetched_total", labels, fetched


def _consumed(world: World, taken: Consumed) -> Array:
    return cumulative(taken.succeeded + taken.dropped)


def _group(world: World, taken: Consumed) -> Iterator[Exposed]:
    """A group is named as the app whose sidecar consumes, unless its component says otherwise."""
    group = {"redpanda_group": taken.app}
    done = _consumed(world, taken)
    lag = backlog(world, taken)
    sent = done + lag
    lags = []
    for partition, (most, waits) in enumerate(zip(_offsets(sent), _offsets(lag), strict=True)):
        own = {
            **group,
            "redpanda_topic": taken.topic,
            "redpanda_partition": str(partition),
        }
        # Committed offsets only grow, also where the division by partitions does not come out even.
        committed = np.maximum.accumulate(np.maximum(0, most - waits))
        lags.append(most - committed)
        yield "redpanda_kafka_consumer_group_committed_offset", own, committed
    yield "redpanda_kafka_consumer_group_lag_sum", group, np.sum(lags, axis=0)
    yield "redpanda_kafka_consumer_group_lag_max", group, np.max(lags, axis=0)
    there = np.sum([p.exists for p in world.with_label("dapr.io/app-id", taken.app)], axis=0)
    yield "redpanda_kafka_consumer_group_consumers", group, there
    yield "redpanda_kafka_consumer_group_topics", group, world.clock.constant(1)
