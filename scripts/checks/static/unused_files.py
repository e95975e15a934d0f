"""Every file is read by a cluster, a check, a generator or a person."""

from __future__ import annotations

from fnmatch import fnmatch

from scripts.checks.static.clusters import OVERLAYS, environments, unsynced
from scripts.core.findings import Finding
from scripts.model.manifests import BOOTSTRAP, ENCRYPTED, Repository

FOLDERS = ("base", "clusters", "overlays")
# Read by checks, a generator or a person, or by an engine without being listed anywhere.
READ_ELSEWHERE = (
    "base/config/alerts/*.yaml",
    "base/config/alertmanager/*",
    "base/config/runbooks/*",
    "base/config/slos/*.yaml",
    "base/config/thresholds.yaml",
    # Left out of tests/options, as it changes where charts come from; a test of its own builds it.
    "base/optional/mirror/*",
    # Left out, as they stand in place of another part, or are for Argo CD: tests build them, too.
    "base/optional/public/*argocd/*",
    "base/optional/public/*/address/*",
    "base/optional/public/certificate/production/*",
    "base/optional/public/ingress/*",
    "base/optional/public/oci-network-load-balancer/*",
    "base/optional/scale/*argocd/*",
    "base/optional/scale/loki-replicas/*",
    "base/optional/scale/object-storage/new/*",
    "base/secrets.yaml",
    "*/README.md",
    "overlays/*/budget.yaml",
    f"clusters/*/flux/{BOOTSTRAP}/*.yaml",
    f"clusters/*/{ENCRYPTED}/*",
    # Whom SOPS encrypts for.
    "clusters/*/.sops.yaml",
)
# Opt-ins: read by tests/options, also where no cluster uses them.
OPTIONAL = "base/optional/"


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each file in base, clusters and overlays that nothing reads."""
    clusters: set[str] = set()
    options: set[str] = set()
    for sync in repository.syncs:
        (clusters if sync.synced else options).update(repository.files(sync))
    reached = clusters | {path for path in options if path.startswith(OPTIONAL)}
    files = {
        str(path.relative_to(repository.root))
        for folder in FOLDERS
        for path in (repository.root / folder).rglob("*")
        if path.is_file()
    }
    whole = tuple(f"{OVERLAYS}/{name}/" for name in unsynced(repository))
    findings = [
        Finding(path, None, "no cluster reaches this file", _fix(path))
        for path in sorted(files - reached)
        if not path.startswith(whole) and not any(fnmatch(path, one) for one in READ_ELSEWHERE)
    ]
    if any(len(clusters_) > 1 for clusters_ in environments(repository).values()):
        return findings  # A copy that its cluster does not name yet: `clusters` says so.
    fix = "name it in the files of clusters/<cluster>, or delete it"
    return [*findings, *(Finding(path, None, "no cluster syncs it", fix) for path in whole)]


def _fix(path: str) -> str:
    if path.startswith(OPTIONAL):
        return "list its folder in the components of tests/options, or delete it"
    return "list it in a kustomization.yaml, or delete it"
