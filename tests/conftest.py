"""What every test shares; which repository it reads, the folder's own conftest.py says."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from scripts import charts
from scripts.manifests import Repository
from scripts.rendered import Cluster, clusters


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what mostly waits, so that all else runs meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print why tests were skipped, each reason once, and how many bad changes are found."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2] for report in skipped).items():
        terminalreporter.write_line(f"{count} tests not run: {reason.removeprefix('Skipped: ')}")
    found = [
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call" and dict(report.user_properties).keys() >= {"ours"}
    ]
    if found:
        ours = sum(bool(one["ours"]) for one in found)
        terminalreporter.write_line(f"bad changes found: {ours} of {len(found)}")


@pytest.fixture(scope="session")
def rendered(repository: Repository) -> list[Cluster]:
    """Every cluster with its charts rendered; skipped where a chart is missing, but not on CI."""
    if absent := charts.missing(repository.entries):
        names = ", ".join(finding.path.removeprefix("chart ") for finding in absent)
        text = f"no registry nor the cache has the charts {names}; {absent[0].fix}"
        (pytest.fail if "GITHUB_ACTIONS" in os.environ else pytest.skip)(text)
    return clusters(repository)
