"""What an Application's state means, and what Argo CD is given to sync."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import tools
from scripts.cluster.e2e import argocd
from scripts.cluster.e2e.environment import set_mirror
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import take

REVISION = "a1b2c3"
Edit = Callable[[dict[str, Any]], object]


def application() -> dict[str, Any]:
    """One of a Git path, synced and healthy."""
    source = {"repoURL": "http://127.0.0.1/r.git", "path": "overlays/local/config"}
    return {
        "metadata": {"name": "monitoring-config"},
        "spec": {"source": source},
        "status": {
            "sync": {"status": "Synced", "revision": REVISION, "comparedTo": {"source": source}},
            "health": {"status": "Healthy"},
            "operationState": {"phase": "Succeeded"},
        },
    }


def test_a_synced_and_healthy_application_lacks_nothing() -> None:
    assert argocd.unready(application(), REVISION) == ""


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda o: o.pop("status"), "not looked at yet"),
        (lambda o: o["spec"].update(source={"path": "elsewhere"}), "not looked at yet"),
        (lambda o: o["status"]["sync"].update(revision="0f0f0f"), "still at 0f0f0f"),
        (lambda o: o["status"]["sync"].update(status="OutOfSync"), "OutOfSync, Healthy, Succeeded"),
        (lambda o: o["status"]["health"].update(status="Degraded"), "Synced, Degraded, Succeeded"),
        (
            lambda o: o["status"]["operationState"].update(phase="Running", message="Retrying"),
            "Synced, Healthy, Running: Retrying",
        ),
        (
            lambda o: o["status"].update(
                sync={**o["status"]["sync"], "status": "Unknown"},
                conditions=[{"type": "ComparisonError", "message": "the chart is not there"}],
            ),
            "Unknown, Healthy, Succeeded: the chart is not there",
        ),
        (
            lambda o: o["status"].update(
                health={"status": "Progressing"},
                resources=[
                    {"kind": "Service", "name": "loki", "status": "Synced"},
                    {"kind": "ConfigMap", "name": "loki", "status": "OutOfSync"},
                    {
                        "kind": "StatefulSet",
                        "name": "loki",
                        "status": "Synced",
                        "health": {"status": "Progressing", "message": "Waiting for 1 pods"},
                    },
                ],
            ),
            "Synced, Progressing, Succeeded: ConfigMap loki is OutOfSync, "
            "StatefulSet loki: Waiting for 1 pods",
        ),
    ],
)
def test_an_application_says_what_it_lacks(edit: Edit, says: str) -> None:
    item = application()
    edit(item)
    assert argocd.unready(item, REVISION).startswith(says)


def test_the_revision_of_a_chart_is_not_that_of_the_repository() -> None:
    item = application()
    for place in (item["spec"], item["status"]["sync"]["comparedTo"]):
        place["source"] = {"repoURL": "registry/charts", "chart": "loki"}
    item["status"]["sync"]["revision"] = "18.11.0"
    assert argocd.unready(item, REVISION) == ""


@pytest.mark.parametrize(
    ("kinds", "sync", "health", "expected"),
    [
        (["CustomResourceDefinition"], "Synced", "Progressing", True),
        (["CustomResourceDefinition"], "OutOfSync", "Progressing", False),
        (["CustomResourceDefinition"], "Synced", "Healthy", False),
        (["CustomResourceDefinition", "Deployment"], "Synced", "Progressing", False),
        ([], "Synced", "Progressing", False),
    ],
)
def test_only_crds_that_are_being_established_are_asked_for_again(
    kinds: list[str], sync: str, health: str, expected: bool
) -> None:
    item = application()
    item["status"]["sync"]["status"] = sync
    item["status"]["health"]["status"] = health
    waiting = {"health": {"status": "Progressing"}}
    done = [{"kind": "Service", "name": "any"}, {"kind": "Job", "health": {"status": "Healthy"}}]
    item["status"]["resources"] = [*done, *({"kind": kind, **waiting} for kind in kinds)]
    assert argocd.untracked(item) is expected


@pytest.fixture
def adopted(tmp_path: Path) -> Path:
    """The repository as Argo CD is given it for the cluster `local`."""
    tree = tmp_path / "tree"
    for name in ("base", "clusters", "overlays"):
        shutil.copytree(tools.ROOT / name, tree / name)
    set_mirror(tree, "127.0.0.1:5000")
    take(tree / "overlays/local/releases/kustomization.yaml", "mirror")
    url = "http://127.0.0.1/r.git"
    argocd.configure(tree, "local", "localhost:5000", url)
    return tree


def test_every_application_takes_its_source_from_beside_the_cluster(adopted: Path) -> None:
    items = Repository(adopted).build("clusters/local/argocd")
    sources = {
        item["metadata"]["name"]: item["spec"]["source"]
        for item in items
        if item["kind"] == "Application"
    }
    (project,) = (item for item in items if item["kind"] == "AppProject")
    assert sources.keys() > {argocd.ROOT, "monitoring-config", "grafana", "alloy"}
    for name, source in sources.items():
        start = "localhost:5000/" if "chart" in source else "http://127.0.0.1/r.git"
        assert source["repoURL"].startswith(start), name
        if name != argocd.ROOT:
            assert source["repoURL"] in project["spec"]["sourceRepos"], name


def test_the_kind_of_the_bad_commit_is_one_that_the_project_forbids(tmp_path: Path) -> None:
    project = yaml.safe_load((tools.ROOT / "base/argocd/applications/project.yaml").read_text())
    shutil.copytree(tools.ROOT / "base", tmp_path / "base")
    before = Repository(tmp_path).build("base/config")
    argocd.add_forbidden_object(tmp_path)
    (added,) = (i for i in Repository(tmp_path).build("base/config") if i not in before)
    permitted = [one["kind"] for one in project["spec"]["namespaceResourceWhitelist"]]
    assert added["kind"] not in permitted
