"""The state of a simulated day: what runs, how busy it is, what people ask of it, what goes wrong.

It knows no exporter, no rule and no dashboard: `exporters` and `logs` say how each program shows
it. `building` makes it, and `truth` says what dashboards must show of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model import rendered
from scripts.model.files import INVENTORY
from scripts.model.rendered import Cluster
from scripts.simulation import model
from scripts.simulation.model import Array, Clock, Noise, SimulatedPod

MI = 2.0**20
GI = 2.0**30
RELEASE = "todo-ai-chatbot-release"
BACKEND, FRONTEND = "todo-ai-chatbot-backend", "todo-ai-chatbot-frontend"
RECURRING, NOTIFICATION, AUDIT = (
    f"todo-consumer-{name}" for name in ("recurring", "notification", "audit")
)
PUBSUB, TASKS, REMINDERS = "task-pubsub", "task-events", "reminders"
OPENED = 20.0  # The hour at which dashboards are opened.
_URLS = ("BACKEND_URL", "FRONTEND_URL")
# Applied when Flux is installed on a cluster; its Kustomizations are declared there, too.
_BOOTSTRAPPED = (
    ("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "monitoring-releases"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "monitoring-config"),
)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: What, and where.
        begin: Hour of the day; it lasts until midnight.
    """

    name: str
    begin: float


# Each is active or still to be seen at OPENED.
FAULTS = (
    Fault("crash loop", 15.0),
    Fault("out of memory", 16.25),
    Fault("error burst", 19.0),
    Fault("slow route", 18.0),
    Fault("consumer backlog", 15.5),
    Fault("publishing fails", 19.2),
    Fault("full volume", 14.0),
    Fault("node pressure", 18.5),
    Fault("silent logs", 18.0),
    Fault("sidecar component fails", 17.5),
    Fault("probe fails", 19.5),
    Fault("unschedulable", 17.0),
    Fault("rejected pods", 16.0),
    Fault("sync fails", 19.0),
    Fault("rate limit of the model", 18.2),
    Fault("target down", 19.0),
)


@dataclass(eq=False)
class Simulation:
    """All that is true of one day.

    Attributes:
        faulty: Whether FAULTS happen.
        cluster: The monitoring, rendered.
        rendered: Workload of the monitoring's own, by namespace and name.
        traffic: What the access log counts.
        invocations: Calls from the frontend's sidecar to the backend's.
        cron: Calls of the binding that sends reminders.
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
    nodes: list[model.SimulatedNode] = field(default_factory=list)
    pods: list[SimulatedPod] = field(default_factory=list)
    workloads: list[model.SimulatedWorkload] = field(default_factory=list)
    volumes: list[model.Volume] = field(default_factory=list)
    jobs: list[model.SimulatedJob] = field(default_factory=list)
    rendered: dict[tuple[str, str], rendered.Pod] = field(default_factory=dict)
    traffic: list[model.Requests] = field(default_factory=list)
    invocations: list[model.Requests] = field(default_factory=list)
    published: list[model.Published] = field(default_factory=list)
    consumed: list[model.Consumed] = field(default_factory=list)
    cron: model.Consumed | None = None
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
        return self.clock.between(known.begin, 24) * self.faulty

    @property
    def synced(self) -> list[Mapping[str, Json]]:
        """What Flux syncs: what is applied, and what was when it was installed, to begin with."""
        installed: list[Mapping[str, Json]] = [
            {
                "apiVersion": version,
                "kind": kind,
                "metadata": {"name": name, "namespace": "flux-system"},
            }
            for version, kind, name in _BOOTSTRAPPED
        ]
        return [*self.cluster.sync.objects(), *installed]

    def pods_of(self, workload: str, namespace: str = "") -> list[SimulatedPod]:
        """Return the pods of a workload, by default the application's; old replica sets first."""
        wanted = namespace or self.namespace, workload
        return [p for p in self.pods if (p.namespace, p.workload[1]) == wanted]

    def with_label(self, label: str, value: str | None = None) -> list[SimulatedPod]:
        """Return the pods with a label, and its value where one is given."""
        return [p for p in self.pods if label in p.labels and value in (None, p.labels[label])]

    def of_app(self, app: str) -> list[SimulatedPod]:
        """Return the pods of one of the application's parts, by its id for Dapr."""
        return self.with_label("dapr.io/app-id", app)

    def every(self, seconds: float) -> Array:
        """Return 1 in each step in which something happens that happens every so many seconds."""
        due = np.floor(np.arange(1, self.clock.steps + 1) * self.clock.step / seconds)
        return np.asarray(np.diff(due, prepend=0.0), dtype=np.float64)


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
    raise RepositoryError(Finding(str(INVENTORY), None, text, fix))
