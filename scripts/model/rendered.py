"""What exists in a cluster after a sync: applied objects, rendered charts, the operator's objects.

The Prometheus operator's part follows its source at the version of `scripts/schemas.yaml`
(pkg/prometheus/server/statefulset.go, pkg/alertmanager/statefulset.go, pkg/kubelet/controller.go,
pkg/operator/config_reloader.go, pkg/operator/image.go). Only what the checks read is modelled.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, leaves
from scripts.model import charts, images
from scripts.model.manifests import (
    ClusterSync,
    Release,
    Repository,
    group,
    identity,
    is_engine_object,
)

CLUSTER_SCOPED = frozenset(
    {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterIssuer",
        "ClusterSecretStore",
        "CustomResourceDefinition",
        "GatewayClass",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)
# Kinds that keep pods running, and kinds that run them to completion.
WORKLOADS = frozenset({"DaemonSet", "Deployment", "StatefulSet"})
JOBS = frozenset({"CronJob", "Job"})
# The security context of each container that the operator creates.
OPERATOR_CONTEXT: Mapping[str, Json] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
# By which the operator tells the Prometheis of a pair apart, unless told another.
REPLICA_LABEL = "prometheus_replica"
# The ConfigMap that Loki's rules are mounted from.
LOKI_RULES_CONFIGMAP = "loki-rules"
# Exists in every cluster; its endpoints are the API servers.
API_SERVER: Mapping[str, Json] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "kubernetes",
        "namespace": "default",
        "labels": {"component": "apiserver", "provider": "kubernetes"},
    },
    "spec": {"ports": [{"name": "https", "port": 443}]},
}

# The last keys that lead to a value, and the value: charts mostly name alike what they render.
Written = tuple[tuple[str, ...], Json]


@dataclass(frozen=True)
class Item:
    """An object, and the release that it is rendered from; None for an object of the tree."""

    manifest: Mapping[str, Json]
    release: str | None = None

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty for cluster-scoped objects."""
        return str(self.manifest["metadata"].get("namespace") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.manifest["metadata"].get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""
        return self.manifest["metadata"].get("annotations") or {}

    @property
    def spec(self) -> Mapping[str, Json]:
        """Its spec; empty where the kind has none."""
        return self.manifest.get("spec") or {}

    @property
    def data(self) -> Mapping[str, Json]:
        """The keys of a ConfigMap or a Secret; empty for any other kind."""
        return self.manifest.get("data") or {}

    def __str__(self) -> str:
        """Return `Kind namespace/name`."""
        return identity(dict(self.manifest))


@dataclass(frozen=True)
class Pod:
    """The pods of one workload, Job or CronJob, or a single Pod.

    Attributes:
        owner: The object that declares them.
        labels: Their labels.
        spec: Their PodSpec.
        replicas: How many; None for one on each node.
        claims: PersistentVolumeClaimSpecs, one volume each for every pod.
    """

    owner: Item
    labels: Mapping[str, str]
    spec: Mapping[str, Json]
    replicas: int | None
    claims: tuple[Mapping[str, Json], ...] = ()

    @property
    def containers(self) -> list[Mapping[str, Json]]:
        """Every container, the init containers first."""
        return [*(self.spec.get("initContainers") or []), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """Numbers of the named ports of the containers that keep running."""
        return {
            p["name"]: p["containerPort"]
            for c in self.spec["containers"]
            for p in c.get("ports") or []
            if "name" in p
        }

    def count(self, nodes: int) -> int:
        """Return how many pods there are in a cluster with this number of nodes."""
        return nodes if self.replicas is None else self.replicas


@dataclass(frozen=True)
class Cluster:
    """One cluster sync with its charts rendered.

    Attributes:
        repository: Where findings look for file and line.
        sync: The cluster under one engine.
        items: Objects of the tree and of charts.
    """

    repository: Repository
    sync: ClusterSync
    items: tuple[Item, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """`cluster/engine`."""
        return self.sync.name

    @functools.cached_property
    def all(self) -> tuple[Item, ...]:
        """The items, what the operator creates for them, and the API server's Service."""
        return (*self.items, *operator_objects(self.items), Item(API_SERVER))

    @functools.cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods of all objects that have any."""
        return tuple(pod for item in self.all if (pod := pods_of(item)))

    @functools.cached_property
    def _by_kind(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for item in self.all:
            found.setdefault(item.kind, []).append(item)
        return found

    def of(self, *kinds: str) -> list[Item]:
        """Return every object of these kinds, the operator's included."""
        return [item for kind in kinds for item in self._by_kind.get(kind, [])]

    def mounted(self, pod: Pod, container: Mapping[str, Json] | None = None) -> list[Item]:
        """Return the ConfigMaps that a pod mounts, or one container of it."""
        mounts = {m["name"] for m in (container or {}).get("volumeMounts") or []}
        names = {
            (volume.get("configMap") or {}).get("name")
            for volume in pod.spec.get("volumes") or []
            if container is None or volume["name"] in mounts
        }
        return [
            item
            for item in self.of("ConfigMap")
            if item.name in names and item.namespace == pod.owner.namespace
        ]

    def rendered(self) -> list[Item]:
        """Return the objects of charts."""
        return [item for item in self.items if item.release]

    def finding(self, item: Item, text: str, fix: str, *written: Written) -> Finding:
        """Return a finding at the release's values or declaration, or at the object's.

        Args:
            item: The object at fault.
            text: What is wrong.
            fix: What to do.
            written: What somebody may have written that makes it so. The line is that of the first
                that is there; else the release's declaration, as it is the chart's default.
        """
        place = self.place(item, *self.written(item, *written))
        return Finding(*place, f"{item}: {text}", fix)

    def place(self, item: Item, *keys: str) -> tuple[str, int | None]:
        """Return the file and line of an object, or of its release where a chart makes it.

        Args:
            item: The object.
            keys: What leads to a value in the object, or in the values of its release.
        """
        kind, name = item.kind, item.name
        if item.release is not None:
            # Under Argo CD, too, values are written in the HelmRelease.
            release = self.release(item.release)
            kind, name = "HelmRelease", release.owner[1]
            # Overlays name no chart, so this leads to the base.
            chart = "chart" if release.repository.startswith("http") else "chartRef"
            keys = ("spec", "values", *keys) if keys else ("spec", chart)
        return self.repository.where(kind, name, *keys, sync=self.sync)

    def written(self, item: Item, *written: Written) -> tuple[str, ...]:
        """Return the keys of the first of these that is in a release's values, or in the object.

        Returns:
            Nothing where none is: what is rendered is the chart's default.
        """
        whole = self.release(item.release).values if item.release else dict(item.manifest)
        found = list(leaves(whole)) if written else []
        return next(
            (keys for end, value in written for keys, own in found if _ends(keys, end, own, value)),
            (),
        )

    def release(self, name: str) -> Release:
        """Return the release of this name."""
        return next(r for r in self.sync.releases if r.name == name)


def _ends(keys: tuple[str, ...], end: tuple[str, ...], own: Json, value: Json) -> bool:
    return keys[-len(end) :] == end and own == value


def declared(cluster: Cluster, item: Item) -> Item:
    """Return what somebody wrote: of what the operator makes, its custom resource."""
    if item.labels.get("app.kubernetes.io/managed-by") != "prometheus-operator":
        return item
    name = item.labels.get("app.kubernetes.io/instance")
    made = (one for one in cluster.of(*OPERATED) if one.name == name)
    return next((one for one in made if item.name == f"{one.kind.lower()}-{name}"), item)


def command_line(container: Mapping[str, Json]) -> list[str]:
    """Return a container's command and arguments."""
    return [*map(str, container.get("command") or []), *map(str, container.get("args") or [])]


def mount_of(container: Mapping[str, Json], path: str) -> Mapping[str, Json] | None:
    """Return the mount that a path of a container is on; None where it is in its image."""
    above = [
        mount
        for mount in container.get("volumeMounts") or []
        if f"{path}/".startswith(f"{mount['mountPath'].rstrip('/')}/")
    ]
    return max(above, key=lambda mount: len(mount["mountPath"]), default=None)


def clusters(
    repository: Repository,
    syncs: list[ClusterSync] | None = None,
    rendered: charts.Rendered | None = None,
) -> list[Cluster]:
    """Return cluster syncs with their releases rendered.

    Args:
        repository: Where the cluster syncs were built from.
        syncs: Those to render, by default all.
        rendered: The result of `charts.render_all` for them, if the caller has it.

    Raises:
        RepositoryError: If a chart is missing or refuses its values.
    """
    syncs = repository.syncs if syncs is None else syncs
    rendered = charts.render_all(syncs) if rendered is None else rendered
    result = []
    for sync in syncs:
        items = [Item(o) for o in sync.objects() if not is_engine_object(o)]
        for release in sync.releases:
            objects = rendered[sync.name, release.name]
            items += [Item(_in_namespace(o, release.namespace), release.name) for o in objects]
        result.append(Cluster(repository, sync, tuple(items)))
    return result


def rule_files(cluster: Cluster) -> dict[str, Json]:
    """Return each PrometheusRule of a cluster as a rule file of Prometheus, by its file's name."""
    return {
        f"{item.namespace}-{item.name}.yaml": {"groups": item.spec.get("groups") or []}
        for item in cluster.of("PrometheusRule")
    }


def pods_of(item: Item) -> Pod | None:
    """Return the pods of a workload, a Job, a CronJob or a Pod; None for any other kind."""
    if item.kind == "Pod":
        return Pod(item, item.labels, item.spec, 1)
    if item.kind not in WORKLOADS | JOBS:
        return None
    spec = item.spec["jobTemplate"]["spec"] if item.kind == "CronJob" else item.spec
    count = "parallelism" if item.kind in JOBS else "replicas"
    replicas = None if item.kind == "DaemonSet" else int(spec.get(count, 1))
    claims = tuple(claim["spec"] for claim in spec.get("volumeClaimTemplates") or [])
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    return Pod(item, labels, spec["template"]["spec"], replicas, claims)


def operator_flags(items: tuple[Item, ...]) -> dict[str, str]:
    """Return the flags that the Prometheus operator is started with; none where it is not."""
    return next(
        (
            dict(a.removeprefix("--").split("=", 1) for a in c.get("args") or [] if "=" in a)
            for item in items
            if (pod := pods_of(item))
            for c in pod.containers
            if "prometheus-operator/prometheus-operator:" in str(c.get("image"))
        ),
        {},
    )


def operator_objects(items: tuple[Item, ...]) -> Iterator[Item]:
    """Yield the workloads and Services that the Prometheus operator creates for these objects."""
    flags = operator_flags(items)
    for item in items:
        if item.kind in OPERATED and group(dict(item.manifest)) == "monitoring.coreos.com":
            yield from _objects_of_resource(item, flags)
    if "kubelet-service" in flags:
        namespace, _, name = flags["kubelet-service"].partition("/")
        labels = {"k8s-app": "kubelet", "app.kubernetes.io/name": "kubelet"}
        ports = [
            {"name": "https-metrics", "port": 10250},
            {"name": "http-metrics", "port": 10255},
            {"name": "cadvisor", "port": 4194},
        ]
        yield Item(_object("Service", name, namespace, labels, {"ports": ports}))


# Kind of the operator's custom resources: container, port.
OPERATED = {"Prometheus": ("prometheus", 9090), "Alertmanager": ("alertmanager", 9093)}


def _objects_of_resource(item: Item, flags: Mapping[str, str]) -> Iterator[Item]:
    application, port = OPERATED[item.kind]
    spec = item.spec
    port_name = spec.get("portName") or "web"
    labels = {
        "app.kubernetes.io/name": application,
        "app.kubernetes.io/instance": item.name,
        "app.kubernetes.io/managed-by": "prometheus-operator",
        application: item.name,
    }
    if item.kind == "Prometheus":
        labels["operator.prometheus.io/name"] = item.name
    main: dict[str, Json] = {
        "name": application,
        "image": _operated_image(application, spec, flags),
        "resources": spec.get("resources") or {},
        "ports": [{"name": port_name, "containerPort": port}],
        "securityContext": OPERATOR_CONTEXT,
    }
    keys = ("affinity", "serviceAccountName", "securityContext", "hostNetwork", "volumes")
    pod: dict[str, Json] = {key: spec[key] for key in keys if spec.get(key)}
    pod["initContainers"] = [
        _reloader("init-config-reloader", "reloader-init", 8081, flags),
        *(spec.get("initContainers") or []),
    ]
    pod["containers"] = [
        main,
        _reloader("config-reloader", "reloader-web", 8080, flags),
        *_thanos_sidecar(spec, flags),
        *(spec.get("containers") or []),
    ]
    replicas = int(spec.get("replicas", 1)) * int(spec.get("shards") or 1)
    claim = (spec.get("storage") or {}).get("volumeClaimTemplate")
    workload = {
        "replicas": replicas,
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": [claim] if claim else [],
    }
    name = f"{application}-{item.name}"
    yield Item(_object("StatefulSet", name, item.namespace, labels, workload), item.release)
    service: dict[str, Json] = {
        "selector": {"app.kubernetes.io/name": application},
        "ports": [{"name": port_name, "port": port, "targetPort": port_name}],
    }
    if spec.get("thanos"):
        service["ports"].append({"name": "grpc", "port": 10901, "targetPort": "grpc"})
    name = f"{application}-operated"
    labels = {f"operated-{application}": "true"}
    yield Item(_object("Service", name, item.namespace, labels, service), item.release)


def _operated_image(
    application: str, spec: Mapping[str, Json], flags: Mapping[str, str]
) -> str | None:
    """Return what the operator runs; None where it takes the version that its own code names."""
    if image := spec.get("image"):
        return str(image)
    default = (
        "quay.io/thanos/thanos" if application == "thanos" else f"quay.io/prometheus/{application}"
    )
    base = flags.get(f"{application}-default-base-image", default)
    if images.tag(base) or images.digest(base):
        return base
    if sha := spec.get("sha"):
        return f"{base}@sha256:{sha}"
    version = spec.get("tag") or spec.get("version")
    return f"{base}:{version}" if version else None


def _thanos_sidecar(
    spec: Mapping[str, Json], flags: Mapping[str, str]
) -> Iterator[dict[str, Json]]:
    if thanos := spec.get("thanos"):
        yield {
            "name": "thanos-sidecar",
            "image": _operated_image("thanos", thanos, flags),
            "resources": thanos.get("resources") or {},
            "ports": [
                {"name": "http", "containerPort": 10902},
                {"name": "grpc", "containerPort": 10901},
            ],
            "securityContext": OPERATOR_CONTEXT,
        }


def _reloader(name: str, port_name: str, port: int, flags: Mapping[str, str]) -> dict[str, Json]:
    resources: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for resource in ("cpu", "memory"):
        for bound in ("request", "limit"):
            value = flags.get(f"config-reloader-{resource}-{bound}", "0")
            if value != "0":
                resources[f"{bound}s"][resource] = value
    return {
        "name": name,
        "image": flags.get("prometheus-config-reloader"),
        "resources": resources,
        "ports": [{"name": port_name, "containerPort": port}],
        "securityContext": OPERATOR_CONTEXT,
    }


def _object(
    kind: str, name: str, namespace: str, labels: Mapping[str, str], spec: Mapping[str, Json]
) -> dict[str, Json]:
    return {
        "apiVersion": "v1" if kind == "Service" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec,
    }


def _in_namespace(manifest: dict[str, Json], namespace: str) -> dict[str, Json]:
    """Return an object with the release's namespace, where its template sets none."""
    if manifest["kind"] in CLUSTER_SCOPED or manifest["metadata"].get("namespace"):
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
