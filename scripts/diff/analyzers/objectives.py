"""Objectives, by their specifications: what their rules become is in the objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.core.yamlfile import Json, load
from scripts.diff.analyzers.wording import transition
from scripts.diff.model import Analysis, Sentence
from scripts.diff.objects import RevisionPair
from scripts.diff.value_diff import differences
from scripts.rules import slos

TOPIC = "Objectives"


def analyze(revisions: RevisionPair) -> Analysis:
    """Compare the objectives by their names."""
    old, new = (dict(_objectives(root)) for root in (revisions.before, revisions.after))
    for name in sorted({*old, *new}):
        if name not in old:
            yield Sentence(TOPIC, f"{name}: new, {new[name]['objective']} %")
        elif name not in new:
            yield Sentence(TOPIC, f"{name}: removed, it was {old[name]['objective']} %")
        elif phrases := list(_phrases(old[name], new[name])):
            yield Sentence(TOPIC, f"{name}: {', '.join(phrases)}")


def _objectives(root: Path) -> Iterator[tuple[str, dict[str, Json]]]:
    for path in sorted((root / slos.SPECIFICATIONS).glob("*.yaml")):
        for objective in load(path, root)[0]["slos"]:
            yield objective["name"], objective


def _phrases(old: dict[str, Json], new: dict[str, Json]) -> Iterator[str]:
    if old["objective"] != new["objective"]:
        yield transition("objective", f"{old['objective']} %", f"{new['objective']} %")
    words = {"sli": "what counts as failed changes", "alerting": "its alerts change"}
    for key, text in words.items():
        if any(differences(old.get(key), new.get(key))):
            yield text
