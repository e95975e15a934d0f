"""Queries of nodes and workloads."""

from __future__ import annotations

import re

import pytest

from dashboards_py.queries import cluster


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        ("todo-backend-6b7f9c54d8", "todo-backend"),
        ("todo-backend", "todo-backend"),
        ("kube-prometheus-stack-prometheus", "kube-prometheus-stack-prometheus"),
        ("backup-29361240", "backup"),
        ("backup-2", "backup-2"),
        ("<none>", "<none>"),
    ],
)
def test_a_workload_is_the_owner_s_name_without_its_hash(owner: str, workload: str) -> None:
    match = re.fullmatch(cluster.WORKLOAD, owner)
    assert match
    assert match[1] == workload
