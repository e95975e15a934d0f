"""Workloads before a sync: those of the system, of the engine, of Dapr and of the application.

None of it is ours to change: `checks.changed_by_sync` finds what a sync changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from scripts.core.yamlfile import Json
from scripts.servers.kubernetes.client import Object

# The list of endpoints of each kind of monitor that selects pods or Services by labels.
ENDPOINTS = {"PodMonitor": "podMetricsEndpoints", "ServiceMonitor": "endpoints"}
# What Dapr's injector adds to each pod of an application
# (https://github.com/dapr/dapr/blob/master/pkg/injector/patcher/sidecar.go).
SIDECAR_LABELS = {"dapr.io/sidecar-injected": "true", "dapr.io/metrics-enabled": "true"}


@dataclass(frozen=True)
class BackgroundWorkload:
    """A Deployment and its Service.

    Attributes:
        name: Of both, of the container too.
        namespace: Where they are.
        labels: The pod's.
        port: The container's and the Service's.
        app_id: Of its Dapr sidecar; none without.
        service_labels: The Service's; many public charts give it none.
        port_name: The port's.
        cpu: What a pod requests of all its containers, as a Kubernetes quantity.
        memory: The same.
        replicas: Pods.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    port: int
    app_id: str = ""
    service_labels: Mapping[str, str] = field(default_factory=dict)
    port_name: str = "http"
    cpu: str = "0"
    memory: str = "0"
    replicas: int = 1

    @property
    def pod_labels(self) -> dict[str, str]:
        """The pod's labels, with those that the injector adds."""
        own = {**SIDECAR_LABELS, "dapr.io/app-id": self.app_id} if self.app_id else {}
        return {**self.labels, **own}

    def objects(self) -> Iterator[Object]:
        """Yield the objects, as a chart would make them and the injector leave them."""
        requests = {"cpu": self.cpu, "memory": self.memory}
        ports = [{"name": self.port_name, "containerPort": self.port}]
        containers: list[Json] = [
            {"name": self.name, "image": "app", "ports": ports, "resources": {"requests": requests}}
        ]
        if self.app_id:
            metrics = [{"name": "dapr-metrics", "containerPort": 9090}]
            containers.append({"name": "daprd", "image": "daprd", "ports": metrics})
        metadata = {"name": self.name, "namespace": self.namespace}
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": dict(self.labels)},
                "template": {
                    "metadata": {"labels": self.pod_labels},
                    "spec": {"containers": containers},
                },
            },
        }
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**metadata, "labels": dict(self.service_labels)},
            "spec": {
                "selector": dict(self.labels),
                "ports": [{"name": self.port_name, "port": self.port, "targetPort": self.port}],
            },
        }


def _parts(
    namespace: str, prefix: str, parts: Mapping[str, int], key: str
) -> list[BackgroundWorkload]:
    """Return workloads that are named alike and have a sidecar each."""
    return [
        BackgroundWorkload(
            f"{prefix}{name}", namespace, {key: f"{prefix}{name}"}, port, f"{prefix}{name}"
        )
        for name, port in parts.items()
    ]


def _component(name: str, port: int, cpu: str, memory: str) -> BackgroundWorkload:
    own = {
        "app.kubernetes.io/name": "todo-ai-chatbot",
        "app.kubernetes.io/instance": "todo-ai-chatbot-release",
        "app.kubernetes.io/component": name,
    }
    full, app_id = f"todo-ai-chatbot-release-{name}", f"todo-ai-chatbot-{name}"
    return BackgroundWorkload(full, "default", own, port, app_id, own, cpu=cpu, memory=memory)


# The application that base/application is set to. Its chart requests nothing; this is what its pods
# use, sidecars included, so that they have it.
APPLICATION = [
    _component("backend", 8000, "100m", "320Mi"),
    _component("frontend", 3000, "50m", "256Mi"),
]

# Other public deployments of the same application: each names and labels its parts in its own way.
LAYOUTS: Mapping[str, list[BackgroundWorkload]] = {
    "one chart, parts as components": APPLICATION,
    "consumers of their own": [
        BackgroundWorkload(
            f"todo-app-{name}",
            "todo-app",
            {"app.kubernetes.io/name": "todo-app", "app.kubernetes.io/component": name},
            port,
            f"todo-{name}",
        )
        for name, port in {
            "backend": 8000,
            "consumer-recurring": 8001,
            "consumer-notification": 8002,
            "consumer-audit": 8003,
        }.items()
    ],
    "a chart for each service": _parts(
        "default",
        "",
        {
            "todo-backend": 8000,
            "todo-frontend": 3000,
            "notification-service": 8001,
            "recurring-service": 8002,
            "audit-service": 8003,
        },
        "app",
    ),
    "services without labels": _parts(
        "todo-services",
        "",
        {"backend": 8000, "frontend": 3000, "notification": 8003, "recurring": 8001, "audit": 8004},
        "app",
    ),
    "versions as labels": _parts(
        "todo-phases",
        "phase-v-",
        {
            "backend": 8000,
            "frontend": 3000,
            "event-processor": 8001,
            "notification-service": 8002,
            "reminder-scheduler": 8003,
            "websocket-service": 8004,
        },
        "app",
    ),
}


def _engine(name: str) -> BackgroundWorkload:
    labels = {"app": name, "app.kubernetes.io/part-of": "flux"}
    return BackgroundWorkload(
        name, "flux-system", labels, 8080, port_name="http-prom", cpu="100m", memory="64Mi"
    )


def _dapr(name: str) -> BackgroundWorkload:
    component = name.removeprefix("dapr-")
    labels = {
        "app": name,
        "app.kubernetes.io/part-of": "dapr",
        "app.kubernetes.io/component": component,
    }
    return BackgroundWorkload(name, "dapr-system", labels, 9090, port_name="metrics")


# Of Flux' controllers, where it syncs. What they request is in the manifests that
# `flux bootstrap` writes.
FLUX_CONTROLLERS = [
    _engine(name)
    for name in (
        "source-controller",
        "kustomize-controller",
        "helm-controller",
        "notification-controller",
    )
]
# Dapr's chart requests nothing; what Oracle runs on a node is from memory of a node of OKE.
SYSTEM = [
    *map(_dapr, ("dapr-operator", "dapr-sentry", "dapr-placement-server", "dapr-sidecar-injector")),
    BackgroundWorkload(
        "coredns", "kube-system", {"k8s-app": "kube-dns"}, 53, cpu="100m", memory="70Mi", replicas=2
    ),
    BackgroundWorkload(
        "node-agents",
        "kube-system",
        {"k8s-app": "agents"},
        10256,
        cpu="180m",
        memory="200Mi",
        replicas=2,
    ),
]


def monitored_everywhere(
    objects: Iterable[Object], workloads: Iterable[BackgroundWorkload]
) -> list[BackgroundWorkload]:
    """Return a workload for each monitor that selects pods in every namespace and finds none.

    Args:
        objects: With the monitors among them.
        workloads: Those that there are.
    """
    known = [workload.pod_labels for workload in workloads]
    found = []
    for item in objects:
        spec = item.get("spec") or {}
        if item["kind"] not in ENDPOINTS or not (spec.get("namespaceSelector") or {}).get("any"):
            continue
        labels, name = spec["selector"].get("matchLabels") or {}, item["metadata"]["name"]
        if labels and not any(labels.items() <= one.items() for one in known):
            port = str(spec[ENDPOINTS[item["kind"]]][0].get("port", "metrics"))
            found.append(BackgroundWorkload(name, name, labels, 8080, "", labels, port))
    return found
