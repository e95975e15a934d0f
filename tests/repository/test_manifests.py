"""Every manifest keeps every promise: the checks of `make validate` and `make render`."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from scripts.checks import render
from scripts.checks.validate import validate
from scripts.core.findings import Finding
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster


def nothing(findings: Iterable[Finding]) -> None:
    """Fail with every finding in full."""
    if texts := sorted(set(map(str, findings))):
        pytest.fail("\n".join([f"{len(texts)} findings", *texts]), pytrace=False)


def test_what_needs_no_chart(repository: Repository) -> None:
    nothing(validate(repository))


def test_what_needs_the_charts(repository: Repository, rendered: list[Cluster]) -> None:
    nothing(render.check(repository, rendered))
