"""Charts: their archives, from the cache or a registry, and what Helm renders."""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import re
import subprocess
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from scripts import tools
from scripts.core.findings import YELLOW, Finding, RepositoryError, colour, progress
from scripts.core.yamlfile import Json, load_all
from scripts.model import schemas
from scripts.model.manifests import ClusterSync, Release

# Objects by (cluster sync's name, release's name).
Rendered = dict[tuple[str, str], list[dict[str, Json]]]
# Characters of a repository or a digest that become a dash in the name of a folder or a file.
_NOT_IN_NAME = re.compile(r"[^\w.-]+")
METADATA = "Chart.yaml"
# Files of a chart, or of one that it has in `charts`, that Helm takes for CRDs.
_CRDS = r"(?:charts/[^/]+/)*crds/.+\.(?:yaml|yml|json)"
# Where charts are pulled from instead of their own registries, such as oci://registry.internal/charts.
MIRROR = "CHARTS_MIRROR"


class _Pin(NamedTuple):
    """What decides which archive a release is rendered from."""

    repository: str
    chart: str
    version: str
    digest: str

    @classmethod
    def of(cls, release: Release) -> _Pin:
        return cls(release.repository, release.chart, release.version, release.digest)

    def finding(self, message: str, fix: str) -> Finding:
        return Finding(f"chart {self.chart} {self.version}", None, message, fix)


def archive(release: Release) -> Path:
    """Return the chart's archive: from the cache, else pulled into it.

    Archives are cached by repository, as two repositories may have different charts of one name and
    version, and by the pinned digest, as a version may have been pushed again. An archive that a
    user puts into the folder itself is used for every repository. A digest is that of the manifest
    in a registry, which such an archive lacks: nobody can say whether it is that one, and this is
    told.

    Raises:
        RepositoryError: If neither the cache nor the registry has it, or the digest is of another
            version; names the chart.
    """
    found = _archive(_Pin.of(release))
    if isinstance(found, Path):
        return found
    raise RepositoryError(found)


def _folder() -> Path:
    return tools.cache() / "charts"


@functools.cache
def _archive(pin: _Pin) -> Path | Finding:
    name = f"{pin.chart}-{pin.version}.tgz"
    by_hand = _folder() / name
    folder = _folder() / _NOT_IN_NAME.sub("-", pin.repository.rpartition("://")[2]).strip(".")
    pulled = folder / name
    if pin.digest:
        pulled = folder / f"{pin.chart}-{pin.version}@{_NOT_IN_NAME.sub('-', pin.digest)}.tgz"
        if pulled.exists():
            return pulled
    if by_hand.exists():
        return _checksum_as_digest(pin, by_hand) or by_hand
    if pulled.exists():
        return pulled
    folder.mkdir(parents=True, exist_ok=True)
    progress(f"pulling {pin.chart} {pin.version}")
    with tempfile.TemporaryDirectory(dir=tools.cache()) as partial:
        reason = _pull(pin, partial)
        for path in Path(partial).glob("*.tgz"):
            if wrong := _other_version(pin, path):
                return wrong
            path.rename(pulled)
            return pulled
    what = f" as {pin.digest}" if pin.digest else ""
    text = f"neither the cache nor {os.environ.get(MIRROR) or pin.repository} has it{what}: "
    fix = f"put {name} into {_folder()}, or name a mirror in {MIRROR}"
    if pin.digest:
        fix = f"compare the digest with the registry's, or {fix}"
    return pin.finding(text + reason[:200], fix)


