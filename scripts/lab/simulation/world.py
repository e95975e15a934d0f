"""The simulated cluster: what runs, how busy it is, what people ask of it, and what goes wrong.

It knows no exporter, no rule and no dashboard: the modules beside it say how each exporter shows
it. The monitoring's own pods are those that the charts render; everything else is declared here,
laid out as the public application's chart, Dapr's, Flux's and Oracle's own are.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from scripts.core.findings import Finding, RepositoryError
from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json, leaves, load
from scripts.lab.simulation.model import (
    HOUR,
    Array,
    Clock,
    Consumed,
    Container,
    CronJob,
    Fault,
    Job,
    Node,
    Noise,
    Pod,
    Published,
    Requests,
    Scaler,
    Volume,
    Workload,
)
from scripts.model import rendered
from scripts.model.budget import FILE
from scripts.model.files import INVENTORY
from scripts.model.rendered import Cluster
from scripts.rules.facts import Facts

MI = 2.0**20
GI = 2.0**30
RELEASE = "todo-ai-chatbot-release"
BACKEND, FRONTEND = "todo-ai-chatbot-backend", "todo-ai-chatbot-frontend"
RECURRING, NOTIFICATION, AUDIT = (
    f"todo-consumer-{name}" for name in ("recurring", "notification", "audit")
)
PUBSUB, TASKS, REMINDERS = "task-pubsub", "task-events", "reminders"
_URLS = ("BACKEND_URL", "FRONTEND_URL")
OPENED = 20.0  # The hour at which dashboards are opened.

# Container: cores and bytes requested, limits (0: none), cores and bytes in use on a usual day.
Size = tuple[float, float, float, float, float, float]
_SMALL: Size = (0.01, 32 * MI, 0, 64 * MI, 0.004, 24 * MI)
_SIDECAR: Size = (0.05, 64 * MI, 0.2, 128 * MI, 0.008, 48 * MI)
_APP: Size = (0.1, 128 * MI, 0.5, 256 * MI, 0.06, 150 * MI)

# Hour of the fault's begin and end; each is active or still to be seen at OPENED.
FAULTS = (
    Fault("crash loop", f"{NOTIFICATION}/{NOTIFICATION}", 15.0, 24.0),
    Fault("out of memory", f"{BACKEND}/{BACKEND}", 16.25, 24.0),
    Fault("error burst", BACKEND, 19.0, 24.0),
    Fault("slow route", "/api/{user_id}/chat", 18.0, 24.0),
    Fault("consumer backlog", AUDIT, 15.5, 24.0),
    Fault("publishing fails", TASKS, 19.2, 24.0),
    Fault("full volume", "monitoring/storage-loki-0", 14.0, 24.0),
    Fault("node pressure", "node-2", 18.5, 24.0),
    Fault("silent logs", FRONTEND, 18.0, 24.0),
    Fault("sidecar component fails", RECURRING, 17.5, 24.0),
    Fault("probe fails", "backend", 19.5, 24.0),
    Fault("unschedulable", "report", 17.0, 24.0),
    Fault("rejected pods", "export", 16.0, 24.0),
    Fault("sync fails", "grafana", 19.0, 24.0),
    Fault("rate limit of the model", BACKEND, 18.2, 24.0),
    Fault("target down", "traefik", 19.0, 24.0),
)


# Applied when Flux is installed on a cluster; its Kustomizations are declared there, too.
_BOOTSTRAPPED = (
    ("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "monitoring-releases"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "monitoring-config"),
)


@dataclass(eq=False)
class World:
    """All that is true of one day.

    Attributes:
        days: Fault's name to 1 while it lasts; all 0 on a healthy day.
        rendered: Workload of the monitoring's own, by namespace and name.
        traffic: What the access log counts.
        invocations: Calls from the frontend's sidecar to the backend's.
        model_calls: Calls of the language model in each step, by how they end: `ok`,
            `rate_limited`, `overloaded`, `timeout`; one that does not end well is tried again.
        tool_errors: Calls of MCP tools that fail, in each step.
        probes: Job of each Probe to 1 while it succeeds.
        certificate_expiry: Of Dapr's issuer, in seconds since the epoch.
        namespace: The application's.
        reminder_binding: Its cron binding that sends reminders.
    """

    clock: Clock
    noise: Noise
    faulty: bool
    cluster: Cluster
    nodes: list[Node] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    cron_jobs: list[CronJob] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    scalers: list[Scaler] = field(default_factory=list)
    rendered: dict[tuple[str, str], rendered.Pod] = field(default_factory=dict)
    traffic: list[Requests] = field(default_factory=list)
    invocations: list[Requests] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    consumed: list[Consumed] = field(default_factory=list)
    cron: Consumed | None = None
    model_calls: dict[str, Array] = field(default_factory=dict)
    tool_errors: Array = field(default_factory=lambda: np.zeros(0))
    probes: dict[str, Array] = field(default_factory=dict)
    certificate_expiry: float = 0.0
    namespace: str = ""
    reminder_binding: str = ""

    def during(self, fault: str) -> Array:
        """Return 1 while a fault lasts; 0 throughout on a healthy day.

        Raises:
            StopIteration: For a fault that FAULTS does not have.
        """
        known = next(f for f in FAULTS if f.name == fault)
        if not self.faulty:
            return self.clock.constant(0)
        return self.clock.between(known.begin, known.end)

    @property
    def synced(self) -> list[Mapping[str, Json]]:
        """What Flux syncs: what is applied, and what was when it was installed, to begin with."""
        return [
            *self.cluster.sync.objects(),
            *(
                {
                    "apiVersion": version,
                    "kind": kind,
                    "metadata": {"name": name, "namespace": "flux-system"},
                }
                for version, kind, name in _BOOTSTRAPPED
            ),
        ]

    def pods_of(self, workload: str, namespace: str = "") -> list[Pod]:
        """Return the pods of a workload, by default the application's; old replica sets first."""
        wanted = namespace or self.namespace, workload
        return [p for p in self.pods if (p.namespace, p.workload[1]) == wanted]

    def with_label(self, label: str, value: str | None = None) -> list[Pod]:
        """Return the pods with a label, and its value where one is given."""
        return [p for p in self.pods if label in p.labels and value in (None, p.labels[label])]


