"""What each cluster's engine syncs, built as Flux and Argo CD would build it.

Cluster syncs are found by glob: `clusters/<cluster>/<engine>`, and `tests/options`, which enables
every opt-in so that these are checked as well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from scripts import tools
from scripts.core.findings import SHAPE_ERRORS, Finding, RepositoryError, Violation
from scripts.core.yamlfile import Json, Sources, load
from scripts.model import api_groups, kustomization

ENGINES = ("flux", "argocd")
# Beside the engines' folders: Secrets encrypted with SOPS, for Flux only (README, Secrets).
ENCRYPTED = "secrets"
# In Flux' folder: the files of `flux bootstrap`, which nothing else changes.
BOOTSTRAP = "flux-system"
# Our namespaces, those that opt-ins add, and those that the installation of an engine creates.
NAMESPACES = frozenset({"monitoring", "monitoring-node"})
OPTIONAL_NAMESPACES = frozenset({"cert-manager", "gateway", "monitoring-agents"})
# What a chart may come from: those that have a version, which Argo CD gets, too.
CRD = "CustomResourceDefinition"
CHART_SOURCES = ("HelmRepository", "OCIRepository")
ENGINE_NAMESPACES = frozenset({"argocd", "flux-system"})
# The limit of etcd and of the API server on one object.
CONFIGMAP_BYTES = 1024 * 1024
# The name of `tests/options`, in place of a cluster's; those of its further sets begin with it.
OPTIONS = "options"


@dataclass(frozen=True)
class Release:
    """One Helm release, as either engine installs it.

    Attributes:
        name: The release's name, as Helm sees it.
        namespace: Where the chart is installed.
        chart: The chart's name.
        version: Its exact version: the tag, where it is in an OCI registry.
        repository: Where it comes from: `host/path` of an OCI registry, or a URL.
        values: The final values.
        owner: Kind and name of the object that declares it.
        skips_crds: Whether the engine leaves out what the chart has in its folder `crds`.
        digest: Of the manifest in its OCI registry, which the engine then takes whatever the tag
            names; empty if none is pinned.
    """

    name: str
    namespace: str
    chart: str
    version: str
    repository: str
    values: dict[str, Json]
    owner: tuple[str, str]
    skips_crds: bool = False
    digest: str = ""


@dataclass(frozen=True)
class Unit:
    """What is applied at once: a Flux Kustomization, or an Application of a path in git.

    Attributes:
        name: The Kustomization's or Application's name.
        path: The folder that is built, relative to the repository.
        objects: The objects built.
        depends_on: Names of the units that come before.
    """

    name: str
    path: str
    objects: list[dict[str, Json]]
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterSync:
    """One cluster as one engine syncs it.

    Attributes:
        cluster: The folder's name below `clusters/`, or one that begins with OPTIONS.
        engine: `flux` or `argocd`.
        units: In the order in which they are declared; the first holds the engine's own objects.
        releases: Every Helm release.
    """

    cluster: str
    engine: str
    units: list[Unit]
    releases: list[Release] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`cluster/engine`, as findings name it."""
        return f"{self.cluster}/{self.engine}"

    @property
    def synced(self) -> bool:
        """Whether an engine syncs it; `tests/options` is only built."""
        return self.cluster.partition("/")[0] != OPTIONS

    @property
    def has_opt_ins(self) -> bool:
        """Whether it has what any panel may show: the opt-ins that go together."""
        return self.cluster == OPTIONS

    def objects(self) -> Iterator[dict[str, Json]]:
        """Every object of every unit."""
        for unit in self.units:
            yield from unit.objects

    def before(self, unit: Unit) -> set[str]:
        """Return the names of all units that one depends on, directly or not."""
        by_name = {u.name: u for u in self.units}
        found: set[str] = set()
        pending = list(unit.depends_on)
        while pending:
            name = pending.pop()
            if name in by_name and name not in found:
                found.add(name)
                pending.extend(by_name[name].depends_on)
        return found


def in_values(release: Release, keys: tuple[str, ...], message: str, fix: str) -> Violation:
    """Return a violation in a release's values, which both engines read from the HelmRelease."""
    return Violation("HelmRelease", release.owner[1], ("spec", "values", *keys), message, fix)


