"""Charts can come from a mirror in each cluster that Argo CD syncs: its projects then admit it."""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts.checks.static.references import projects
from scripts.model import clusters
from scripts.model.manifests import Repository
from scripts.servers.git_remote import append_to_list

MIRROR = "../../../base/optional/mirror"


def test_projects_admit_the_mirror_that_applications_take_charts_from(
    repository: Repository, tmp_path: Path
) -> None:
    for folder in ("base", "clusters", "overlays"):
        shutil.copytree(repository.root / folder, tmp_path / folder)
    synced = [sync for sync in repository.syncs if sync.synced and sync.engine == "argocd"]
    for sync in synced:
        for environment in clusters.environments(tmp_path, sync.cluster):
            releases = tmp_path / "overlays" / environment / "releases/kustomization.yaml"
            append_to_list(releases, "components", MIRROR)
        own = tmp_path / "clusters" / sync.cluster / "argocd/kustomization.yaml"
        append_to_list(own, "components", f"{MIRROR}/argocd")
    mirrored = Repository(tmp_path)
    for sync in synced:
        assert list(projects(mirrored.sync(sync.cluster, sync.engine))) == []
