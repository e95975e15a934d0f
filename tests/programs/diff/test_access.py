"""What `make diff` says of rights, powers and Secrets."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import access, secrets
from scripts.diff.model import Flag
from scripts.model.pod_security import POD_SECURITY
from tests.programs.diff.diff_pairs import (
    BINDING,
    CONTAINER,
    DEPLOYMENT,
    analyzed,
    cluster,
    manifest,
    pair,
    put,
)

ROLE = manifest(
    "Role",
    api="rbac.authorization.k8s.io/v1",
    rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
)


@pytest.mark.parametrize(
    ("before", "path", "value", "expected"),
    [
        (ROLE, "rules/0/verbs", ["get", "list", "watch"], ["rbac-widened: Role n/a"]),
        (ROLE, "rules/0/resources", ["pods", "pods/log"], ["rbac-widened: Role n/a"]),
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
    assert analyzed(access.roles, before, put(path, value)) == expected


def test_a_right_that_a_wider_one_covers_is_none_more() -> None:
    every = put("rules/0/verbs", ["*"])
    wide = copy.deepcopy(ROLE)
    every(wide)
    assert analyzed(access.roles, ROLE, every) == ["rbac-widened: Role n/a"]
    assert analyzed(access.roles, wide, put("rules/0/verbs", ["delete"])) == []
    # A role that is new allows all that it allows.
    found = list(access.roles(pair(cluster(), cluster(ROLE))))
    assert [one.why for one in found if isinstance(one, Flag)] == [
        "It allows more: pods (get, list)."
    ]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["nodes", "nodes/proxy"], "verbs": ["get"]},
        ),
        (
            {"apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["*"], "verbs": ["get"]},
        ),
        (
            {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]},
            {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["get"]},
        ),
        (
            {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        ),
        (
            {"nonResourceURLs": ["/metrics/cadvisor"], "verbs": ["get"]},
            {"nonResourceURLs": ["/metrics/*"], "verbs": ["get"]},
        ),
        (
            {"apiGroups": [""], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "apiGroups": [""], "resources": ["*"], "verbs": ["*"]},
        ),
    ],
)
def test_what_covers_what(narrow: Json, wide: Json) -> None:
    one, other = (manifest("ClusterRole", rules=[rule]) for rule in (narrow, wide))
    assert len(list(access.roles(pair(cluster(one), cluster(other))))) == 1
    assert list(access.roles(pair(cluster(other), cluster(one)))) == []


def test_a_role_that_joins_another() -> None:
    label = "metadata/labels/rbac.authorization.k8s.io~aggregate-to-admin"
    role = {**copy.deepcopy(ROLE), "kind": "ClusterRole"}
    joined = copy.deepcopy(role)
    put(label, "true")(joined)
    (flag,) = access.roles(pair(cluster(role), cluster(joined)))
    assert isinstance(flag, Flag)
    assert (flag.name, flag.why) == (
        "rbac-widened",
        "Who has the role admin gets what it allows, too.",
    )
    assert analyzed(access.roles, joined, put(label, "false")) == []
    assert analyzed(access.roles, role, put(label, "false")) == []


@pytest.mark.parametrize(
    ("account", "expected"),
    [("s", ["rbac-widened: Deployment n/a"]), ("other", []), ("default", [])],
)
def test_accounts(account: str, expected: list[str]) -> None:
    after = copy.deepcopy(DEPLOYMENT)
    put("spec/template/spec/serviceAccountName", account)(after)
    found = access.accounts(pair(cluster(BINDING, DEPLOYMENT), cluster(BINDING, after)))
    assert [f"{one.name}: {one.where}" for one in found if isinstance(one, Flag)] == expected
    # Neither a new workload, nor one whose account is bound only now, as the binding's flag says.
    for before in (cluster(BINDING), cluster(DEPLOYMENT)):
        assert list(access.accounts(pair(before, cluster(BINDING, after)))) == []


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


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("CronJob", "spec/jobTemplate/spec/template/spec"),
        ("Job", "spec/template/spec"),
        ("Pod", "spec"),
    ],
)
def test_pods_that_end(kind: str, path: str) -> None:
    after = manifest(kind)
    put(path, {"hostPID": True, "containers": []})(after)
    before = copy.deepcopy(after)
    put(f"{path}/hostPID", False)(before)
    (flag,) = access.pods(pair(cluster(before), cluster(after)))
    assert isinstance(flag, Flag)
    assert (flag.name, flag.where) == ("privileged", f"{kind} n/a")
    assert "hostPID" in flag.why


def test_a_host_path_that_becomes_writable() -> None:
    before = copy.deepcopy(DEPLOYMENT)
    put("spec/template/spec/volumes", [{"name": "v", "hostPath": {"path": "/x"}}])(before)
    mount = {"name": "v", "mountPath": "/x", "readOnly": True}
    put(f"{CONTAINER}/volumeMounts", [mount])(before)
    after = copy.deepcopy(before)
    mounts = [mount, {"name": "v", "mountPath": "/y"}]
    put(f"{CONTAINER}/volumeMounts", mounts)(after)
    (flag,) = access.pods(pair(cluster(before), cluster(after)))
    assert isinstance(flag, Flag)
    assert flag.why.endswith("gets more of the node: hostPath /x to write.")
    assert list(access.pods(pair(cluster(after), cluster(before)))) == []


def test_secrets() -> None:
    reference = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    before = copy.deepcopy(DEPLOYMENT)
    put(f"{CONTAINER}/env", [reference])(before)
    more = copy.deepcopy(reference)
    more["valueFrom"]["secretKeyRef"]["key"] = "other"  # type: ignore[index]
    assert analyzed(secrets.analyze, DEPLOYMENT, put(f"{CONTAINER}/env", [reference])) == [
        "n/s with k is needed: create it before the merge, with `make secrets`"
    ]
    assert analyzed(secrets.analyze, before, put(f"{CONTAINER}/env", [reference, more])) == [
        "n/s needs other, too: add it before the merge"
    ]
    assert analyzed(secrets.analyze, before, put(f"{CONTAINER}/env", [])) == [
        "n/s is not read any more: it may be deleted after the sync"
    ]


def test_secrets_that_may_be_absent() -> None:
    path = f"{CONTAINER}/envFrom"
    optional, needed = ([{"secretRef": {"name": "s", **more}}] for more in ({"optional": True}, {}))
    assert analyzed(secrets.analyze, DEPLOYMENT, put(path, optional)) == [
        "n/s is read where there is one: nothing waits for it"
    ]
    before = copy.deepcopy(DEPLOYMENT)
    put(path, optional)(before)
    more = [*optional, {"secretRef": {"name": "s", "optional": True}, "prefix": "S_"}]
    assert analyzed(secrets.analyze, before, put(path, more)) == []
    assert analyzed(secrets.analyze, before, put(path, needed)) == [
        "n/s is needed: create it before the merge, with `make secrets`"
    ]
    assert analyzed(secrets.analyze, before, put(path, [])) == [
        "n/s is not read any more: it may be deleted after the sync"
    ]
    put(path, needed)(before)
    assert analyzed(secrets.analyze, before, put(path, optional)) == [
        "n/s is still read, but nothing waits for it any more"
    ]


def test_the_secret_of_a_source_is_needed() -> None:
    source = manifest("OCIRepository", api="source.toolkit.fluxcd.io/v1", spec={"url": "oci://a"})
    assert analyzed(secrets.analyze, source, put("spec/secretRef", {"name": "s"})) == [
        "n/s is needed: create it before the merge, with `make secrets`"
    ]