def identity(manifest: Mapping[str, Json]) -> str:
    """Return `Kind namespace/name` of an object, as findings name it."""
    metadata = manifest.get("metadata") or {}
    namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest.get('kind', '?')} {namespace}{metadata.get('name', '?')}"


def group(manifest: Mapping[str, Json]) -> str:
    """Return the API group of an object; the core group is the empty string."""
    version = str(manifest.get("apiVersion", ""))
    return version.rpartition("/")[0]


def is_engine_object(manifest: Mapping[str, Json]) -> bool:
    """Say whether an object is of Flux' or Argo CD's API, and so differs between the engines."""
    return group(manifest).endswith((api_groups.TOOLKIT, api_groups.ARGO_CD))


class Repository:
    """This repository's working tree, built once and read by every check."""

    def __init__(
        self, root: Path | None = None, on_error: Callable[[str, Exception], None] | None = None
    ):
        """Take a tree; everything is built on first use.

        Args:
            root: The tree, by default this repository's.
            on_error: Called with the path of a kustomization that does not build and the reason;
                the kustomization then counts as empty. Without it, the error is raised.
        """
        self.root = root or tools.ROOT
        self._on_error = on_error

    @functools.cached_property
    def sources(self) -> Sources:
        """The files and lines of objects."""
        return Sources(self.root)

    def chart_version(self, sync: ClusterSync, release: Release) -> tuple[str, int | None]:
        """Return the file and line of a chart's version, else of what declares the release."""
        for kind, *keys in (
            ("OCIRepository", "spec", "ref", "tag"),
            ("HelmRelease", "spec", "chart", "spec", "version"),
        ):
            if (place := self.where(kind, release.owner[1], *keys, sync=sync))[1]:
                return place
        return self.where(*release.owner, sync=sync)

    def where(
        self, kind: str, name: str, *keys: str, sync: ClusterSync | None = None
    ) -> tuple[str, int | None]:
        """Return (path, line) where an object, or a key of it, is written; else its name.

        Args:
            kind: The object's kind.
            name: The object's name.
            keys: Keys, and indices of lists, that lead to a value in it.
            sync: Look only in what this cluster sync reads, as two overlays may set one key.
        """
        within = self.files(sync) if sync else None
        prefix = f"{sync.name} " if sync else ""
        found = self.sources.find(kind, name, *keys, within=within)
        return found or (f"{prefix}{kind} {name}", None)

    def locate(self, sync: ClusterSync, violations: Iterable[Violation]) -> list[Finding]:
        """Return violations in a cluster sync's objects as findings, with file and line."""
        return [
            Finding(*self.where(kind, name, *keys, sync=sync), f"{kind} {name}: {message}", fix)
            for kind, name, keys, message, fix in violations
        ]

    def files(self, sync: ClusterSync) -> frozenset[str]:
        """Return every file that its units are built from, relative to the repository."""
        return frozenset().union(*(self._files(unit.path) for unit in sync.units))

    @functools.cache  # noqa: B019 - lives as long as the run
    def _files(self, path: str) -> frozenset[str]:
        folder = self.root / path
        kustomized = (folder / "kustomization.yaml").is_file()
        found = kustomization.files(folder) if kustomized else _applied_files(folder)
        return frozenset(str(f.relative_to(self.root)) for f in found)

    @functools.cached_property
    def cluster_engines(self) -> list[tuple[str, str]]:
        """Cluster and engine of every folder `clusters/<cluster>/<engine>`, sorted.

        Raises:
            RepositoryError: If an engine is neither Flux nor Argo CD.
        """
        found = sorted(
            (path.parent.name, path.name)
            for path in self.root.glob("clusters/*/*")
            if path.is_dir() and path.name != ENCRYPTED
        )
        unknown = [f"clusters/{c}/{e}" for c, e in found if e not in ENGINES]
        if unknown:
            raise RepositoryError(
                *(
                    Finding(folder, None, "no such engine", "name the folder flux or argocd")
                    for folder in unknown
                )
            )
        return found

    @functools.cached_property
    def syncs(self) -> list[ClusterSync]:
        """Every cluster under every engine, built in parallel.

        Raises:
            RepositoryError: If a folder does not build or an engine is neither Flux nor Argo CD.
        """
        jobs: list[Callable[[], ClusterSync]] = [
            functools.partial(self.sync, *names) for names in self.cluster_engines
        ]
        if (self.root / kustomization.OPTIONS).is_dir():
            jobs += [functools.partial(self._options, name) for name in self._option_sets()]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(_caught, jobs))
        # What does not build in an environment does not build with opt-ins, either.
        own = len(self.cluster_engines)
        for of in (results[:own], results[own:]):
            findings = [f for r in of if isinstance(r, RepositoryError) for f in r.findings]
            if findings:
                raise RepositoryError(*sorted(set(findings)))
        return [result for result in results if isinstance(result, ClusterSync)]

    def sync(self, cluster: str, engine: str) -> ClusterSync:
        """Build one cluster as one engine syncs it.

        Raises:
            RepositoryError: If a folder does not build.
        """
        return self._flux(cluster) if engine == "flux" else self._argocd(cluster)

    def cluster(self, name: str) -> dict[str, ClusterSync]:
        """Return a cluster as each of its engines syncs it, by engine.

        Raises:
            RepositoryError: If there is no such cluster.
        """
        found = {s.engine: s for s in self.syncs if s.cluster == name and s.synced}
        if not found:
            known = sorted({s.cluster for s in self.syncs if s.synced})
            text, fix = f"there is no cluster {name}", f"use one of {', '.join(known)}"
            raise RepositoryError(Finding("clusters", None, text, fix))
        return found

    @functools.cache  # noqa: B019 - lives as long as the run
    def build(self, path: str) -> list[dict[str, Json]]:
        """Return the objects of a kustomization, built with the load restrictor on.

        Args:
            path: The folder, relative to the repository.

        Raises:
            RepositoryError: With kustomize's reason, shortened to its last part.
        """
        try:
            return kustomization.build(self.root, path)
        except (RepositoryError, *SHAPE_ERRORS) as error:
            if self._on_error is None:
                raise
            self._on_error(path, error)
            return []

    def _flux(self, cluster: str) -> ClusterSync:
        folder = self.root / "clusters" / cluster / "flux"
        own = [o for path in _applied_files(folder) for o in load(path, self.root)]
        units = [Unit("flux-system", str(folder.relative_to(self.root)), own)]
        for item in own:
            if item.get("kind") == "Kustomization" and group(item) == api_groups.KUSTOMIZE:
                path = item["spec"]["path"].removeprefix("./")
                after = tuple(d["name"] for d in item["spec"].get("dependsOn", []))
                # Only Flux can decrypt the Secrets in that folder.
                objects = [] if decrypts(cluster, path) else self.build(path)
                units.append(Unit(item["metadata"]["name"], path, objects, after))
        sync = ClusterSync(cluster, "flux", units)
        sync.releases.extend(flux_releases(list(sync.objects())))
        return sync

    def _argocd(self, cluster: str) -> ClusterSync:
        path = f"clusters/{cluster}/argocd"
        own = self.build(path)
        units = [Unit("monitoring", path, own)]
        sync = ClusterSync(cluster, "argocd", units)
        for item in own:
            if item.get("kind") != "Application":
                continue
            source = item["spec"]["source"]
            if "chart" in source:
                sync.releases.append(_argocd_release(item))
            elif source["path"] != path:
                name = item["metadata"]["name"]
                units.append(
                    Unit(name, source["path"], self.build(source["path"]), ("monitoring",))
                )
        return sync

    def _option_sets(self) -> list[str]:
        """Return the folders of `tests/options` whose folders are built together, itself first.

        Opt-ins that no cluster has side by side are in sets of their own.
        """
        folder = self.root / kustomization.OPTIONS
        own = {p.parents[1] for p in folder.glob(f"*/*/{kustomization.FILE}")}
        sets = [path for path in sorted(own) if not (path / kustomization.FILE).exists()]
        return [str(path.relative_to(folder.parent)) for path in (folder, *sets)]

    def _options(self, name: str) -> ClusterSync:
        folder = f"{Path(kustomization.OPTIONS).parent}/{name}"
        built = sorted(path.parent for path in (self.root / folder).glob(f"*/{kustomization.FILE}"))
        units = [
            Unit(path.name, f"{folder}/{path.name}", self.build(f"{folder}/{path.name}"))
            for path in built
        ]
        sync = ClusterSync(name, "flux", units)
        sync.releases.extend(flux_releases(list(sync.objects())))
        return sync


