"""What Flux leaves out of its artifact, by the patterns of `.sourceignore`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.model import sourceignore

FILES = ("base/a.yaml", "base/b/a.json", "base/b/c/[x].yaml", "clusters/one/flux/a.yaml", "x y")


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


# What Flux' own matcher says of each (github.com/fluxcd/pkg/sourceignore v0.18.0).
@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("*.json", ["base/b/a.json"]),
        ("a.*", ["base/a.yaml", "base/b/a.json", "clusters/one/flux/a.yaml"]),
        ("b", ["base/b/a.json", "base/b/c/[x].yaml"]),
        ("b/", ["base/b/a.json", "base/b/c/[x].yaml"]),
        ("a.json/", []),
        ("/base/*.yaml", ["base/a.yaml"]),
        ("base/b", ["base/b/a.json", "base/b/c/[x].yaml"]),
        ("/b/", []),
        ("**/c/*", ["base/b/c/[x].yaml"]),
        ("clusters/**/a.yaml", ["clusters/one/flux/a.yaml"]),
        ("base/**", ["base/a.yaml", "base/b/a.json", "base/b/c/[x].yaml"]),
        ("b**/a.json", []),
        ("base/b/*/\\[x].yaml", ["base/b/c/[x].yaml"]),
        ("[a-b].json", ["base/b/a.json"]),
        ("[^b].json", ["base/b/a.json"]),
        ("?.json", ["base/b/a.json"]),
        ("[", []),
        ("x y", ["x y"]),
        ("/*", list(FILES)),
        ("/*\n!/base/", ["clusters/one/flux/a.yaml", "x y"]),
        ("base\n!a.yaml\n", ["base/b/a.json", "base/b/c/[x].yaml"]),
        ("# base\n\n!base\nx y  ", ["x y"]),
    ],
)
def test_patterns(text: str, hidden: list[str], tmp_path: Path) -> None:
    write(tmp_path, ".sourceignore", text)
    found = sourceignore.hidden(tmp_path, "one", FILES)
    assert sorted(path for paths in found.values() for path in paths) == sorted(hidden)


def test_a_folder_of_its_own_and_the_source_come_last(tmp_path: Path) -> None:
    write(tmp_path, ".sourceignore", "\n!*.json\n")
    write(tmp_path, "base/b/.sourceignore", "/*.json\n")
    (pattern,) = sourceignore.hidden(tmp_path, "one", FILES)
    assert (pattern.path, pattern.line) == ("base/b/.sourceignore", 1)
    source = "kind: GitRepository\nspec:\n  ignore: |\n    !*.json\n    x*\n"
    write(tmp_path, "clusters/one/flux/flux-system/gotk-sync.yaml", f"---\n{source}")
    assert list(sourceignore.hidden(tmp_path, "other", FILES)) == [pattern]
    (pattern,) = sourceignore.hidden(tmp_path, "one", FILES)
    assert pattern.path == "clusters/one/flux/flux-system/gotk-sync.yaml"


def test_without_patterns_the_defaults_hold(tmp_path: Path) -> None:
    assert sourceignore.hidden(tmp_path, "one", FILES) == {}
    assert sourceignore.hidden(tmp_path, "one", ["base/a.zip"])
