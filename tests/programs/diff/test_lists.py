"""What a list loses that replaces another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import lists
from scripts.diff.model import Flag
from scripts.diff.objects import ClusterPair
from scripts.model.manifests import ClusterSync, Release, Repository, Unit
from scripts.model.rendered import Cluster

RULES, SCRATCH = {"name": "rules", "configMap": {}}, {"name": "scratch", "emptyDir": {}}
FROM = {"sourceLabels": ["a"], "action": "keep", "regex": "x"}


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        # By name.
        ([RULES], [SCRATCH], ["name=rules"]),
        ([RULES], None, ["name=rules"]),
        ([RULES, SCRATCH], [SCRATCH, RULES], []),
        ([RULES, SCRATCH], [SCRATCH], ["name=rules"]),
        ([RULES], [{"name": "rules", "secret": {}}], []),
        ([RULES], [RULES, SCRATCH], []),
        # By their text.
        (["a.example.com"], ["b.example.com"], []),
        (["a.example.com"], ["b.example.com", "c.example.com"], []),
        (["a.example.com", "b.example.com"], ["c.example.com"], ["b.example.com"]),
        (["node", "pod"], ["pod", "node"], []),
        (["node", "pod"], ["container"], ["node", "pod"]),
        # By nothing at all.
        ([FROM], [{**FROM, "regex": "y"}], []),
        ([FROM], [{"action": "drop", "regex": "go_.+"}], ["*"]),
        # Within an item that stays.
        (
            [{"name": "group", "rules": [{"alert": "A"}, {"alert": "B"}]}],
            [{"name": "group", "rules": [{"alert": "B"}]}],
            ["alert=A"],
        ),
        (
            [{"name": "group", "rules": [{"alert": "A", "expr": "up"}]}],
            [{"name": "group", "rules": [{"alert": "A", "expr": "up == 0"}]}],
            [],
        ),
    ],
)
def test_what_is_lost(before: list[Json], after: Json, gone: list[str]) -> None:
    found = lists.lost(before, before, after, "any")
    assert len(found) == len(gone)
    assert all(want in ("*", have) for have, want in zip(found, gone, strict=True))


def test_arguments_are_known_by_their_flag() -> None:
    args = ["--level=info", "--port=1"]
    assert lists.lost(args, args, ["--level=debug"], "args") == ["--port"]


def test_what_the_cluster_did_not_have_is_no_loss() -> None:
    assert lists.lost([RULES, SCRATCH], [SCRATCH], [SCRATCH], "any") == []
    assert lists.lost([RULES, SCRATCH], None, [SCRATCH], "any") == []


def test_what_the_base_has_no_more_is_no_loss() -> None:
    assert lists.lost([SCRATCH], [RULES, SCRATCH], [SCRATCH], "any") == []


WITH = """\
kind: HelmRelease
metadata: {name: one}
spec:
  values:
    part:
%s
"""
KUSTOMIZATION = "resources: [../../../base/releases]\npatches:\n%s"
HEAD = "kind: HelmRelease\n      metadata: {name: %s}\n      "


@pytest.mark.parametrize(
    ("patch", "line"),
    [
        ("  - path: one.yaml\n", "one.yaml:6 replaces"),
        (f"  - patch: |\n      {HEAD % 'one'}spec: {{values: {{part: null}}}}\n", ":3 replaces"),
        (f"  - patch: |\n      {HEAD % 'two'}spec: {{values: {{part: null}}}}\n", None),
        (
            f"  - target: {{kind: HelmRelease}}\n    patch: |\n      {HEAD % 'any'}"
            "spec: {values: {part: {$patch: delete}}}\n",
            ":3 replaces",
        ),
        ("  - target: {name: o.e}\n    patch: '[{op: remove, path: /spec/values}]'\n", ":3 "),
        ("  - {path: ops.yaml, target: {name: one}}\n", "overlays/a/releases/ops.yaml:1 "),
        ("  - {path: any.yaml, target: {name: one}}\n", "overlays/a/releases/any.yaml:6 "),
        ("  - {path: any.yaml, target: {name: two}}\n", None),
        ("  - {path: missing.yaml, target: {name: one}}\n", None),
        ("  - target: {name: two}\n    patch: '[{op: remove, path: /spec/values}]'\n", None),
        ("  - target: {name: one}\n    patch: '[{op: remove, path: /spec/other}]'\n", None),
    ],
)
def test_the_patch_that_does_it_is_named(tmp_path: Path, patch: str, line: str | None) -> None:
    base, overlay = tmp_path / "base/releases", tmp_path / "overlays/a/releases"
    for folder in (base, overlay):
        folder.mkdir(parents=True)
    (base / "kustomization.yaml").write_text("resources: [one.yaml]\n")
    (base / "one.yaml").write_text(WITH % "      list: [old]")
    (overlay / "kustomization.yaml").write_text(KUSTOMIZATION % patch)
    (overlay / "one.yaml").write_text(WITH % "      list: [brand, unlike]")
    (overlay / "any.yaml").write_text((overlay / "one.yaml").read_text().replace("one", "any"))
    (overlay / "ops.yaml").write_text("- {op: replace, path: /spec/values/part/list, value: []}\n")
    releases = release("old"), release("brand", "unlike")
    # Declared, and not rendered: there is no such chart.
    sync = ClusterSync("a", "flux", [Unit("unit", "overlays/a/releases", [])])
    here = Cluster(Repository(tmp_path), sync, ())
    found = lists.analyze(ClusterPair("a/flux", here, here, releases, whole=False))
    flags = [one for one in found if isinstance(one, Flag)]
    assert len(flags) == (line is not None)
    for flag in flags:
        assert flag.where == "release one, part.list"
        assert str(line) in flag.why
        assert flag.why.endswith("the list of base/releases/one.yaml:6: lost: old.")


def release(*items: str) -> list[Release]:
    """One release whose values hold a list."""
    values: Json = {"part": {"list": list(items)}}
    owner = ("HelmRelease", "one")
    return [Release("one", "one", "one", "1.0.0", "oci://example.com", values, owner)]