def decrypts(cluster: str, path: str) -> bool:
    """Say whether a Flux Kustomization's path is the folder of its cluster's encrypted Secrets."""
    return path.removeprefix("./").rstrip("/") == f"clusters/{cluster}/{ENCRYPTED}"


def flux_releases(objects: list[dict[str, Json]]) -> list[Release]:
    """Return what each HelmRelease installs, by helm-controller's rules.

    The release's name is `spec.releaseName`, else the object's name with the target namespace in
    front where one is set (https://fluxcd.io/flux/components/helm/helmreleases/#release-name).

    Raises:
        RepositoryError: If a release's source is missing or pins no exact version.
    """
    by_name = {
        (o["kind"], o["metadata"]["name"]): o for o in objects if group(o) in api_groups.FLUX
    }
    releases = []
    for (kind, name), item in by_name.items():
        if kind != "HelmRelease":
            continue
        spec = item["spec"]
        target = spec.get("targetNamespace")
        own = item["metadata"].get("namespace", "default")
        reference = spec.get("chartRef") or spec.get("chart", {}).get("spec", {}).get("sourceRef")
        source = by_name.get((reference["kind"], reference["name"])) if reference else None
        if source is None or source["kind"] not in CHART_SOURCES:
            text = f"its source {reference and reference.get('name')} is declared nowhere"
            raise RepositoryError(
                Finding(
                    f"HelmRelease {own}/{name}",
                    None,
                    f"its chart is of no registry, but of a {source['kind']}" if source else text,
                    "name an OCIRepository in chartRef, or a HelmRepository in sourceRef",
                )
            )
        chart, version, repository, digest = _chart(spec, source)
        if not version:
            text, fix = f"the chart {chart} has no version", "pin an exact one: "
            if digest:
                text = f"the chart {chart} has a digest and no tag, and Argo CD needs its version"
            fix += "spec.ref.tag of its source, or spec.chart.spec.version"
            raise RepositoryError(Finding(f"HelmRelease {own}/{name}", None, text, fix))
        releases.append(
            Release(
                spec.get("releaseName") or (f"{target}-{name}" if target else name),
                target or own,
                chart,
                version,
                repository,
                spec.get("values") or {},
                ("HelmRelease", name),
                (spec.get("install") or {}).get("crds") == "Skip",
                digest,
            )
        )
    return sorted(releases, key=lambda r: r.name)


