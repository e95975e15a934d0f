"""Kustomizations are built; what an environment has taken in is not taken in twice."""

from __future__ import annotations

import pytest

from scripts.checks.validate import validate
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


def test_what_stands_in_place_of_an_owners_own_is_left_out_where_there_is_one(
    copy: Repository,
) -> None:
    own = copy.root / "overlays/oke-free/releases"
    stands_in = copy.root / f"{OPTIONS}/scale/releases/object-storage/object-storage.yaml"
    text = stands_in.read_text().replace("LOGS_BUCKET: logs", "LOGS_BUCKET: mine")
    (own / "object-storage.yaml").write_text(text)
    listed = own / "kustomization.yaml"
    edited = listed.read_text().replace("resources:\n", "resources:\n  - object-storage.yaml\n")
    listed.write_text(edited)
    objects = build(copy.root, f"{OPTIONS}/scale/releases")
    (loki,) = (o for o in objects if (o["kind"], o["metadata"]["name"]) == ("HelmRelease", "loki"))
    assert loki["spec"]["values"]["loki"]["storage"]["bucketNames"]["chunks"] == "mine"


@pytest.mark.parametrize("key", ["components", "patches", "configMapGenerator"])
def test_a_list_without_entries_is_an_empty_one(copy: Repository, key: str) -> None:
    every = build(FROZEN, "overlays/oke-free/config")
    path = copy.root / "overlays/oke-free/config/kustomization.yaml"
    path.write_text(f"{path.read_text()}{key}:\n")
    assert build(copy.root, "overlays/oke-free/config") == every
    assert validate(copy) == []


def test_what_does_not_build_is_said_once(copy: Repository) -> None:
    path = copy.root / "overlays/oke-free/config/kustomization.yaml"
    path.write_text(path.read_text() + TAKEN.replace("traefik", "nothing"))
    with pytest.raises(RepositoryError) as error:
        _ = copy.syncs
    (finding,) = error.value.findings
    assert finding.path == "overlays/oke-free/config/kustomization.yaml"


@pytest.mark.parametrize(
    ("components", "says"),
    [
        (("public/oci-load-balancer", "public/traefik"), "list what has this object before"),
        (("public/traefik", "public/traefik"), "list only one of the two"),
        (("nothing",), "run `kustomize build"),
    ],
)
def test_what_to_do_where_components_do_not_fit(
    copy: Repository, components: tuple[str, ...], says: str
) -> None:
    path = copy.root / "overlays/local/releases/kustomization.yaml"
    parts = "".join(f"  - ../../../base/optional/{one}\n" for one in components)
    path.write_text(path.read_text().replace("components:\n", f"components:\n{parts}"))
    with pytest.raises(RepositoryError) as error:
        build(copy.root, "overlays/local/releases")
    (finding,) = error.value.findings
    assert finding.fix.startswith(says)
