"""No file that looks as if it did something and does not."""

from __future__ import annotations

import shutil

import pytest

from scripts.checks.static import clusters, unused_files
from scripts.model.manifests import BOOTSTRAP, ENCRYPTED, Repository
from tests.programs.cluster_syncs import holding

KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"


def test_every_file_is_reached(repository: Repository) -> None:
    assert unused_files.check(repository) == []


@pytest.mark.parametrize(
    "path",
    [
        "base/config/rules/forgotten.yaml",
        "base/dashboards/forgotten.json",
        "base/logs/forgotten.alloy",
        "base/optional/kafka/kustomization.yaml",
        "overlays/local/releases/alloy.yaml",
        "clusters/local/argocd/forgotten.yaml",
    ],
)
def test_a_file_that_nothing_lists(copy: Repository, path: str) -> None:
    (copy.root / path).parent.mkdir(exist_ok=True)
    (copy.root / path).write_text(KUSTOMIZATION)
    findings = unused_files.check(copy)
    assert [(finding.path, finding.message) for finding in findings] == [
        (path, "no cluster reaches this file")
    ]
    assert ("tests/options" in findings[0].fix) == path.startswith(unused_files.OPTIONAL)


def test_opting_in_for_a_test_reaches_only_what_is_optional(repository: Repository) -> None:
    options = [sync for sync in repository.syncs if not sync.synced]
    findings = unused_files.check(holding(repository, *options))
    paths = {finding.path for finding in findings}
    assert "base/config/monitors/dapr.yaml" in paths
    assert not {path for path in paths if path.startswith("base/optional")}


def test_a_copied_overlay_that_no_cluster_names_is_said_once(copy: Repository) -> None:
    shutil.copytree(copy.root / "overlays/local", copy.root / "overlays/prod")
    (alone,) = unused_files.check(copy)
    assert (alone.path, alone.message) == ("overlays/prod/", "no cluster syncs it")
    # Its cluster is there, and still names the overlay that it was copied from.
    shutil.copytree(copy.root / "clusters/local", copy.root / "clusters/prod")
    again = Repository(copy.root)
    assert unused_files.check(again) == []
    assert {finding.fix for finding in clusters.check(again)} == {
        "name overlays/prod here, and the cluster in its releases/cluster.yaml"
    }


def test_what_the_bootstrap_and_sops_write_is_no_orphan(copy: Repository) -> None:
    for folder in (f"flux/{BOOTSTRAP}", ENCRYPTED):
        path = copy.root / "clusters/oke-free" / folder / "some.yaml"
        path.parent.mkdir()
        path.write_text("kind: Any\nmetadata: {name: any}\n")
    assert unused_files.check(copy) == []
