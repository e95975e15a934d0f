"""`make diff` says what each change does in the clusters, and nothing of what changes nothing."""

from __future__ import annotations

import functools
import importlib
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from scripts.bench import trees
from scripts.bench.trees import apply
from scripts.core.yamlfile import Json
from scripts.diff import analyzers, compare
from scripts.diff.model import Action, Danger, Report
from scripts.diff.outputs import data
from scripts.diff.rendering import BuiltRevision, cluster_pairs
from scripts.model.manifests import Repository
from tests.fixtures import CODE, DIFF_CHANGES, FROZEN
from tests.programs.diff.report_schema import wrong

CHANGES: list[Json] = trees.changes(DIFF_CHANGES)
SIGNS = {Action.ADDED: "+", Action.CHANGED: "~", Action.REMOVED: "-"}
EVERYWHERE = ["local/argocd", "local/flux", "oke-free/argocd", "oke-free/flux"]
# Flags that only a chart's new version raises, and those that only a registry's answer does.
OF_VERSIONS = {"crd-not-upgraded", "dead-value", "major-version"}
OF_REGISTRIES = {"image-missing"}


@functools.cache
def frozen() -> BuiltRevision:
    """The frozen repository, built once for every change of it."""
    return BuiltRevision(FROZEN, "before")


def compared(before: Path, after: Path) -> Report:
    old = frozen() if before == FROZEN else BuiltRevision(before, "before")
    new = BuiltRevision(after, "after")
    return compare.report(cluster_pairs(old, new), old, new)


def objects(report: Report) -> list[str]:
    return [
        f"{SIGNS[c.action]} {c.kind} {c.namespace + '/' if c.namespace else ''}{c.name}"
        for c in report.changes
    ]


def agree(said: Iterable[str], expected: Iterable[str]) -> None:
    """Everything that is said is expected, and everything that is expected is said."""
    patterns = {text: re.escape(text).replace(r"\*", ".*") for text in expected}
    found = list(said)
    unexpected = [s for s in found if not any(re.fullmatch(p, s) for p in patterns.values())]
    missing = [t for t, p in patterns.items() if not any(re.fullmatch(p, s) for s in found)]
    assert (unexpected, missing) == ([], [])


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change["change"])
def test_a_change_is_told(change: Json, copy: Repository, tmp_path: Path) -> None:
    base = FROZEN
    if "both" in change:
        for edit in change["both"]:
            apply(edit, copy.root)
        base = Path(shutil.copytree(copy.root, tmp_path / "before", ignore=keep_apart))
    for edit in change["edits"]:
        apply(edit, copy.root)
    report = compared(base, copy.root)
    assert report.faults == ()
    assert wrong(data.data(report)) == []
    agree(objects(report), change.get("objects", ()))
    agree((f"{s.topic}: {s.text}" for s in report.sentences), change.get("says", ()))
    agree((f"{f.name}: {f.where}" for f in report.flags), change.get("flags", ()))
    places = {place for one in report.changes for place in one.places}
    if report.changes:
        assert sorted(places) == change.get("places", EVERYWHERE)
    assert all(text.endswith(".") for flag in report.flags for text in (flag.why, flag.fix))


def keep_apart(_folder: str, names: list[str]) -> Iterator[str]:
    """What of a copy's folder is not to be copied into a folder below it."""
    return (name for name in names if name == "before")


def test_the_table_holds_every_flag_and_changes_that_change_nothing() -> None:
    flags = {flag.split(":")[0] for change in CHANGES for flag in change.get("flags", ())}
    assert flags | OF_VERSIONS | OF_REGISTRIES == set(Danger)
    silent = [c for c in CHANGES if not {"objects", "says", "flags"} & c.keys()]
    assert len(silent) >= 2
    assert len({change["change"] for change in CHANGES}) == len(CHANGES) >= 20


def test_every_analyzer_is_asked() -> None:
    asked = {*analyzers.ANALYZERS, *analyzers.REVISION_ANALYZERS.values()}
    pattern = r"(?m)^def ([a-z]\w+)\((?:pair: ClusterPair|revisions)[^)]*\) -> Analysis:"
    written = {
        getattr(importlib.import_module(f"{analyzers.__name__}.{path.stem}"), name)
        for path in (CODE / "scripts/diff/analyzers").glob("*.py")
        for name in re.findall(pattern, path.read_text())
    }
    assert written == asked


@pytest.mark.usefixtures("rendered")
def test_of_a_new_cluster_only_what_no_other_has_is_flagged(copy: Repository) -> None:
    shutil.copytree(copy.root / "clusters/local", copy.root / "clusters/second")
    shutil.copytree(copy.root / "overlays/local", copy.root / "overlays/second")
    for path in (copy.root / "clusters/second").rglob("*.yaml"):
        text = re.sub(r"(clusters|overlays)/local\b", r"\1/second", path.read_text())
        path.write_text(text)
    assert compared(FROZEN, copy.root).flags == ()
    grafana = copy.root / "overlays/second/releases/grafana.yaml"
    text = grafana.read_text()
    assert "  values:\n" in text
    opened = "  values:\n    service:\n      type: LoadBalancer\n"
    grafana.write_text(text.replace("  values:\n", opened))
    report = compared(FROZEN, copy.root)
    assert {flag.name for flag in report.flags} == {Danger.EXPOSED}
    assert {place for flag in report.flags for place in flag.places} == {
        "second/argocd",
        "second/flux",
    }
