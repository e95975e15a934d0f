"""The engines: the manifest that installs one, and what has it sync a commit."""

from __future__ import annotations

import copy
import hashlib
import urllib.request
from pathlib import Path

import yaml

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json, load
from scripts.live.kind.source import GitSource
from scripts.model.manifests import ClusterSync
from scripts.servers.kubernetes.flux import gotk_sync

PINS = Path(__file__).with_name("engines.yaml")
# Seconds that the download may take.
_TIMEOUT = 60


def manifest(engine: str) -> bytes:
    """Download what installs an engine.

    Raises:
        RepositoryError: If it cannot be had, or is not the one that is pinned.
    """
    pin = load(PINS, PINS.parent)[0][engine]
    url = pin["manifest"].format(version=pin["version"])
    progress(f"downloading {engine} {pin['version']}")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - pinned
            content: bytes = answer.read()
    except OSError as error:
        raise _wrong(f"{url} cannot be had: {error}", "check the network, or the version") from None
    if (digest := hashlib.sha256(content).hexdigest()) != pin["sha256"]:
        fix = "copy it to sha256 if the version is new; if not, find out who changed the file"
        raise _wrong(f"{url} has the sha256 {digest}, and {pin['sha256']} is pinned", fix)
    return content


def _wrong(text: str, fix: str) -> RepositoryError:
    return RepositoryError(Finding("scripts/live/kind/engines.yaml", None, text, fix))


def sync(sync: ClusterSync, source: GitSource) -> list[Json]:
    """Return the objects that have an engine sync a cluster's folder from a source."""
    if sync.engine == "argocd":
        return [_root(sync, source)]
    repository, kustomization = gotk_sync(source.url, sync.cluster)
    repository["spec"]["ref"] = {"name": source.ref}
    return [repository, kustomization]


def _root(sync: ClusterSync, source: GitSource) -> Json:
    """Return the root Application, with patches for all that names the repository in git.

    That it leaves itself out, as in git, also keeps git's own source from coming back.
    """
    unit = sync.units[0]
    applications = [o for o in unit.objects if o["kind"] == "Application"]
    of_git = {o["spec"]["source"]["path"]: o for o in applications if "path" in o["spec"]["source"]}
    root = copy.deepcopy(of_git.pop(unit.path))
    patches = root["spec"]["source"]["kustomize"]["patches"]
    for item in of_git.values():
        keys = {"repoURL": source.url, "targetRevision": source.ref}
        patches.append(_patch(item, [_replace(f"/spec/source/{k}", v) for k, v in keys.items()]))
    for project in (o for o in unit.objects if o["kind"] == "AppProject"):
        index = project["spec"]["sourceRepos"].index(root["spec"]["source"]["repoURL"])
        patches.append(_patch(project, [_replace(f"/spec/sourceRepos/{index}", source.url)]))
    root["spec"]["source"] |= {"repoURL": source.url, "targetRevision": source.ref}
    return root


def _patch(item: Json, patch: Json) -> Json:
    target = {"kind": item["kind"], "name": item["metadata"]["name"]}
    return {"target": target, "patch": yaml.safe_dump(patch, sort_keys=False)}


def _replace(path: str, value: str) -> Json:
    return {"op": "replace", "path": path, "value": value}