def _pull(pin: _Pin, folder: str) -> str:
    """Have Helm pull a chart into a folder; return what it says where it cannot."""
    mirror = os.environ.get(MIRROR)
    address = f"{mirror or f'oci://{pin.repository}'}/{pin.chart}"
    source = [address, "--version", pin.version]
    if pin.digest:
        # Without the version, as Helm would compare it with what the tag names now.
        source = [f"{address}@{pin.digest}"]
    elif not mirror and pin.repository.startswith("http"):
        source = [pin.chart, "--repo", pin.repository, "--version", pin.version]
    try:
        pulled = subprocess.run(
            [str(tools.path("helm")), "pull", *source, "-d", folder],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        return "no answer within 120 s"
    return (pulled.stderr.strip().splitlines() or ["no answer"])[-1]


def _checksum_as_digest(pin: _Pin, by_hand: Path) -> Finding | None:
    """Refuse an archive's checksum in place of a digest, and tell what else is not known."""
    if pin.digest == f"sha256:{_file_digest(by_hand)}":
        text = f"{pin.digest} is the checksum of its archive, which no registry has as a chart"
        return pin.finding(text, "pin the digest of the manifest, as `crane digest` prints it")
    if pin.digest:
        progress(f"{by_hand.name} was put there by hand: whether it is {pin.digest}, nobody knows")
    return None


def _other_version(pin: _Pin, path: Path) -> Finding | None:
    """Compare an archive that was pulled by its digest with the tag, which Flux does not read."""
    if not pin.digest:
        return None
    own = read(path, METADATA)
    found = str(load_all(own[METADATA], METADATA)[0]["version"]) if own else "none"
    # A tag cannot have the plus of a version.
    if found.replace("+", "_") == pin.version.replace("+", "_"):
        return None
    text = f"{pin.digest} is version {found}: Flux installs it, and Argo CD what the tag says"
    return pin.finding(text, "let tag and digest be of one version")


def crds(release: Release) -> frozenset[str]:
    """Return the names of the CRDs that the chart, or a chart in it, has in its folder `crds`.

    Helm installs these once: it changes and deletes none.
    """
    documents = (o for name, text in texts(release, _CRDS).items() for o in load_all(text, name))
    return frozenset(str(o["metadata"]["name"]) for o in documents if isinstance(o, dict))


def metadata(release: Release) -> dict[str, Json]:
    """Return a chart's `Chart.yaml`; empty where the chart cannot be had."""
    found = texts(release, METADATA)
    return load_all(found[METADATA], METADATA)[0] if found else {}


def texts(release: Release, pattern: str) -> dict[str, str]:
    """Return files of a chart by their paths in it; none where the chart cannot be had.

    Args:
        release: A release of the chart.
        pattern: A regular expression that such a path matches as a whole.
    """
    found = _archive(_Pin.of(release))
    return read(found, pattern) if isinstance(found, Path) else {}


@functools.cache
def read(path: Path, pattern: str) -> dict[str, str]:
    """Return files of an archive, as `texts` does."""
    found = {}
    with tarfile.open(path) as packed:
        for member in packed:
            name = member.name.partition("/")[2]
            if re.fullmatch(pattern, name) and (content := packed.extractfile(member)):
                found[name] = content.read().decode(errors="replace")
    return found


def missing(syncs: list[ClusterSync]) -> list[Finding]:
    """Return a finding for each chart of the cluster syncs that cannot be pulled."""
    pins = dict.fromkeys(_Pin.of(r) for sync in syncs for r in sync.releases)
    with ThreadPoolExecutor(4) as pool:
        return [found for found in pool.map(_archive, pins) if isinstance(found, Finding)]


def add_allow_missing(parser: argparse.ArgumentParser) -> None:
    """Add the option `--allow-missing`, which `provable` takes."""
    text = "prove nothing where a chart cannot be had, and say so"
    parser.add_argument("--allow-missing", action="store_true", help=text)


def provable(syncs: list[ClusterSync], *, allow_missing: bool) -> bool:
    """Say whether every chart is available, so that something can be proven; print what is not.

    Args:
        syncs: The cluster syncs.
        allow_missing: Accept that a chart is missing. Never on GitHub, whose runners reach every
            registry.

    Raises:
        RepositoryError: If one is missing and that is not allowed.
    """
    absent = missing(syncs)
    if absent and (not allow_missing or "GITHUB_ACTIONS" in os.environ):
        raise RepositoryError(*absent)
    for finding in absent:
        print(colour(f"nothing proven: {finding.path}: {finding.message}", YELLOW))
    return not absent


def render(release: Release) -> list[dict[str, Json]]:
    """Return the objects that the release installs, by `helm template`, cached by content.

    Rendered for the newest supported Kubernetes, with the chart's `crds/` unless the engine skips
    it.

    Raises:
        RepositoryError: If the chart is missing or Helm refuses the values.
    """
    return [o for o in json.loads(_rendered(release)) if isinstance(o, dict)]


def template(release: Release, values: dict[str, Json] | None = None) -> str:
    """Return Helm's output, not cached.

    Args:
        release: What to render.
        values: In place of the release's own.

    Raises:
        RepositoryError: If the chart is missing or Helm refuses the values.
    """
    run = tools.run(
        "helm",
        "template",
        release.name,
        archive(release),
        f"--namespace={release.namespace}",
        f"--kube-version={schemas.kubernetes_versions()[-1]}",
        "--skip-crds" if release.skips_crds else "--include-crds",
        "--values=-",
        stdin=json.dumps(release.values if values is None else values),
    )
    if run.returncode:
        raise RepositoryError(
            Finding(
                f"{release.owner[0]} {release.owner[1]}",
                None,
                f"{release.chart} {release.version} does not render: {run.stderr.strip()[-400:]}",
                "correct the values that the message names",
            )
        )
    return run.stdout


def render_all(syncs: list[ClusterSync]) -> Rendered:
    """Render every release of the cluster syncs, in parallel."""
    keys = {(sync.name, r.name): content_key(r) for sync in syncs for r in sync.releases}
    # Most cluster syncs share most releases, and a release's objects may be megabytes.
    distinct = {keys[sync.name, r.name]: r for sync in syncs for r in sync.releases}
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        objects = dict(zip(distinct, pool.map(render, distinct.values()), strict=True))
    return {name: objects[key] for name, key in keys.items()}


def content_key(release: Release) -> str:
    """Return a hash of everything that the rendered output depends on."""
    digest = _file_digest(archive(release))
    parts = [
        digest,
        release.name,
        release.namespace,
        release.values,
        release.skips_crds,
        schemas.kubernetes_versions()[-1],
        tools.version("helm"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@functools.cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rendered(release: Release) -> str:
    cached = tools.cache() / "renders" / f"{content_key(release)}.json"
    if cached.exists():
        return cached.read_text()
    objects = json.dumps(load_all(template(release), f"{release.chart} (rendered)"))
    tools.write(cached, objects)
    return objects