def build(cluster: Cluster, clock: Clock, *, faulty: bool, seed: int = 1, scale: int = 1) -> World:
    """Return a day of a cluster.

    Args:
        cluster: The monitoring, rendered.
        clock: The steps of the day.
        faulty: Whether FAULTS happen.
        seed: The same seed gives the same day.
        scale: Factor on nodes, on the application's pods and on its traffic.
    """
    world = World(clock, Noise(clock, seed), faulty, cluster)
    world.certificate_expiry = clock.start + 300 * 86400
    inventory = Facts.of(cluster.repository.root).application
    world.namespace = application_namespace(inventory)
    world.reminder_binding = inventory["REMINDER_BINDING"]
    _nodes(world, scale)
    _traffic(world, scale)
    _messages(world, scale)
    _deliveries(world)
    _monitoring(world)
    _platform(world)
    _application(world, scale)
    _jobs(world)
    _workloads(world)
    _volumes(world)
    _pressure(world)
    up = 1 - world.during("probe fails")
    world.probes = {"frontend": clock.constant(1), "backend": up, "grafana": clock.constant(1)}
    return world


def application_namespace(inventory: Mapping[str, str]) -> str:
    """Return a namespace that is one of the application's, as its inventory says.

    Raises:
        RepositoryError: If the regular expression is one that no name can be made for.
    """
    pattern = inventory["NAMESPACES"]
    hosts = [f"{urlsplit(inventory[key]).hostname}.".split(".")[1] for key in _URLS]
    plain = re.sub(r"[^a-z0-9|-]+", "app", pattern)
    for name in (*hosts, *plain.split("|")):
        if name and re.fullmatch(pattern, name):
            return name
    text = f"NAMESPACES is {pattern}, and nothing that could be simulated matches it"
    fix = "name the namespaces: one|other"
    raise RepositoryError(Finding(INVENTORY, None, text, fix))


def diurnal(clock: Clock) -> Array:
    """Return how busy people are: a tenth at night, 1 in the evening."""
    return 0.1 + 0.9 * np.exp(-((clock.hours - 19.5) ** 2) / 40)


def _nodes(world: World, scale: int) -> None:
    """Two of Oracle's Arm machines of 1 OCPU and 6 GB, or more of them."""
    clock, noise = world.clock, world.noise
    for number in range(1, 2 * scale + 1):
        name = f"node-{number}"
        world.nodes.append(
            Node(
                name=name,
                ip=f"10.0.10.{number}",
                cpu=1.0,
                memory=6e9,
                disk=47 * GI,
                disk_used=noise.around(f"disk {name}", 18 * GI, 0.01),
                extra_cpu=noise.around(f"system cpu {name}", 0.08),
                extra_memory=noise.around(f"system memory {name}", 700 * MI, 0.02),
                pressure=clock.constant(0),
            )
        )


