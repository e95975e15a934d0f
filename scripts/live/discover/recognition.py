"""Recognising the application: its backend, its frontend, its namespaces, its reminders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.discover.objects import ObjectSet
from scripts.model.manifests import ENGINE_NAMESPACES, NAMESPACES, group
from scripts.model.rendered import Item, Pod

BACKEND, FRONTEND = "backend", "frontend"
# Words that say what a workload is.
WORDS: Mapping[str, frozenset[str]] = {
    BACKEND: frozenset({"api", "backend", "fastapi", "server"}),
    FRONTEND: frozenset({"client", "frontend", "nextjs", "ui", "web", "webapp"}),
}
# Ports that the parts of public deployments listen on.
PORTS: Mapping[str, frozenset[int]] = {
    BACKEND: frozenset({7860, 8000}),
    FRONTEND: frozenset({3000}),
}
# What nobody's browser asks: consumers of events, jobs, and what the application needs to run.
WORKERS = re.compile(
    r"audit|consumers?|cron|emails?|events?|jobs?|mcp|migrations?|notifications?|processor"
    r"|recurring|reminders?|scheduler|websocket|workers?"
)
INFRASTRUCTURE = re.compile(
    r"adminer|cloudflared|dapr\w*|grafana|jaeger|kafka|loki|mariadb|minio|mongo(db)?|mysql"
    r"|pgadmin|postgres(ql)?|prometheus|qdrant|rabbitmq|redis|redpanda|zipkin|zookeeper"
)
APPLICATION = "todo"
# Labels whose values say what a workload is.
LABELS = (
    "app",
    "app.kubernetes.io/component",
    "app.kubernetes.io/name",
    "component",
    "role",
    "tier",
)
# Nobody's application runs there.
SYSTEM = re.compile(r"kube-.+|.+-system|cert-manager|ingress-nginx|kubernetes-dashboard")
PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
SIDECAR = "daprd"
CRON = "bindings.cron"
DAPR_GROUP = "dapr.io"


@dataclass(frozen=True)
class ServedWorkload:
    """A Service, and the pods that it leads to.

    Attributes:
        service: The Service.
        pod: The pods.
        port: The Service's port.
        container: The container that answers there.
    """

    service: Item
    pod: Pod
    port: int
    container: Mapping[str, Json] = field(repr=False)

    def __str__(self) -> str:
        """Return `namespace/service`, as the options name it."""
        return f"{self.service.namespace}/{self.service.name}"

    @property
    def address(self) -> str:
        """`http://service.namespace.svc:port`, without a path."""
        return f"http://{self.service.name}.{self.service.namespace}.svc:{self.port}"

    @cached_property
    def probed(self) -> str:
        """The path that the kubelet asks, of the first probe that has one; else empty."""
        for probe in PROBES:
            asked = (self.container.get(probe) or {}).get("httpGet") or {}
            if path := str(asked.get("path") or ""):
                return path if path.startswith("/") else f"/{path}"
        return ""

    @cached_property
    def words(self) -> tuple[frozenset[str], ...]:
        """Words of its names, of its labels, and of its container: the surest first."""
        labels = {**self.pod.labels, **self.pod.owner.labels}
        return (
            _words(self.service.name, self.pod.owner.name),
            _words(*(str(labels.get(key, "")) for key in LABELS)),
            _words(str(self.container.get("name", "")), _image(self.container)),
        )

    def is_called(self, word: str) -> bool:
        """Say whether a word is in a name, a label, an image or the namespace."""
        return any(word in one for one in (*self.words, _words(self.service.namespace)))

    def rank(self, role: str) -> int | None:
        """Return how surely it has a role, 0 the most; None if it has not.

        The last rank is that of a port alone.
        """
        if any(map(WORKERS.fullmatch, self.words[0])):
            return None
        for rank, words in enumerate(self.words):
            if found := _role(words):
                return rank if found == role else None
        listens = {port.get("containerPort") for port in self.container.get("ports") or []}
        return len(self.words) if listens & PORTS[role] else None


@dataclass(frozen=True)
class Application:
    """What was found.

    Attributes:
        backend: Its API.
        frontend: Its pages; None where they are elsewhere.
        namespaces: Where its pods are, sorted.
        pods: All of them, workers included.
        reminders: Dapr's cron binding of the reminders; empty where there is none.
    """

    backend: ServedWorkload
    frontend: ServedWorkload | None
    namespaces: tuple[str, ...]
    pods: tuple[Pod, ...]
    reminders: str


def application(
    objects: ObjectSet, backend: str = "", frontend: str = "", reminders: str = ""
) -> Application:
    """Find the application.

    Args:
        objects: Where to look.
        backend: `namespace/service` that somebody named.
        frontend: The same; or a URL, where the pages are not in this cluster.
        reminders: The name of a cron binding that somebody named.

    Raises:
        RepositoryError: If there is none, or more than one that it could be; names them.
    """
    found = tuple(served_workloads(objects))
    api = _chosen(objects, found, BACKEND, backend)
    elsewhere = frontend.startswith(("http://", "https://"))
    pages = None if elsewhere else _chosen(objects, found, FRONTEND, frontend, near=api)
    chosen = [part for part in (api, pages) if part]
    namespaces = {part.service.namespace for part in chosen}
    # A namespace with a backend of its own is another application's.
    others = {p.service.namespace for p in found if p.rank(BACKEND) is not None} - namespaces
    pods = tuple(
        pod
        for pod in objects.pods
        if not _is_infrastructure(pod)
        and (pod.owner.namespace in namespaces or _is_related(pod))
        and pod.owner.namespace not in others
    )
    namespaces |= {pod.owner.namespace for pod in pods}
    return Application(
        api, pages, tuple(sorted(namespaces)), pods, _reminders(objects, namespaces, reminders)
    )


def served_workloads(objects: ObjectSet) -> Iterator[ServedWorkload]:
    """Yield each workload that a Service leads to, by the Service that is the plainest."""
    candidates_of: dict[str, list[ServedWorkload]] = {}
    for service in objects.of("Service"):
        if is_system(service.namespace) or service.name.endswith("-dapr"):
            continue
        own = [
            part for pod in chosen_by(service, objects.pods) for part in _served_by(service, pod)
        ]
        # A selector that is too wide also leads to pods that do not listen there.
        own.sort(key=lambda part: -len(part.words[0] & _words(service.name)))
        if own and not _is_infrastructure(own[0].pod):
            candidates_of.setdefault(str(own[0].pod.owner), []).append(own[0])
    for candidates in candidates_of.values():
        yield min(candidates, key=lambda part: _plainness(part.service))


def chosen_by(service: Item, pods: Iterable[Pod]) -> list[Pod]:
    """Return the pods that a Service selects."""
    selector = service.spec.get("selector") or {}
    return [
        pod
        for pod in pods
        if selector
        and pod.owner.namespace == service.namespace
        and selector.items() <= pod.labels.items()
    ]


def is_system(namespace: str) -> bool:
    """Say whether no application is looked for in a namespace."""
    return namespace in NAMESPACES | ENGINE_NAMESPACES or bool(SYSTEM.fullmatch(namespace))


def _served_by(service: Item, pod: Pod) -> Iterator[ServedWorkload]:
    containers = [c for c in pod.spec["containers"] if c.get("name") != SIDECAR]
    ports = [p for p in service.spec.get("ports") or [] if p.get("protocol", "TCP") == "TCP"]
    for port in ports:
        target = port.get("targetPort", port.get("port"))
        for container in containers:
            for own in container.get("ports") or []:
                if target in (own.get("name"), own.get("containerPort")):
                    yield ServedWorkload(service, pod, int(port["port"]), container)
                    return
    if ports and containers:
        # A container need not declare its ports.
        yield ServedWorkload(service, pod, int(ports[0]["port"]), containers[0])


def _plainness(service: Item) -> tuple[bool, bool, int, str]:
    headless = service.spec.get("clusterIP") == "None"
    inner = service.spec.get("type", "ClusterIP") == "ClusterIP"
    return headless, not inner, len(service.name), service.name


def _chosen(
    objects: ObjectSet,
    found: Sequence[ServedWorkload],
    role: str,
    named: str,
    near: ServedWorkload | None = None,
) -> ServedWorkload:
    option = f"--{role}"
    if named:
        for part in found:
            if named == str(part):
                return part
        text = f"no Service {named} leads to pods"
        there = ", ".join(sorted(map(str, found))) or "there is none"
        raise RepositoryError(Finding(objects.source, None, text, f"{option}: one of {there}"))
    ranked = [(rank, p) for p in found if p != near and (rank := p.rank(role)) is not None]
    best = min((rank for rank, _ in ranked), default=None)
    candidates = sorted((part for rank, part in ranked if rank == best), key=str)
    for closer in (
        [part for part in candidates if part.is_called(APPLICATION)],
        [p for p in candidates if near and p.service.namespace == near.service.namespace],
    ):
        candidates = closer if closer and len(candidates) > 1 else candidates
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        text = f"{len(candidates)} Services may be the {role}: {', '.join(map(str, candidates))}"
        fix = f"name one, as in {option}={candidates[0]}, or look into one --namespace"
        raise RepositoryError(Finding(objects.source, None, text, fix))
    raise RepositoryError(_absent(objects, found, role))


def _absent(objects: ObjectSet, found: Sequence[ServedWorkload], role: str) -> Finding:
    """Return why there is no such part: perhaps its Service looks for pods elsewhere."""
    for service in objects.of("Service"):
        selector = service.spec.get("selector") or {}
        named = _words(service.name) & WORDS[role]
        if not selector or not named or chosen_by(service, objects.pods):
            continue
        spaces = {
            pod.owner.namespace for pod in objects.pods if selector.items() <= pod.labels.items()
        }
        where = f"; such pods are in {', '.join(sorted(spaces))}" if spaces else ""
        text = f"{service} selects no pods of its namespace{where}"
        fix = "put both into one namespace, and let the Service select the pods' labels"
        return Finding(objects.source, None, text, fix)
    there = ", ".join(sorted(map(str, found)))
    text = f"no Service is recognised as the {role}"
    fix = f"name it by --{role}: {f'one of {there}' if there else 'no Service leads to pods'}"
    if role == FRONTEND:
        fix += "; or give the URL of pages that are elsewhere"
    return Finding(objects.source, None, text, fix)


def _reminders(objects: ObjectSet, namespaces: set[str], named: str) -> str:
    found = sorted(
        {
            item.name
            for item in objects.of("Component")
            if group(dict(item.manifest)) == DAPR_GROUP
            and item.spec.get("type") == CRON
            and item.namespace in namespaces
        }
    )
    if named:
        if named in found:
            return named
        text = f"no cron binding {named} is in {', '.join(sorted(namespaces))}"
        fix = f"--reminders: one of {', '.join(found) or 'none that is there'}"
        raise RepositoryError(Finding(objects.source, None, text, fix))
    candidates = [name for name in found if "remind" in name] or found
    if len(candidates) > 1:
        text = f"{len(candidates)} cron bindings may send reminders: {', '.join(candidates)}"
        fix = f"name one, as in --reminders={candidates[0]}"
        raise RepositoryError(Finding(objects.source, None, text, fix))
    return candidates[0] if candidates else ""


def _is_infrastructure(pod: Pod) -> bool:
    own = [_image(c) for c in pod.spec["containers"] if c.get("name") != SIDECAR]
    return any(map(INFRASTRUCTURE.fullmatch, _words(*own[:1], pod.owner.name)))


def _is_related(pod: Pod) -> bool:
    """Say whether pods of another namespace are the application's, by their names."""
    place = pod.owner.namespace
    return not is_system(place) and APPLICATION in _words(
        place, pod.owner.name, *(str(pod.labels.get(key, "")) for key in LABELS)
    )


def _role(words: frozenset[str]) -> str | None:
    """Return what words say; of both, as in `web-api-client`, all but `backend` are weaker."""
    order = (
        (BACKEND, frozenset({"backend"})),
        (FRONTEND, WORDS[FRONTEND]),
        (BACKEND, WORDS[BACKEND]),
    )
    return next((role for role, own in order if words & own), None)


def _image(container: Mapping[str, Json]) -> str:
    """Return the last part of an image's name, without its tag."""
    return str(container.get("image", "")).rpartition("/")[2].partition(":")[0]


def _words(*names: str) -> frozenset[str]:
    return frozenset(word for name in names for word in re.split(r"[^a-z0-9]+", name.lower())) - {
        ""
    }
