"""What a runbook may not leave open, one page at a time; bad changes show the rest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.checks.static import runbooks as check
from scripts.model import runbooks
from scripts.model.manifests import Repository
from scripts.model.runbooks import RUNBOOKS, Runbook, RunbookQuery
from tests.fixtures import FROZEN

LABELS = {"PodNotReady": {"namespace", "pod"}}


@pytest.fixture(scope="module")
def page() -> Runbook:
    return runbooks.read(FROZEN / RUNBOOKS / "PodNotReady.md", FROZEN)


def said(page: Runbook, text: str = "", labels: tuple[str, ...] | None = None) -> list[str]:
    first = page.queries[0]
    names = first.labels if labels is None else labels
    query: RunbookQuery = dataclasses.replace(first, text=text or first.text, labels=names)
    changed = dataclasses.replace(page, labels=names, queries=(query,))
    return [f.message for f in check.of_page(changed, LABELS, {"monitoring"})]


def test_a_page_that_is_about_its_alert_is_right(page: Runbook) -> None:
    assert said(page) == []


@pytest.mark.parametrize("matcher", ['namespace="default"', 'pod="web-1"', 'node="10.0.0.1"'])
def test_what_other_clusters_lack_is_found(page: Runbook, matcher: str) -> None:
    assert said(page, f"up{{{matcher}}}", ()) == [f"{matcher} holds on one cluster only"]


@pytest.mark.parametrize(
    "matcher", ['namespace="monitoring"', 'namespace=~"monitoring.*"', 'job="web"', 'pod!="x"']
)
def test_what_every_cluster_has_may_be_named(page: Runbook, matcher: str) -> None:
    assert said(page, f"up{{{matcher}}}", ()) == []


def test_a_label_that_no_query_compares_is_found(page: Runbook) -> None:
    query = dataclasses.replace(page.queries[0], labels=())
    changed = dataclasses.replace(page, labels=("pod",), queries=(query,))
    assert "no query compares the alert's label 'pod'" in [
        f.message for f in check.of_page(changed, LABELS)
    ]


def test_a_page_without_a_query_is_found(page: Runbook) -> None:
    changed = dataclasses.replace(page, queries=())
    assert [f.message for f in check.of_page(changed, LABELS)] == ["it has no query"]


def test_every_page_that_cannot_be_read_is_named_beside_the_others(copy: Repository) -> None:
    for name in ("PodNotReady", "TargetDown"):
        path: Path = copy.root / RUNBOOKS / f"{name}.md"
        path.write_text(path.read_text().replace("**Firing:**", "Firing:"))
    found = {finding.path for finding in check.check(copy)}
    assert found == {f"{RUNBOOKS}/{name}.md" for name in ("PodNotReady", "TargetDown")}