# Route, method, status it succeeds with, share of all requests, median duration in seconds.
_ROUTES = (
    (BACKEND, "GET", "/api/{user_id}/tasks", 200, 0.40, 0.020),
    (BACKEND, "POST", "/api/{user_id}/tasks", 201, 0.10, 0.045),
    (BACKEND, "PUT", "/api/{user_id}/tasks/{id}", 200, 0.06, 0.040),
    (BACKEND, "DELETE", "/api/{user_id}/tasks/{id}", 204, 0.03, 0.035),
    (BACKEND, "PATCH", "/api/{user_id}/tasks/{id}/complete", 200, 0.08, 0.040),
    (BACKEND, "POST", "/api/{user_id}/chat", 200, 0.12, 2.4),
    (BACKEND, "GET", "/api/{user_id}/conversations", 200, 0.08, 0.030),
    (BACKEND, "GET", "/api/{user_id}/conversations/{id}", 200, 0.05, 0.030),
    (BACKEND, "POST", "/api/auth/login", 200, 0.03, 0.180),
    (BACKEND, "GET", "/api/auth/me", 200, 0.04, 0.012),
    (BACKEND, "GET", "other", 404, 0.01, 0.004),
)


def _traffic(world: World, scale: int) -> None:
    clock, noise = world.clock, world.noise
    total = 1.5 * scale * diurnal(clock)
    burst, slow = world.during("error burst"), world.during("slow route")
    for app, method, route, status, share, median in _ROUTES:
        chat = route.endswith("/chat")
        served = 0.003 + 0.3 * burst
        unwell = 0.02 * np.ones(clock.steps)
        for code, part in (
            (status, 1 - served - unwell),
            (500, served),
            (401 if "auth" in route else 422, unwell),
        ):
            rate = total * share * part
            took = median * (1 + 4 * slow * chat)
            count = noise.counts(f"requests {method} {route} {code}", rate)
            world.traffic.append(Requests(app, method, route, code, count, took))
    asked = np.sum([r.count for r in world.traffic if r.route.endswith("/chat")], axis=0)
    limited = world.during("rate limit of the model")
    world.model_calls = {
        "ok": asked,
        "rate_limited": noise.counts("rate limited", asked / clock.step * (0.01 + 1.5 * limited)),
        "overloaded": noise.counts("overloaded", asked / clock.step * 0.2 * limited),
        "timeout": noise.counts("model timeouts", asked / clock.step * (0.005 + 0.1 * slow)),
    }
    world.tool_errors = noise.counts("tool errors", asked / clock.step * 0.01)
    for status, part in ((200, 0.995 - 0.2 * burst), (500, 0.005 + 0.2 * burst)):
        count = noise.counts(f"invocations {status}", 0.3 * total * part)
        calls = Requests(FRONTEND, "GET", "invoke", status, count, 0.03 * (1 + 3 * slow))
        world.invocations.append(calls)


def _messages(world: World, scale: int) -> None:
    clock, noise = world.clock, world.noise
    rate = 0.4 * scale * diurnal(clock)
    failing = world.during("publishing fails")
    sent = noise.counts("published", rate * (1 - 0.4 * failing))
    lost = noise.counts("publishing failed", rate * (0.0005 + 0.4 * failing))
    world.published.append(Published(BACKEND, PUBSUB, TASKS, sent, lost, clock.constant(0.006)))
    due = noise.counts("reminders", 0.3 * rate)
    none = clock.constant(0)
    world.published.append(
        Published(RECURRING, PUBSUB, REMINDERS, due, none, clock.constant(0.006))
    )
    stuck = world.during("consumer backlog")
    for app, topic, incoming, blocked in (
        (RECURRING, TASKS, sent, none),
        (AUDIT, TASKS, sent, stuck),
        (NOTIFICATION, REMINDERS, due, world.during("crash loop")),
    ):
        retried = noise.counts(f"retries {app}", 0.004 * rate) + incoming * 0.5 * blocked
        dropped = np.floor(incoming * 0.1 * blocked) + noise.counts(f"drops {app}", 0.0004 * rate)
        dropped = np.minimum(dropped, incoming)
        taken = np.floor((incoming - dropped) * (1 - 0.7 * blocked))
        median = 0.015 * (1 + 20 * blocked)
        world.consumed.append(
            Consumed(app, PUBSUB, topic, taken, np.floor(retried), dropped, median)
        )
    ticks = np.zeros(clock.steps)
    ticks[:: max(1, round(60 / clock.step))] = 1
    failed = world.during("sidecar component fails")
    world.cron = Consumed(
        RECURRING,
        world.reminder_binding,
        "",
        ticks * (1 - failed),
        none,
        ticks * failed,
        clock.constant(0.02),
    )


