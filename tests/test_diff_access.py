"""What `make diff` says of rights, powers and Secrets."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.checks.policies import POD_SECURITY
from scripts.diff.model import Flag
from scripts.diff.readers import (
    access,
    secrets,
)
from tests.diff_pairs import (
    CONTAINER,
    DEPLOYMENT,
    Json,
    cluster,
    manifest,
    pair,
    put,
    said,
)

BINDING = manifest(
    "RoleBinding",
    api="rbac.authorization.k8s.io/v1",
    roleRef={"kind": "Role", "name": "r"},
    subjects=[{"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
)
ROLE = manifest(
    "Role",
    api="rbac.authorization.k8s.io/v1",
    rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
)
PROJECT = manifest(
    "AppProject",
    api="argoproj.io/v1alpha1",
    spec={
        "sourceRepos": ["a"],
        "destinations": [{"server": "s", "namespace": "n"}],
        "clusterResourceBlacklist": [{"group": "", "kind": "Node"}],
    },
)


@pytest.mark.parametrize(
    ("before", "path", "value", "expected"),
    [
        (ROLE, "rules/0/verbs", ["get", "list", "watch"], ["rbac-widened: Role n/a"]),
        (ROLE, "rules/0/resources", ["pods", "pods/log"], []),
        (ROLE, "rules/0/resourceNames", ["only-this"], []),
        (ROLE, "rules/0/apiGroups", ["apps"], ["rbac-widened: Role n/a"]),
        (ROLE, "rules/0/verbs", ["get"], []),
        (
            BINDING,
            "subjects",
            [*BINDING["subjects"], {"kind": "Group", "name": "system:authenticated"}],
            ["rbac-widened: RoleBinding n/a"],
        ),
        (BINDING, "subjects", [], []),
    ],
)
def test_roles_and_bindings(before: Json, path: str, value: Any, expected: list[str]) -> None:
    assert said(access.roles, before, put(path, value)) == expected


def test_a_right_that_a_wider_one_covers_is_none_more() -> None:
    every = put("rules/0/verbs", ["*"])
    wide = copy.deepcopy(ROLE)
    every(wide)
    assert said(access.roles, ROLE, every) == ["rbac-widened: Role n/a"]
    assert said(access.roles, wide, put("rules/0/verbs", ["delete"])) == []
    # A role that is new allows all that it allows.
    found = list(access.roles(pair(cluster(), cluster(ROLE))))
    assert [one.why for one in found if isinstance(one, Flag)] == [
        "It allows more: pods (get, list)."
    ]


def test_a_binding_says_who_is_new() -> None:
    after = copy.deepcopy(BINDING)
    after["subjects"].append({"kind": "Group", "name": "g"})
    (flag,) = access.roles(pair(cluster(BINDING), cluster(after)))
    assert isinstance(flag, Flag)
    assert flag.why == "It gives Role r to Group g."


@pytest.mark.parametrize(
    ("before", "after", "looser"),
    [
        ("restricted", "baseline", True),
        ("baseline", "restricted", False),
        ("restricted", None, True),
        (None, "baseline", False),
    ],
)
def test_namespaces(before: str | None, after: str | None, looser: bool) -> None:
    one, other = (
        manifest("Namespace", metadata={"labels": {POD_SECURITY: level} if level else {}})
        for level in (before, after)
    )
    assert bool(list(access.namespaces(pair(cluster(one), cluster(other))))) == looser
    assert list(access.namespaces(pair(cluster(), cluster(other)))) == []
    assert list(access.namespaces(pair(cluster(one), cluster()))) == []


@pytest.mark.parametrize(
    ("path", "value", "widened"),
    [
        ("spec/sourceRepos", ["a", "b"], True),
        ("spec/sourceRepos", [], False),
        ("spec/destinations", [{"server": "*", "namespace": "*"}], True),
        ("spec/clusterResourceBlacklist", [], True),
        (
            "spec/clusterResourceBlacklist",
            [{"group": "", "kind": "Node"}, {"group": "", "kind": "Namespace"}],
            False,
        ),
        ("spec/sourceNamespaces", ["n"], True),
        ("spec/description", "text", False),
    ],
)
def test_projects(path: str, value: Any, widened: bool) -> None:
    assert bool(said(access.projects, PROJECT, put(path, value))) == widened


@pytest.mark.parametrize(
    ("path", "value", "power"),
    [
        (f"{CONTAINER}/securityContext/privileged", True, "container c: privileged"),
        (f"{CONTAINER}/securityContext/capabilities/add", ["NET_ADMIN"], "capability NET_ADMIN"),
        ("spec/template/spec/hostNetwork", True, "hostNetwork"),
        ("spec/template/spec/hostPID", True, "hostPID"),
        ("spec/template/spec/volumes", [{"name": "v", "hostPath": {"path": "/x"}}], "hostPath /x"),
        ("spec/template/spec/volumes", [{"name": "v", "emptyDir": {}}], None),
        (f"{CONTAINER}/image", "b", None),
    ],
)
def test_pods(path: str, value: Any, power: str | None) -> None:
    after = copy.deepcopy(DEPLOYMENT)
    put(path, value)(after)
    found = list(access.pods(pair(cluster(DEPLOYMENT), cluster(after))))
    assert [power in one.why for one in found if isinstance(one, Flag) and power] == [True] * len(
        found
    )
    assert bool(found) == (power is not None)
    # The way back is none that widens anything.
    assert list(access.pods(pair(cluster(after), cluster(DEPLOYMENT)))) == []


def test_secrets() -> None:
    reference = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    before = copy.deepcopy(DEPLOYMENT)
    put(f"{CONTAINER}/env", [reference])(before)
    more = copy.deepcopy(reference)
    more["valueFrom"]["secretKeyRef"]["key"] = "other"  # type: ignore[index]
    assert said(secrets.read, DEPLOYMENT, put(f"{CONTAINER}/env", [reference])) == [
        "n/s with k is needed: create it before the merge (README.md)"
    ]
    assert said(secrets.read, before, put(f"{CONTAINER}/env", [reference, more])) == [
        "n/s needs other, too: add it before the merge"
    ]
    assert said(secrets.read, before, put(f"{CONTAINER}/env", [])) == [
        "n/s is not read any more: it may be deleted after the sync"
    ]
