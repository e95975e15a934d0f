"""The suite against itself: one fault at a time, as they are merged somewhere every day."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from scripts.bench import bad_changes, trees
from scripts.checks.validate import validate
from scripts.model.manifests import Repository
from tests.fixtures import BAD_CHANGES, DIFF_CHANGES, FROZEN

Change = dict[str, Any]
CHANGES: list[Change] = trees.bad_changes(BAD_CHANGES)
CHECKS = bad_changes.Checks(FROZEN)


# A public report of the same fault: `owner/repository#number`.
REPORT = re.compile(r"[\w.-]+/[\w.-]+#\d+")


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
    trees.apply(change, copy.root)
    found = [str(finding) for finding in CHECKS.findings(copy.root, change)]
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
