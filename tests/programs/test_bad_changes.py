"""The suite against itself: one fault at a time, as they are merged somewhere every day."""

from __future__ import annotations

import functools
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import bad_changes, trees
from scripts.checks.validate import validate
from scripts.model.manifests import Repository
from tests.fixtures import BAD_CHANGES, DIFF_CHANGES, FROZEN

Change = dict[str, Any]
CHANGES: list[Change] = trees.bad_changes(BAD_CHANGES)


# What a cluster of the frozen repository is that has volumes, a tier and every opt-in beside it.
WHOLE = "oke-free"
# What is compared with everything that can be turned on.
WITH_OPTIONS = ("base/optional/", "base/dashboards/", "base/config/runbooks/")
Known = tuple[str, bool, str]
# A public report of the same fault: `owner/repository#number`.
REPORT = re.compile(r"[\w.-]+/[\w.-]+#\d+")


def reduced(root: Path, change: Change) -> Known:
    """Leave one environment of a copy, the one that a change is about: each takes as long.

    Returns:
        The environment, whether the opt-ins are left, and what the checks need.
    """
    parts = [*str(change["file"]).split("/"), ""]
    first, second = parts[0], parts[1]
    kept = second if first in {"clusters", "overlays"} else WHOLE
    others = [path for kind in ("clusters", "overlays") for path in (root / kind).glob("*/")]
    for path in others:
        if path.name != kept:
            shutil.rmtree(path)
    optional = change["file"].startswith(WITH_OPTIONS)
    if not optional:
        shutil.rmtree(root / "tests")
    return kept, optional, change.get("needs", "")


@functools.cache
def known(_: Known, change: str) -> frozenset[tuple[str, str]]:
    """What is said of such a copy before it is changed, because something of it is left out."""
    with tempfile.TemporaryDirectory() as folder:
        root = shutil.copytree(FROZEN, folder, dirs_exist_ok=True)
        reduced(Path(root), json.loads(change))
        found = bad_changes.findings(json.loads(change), Repository(Path(root)))
    return frozenset((finding.path, finding.message) for finding in found)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change["fault"])
def test_bad_change_is_found(
    change: Change,
    copy: Repository,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    if "needs" in change:
        request.getfixturevalue("rendered")
    record_property("ours", False)
    kind = reduced(copy.root, change)
    place = {key: change[key] for key in ("file", "needs") if key in change}
    if kind[1:] == (False, ""):
        # All that need no chart are alike.
        place["file"] = f"clusters/{kind[0]}/any"
    elif kind[1] and not kind[2]:
        place["file"] = f"{WITH_OPTIONS[0]}any"
    before = known(kind, json.dumps(place))
    trees.apply(change, copy.root)
    found = [str(finding) for finding in bad_changes.findings(change, copy, before)]
    told = any(re.search(change["says"], text, re.DOTALL) for text in found)
    record_property("ours", told)
    assert told, found
    assert all("fix: " in text for text in found)


def test_the_unchanged_copy_has_no_finding(copy: Repository) -> None:
    assert validate(copy) == []


def test_there_are_enough_bad_changes_of_every_kind() -> None:
    kinds = Counter(change["kind"] for change in CHANGES)
    assert len(kinds) >= 10
    assert min(kinds.values()) >= 3
    assert len({change["fault"] for change in CHANGES}) == len(CHANGES)


def test_public_reports_are_named_as_on_github() -> None:
    flagged = [change for change in trees.changes(DIFF_CHANGES) if "report" in change]
    refused = [change for change in CHANGES if "report" in change]
    wrong = [c for c in (*flagged, *refused) if not REPORT.fullmatch(c["report"])]
    assert wrong == []
    assert len({change["report"] for change in refused}) >= 40
