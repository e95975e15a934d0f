"""What every test shares; which repository it reads, the folder's own conftest.py says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what mostly waits, so that all else runs meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print why tests were skipped, each reason once, and what tests have recorded."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2] for report in skipped).items():
        terminalreporter.write_line(f"{count} tests not run: {reason.removeprefix('Skipped: ')}")
    ours = [bool(told) for told in _recorded(terminalreporter, "ours")]
    if ours:
        terminalreporter.write_line(f"bad changes found: {sum(ours)} of {len(ours)}")
    if adopted := _recorded(terminalreporter, "adoption"):
        terminalreporter.write_line(f"{'s':>5}  {'generated':>9}  edit: files touched by hand")
    for name, by_hand, generated, seconds in sorted(adopted):
        touched = ", ".join(by_hand[:3]) + (f" and {len(by_hand) - 3} more" if by_hand[3:] else "")
        terminalreporter.write_line(f"{seconds:>5.0f}  {generated:>9}  {name}: {touched}")


def _recorded(terminalreporter: pytest.TerminalReporter, name: str) -> list[Any]:
    """Return what tests have recorded under a name."""
    found = (
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
    )
    return [properties[name] for properties in found if name in properties]
