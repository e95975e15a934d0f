"""Kustomizations are built; what an environment has taken in is not taken in twice."""

from __future__ import annotations

import pytest

from scripts.core.findings import RepositoryError
from scripts.model.kustomization import OPTIONS, build
from scripts.model.manifests import Repository, identity
from tests.fixtures import FROZEN

TAKEN = "components:\n  - ../../../base/optional/traefik\n"


def test_an_opt_in_of_the_environment_is_left_out_of_the_opt_ins(copy: Repository) -> None:
    every = sorted(map(identity, build(FROZEN, f"{OPTIONS}/config")))
    path = copy.root / "overlays/oke-free/config/kustomization.yaml"
    path.write_text(path.read_text() + TAKEN)
    assert sorted(map(identity, build(copy.root, f"{OPTIONS}/config"))) == every


def test_what_does_not_build_is_said_once(copy: Repository) -> None:
    path = copy.root / "overlays/oke-free/config/kustomization.yaml"
    path.write_text(path.read_text() + TAKEN.replace("traefik", "nothing"))
    with pytest.raises(RepositoryError) as error:
        _ = copy.syncs
    (finding,) = error.value.findings
    assert finding.path == "overlays/oke-free/config/kustomization.yaml"
