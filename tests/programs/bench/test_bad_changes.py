"""Who finds bad changes: the judges, and the table."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.bench import bad_changes, trees
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.model import schemas
from scripts.servers.kubernetes import control_plane
from scripts.servers.processes import Processes
from tests.fixtures import FROZEN

PROBES = "base/config/monitors/probes.yaml"
FIELD = {"file": PROBES, "replace": "  jobName: frontend\n", "by": "  jobname: frontend\n"}
# What the schemas of kubeconform admit, and the API server does not.
TWICE = {
    "file": "base/config/network-policies.yaml",
    "replace": "  policyTypes: [Ingress]\n",
    "by": "  policyTypes: [ingress]\n",
}
HARMLESS = {"file": PROBES, "append": "# Nothing.\n"}
ELSEWHERE = {"file": "README.md", "append": "See `base/nothing.yaml`.\n"}
TAB = {"file": PROBES, "replace": "  jobName: frontend\n", "by": "\tjobName: frontend\n"}


class Fake:
    """A judge who finds what he is told to find."""

    def __init__(self, name: str, finds: Callable[[Json], bool]) -> None:
        self.name = name
        self._finds = finds

    def finds(self, root: Path, change: Json) -> bool:
        assert (root / "base").is_dir()
        return self._finds(change)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Json], Path]:
    def make(change: Json) -> Path:
        root = shutil.copytree(FROZEN, tmp_path / "tree", dirs_exist_ok=True)
        trees.apply(change, root)
        return root

    return make


def test_kustomize_and_kubeconform(changed: Callable[[Json], Path]) -> None:
    judge = bad_changes.Kustomize(FROZEN)
    assert not judge.finds(changed(HARMLESS), HARMLESS)
    assert judge.objects
    assert judge.finds(changed(FIELD), FIELD)
    assert judge.finds(changed(TAB), TAB)
    assert judge.objects is None


@pytest.mark.waits
def test_an_api_server(changed: Callable[[Json], Path]) -> None:
    kustomize = bad_changes.Kustomize(FROZEN)
    with Processes() as processes:
        client = control_plane.api_server(processes)
        control_plane.apply_crds(processes, client, *schemas.crd_folders())
        judge = bad_changes.ServerDryRun(kustomize, client)
        for change, found in ((HARMLESS, False), (TWICE, True), (FIELD, True), (TAB, True)):
            root = changed(HARMLESS)
            shutil.rmtree(root)
            root = changed(change)
            kustomize.finds(root, change)
            assert judge.finds(root, change) is found


def test_only_who_reads_a_file_judges_it() -> None:
    ours = Fake(bad_changes.OURS, lambda change: change["file"] == PROBES)
    other = Fake("other", lambda change: "jobname" in change.get("by", ""))
    changes = [
        {**change, "kind": kind, "fault": str(number)}
        for number, (kind, change) in enumerate(
            (("fields", FIELD), ("fields", TAB), ("pages", ELSEWHERE))
        )
    ]
    text = bad_changes.table(bad_changes.scores(FROZEN, changes, ours, [other]))
    _, fields, pages, every, _, missed = text.splitlines()
    assert fields.split() == ["fields", "2", "2/2", "1/2"]
    assert pages.split() == ["pages", "1", "0/1", "-"]
    assert every.split() == ["all", "3", "2/3", "1/2"]
    assert missed == "not found here: 2"


def test_who_finds_something_in_the_unchanged_tree_cannot_judge() -> None:
    wrong = Fake("other", lambda _: True)
    right = Fake(bad_changes.OURS, lambda _: False)
    with pytest.raises(RepositoryError, match="other: something is found"):
        list(bad_changes.scores(FROZEN, [], right, [wrong]))
