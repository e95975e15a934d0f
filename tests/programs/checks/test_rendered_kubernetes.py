"""The Kubernetes that an environment declares, and the next one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.checks.rendered import kubernetes as checked
from scripts.model import charts, kubernetes, schemas
from scripts.model.manifests import ClusterSync, Release, Repository, Unit
from scripts.model.rendered import Cluster, Item


def cluster(root: Path, version: str, *apis: str, engine: str = "flux") -> Cluster:
    """A cluster of an environment that declares a version, with an object of each API."""
    files = {
        "clusters/one/flux/unit.yaml": "path: ./overlays/here/config\n",
        "overlays/here/budget.yaml": f'kubernetes: "{version}"\n' if version else "nodes: 1\n",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    objects = [
        {"apiVersion": api.rpartition(" ")[0], "kind": api.split()[-1], "metadata": {"name": "a"}}
        for api in apis
    ]
    release = Release("a", "n", "c", "1", "r", {}, ("HelmRelease", "a"))
    sync = ClusterSync("one", engine, [Unit("u", "u", [])], [release])
    return Cluster(Repository(root), sync, tuple(Item(one, "a") for one in objects))


@pytest.fixture(autouse=True)
def _no_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "metadata", lambda _: {"kubeVersion": ">=1.30.0-0 <1.37.0-0"})


@pytest.mark.parametrize(
    ("version", "count"), [("1.29", 1), ("1.30", 0), ("1.36", 0), ("1.37", 1), ("", 0)]
)
def test_a_chart_takes_the_environments_kubernetes(
    version: str, count: int, tmp_path: Path
) -> None:
    found = [one.message for one in checked.charts_take_it(cluster(tmp_path, version))]
    text = f"c 1 asks for Kubernetes >=1.30.0-0 <1.37.0-0, and the environment has {version}"
    assert [text in one for one in found] == [True] * count


@pytest.mark.parametrize(
    ("version", "api", "notes"),
    [
        ("1.34", "policy/v1 PodDisruptionBudget", []),
        (
            "1.36",
            "policy/v1 PodDisruptionBudget",
            ["c 1 asks for Kubernetes >=1.30.0-0 <1.37.0-0, not 1.37 (one/flux)"],
        ),
        ("1.34", "resource.k8s.io/v1beta1 ResourceClaim", []),
        (
            "",
            "resource.k8s.io/v1beta1 ResourceClaim",
            [
                "Kubernetes 1.38 serves no ResourceClaim of resource.k8s.io/v1beta1, as"
                " ResourceClaim a is: use resource.k8s.io/v1 (one/flux)"
            ],
        ),
    ],
)
def test_what_the_next_kubernetes_removes(
    version: str, api: str, notes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ["1.35.0", "1.36.0", "1.37.0"]
    monkeypatch.setattr(schemas, "kubernetes_versions", lambda: known)
    assert checked.notes([cluster(tmp_path, version, api)]) == notes


@pytest.mark.parametrize("engine", ["flux", "argocd"])
def test_an_engine_that_is_not_tested_with_it(engine: str, tmp_path: Path) -> None:
    own = kubernetes.tested(engine)
    (note, *_) = checked.notes([cluster(tmp_path, f"1.{own.oldest - 9}", engine=engine)])
    assert note.endswith(f"not with 1.{own.oldest - 9} (one/{engine})")
    assert own.title in note


def test_what_is_only_built_has_no_kubernetes(tmp_path: Path) -> None:
    found = cluster(tmp_path, "", "resource.k8s.io/v1beta1 ResourceClaim")
    options = dataclasses.replace(found.sync, cluster="options")
    assert checked.notes([dataclasses.replace(found, sync=options)]) == []