def backlog(world: World, consumed: Consumed) -> Array:
    """Return how many messages of a topic its consumer has neither processed nor dropped."""
    sent = [p.succeeded for p in world.published if p.topic == consumed.topic]
    gone = consumed.succeeded + consumed.dropped
    return np.asarray(np.cumsum(np.sum(sent, axis=0) - gone), dtype=np.float64)


def _deliveries(world: World) -> None:
    """What sidecars deliver, the consumers' access logs count, too.

    A sidecar delivers again what is answered with 5xx, and drops what is answered with 404:
    https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response
    """
    for taken in world.consumed:
        for status, count in ((200, taken.succeeded), (500, taken.retried), (404, taken.dropped)):
            world.traffic.append(Requests(taken.app, "POST", "other", status, count, taken.median))
    if world.cron:
        ticks = world.cron.succeeded
        world.traffic.append(Requests(RECURRING, "POST", "other", 200, ticks, world.cron.median))


def _monitoring(world: World) -> None:
    """The pods that the charts render, those of DaemonSets on each node."""
    for template in world.cluster.pods:
        owner = template.owner
        world.rendered[owner.namespace, owner.name] = template
        sizes = [_rendered_size(c) for c in template.spec["containers"]]
        names = [(str(c["name"]), str(c.get("image"))) for c in template.spec["containers"]]
        everywhere = template.replicas is None
        for index in range(template.count(len(world.nodes))):
            _pod(
                world,
                namespace=owner.namespace,
                workload=(owner.kind, owner.name),
                index=index,
                labels=template.labels,
                ports=template.ports,
                containers=[(*name, size) for name, size in zip(names, sizes, strict=True)],
                node=world.nodes[index] if everywhere else None,
                claims=tuple(
                    # The Loki chart and the operator name their claim templates so.
                    f"storage-{owner.name}-{index}"
                    if owner.name == "loki"
                    else f"{owner.name}-db-{owner.name}-{index}"
                    for _ in template.claims
                ),
                host_network=bool(template.spec.get("hostNetwork")),
            )


def _rendered_size(container: Mapping[str, Json]) -> Size:
    resources = container.get("resources") or {}
    wanted, most = resources.get("requests") or {}, resources.get("limits") or {}
    cpu, memory = quantity(wanted.get("cpu", 0)), quantity(wanted.get("memory", 0))
    cpu_limit, memory_limit = quantity(most.get("cpu", 0)), quantity(most.get("memory", 0))
    return cpu, memory, cpu_limit, memory_limit, max(0.002, 0.5 * cpu), max(12 * MI, 0.8 * memory)


