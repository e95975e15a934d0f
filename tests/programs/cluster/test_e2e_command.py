"""`make e2e` as a command: which clusters it syncs, and several beside each other."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from scripts.cluster.e2e import __main__ as command
from scripts.cluster.e2e.parallel import run_parallel
from scripts.core.findings import RepositoryError
from scripts.model import clusters
from scripts.model.manifests import ClusterSync, Repository

SYNCS = [
    ClusterSync(cluster, engine, [])
    for cluster, engine in (
        ("laptop", "flux"),
        ("options", "flux"),
        ("prod", "argocd"),
        ("prod", "flux"),
    )
]
# Says what it got, waits until the other one has said so, and fails if it is told to.
PLAYED = """
import pathlib, sys, time
folder, name, code = pathlib.Path(sys.argv[1]), *sys.argv[2:]
(folder / name).touch()
end = time.monotonic() + 20
while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
    time.sleep(0.02)
print(name, "beside" if time.monotonic() < end else "alone")
sys.exit(int(code))
"""


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ["laptop/flux", "prod/argocd", "prod/flux"]),
        (["prod"], ["prod/argocd", "prod/flux"]),
        (["prod/flux", "laptop"], ["laptop/flux", "prod/flux"]),
    ],
)
def test_clusters_are_named_with_or_without_their_engine(
    names: list[str], expected: list[str]
) -> None:
    assert [sync.name for sync in command.selected(SYNCS, names)] == expected


@pytest.mark.parametrize("name", ["options", "prod/other", "nowhere"])
def test_what_no_engine_syncs_is_refused(name: str) -> None:
    known = "laptop, laptop/flux, prod, prod/argocd, prod/flux"
    with pytest.raises(RepositoryError, match=rf"no cluster named {name}\n.*{known}"):
        command.selected(SYNCS, [name])


def test_one_cluster_is_disrupted_and_another_gets_a_public_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = {"laptop": 0, "prod": 2}
    monkeypatch.setattr(clusters, "budget", lambda _, name: {"volumes": {"count": count[name]}})
    syncs = command.selected(SYNCS, [])
    repository = cast(Repository, SimpleNamespace(root=None))

    def told(*arguments: str) -> list[list[str]]:
        chosen = command.chosen(repository, syncs, command.options(arguments))
        return [[one.name for one in some] for some in chosen]

    assert told() == [["prod/flux"], ["laptop/flux"]]
    assert told("--without-disruptions") == [[], ["laptop/flux"]]
    assert told("--without-public-address") == [["prod/flux"], []]
    alone = [sync for sync in syncs if sync.cluster == "prod"]
    chosen = command.chosen(repository, alone, command.options([]))
    assert [[one.name for one in some] for some in chosen] == [
        ["prod/flux"],
        ["prod/argocd", "prod/flux"],
    ]


def test_each_cluster_is_told_what_to_leave_out_and_the_longest_begins() -> None:
    syncs = command.selected(SYNCS, [])
    laptop, argocd, prod = syncs
    given = [one[3:] for one in command.commands(syncs, [prod], [laptop])]
    assert given == [
        ("prod/flux", "--without-public-address"),
        ("laptop/flux", "--without-disruptions"),
        ("prod/argocd", "--without-disruptions", "--without-public-address"),
    ]
    assert argocd.name == given[2][0]


@pytest.mark.parametrize("codes", ["00", "01", "10"])
def test_two_run_beside_each_other_and_one_that_fails_fails_both(
    codes: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = (sys.executable, "-c", PLAYED, str(tmp_path))
    failed = run_parallel([(*script, "one", codes[0]), (*script, "two", codes[1])], 2)
    assert failed == ("1" in codes)
    assert sorted(capfd.readouterr().out.splitlines()) == ["one beside", "two beside"]


def test_what_runs_is_ended_when_somebody_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    began: list[object] = []

    def interrupted(_: float) -> None:
        if (tmp_path / "there").exists():
            began.append(1)
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_parallel([(sys.executable, "-c", text, str(tmp_path / "there"))], 2)
    assert began
