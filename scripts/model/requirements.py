"""What one of the clusters requires of Kubernetes, by its manifests and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scripts.core.findings import Finding
from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json
from scripts.model import budget, charts, credentials, images, object_storage
from scripts.model.credentials import NeededSecret
from scripts.model.manifests import Release, Repository, is_engine_object
from scripts.model.object_storage import ObjectStorage
from scripts.model.pod_security import POD_SECURITY
from scripts.model.rendered import Cluster, Item, Pod, clusters

CRD_CHART = "prometheus-operator-crds"
# The annotations of a default StorageClass.
DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim of the stack.

    Attributes:
        namespace: Where the claim is.
        ending: What its name ends with, which the claims of a StatefulSet's pod share.
        size: In bytes.
        storage_class: None for the cluster's default.
    """

    namespace: str
    ending: str
    size: float
    storage_class: str | None

    def matches(self, namespace: str, name: str) -> bool:
        """Say whether a claim in the cluster is this one."""
        return namespace == self.namespace and name.endswith(self.ending)


@dataclass(frozen=True)
class Requirements:
    """What one cluster requires; without charts, no pods, claims and CRDs are known.

    Attributes:
        name: The folder below `clusters/`.
        environment: The folder below `overlays/` that it syncs.
        absent: A finding for each chart that cannot be pulled.
        limits: The environment's `budget.yaml`.
        pods: The pods of each workload.
        claims: The volumes.
        images: For each image's repository, the architectures that it is known to run on.
        crds: The Prometheus operator's CRDs.
        crd_release: The release that installs them.
        namespaces: The Pod Security level that each namespace gets.
        secrets: The Secrets that no sync creates.
        declared: The objects that an engine reads, by engine.
        rendered: The cluster as it is after a sync, by one of the engines.
        storage: What the environment says of its buckets; None where it has none.
    """

    name: str
    environment: str
    absent: tuple[Finding, ...]
    limits: Mapping[str, Json]
    pods: tuple[Pod, ...]
    claims: tuple[Claim, ...]
    images: Mapping[str, frozenset[str]]
    crds: tuple[Item, ...]
    crd_release: Release
    namespaces: Mapping[str, str]
    secrets: tuple[NeededSecret, ...]
    declared: Mapping[str, tuple[Json, ...]]
    rendered: Cluster = field(repr=False)
    storage: ObjectStorage | None = None


def read(name: str, repository: Repository) -> Requirements:
    """Build and render a cluster of this repository.

    Both engines get the same objects (`make validate` compares them), so one of them is enough.

    Raises:
        RepositoryError: If there is no such cluster, or a chart refuses its values.
    """
    syncs = repository.cluster(name)
    sync = next(iter(syncs.values()))
    absent = charts.missing(repository.syncs)
    cluster = Cluster(repository, sync, ())
    if not absent:
        cluster = next(c for c in clusters(repository) if c.name == sync.name)
    crd_release = next(r for r in sync.releases if r.chart == CRD_CHART)
    return Requirements(
        name,
        budget.environment(cluster) or name,
        tuple(absent),
        budget.limits(cluster),
        cluster.pods,
        tuple(_claims(cluster)),
        _images(cluster),
        tuple(i for i in cluster.of("CustomResourceDefinition") if i.release == crd_release.name),
        crd_release,
        {
            item["metadata"]["name"]: item["metadata"]["labels"][POD_SECURITY]
            for item in sync.objects()
            if item["kind"] == "Namespace"
        },
        tuple(s for s in credentials.needed_secrets(sync, repository) if not s.created_by),
        {engine: tuple(filter(is_engine_object, one.objects())) for engine, one in syncs.items()},
        cluster,
        object_storage.read(repository, sync),
    )


def _claims(cluster: Cluster) -> Iterator[Claim]:
    specs = [
        (pod.owner.namespace, f"-{pod.owner.name}-{index}", spec)
        for pod in cluster.pods
        for index in range(pod.replicas or 0)
        for spec in pod.claims
    ]
    specs += [(i.namespace, i.name, i.spec) for i in cluster.of("PersistentVolumeClaim")]
    for namespace, ending, spec in specs:
        size = quantity(spec["resources"]["requests"]["storage"])
        yield Claim(namespace, ending, size, spec.get("storageClassName"))


def _images(cluster: Cluster) -> dict[str, frozenset[str]]:
    known = images.known(cluster.repository.root)
    run = {images.repository(str(c.get("image"))) for pod in cluster.pods for c in pod.containers}
    return {
        image: frozenset(key for key, value in known.get(image, {}).items() if value is True)
        for image in sorted(run)
    }
