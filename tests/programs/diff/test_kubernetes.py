"""What `make diff` says of the Kubernetes that an environment has, and of the next one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import kubernetes
from scripts.diff.model import Flag
from scripts.diff.objects import ClusterPair
from scripts.model import charts
from scripts.model.manifests import Release, Repository
from scripts.model.rendered import Cluster
from tests.programs.diff.diff_pairs import cluster, manifest, pair

BUDGET = manifest("PodDisruptionBudget", api="policy/v1beta1")
SUCCESSOR = manifest("PodDisruptionBudget", api="policy/v1")
CLAIM = manifest("ResourceClaim", api="resource.k8s.io/v1beta1")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "clusters/one/flux").mkdir(parents=True)
    (tmp_path / "clusters/one/flux/unit.yaml").write_text("path: overlays/one/config\n")
    return tmp_path


def of(root: Path, version: str, *objects: Json, chart: str = "") -> Cluster:
    """A cluster of an environment that declares a version; without one, it declares none."""
    folder = root / (version or "none")
    for name in ("clusters/one/flux", "overlays/one"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "clusters/one/flux/unit.yaml").write_text("path: overlays/one/config\n")
    text = f'kubernetes: "{version}"\n' if version else "nodes: 1\n"
    (folder / "overlays/one/budget.yaml").write_text(text)
    releases = [Release("a", "n", "c", chart, "r", {}, ("HelmRelease", "a"))] if chart else []
    found = cluster(*objects, releases=releases)
    return dataclasses.replace(found, repository=Repository(folder))


def said(found: ClusterPair) -> list[str]:
    both = [*kubernetes.apis(found), *kubernetes.supported(found)]
    return [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in both]


REMOVED = ["api-not-served: PodDisruptionBudget n/a"]


@pytest.mark.parametrize(
    ("version", "before", "after", "says"),
    [
        ("1.25", [], [BUDGET], REMOVED),
        ("1.24", [], [BUDGET], REMOVED),
        ("", [], [BUDGET], REMOVED),
        ("1.36", [SUCCESSOR], [BUDGET], REMOVED),
        ("1.23", [], [BUDGET], ["PodDisruptionBudget n/a: policy/v1beta1 is deprecated"]),
        ("1.20", [], [BUDGET], []),
        ("1.36", [BUDGET], [BUDGET], []),
        ("1.36", [BUDGET], [{**BUDGET, "spec": {"maxUnavailable": 1}}], []),
        ("1.36", [BUDGET], [], []),
        ("1.36", [], [SUCCESSOR], []),
        ("1.37", [], [CLAIM], ["api-not-served: ResourceClaim n/a"]),
        ("1.36", [], [CLAIM], ["ResourceClaim n/a: resource.k8s.io/v1beta1 is deprecated"]),
        (
            "1.36",
            [],
            [manifest("HelmRelease", api="helm.toolkit.fluxcd.io/v2beta1")],
            ["api-not-served: HelmRelease n/a"],
        ),
        ("1.36", [], [manifest("HelmRelease", api="helm.toolkit.fluxcd.io/v2")], []),
        (
            "1.33",
            [],
            [manifest("ResourceClaim", api="resource.k8s.io/v1")],
            ["api-not-served: ResourceClaim n/a"],
        ),
        ("1.34", [], [manifest("ResourceClaim", api="resource.k8s.io/v1")], []),
        ("1.36", [], [manifest("Thing", api="example.com/v1alpha1")], []),
    ],
)
def test_an_api_that_a_change_brings(
    environment: Path, version: str, before: list[Json], after: list[Json], says: list[str]
) -> None:
    found = said(pair(of(environment, version, *before), of(environment, version, *after)))
    assert len(found) == len(says)
    assert all(one.startswith(other) for one, other in zip(found, says, strict=True))


@pytest.mark.parametrize(
    ("versions", "objects", "says"),
    [
        (("1.34", "1.35"), [SUCCESSOR], []),
        (("1.24", "1.25"), [BUDGET], REMOVED),
        (
            ("1.23", "1.24"),
            [BUDGET],
            ["1.25, the next one, serves no PodDisruptionBudget"],
        ),
        (("1.22", "1.23"), [BUDGET], []),
        (("1.24", "1.24"), [BUDGET], []),
        (("1.25", "1.26"), [BUDGET], []),
        (("1.35", "1.34"), [CLAIM], []),
    ],
)
def test_a_version_that_moves(
    environment: Path, versions: tuple[str, str], objects: list[Json], says: list[str]
) -> None:
    before, after = (of(environment, version, *objects) for version in versions)
    found = [
        f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text
        for o in kubernetes.apis(pair(before, after))
    ]
    assert len(found) == len(says)
    assert all(one.startswith(other) for one, other in zip(found, says, strict=True))


@pytest.mark.parametrize(
    ("versions", "flagged"),
    [
        (("1.34", "1.35"), False),
        (("1.36", "1.99"), True),
        (("1.98", "1.99"), False),
        (("", "1.99"), True),
        (("1.99", ""), False),
        (("1.99", "1.99"), False),
    ],
)
def test_an_engine_that_is_not_tested_with_it(
    environment: Path, versions: tuple[str, str], flagged: bool
) -> None:
    before, after = (of(environment, version) for version in versions)
    found = [one for one in kubernetes.supported(pair(before, after)) if isinstance(one, Flag)]
    assert [one.where for one in found] == ["engine flux"] * flagged


@pytest.mark.parametrize(
    ("version", "constraint", "says"),
    [
        ("1.36", ">=1.37.0-0", ["kubernetes-unsupported: release a"]),
        ("1.36", "<1.37.0-0", ["c 2 asks for <1.37.0-0: not the next one, 1.37"]),
        ("1.36", ">=1.25.0-0", []),
        ("", ">=1.99.0-0", []),
    ],
)
def test_a_chart_that_asks_for_another(
    environment: Path,
    version: str,
    constraint: str,
    says: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(charts, "metadata", lambda _: {"kubeVersion": constraint})
    before, after = (of(environment, version, chart=number) for number in "12")
    assert said(pair(before, after)) == says
    # What was so before is none of this change.
    assert said(pair(after, after)) == []
