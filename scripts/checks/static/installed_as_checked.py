"""What is checked is what Flux and Argo CD install: one version, all of its values, every file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from scripts.checks.static.engines import unfilled
from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, get, leaves, line_of, load
from scripts.model import sourceignore
from scripts.model.images import DIGEST
from scripts.model.manifests import ClusterSync, Release, Repository, in_values

# The layer that `helm push` writes: https://helm.sh/docs/topics/registries/
LAYER = {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"}


def check(repository: Repository) -> list[Finding]:
    """Check every chart's source, every release's values, and what Flux packs."""
    findings: list[Finding] = []
    for sync in repository.syncs:
        found = chain.from_iterable(map(chart_source_exact, sync.objects()))
        empty = chain.from_iterable(map(no_null_values, sync.releases))
        findings += repository.locate(sync, chain(found, one_chart_per_digest(sync), empty))
    return [*findings, *built_files_packed(repository), *versions_copied(repository)]


def chart_source_exact(item: Mapping[str, Json]) -> Iterator[Violation]:
    """A release has one source, pinned by its tag, of which Flux takes the chart's layer."""
    name, spec = item["metadata"]["name"], item.get("spec") or {}
    if item["kind"] == "HelmRelease":
        if {"chart", "chartRef"} <= spec.keys():
            text = "has chart and chartRef, of which the API server takes one"
            yield Violation("HelmRelease", name, ("spec", "chart"), text, "remove one of them")
        if get(spec, "chart", "spec", "valuesFiles"):
            at = ("spec", "chart", "spec", "valuesFiles")
            text = "valuesFiles is something that Argo CD does not do here, nor the checks"
            yield Violation("HelmRelease", name, at, text, "set the values themselves")
    if item["kind"] != "OCIRepository":
        return
    # Flux takes the digest, then `semver`, then the tag (source-controller, getArtifactRef in
    # internal/controller/ocirepository_controller.go).
    reference, layer = spec.get("ref") or {}, spec.get("layerSelector") or {}
    if reference.get("semver"):
        text = "Flux follows ref.semver, and Argo CD and the checks its tag"
        fix = "remove semver, and pin the version in ref.tag; Renovate moves it"
        yield Violation("OCIRepository", name, ("spec", "ref", "semver"), text, fix)
    if "@" in str(reference.get("tag")):
        text = "ref.tag has a digest in it, as images do; Flux asks for a tag of that name"
        fix = "write the version alone, and what is behind the @ in ref.digest"
        yield Violation("OCIRepository", name, ("spec", "ref", "tag"), text, fix)
    digest = str(reference.get("digest") or "")
    if digest and not DIGEST.fullmatch(digest):
        text = f"ref.digest {digest!r} is no digest of a manifest, so that Flux gets no chart"
        fix = "write sha256: and 64 hexadecimal digits, as `crane digest` prints them"
        yield Violation("OCIRepository", name, ("spec", "ref", "digest"), text, fix)
    if wrong := [key for key, value in LAYER.items() if layer.get(key) != value]:
        text = "layerSelector does not select the chart: Flux takes the first layer, which may be "
        text += "its signature" if "mediaType" in wrong else "the chart, and unpacks it"
        fix = "let base/releases/kustomization.yaml set "
        fix += ", ".join(f"{key}: {value}" for key, value in LAYER.items())
        keys = ("spec", "layerSelector", wrong[0])
        yield Violation("OCIRepository", name, keys, text, fix)


def one_chart_per_digest(sync: ClusterSync) -> Iterator[Violation]:
    """No two charts, nor two versions of one, have one digest: it is that of all their content."""
    first: dict[str, tuple[str, str]] = {}
    for item in sync.objects():
        reference = get(item, "spec", "ref") if item["kind"] == "OCIRepository" else None
        if digest := get(reference, "digest"):
            name = item["metadata"]["name"]
            what = f"{get(item, 'spec', 'url')}:{get(reference, 'tag')}"
            other, known = first.setdefault(str(digest), (name, what))
            if known != what:
                text = f"its digest is that of OCIRepository {other}, which is another chart"
                fix = "write its own, as `crane digest` prints it"
                yield Violation("OCIRepository", name, ("spec", "ref", "digest"), text, fix)


def no_null_values(release: Release) -> Iterator[Violation]:
    """No value is null: whether Helm gets it, and so removes the default, depends on history.

    It does where the object is new, and not where a value becomes null
    (https://github.com/fluxcd/kustomize-controller/issues/372, likewise
    https://github.com/argoproj/argo-cd/issues/19781). In an overlay, null removes what the base
    has, and does not come so far.
    """
    for keys, value in leaves(release.values):
        if value is None:
            text = f"{'.'.join(keys)} is null, which is lost where the object is there already: "
            text += "the chart's default is back"
            fix = "write the value that is meant, such as 0, false, an empty text, {} or []"
            yield in_values(release, keys, text, fix)


def built_files_packed(repository: Repository) -> Iterator[Finding]:
    """No ignore file leaves out of Flux' artifact what a Kustomization is built from."""
    lost: dict[sourceignore.Pattern, dict[str, None]] = {}
    for sync in repository.syncs:
        if sync.synced and sync.engine == "flux":
            files = sorted(repository.files(sync))
            found = sourceignore.hidden(repository.root, sync.cluster, files)
            for pattern, paths in found.items():
                lost.setdefault(pattern, {}).update(dict.fromkeys(paths))
    for pattern, every in lost.items():
        first, *others = every
        more = f" and {len(others)} more" if others else ""
        text = f"{pattern.text} leaves out {first}{more}, which Flux is to build from"
        fix = "narrow the pattern, or bring the files back with `!` in a line behind it"
        yield Finding(pattern.path or sourceignore.FILE, pattern.line, text, fix)


def versions_copied(repository: Repository) -> Iterator[Finding]:
    """An Application of a chart copies version and values: Renovate moves those of Flux alone."""
    syncs = [sync for sync in repository.syncs if sync.engine == "argocd"]
    files = {file for sync in syncs for file in repository.files(sync) if file.endswith(".yaml")}
    for path in sorted(files):
        for index, item in enumerate(load(repository.root / path, repository.root)):
            if get(item, "kind") != "Application" or not get(item, "spec", "source", "chart"):
                continue
            for keys in (("targetRevision",), ("helm", "valuesObject")):
                value = get(item, "spec", "source", *keys)
                if value and not unfilled(value):
                    source = (repository.root / path).read_text(encoding="utf-8")
                    line = line_of(source, "spec", "source", *keys, document=index)
                    name = get(item, "metadata", "name")
                    text = f"Application {name}: {keys[-1]} is written here, apart from Flux's"
                    blank = "copied" if len(keys) == 1 else "{}"
                    fix = f"write {blank}, and let a replacement copy it from Flux's object"
                    yield Finding(path, line, text, fix)
