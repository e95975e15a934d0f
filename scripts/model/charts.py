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

from scripts import tools
from scripts.core.findings import YELLOW, Finding, RepositoryError, colour, progress
from scripts.core.yamlfile import Json, load_all
from scripts.model import schemas
from scripts.model.manifests import ClusterSync, Release

# Objects by (cluster sync's name, release's name).
Rendered = dict[tuple[str, str], list[dict[str, Json]]]
# Characters of a repository's name that become a dash in the name of its folder.
_NOT_IN_FOLDER = re.compile(r"[^\w.-]+")
# Where charts are pulled from instead of their own registries, such as oci://registry.internal/charts.
MIRROR = "CHARTS_MIRROR"


def archive(release: Release) -> Path:
    """Return the chart's archive: from the cache, else pulled into it.

    Archives are cached by repository, as two repositories may have different charts of one name and
    version. An archive that a user puts into the folder itself is used for every repository.

    Raises:
        RepositoryError: If neither the cache nor the registry has it; names the chart.
    """
    found = _archive(release.repository, release.chart, release.version)
    if isinstance(found, Path):
        return found
    raise RepositoryError(found)


@functools.cache
def _archive(repository: str, chart: str, version: str) -> Path | Finding:
    name = f"{chart}-{version}.tgz"
    own = tools.cache() / "charts"
    folder = own / _NOT_IN_FOLDER.sub("-", repository.rpartition("://")[2]).strip(".")
    for path in (own / name, folder / name):
        if path.exists():
            return path
    folder.mkdir(parents=True, exist_ok=True)
    mirror = os.environ.get(MIRROR)
    progress(f"pulling {chart} {version}")
    if mirror or not repository.startswith("http"):
        source = [f"{mirror or f'oci://{repository}'}/{chart}"]
    else:
        source = [chart, "--repo", repository]
    with tempfile.TemporaryDirectory(dir=tools.cache()) as partial:
        try:
            pulled = subprocess.run(
                [str(tools.path("helm")), "pull", *source, "--version", version, "-d", partial],
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            reason = pulled.stderr.strip().splitlines()[-1:] or ["no answer"]
        except subprocess.TimeoutExpired:
            reason = ["no answer within 120 s"]
        archives = list(Path(partial).glob("*.tgz"))
        if archives:
            archives[0].rename(path)
            return path
    return Finding(
        f"chart {chart} {version}",
        None,
        f"neither the cache nor {mirror or repository} has it: {reason[0][:200]}",
        f"put {name} into {own}, or name a mirror in {MIRROR}",
    )


def metadata(release: Release) -> dict[str, Json]:
    """Return a chart's `Chart.yaml`; empty where the chart cannot be had."""
    found = texts(release, "Chart.yaml")
    return next((load_all(text, "Chart.yaml")[0] for text in found.values()), {})


def texts(release: Release, *names: str) -> dict[str, str]:
    """Return files at the top of a chart by their names; none where the chart cannot be had."""
    found = _archive(release.repository, release.chart, release.version)
    return _texts(found, names) if isinstance(found, Path) else {}


@functools.cache
def _texts(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    with tarfile.open(path) as packed:
        for member in packed:
            name = member.name.partition("/")[2]
            if name in names and (content := packed.extractfile(member)):
                found[name] = content.read().decode(errors="replace")
    return found


def missing(syncs: list[ClusterSync]) -> list[Finding]:
    """Return a finding for each chart of the cluster syncs that cannot be pulled."""
    releases = {(r.repository, r.chart, r.version): r for sync in syncs for r in sync.releases}
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda r: _archive(r.repository, r.chart, r.version), releases.values())
    return [f for f in found if isinstance(f, Finding)]


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
