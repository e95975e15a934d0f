"""The suite against itself: one fault at a time, as they are merged somewhere every day."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import ablation, budget
from scripts.checks import rendered as rendered_checks
from scripts.diff import trees
from scripts.findings import Finding, RepositoryError
from scripts.manifests import Repository
from scripts.rendered import clusters
from scripts.validate import validate

Change = dict[str, Any]
CHANGES: list[Change] = trees.bad_changes()


def findings_of(change: Change, repository: Repository) -> list[Finding]:
    """What the checks that this kind of fault needs say; those without charts come first."""
    try:
        if (found := validate(repository)) or "needs" not in change:
            return found
        if change["needs"] == "values":
            path = Path(change["file"]).stem
            ours = [v for v in ablation.variants(repository) if v.release.name == path]
            return ablation.faults(repository, ours[:1])
        installed = clusters(repository)
        costs = [finding for cluster in installed for finding in budget.faults(cluster)]
        return [*rendered_checks.faults(installed), *costs]
    except RepositoryError as error:
        return list(error.findings)


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
    findings = [str(finding) for finding in findings_of(change, copy)]
    told = any(re.search(change["says"], text, re.DOTALL) for text in findings)
    record_property("ours", told)
    assert told, findings
    assert all("fix: " in text for text in findings)


def test_the_unchanged_copy_has_no_finding(copy: Repository) -> None:
    assert validate(copy) == []


def test_there_are_enough_bad_changes_of_every_kind() -> None:
    assert len(CHANGES) >= 30
    assert len({change["fault"] for change in CHANGES}) == len(CHANGES)
