"""Which cluster is meant where nobody names one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.findings import RepositoryError
from scripts.model import clusters


def tree(root: Path, **volumes: int) -> Path:
    """A repository with a cluster for each name, and an environment with so many volumes."""
    for name, count in volumes.items():
        folder = root / "clusters" / name / "flux"
        folder.mkdir(parents=True)
        (folder / "monitoring.yaml").write_text(f"spec: {{path: ./overlays/of-{name}/config}}\n")
        environment = root / "overlays" / f"of-{name}"
        environment.mkdir(parents=True)
        (environment / "budget.yaml").write_text(f"volumes: {{count: {count}}}\n")
    return root


@pytest.mark.parametrize(
    ("volumes", "kept", "meant"),
    [
        ({"prod": 2}, True, "prod"),
        ({"laptop": 0}, True, "laptop"),
        ({"prod": 2}, False, "prod"),
        ({"laptop": 0, "prod": 2}, True, "prod"),
        ({"laptop": 0, "prod": 2}, False, "laptop"),
        ({"laptop": 0, "prod": 2, "staging": 2}, False, "laptop"),
    ],
)
def test_the_only_one_that_can_be_meant(
    volumes: dict[str, int], kept: bool, meant: str, tmp_path: Path
) -> None:
    assert clusters.chosen(tree(tmp_path, **volumes), "", with_volumes=kept) == meant


@pytest.mark.parametrize(
    ("volumes", "kept"),
    [
        ({"laptop": 0, "prod": 2, "staging": 2}, True),
        ({"laptop": 0, "other": 0}, True),
        ({"prod": 1, "staging": 2}, False),
    ],
)
def test_of_several_one_is_to_be_named(volumes: dict[str, int], kept: bool, tmp_path: Path) -> None:
    root = tree(tmp_path, **volumes)
    with pytest.raises(RepositoryError) as error:
        clusters.chosen(root, "", with_volumes=kept)
    (finding,) = error.value.findings
    assert finding.message == f"which of {', '.join(sorted(volumes))} is meant?"
    assert clusters.chosen(root, finding.fix.rpartition("=")[2], with_volumes=kept) in volumes


def test_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"no cluster eks\n.*use one of laptop, prod"):
        clusters.chosen(tree(tmp_path, laptop=0, prod=2), "eks")


def test_a_tree_without_a_cluster_says_so(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="there is none"):
        clusters.chosen(tmp_path, "")


def test_the_one_that_is_broken_is_the_smallest_with_volumes(tmp_path: Path) -> None:
    root = tree(tmp_path, a=0, b=6, c=2, d=2)
    for name, nodes in (("a", 1), ("b", 3), ("c", 2), ("d", 2)):
        with (root / f"overlays/of-{name}/budget.yaml").open("a") as file:
            file.write(f"\nnodes: {nodes}\n")
    assert clusters.smallest_with_volumes(root, ["a", "b", "c", "d"]) == "c"
    assert clusters.smallest_with_volumes(root, ["a", "b"]) == "b"
    assert clusters.smallest_with_volumes(root, ["a"]) == "a"