def _chart(spec: Json, source: Json) -> tuple[str, str, str, str]:
    """Return name, version, repository and digest of a HelmRelease's chart; empty what is not set.

    An OCI registry is named as in an Application: without the scheme.
    """
    url = str(source["spec"]["url"]).removeprefix("oci://")
    if source["kind"] == "OCIRepository":
        repository, _, chart = url.rpartition("/")
        reference = source["spec"].get("ref") or {}
        return (
            chart,
            str(reference.get("tag") or ""),
            repository,
            str(reference.get("digest") or ""),
        )
    own = spec["chart"]["spec"]
    return own["chart"], str(own.get("version") or ""), url, ""


def _argocd_release(item: dict[str, Json]) -> Release:
    source = item["spec"]["source"]
    helm = source.get("helm") or {}
    name = item["metadata"]["name"]
    return Release(
        helm.get("releaseName") or name,
        item["spec"]["destination"].get("namespace", ""),
        source["chart"],
        str(source.get("targetRevision", "")),
        source["repoURL"],
        helm.get("valuesObject") or {},
        ("Application", name),
        bool(helm.get("skipCrds")),
    )


def _caught(job: Callable[[], ClusterSync]) -> ClusterSync | RepositoryError:
    try:
        return job()
    except RepositoryError as error:
        return error


def _applied_files(folder: Path) -> list[Path]:
    """Return the files of a folder that Flux applies, without those of its bootstrap."""
    files = sorted(folder.rglob("*.yaml"))
    return [path for path in files if BOOTSTRAP not in path.relative_to(folder).parts]