def _platform(world: World) -> None:
    """What a cluster of Oracle's with Flux and Dapr has besides; Argo CD, too, so both are seen."""
    everywhere = [("kube-flannel-ds", "kube-flannel"), ("kube-proxy", "kube-proxy")]
    everywhere += [("csi-oci-node", "csi-node-driver"), ("proxymux-client", "proxymux-client")]
    for name, container in everywhere:
        for index, node in enumerate(world.nodes):
            _pod(
                world,
                namespace="kube-system",
                workload=("DaemonSet", name),
                index=index,
                labels={"k8s-app": name},
                ports={},
                containers=[(container, f"oracle/{container}:1", _SMALL)],
                node=node,
                host_network=True,
            )
    for index in range(2):
        _simple(world, "kube-system", "coredns", {"k8s-app": "kube-dns"}, index=index)
    for name in ("kube-dns-autoscaler", "metrics-server"):
        _simple(world, "kube-system", name, {"k8s-app": name})
    for name in ("cert-manager", "cert-manager-cainjector", "cert-manager-webhook"):
        _simple(world, "cert-manager", name, {"app": name})
    for name in ("source", "kustomize", "helm", "notification"):
        controller = f"{name}-controller"
        _simple(
            world,
            "flux-system",
            controller,
            {"app": controller, "app.kubernetes.io/part-of": "flux"},
            container="manager",
            ports={"http-prom": 8080},
        )
    for name, kind in (
        ("application-controller", "StatefulSet"),
        ("repo-server", "Deployment"),
        ("server", "Deployment"),
    ):
        labels = {"app.kubernetes.io/name": f"argocd-{name}", "app.kubernetes.io/part-of": "argocd"}
        _simple(world, "argocd", f"argocd-{name}", labels, kind=kind, ports={"metrics": 8082})
    for name, kind in (
        ("operator", "Deployment"),
        ("sentry", "Deployment"),
        ("sidecar-injector", "Deployment"),
        ("placement-server", "StatefulSet"),
        ("scheduler-server", "StatefulSet"),
    ):
        labels = {
            "app": f"dapr-{name}",
            "app.kubernetes.io/part-of": "dapr",
            "app.kubernetes.io/component": name.removesuffix("-server"),
        }
        # Dapr's chart runs three schedulers, whatever is asked for.
        for index in range(3 if name == "scheduler-server" else 1):
            _simple(
                world,
                "dapr-system",
                f"dapr-{name}",
                labels,
                kind=kind,
                ports={"metrics": 9090},
                index=index,
            )
    _simple(
        world,
        "ingress-nginx",
        "ingress-nginx-controller",
        {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"},
        container="controller",
        ports={"metrics": 10254},
    )
    _simple(
        world,
        "traefik",
        "traefik",
        {"app.kubernetes.io/name": "traefik"},
        ports={"metrics": 9100},
    )


def _simple(
    world: World,
    namespace: str,
    name: str,
    labels: Mapping[str, str],
    *,
    kind: str = "Deployment",
    container: str = "",
    ports: Mapping[str, int] | None = None,
    index: int = 0,
) -> None:
    _pod(
        world,
        namespace=namespace,
        workload=(kind, name),
        index=index,
        labels=labels,
        ports=ports or {},
        containers=[(container or name, f"{name}:1", _SMALL)],
    )


def _application(world: World, scale: int) -> None:
    clock = world.clock
    for component, app in (("backend", BACKEND), ("frontend", FRONTEND)):
        workload = f"{RELEASE}-{component}"
        labels = {
            "app.kubernetes.io/name": "todo-ai-chatbot",
            "app.kubernetes.io/instance": RELEASE,
            "app.kubernetes.io/component": component,
            **_dapr(app),
        }
        for index in range(scale):
            if component == "backend":
                # A rollout: one replica set after the other, in every day.
                _app_pod(world, workload, app, labels, index, exists=clock.between(0, 16.5))
            began = clock.between(16.5, 24) if component == "backend" else None
            _app_pod(world, workload, app, labels, index, exists=began, revision=2)
        # The application's chart has one for each, by default of a single replica.
        world.scalers.append(Scaler(world.namespace, workload, workload, scale, scale, 80))
    for app in (RECURRING, NOTIFICATION, AUDIT):
        for index in range(scale):
            _app_pod(world, app, app, {"app": app, **_dapr(app)}, index)
    if not world.faulty:
        return
    # A pod that no node has room for.
    _pod(
        world,
        namespace=world.namespace,
        workload=("Deployment", "report"),
        index=0,
        labels={"app": "report"},
        ports={},
        containers=[("report", "report:1", (2.0, 4 * GI, 0, 0, 0, 0))],
        exists=world.during("unschedulable"),
        pending=True,
    )


def _dapr(app: str) -> dict[str, str]:
    return {
        "dapr.io/app-id": app,
        "dapr.io/metrics-enabled": "true",
        "dapr.io/sidecar-injected": "true",
    }


def _app_pod(
    world: World,
    workload: str,
    app: str,
    labels: Mapping[str, str],
    index: int,
    *,
    exists: Array | None = None,
    revision: int = 1,
) -> None:
    pod = _pod(
        world,
        namespace=world.namespace,
        workload=("Deployment", workload),
        index=index,
        labels=labels,
        ports={"http": 8000, "dapr-metrics": 9090},
        containers=[(app, f"{app}:{revision}", _APP), ("daprd", "daprd:1.16.0", _SIDECAR)],
        exists=exists,
        revision=revision,
    )
    busy = diurnal(world.clock)
    main, sidecar = pod.containers
    pod.received = pod.received * (1 + 12 * busy)
    pod.transmitted = pod.transmitted * (1 + 20 * busy)
    main.cpu = main.cpu * (0.2 + 1.2 * busy)
    main.memory = main.memory * (0.75 + 0.25 * busy)
    sidecar.cpu = sidecar.cpu * (0.3 + 1.2 * busy)
    if app == BACKEND:
        _out_of_memory(world, pod, main)
    if app == NOTIFICATION:
        _crash_loop(world, pod, main)
    if app == RECURRING:
        _sidecar_fails(world, pod, sidecar)


def _out_of_memory(world: World, pod: Pod, container: Container) -> None:
    """The container grows to its limit in half an hour, is killed, and starts again."""
    clock, lasts = world.clock, world.during("out of memory") * pod.exists
    if not lasts.any():
        return
    began = int(np.argmax(lasts))
    period = int(1800 / clock.step)
    since = np.where(lasts > 0, np.arange(clock.steps) - began, 0)
    grown = (since % period) / period
    limit = container.limits["memory"]
    container.memory = np.where(lasts > 0, (0.45 + 0.54 * grown) * limit, container.memory)
    kills = np.floor(since / period) * (lasts > 0)
    container.restarts = container.restarts + kills
    container.oom_kills = kills
    container.ended["OOMKilled"] = (kills > 0).astype(float)
    container.throttled = np.where(lasts > 0, 0.35, container.throttled)


def _crash_loop(world: World, pod: Pod, container: Container) -> None:
    """The container ends after some seconds, again and again, and waits five minutes between."""
    clock, lasts = world.clock, world.during("crash loop")
    if not lasts.any():
        return
    began = int(np.argmax(lasts))
    period = int(330 / clock.step)
    since = np.where(lasts > 0, np.arange(clock.steps) - began, 0)
    running = (since % period == 0) & (lasts > 0)
    waits = ((lasts > 0) & ~running).astype(float)
    container.restarts = container.restarts + np.floor(since / period) * (lasts > 0)
    container.waiting["CrashLoopBackOff"] = waits
    container.ended["Error"] = lasts
    container.ready = np.where(lasts > 0, 0.0, container.ready)
    container.cpu = np.where(waits > 0, np.nan, container.cpu)
    container.memory = np.where(waits > 0, np.nan, container.memory)
    pod.ready = np.where(lasts > 0, 0.0, pod.ready)


def _sidecar_fails(world: World, pod: Pod, sidecar: Container) -> None:
    """The sidecar cannot initialise a component: not ready, so the pod is not."""
    lasts = world.during("sidecar component fails")
    sidecar.ready = np.where(lasts > 0, 0.0, sidecar.ready)
    pod.ready = np.where(lasts > 0, 0.0, pod.ready)


def _jobs(world: World) -> None:
    """A backup of the database, four times a day; the last three runs are kept."""
    clock = world.clock
    every, lasts, kept = 6.0, 240 / HOUR, 3
    backup = CronJob(world.namespace, "backup", "0 */6 * * *", every * HOUR, kept)
    world.cron_jobs.append(backup)
    for number in range(-kept, round(24 / every)):
        begin = number * every
        exists = clock.between(begin, begin + kept * every + lasts)
        running = clock.between(begin, begin + lasts)
        created = clock.start + begin * HOUR
        name = f"{backup.name}-{round(created / 60)}"
        end = created + lasts * HOUR
        world.jobs.append(Job(backup.namespace, name, backup.name, created, end, exists))
        pod = _pod(
            world,
            namespace=backup.namespace,
            workload=("CronJob", backup.name),
            owner=("Job", name),
            index=number,
            labels={"job-name": name, "batch.kubernetes.io/job-name": name},
            ports={},
            containers=[(backup.name, "postgres:18", (0.05, 64 * MI, 0, 128 * MI, 0.2, 56 * MI))],
            exists=exists,
        )
        pod.created = created
        pod.phases = {"Running": running, "Succeeded": 1 - running}
        pod.ready = running
        used = np.where(running > 0, 1.0, np.nan)
        pod.received, pod.transmitted = pod.received * used, pod.transmitted * used
        for container in pod.containers:
            container.cpu, container.memory = container.cpu * used, container.memory * used
            container.ready = running


def _pod(
    world: World,
    *,
    namespace: str,
    workload: tuple[str, str],
    index: int,
    labels: Mapping[str, str],
    ports: Mapping[str, int],
    containers: Iterable[tuple[str, str, Size]],
    node: Node | None = None,
    claims: tuple[str, ...] = (),
    host_network: bool = False,
    exists: Array | None = None,
    revision: int = 1,
    pending: bool = False,
    owner: tuple[str, str] | None = None,
) -> Pod:
    """Add a pod, on the node with the least requested where none is given."""
    clock, kind = world.clock, workload[0]
    exists = clock.constant(1) if exists is None else exists
    random = world.noise.generator(f"{namespace}/{workload}/{index}/{revision}")
    suffix = _name(random, 5)
    if kind == "StatefulSet":
        name, owner = f"{workload[1]}-{index}", workload
    elif kind == "DaemonSet":
        name, owner = f"{workload[1]}-{suffix}", workload
    elif owner:
        name = f"{owner[1]}-{suffix}"
    else:
        replica_set = f"{workload[1]}-{_hash(world, workload[1], revision)}"
        name, owner = f"{replica_set}-{suffix}", ("ReplicaSet", replica_set)
    listed = list(containers)
    wired = np.where((exists > 0) & (not pending), 1.0, np.nan)
    if not pending:
        node = node or min(world.nodes, key=lambda n: _requested(world, n))
    pod = Pod(
        namespace=namespace,
        name=name,
        node=None if pending else node,
        ip="" if pending else (node.ip if host_network and node else f"10.244.0.{len(world.pods)}"),
        uid=str(uuid.UUID(bytes=random.bytes(16), version=4)),
        owner=owner,
        workload=workload,
        labels={**labels, "pod-template-hash": owner[1].rpartition("-")[2]}
        if owner[0] == "ReplicaSet"
        else dict(labels),
        ports=ports,
        containers=[_container(world, name, *c, exists, running=not pending) for c in listed],
        created=clock.start + float(np.argmax(exists)) * clock.step
        if exists[0] == 0
        else clock.start - 5 * 86400,
        exists=exists,
        phases={"Pending" if pending else "Running": clock.constant(1)},
        ready=clock.constant(0 if pending else 1),
        received=world.noise.around(f"received {name}", 2e3, 0.3) * wired,
        transmitted=world.noise.around(f"transmitted {name}", 3e3, 0.3) * wired,
        claims=claims,
        host_network=host_network,
    )
    world.pods.append(pod)
    return pod


def _container(
    world: World, pod: str, name: str, image: str, size: Size, exists: Array, *, running: bool
) -> Container:
    cpu_request, memory_request, cpu_limit, memory_limit, cpu, memory = size
    clock, noise = world.clock, world.noise
    alive = np.where((exists > 0) & running, 1.0, np.nan)
    return Container(
        name=name,
        image=image,
        requests={k: v for k, v in (("cpu", cpu_request), ("memory", memory_request)) if v},
        limits={k: v for k, v in (("cpu", cpu_limit), ("memory", memory_limit)) if v},
        cpu=noise.around(f"cpu {pod} {name}", cpu, 0.15) * alive,
        memory=noise.around(f"memory {pod} {name}", memory, 0.04) * alive,
        throttled=clock.constant(0.02 if cpu_limit else 0.0),
        restarts=clock.constant(0),
        ready=clock.constant(1 if running else 0),
    )


def _hash(world: World, name: str, revision: int) -> str:
    return _name(world.noise.generator(f"{name} {revision}"), 9)


def _name(random: np.random.Generator, length: int) -> str:
    """Return what Kubernetes puts after a name: without vowels, so that no word is made.

    https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go
    """
    return "".join(random.choice(list("bcdfghjklmnpqrstvwxz2456789"), length))


def _requested(world: World, node: Node) -> float:
    """Share of the node's CPU and memory that its pods request."""
    taken = [c.requests for p in world.pods if p.node is node for c in p.containers]
    cpu = sum(r.get("cpu", 0) for r in taken) / node.cpu
    return cpu + sum(r.get("memory", 0) for r in taken) / node.memory


def _workloads(world: World) -> None:
    """Sum pods up to what their Deployments, StatefulSets and DaemonSets report."""
    clock = world.clock
    groups: dict[tuple[str, str, str], list[Pod]] = {}
    for pod in world.pods:
        if pod.owner[0] != "Job":
            groups.setdefault((pod.workload[0], pod.namespace, pod.workload[1]), []).append(pod)
    for (kind, namespace, name), pods in groups.items():
        created = np.sum([p.exists for p in pods], axis=0)
        available = np.sum([p.exists * p.ready for p in pods], axis=0)
        rolled = sum((np.diff(p.exists, prepend=p.exists[0]) > 0).astype(float) for p in pods)
        generation: Array = 1 + np.cumsum(np.asarray(rolled) > 0, dtype=np.float64)
        if name == "grafana":
            # The upgrade that fails has changed the Deployment before it failed.
            generation = generation + world.during("sync fails")
        world.workloads.append(
            Workload(kind, namespace, name, created, created, available, generation)
        )
    if world.faulty:
        # A ServiceAccount is missing: a replica is wanted that nobody may create.
        wanted, none = world.during("rejected pods"), clock.constant(0)
        one = clock.constant(1)
        world.workloads.append(
            Workload("Deployment", world.namespace, "export", wanted, none, none, one)
        )


def _volumes(world: World) -> None:
    clock = world.clock
    full = world.during("full volume")
    for pod in world.pods:
        for claim in pod.claims:
            capacity = 49 * GI
            share = 0.2 + 0.01 * clock.hours
            if "loki" in claim:
                share = np.where(full > 0, np.minimum(0.98, 0.5 + 0.1 * (clock.hours - 14)), share)
            world.volumes.append(
                Volume(
                    namespace=pod.namespace,
                    claim=claim,
                    node=pod.node or world.nodes[0],
                    storage_class="oci-bv",
                    capacity=capacity,
                    used=np.asarray(share * capacity, dtype=np.float64),
                    inodes=3.2e6,
                    inodes_used=clock.constant(2.1e4) + 100 * clock.hours,
                )
            )


def _pressure(world: World) -> None:
    lasts = world.during("node pressure")
    node = world.nodes[1]
    node.pressure = lasts
    taken = np.sum(
        [np.nan_to_num(c.memory) for p in world.pods if p.node is node for c in p.containers],
        axis=0,
    )
    wanted = 0.96 * node.memory - taken
    node.extra_memory = np.where(lasts > 0, wanted, node.extra_memory)


def truth(world: World) -> dict[str, Array]:
    """Return what a dashboard must show, by name; rates are per second, means of each step.

    Names: `cpu/<namespace>/<pod>` cores, `memory/<namespace>/<pod>` bytes, `node_cpu/<node>` and
    `node_memory/<node>` used in pods and outside, `restarts/<namespace>/<pod>/<container>`,
    `pods_ready/<namespace>`, `requests/<app>`, `errors/<app>`, `api_requests` and `api_errors` of
    the API's routes, `published/<topic>`,
    `consumed/<app>/<topic>`, `backlog/<app>/<topic>` messages,
    `model_calls/<outcome>`, `probe/<job>`, `volume/<namespace>/<claim>` share in use,
    `capacity/cpu` and `capacity/memory` of all nodes, `budget/<keys>` of the environment's budget.
    """
    step = world.clock.step
    known: dict[str, Array] = {}
    for pod in world.pods:
        alive = pod.exists > 0
        for what, arrays in (
            ("cpu", [c.cpu for c in pod.containers]),
            ("memory", [c.memory for c in pod.containers]),
        ):
            total = np.nansum(arrays, axis=0)
            known[f"{what}/{pod.namespace}/{pod.name}"] = np.where(alive, total, np.nan)
        for container in pod.containers:
            key = f"restarts/{pod.namespace}/{pod.name}/{container.name}"
            known[key] = np.where(alive, container.restarts, np.nan)
    for namespace in {p.namespace for p in world.pods}:
        ready = [p.ready * p.exists for p in world.pods if p.namespace == namespace]
        known[f"pods_ready/{namespace}"] = np.sum(ready, axis=0)
    for node in world.nodes:
        for what, extra in (("cpu", node.extra_cpu), ("memory", node.extra_memory)):
            own = [
                np.nan_to_num(getattr(c, what))
                for p in world.pods
                if p.node is node
                for c in p.containers
            ]
            known[f"node_{what}/{node.name}"] = extra + np.sum(own, axis=0)
    for app in {r.app for r in world.traffic}:
        own_requests = [r for r in world.traffic if r.app == app]
        known[f"requests/{app}"] = np.sum([r.count for r in own_requests], axis=0) / step
        bad = [r.count for r in own_requests if r.status >= 500]
        known[f"errors/{app}"] = np.sum(bad, axis=0) / step
    of_api = [r for r in world.traffic if r.route != "other"]
    known["api_requests"] = np.sum([r.count for r in of_api], axis=0) / step
    known["api_errors"] = np.sum([r.count for r in of_api if r.status >= 500], axis=0) / step
    for sent in world.published:
        known[f"published/{sent.topic}"] = sent.succeeded / step
    for taken in world.consumed:
        known[f"consumed/{taken.app}/{taken.topic}"] = taken.succeeded / step
        known[f"backlog/{taken.app}/{taken.topic}"] = backlog(world, taken)
    for outcome, count in world.model_calls.items():
        known[f"model_calls/{outcome}"] = count / step
    for job, up in world.probes.items():
        known[f"probe/{job}"] = up
    for volume in world.volumes:
        known[f"volume/{volume.namespace}/{volume.claim}"] = volume.used / volume.capacity
    known["capacity/cpu"] = world.clock.constant(sum(node.cpu for node in world.nodes))
    known["capacity/memory"] = world.clock.constant(sum(node.memory for node in world.nodes))
    for keys, limit in _budget(world.cluster):
        known[f"budget/{'.'.join(keys)}"] = world.clock.constant(limit)
    return known


def _budget(cluster: Cluster) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield keys and value of each quantity in the budget of the overlay that is simulated."""
    repository = cluster.repository
    environments = {
        path.split("/")[1]
        for path in repository.files(cluster.sync)
        if path.startswith("overlays/")
    }
    for environment in environments:
        path = repository.root / "overlays" / environment / FILE
        for keys, value in leaves(load(path, repository.root)[0]):
            with contextlib.suppress(ValueError):  # Such as a storage class.
                yield keys, quantity(value)
