"""Every manifest keeps every promise: the checks of `make validate` and `make render`."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from scripts import render
from scripts.findings import Finding
from scripts.manifests import Repository
from scripts.rendered import Cluster
from scripts.validate import validate


def nothing(findings: Iterable[Finding]) -> None:
    """Fail with every finding in full."""
    if texts := sorted(set(map(str, findings))):
        pytest.fail("\n".join([f"{len(texts)} findings", *texts]), pytrace=False)


def test_what_needs_no_chart(repository: Repository) -> None:
    nothing(validate(repository))


def test_what_needs_the_charts(repository: Repository, rendered: list[Cluster]) -> None:
    nothing(render.check(repository, rendered))
