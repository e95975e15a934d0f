"""What starts the sync: pinned manifests of an engine, and what points it to the source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from scripts.checks.static import object_schemas
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import load
from scripts.live.kind import __main__ as command
from scripts.live.kind import engines, readiness
from scripts.model import schemas
from scripts.model.manifests import ENGINES, Repository, identity
from tests.fixtures import CODE
from tests.programs.live.kind_objects import REF, SOURCE, URL, pinned, sync_of


@pytest.mark.parametrize("engine", ENGINES)
def test_what_starts_the_sync_is_valid(engine: str, repository: Repository) -> None:
    objects = engines.sync(sync_of(repository, engine), SOURCE)
    assert object_schemas.invalid(objects) == {}
    assert {o["metadata"]["namespace"] for o in objects} == {command.NAMESPACES[engine]}


def test_flux_pulls_the_ref_and_syncs_the_folder_of_the_cluster(repository: Repository) -> None:
    pulled, synced = engines.sync(sync_of(repository, "flux"), SOURCE)
    assert (pulled["spec"]["url"], pulled["spec"]["ref"]) == (URL, {"name": REF})
    assert synced["spec"]["path"] == "./clusters/local/flux"


def test_argo_cd_builds_the_folder_with_the_source_in_place_of_what_git_names(
    copy: Repository,
) -> None:
    """The patches are put where Argo CD puts them, and kustomize builds the folder with them."""
    sync = sync_of(copy, "argocd")
    folder = sync.units[0].path
    before = {identity(item): item for item in copy.build(folder)}
    (root,) = engines.sync(sync, SOURCE)
    assert root["spec"]["source"]["repoURL"] == URL
    assert root["spec"]["source"]["targetRevision"] == REF
    path = copy.root / folder / "kustomization.yaml"
    content = load(path, copy.root)[0]
    content.setdefault("patches", []).extend(root["spec"]["source"]["kustomize"]["patches"])
    path.write_text(yaml.safe_dump(content))
    after = {identity(item): item for item in Repository(copy.root).build(folder)}
    assert before.keys() - after.keys() == {"Application argocd/monitoring"}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"Application argocd/monitoring-config", "AppProject argocd/monitoring"}
    config = after["Application argocd/monitoring-config"]["spec"]["source"]
    assert (config["repoURL"], config["targetRevision"]) == (URL, REF)
    origin = before["Application argocd/monitoring"]["spec"]["source"]["repoURL"]
    assert origin not in json.dumps(list(after.values()))
    assert URL in after["AppProject argocd/monitoring"]["spec"]["sourceRepos"]


def test_a_manifest_is_taken_only_as_it_is_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pinned(monkeypatch, tmp_path)
    assert engines.manifest("flux") == b"kind: Manifest\n"
    pinned(monkeypatch, tmp_path, sha256="0" * 64)
    with pytest.raises(RepositoryError, match=f"has the sha256 [0-9a-f]{{64}}, and {'0' * 64} is"):
        engines.manifest("flux")
    pinned(monkeypatch, tmp_path, version="v2")
    with pytest.raises(RepositoryError, match=r"v2\.yaml cannot be had: "):
        engines.manifest("flux")


def test_engines_are_pinned_and_argo_cd_is_the_one_that_is_checked() -> None:
    pins = load(engines.PINS, CODE)[0]
    assert pins.keys() == set(ENGINES) == readiness.RESOURCES.keys() == command.NAMESPACES.keys()
    checked = {pin["module"]: pin["version"] for pin in load(schemas.PINS, CODE)[0]}
    assert pins["argocd"]["version"] == checked[pins["argocd"]["module"]]
    for pin in pins.values():
        assert pin["manifest"].startswith("https://")
        assert "{version}" in pin["manifest"]
