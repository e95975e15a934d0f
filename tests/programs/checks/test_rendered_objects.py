"""Objects: Secrets, CRDs, namespaces, roles, hooks, kinds, schemas and both engines."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.checks.rendered import objects
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    Broken,
    Check,
    Edit,
    added,
    each,
    edited,
    messages,
    named,
)

BROKEN: list[Broken] = [
    # Objects.
    (
        "a Helm hook",
        objects.no_hooks,
        "Service",
        "loki",
        lambda m: m["metadata"].update(annotations={"helm.sh/hook": "pre-install"}),
    ),
    (
        "would be created in kube-system",
        objects.in_our_namespaces,
        "Service",
        "loki",
        lambda m: m["metadata"].update(namespace="kube-system"),
    ),
    (
        "may be deleted",
        objects.crds_kept,
        "CustomResourceDefinition",
        "prometheusrules.monitoring.coreos.com",
        lambda m: m["metadata"]["annotations"].pop("helm.sh/resource-policy"),
    ),
    # https://github.com/prometheus-community/helm-charts/issues/3624
    (
        "is of 0.67.1, and the operator 0.",
        objects.crds_not_older_than_operator,
        "CustomResourceDefinition",
        "prometheusrules.monitoring.coreos.com",
        lambda m: m["metadata"]["annotations"].update({objects.OPERATOR_VERSION: "0.67.1"}),
    ),
    (
        "may read Secrets",
        objects.secrets_unreadable,
        "ClusterRole",
        "alloy",
        lambda m: m["rules"][0]["resources"].append("secrets"),
    ),
]


@each(BROKEN)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert any(expected in message for message in found), found


def test_a_rendered_secret_is_found(rendered: list[Cluster]) -> None:
    cluster = added(named(rendered), "Secret", data={"password": "cGFzc3dvcmQ="})
    (finding,) = objects.no_secrets(cluster)
    assert "Secret monitoring/added" in finding.message
    assert list(objects.no_secrets(added(named(rendered), "Secret"))) == []


def test_a_crd_of_another_release_is_found(rendered: list[Cluster]) -> None:
    cluster = added(named(rendered), "CustomResourceDefinition", release="alloy")
    assert any("alloy brings a CRD" in f.message for f in objects.crds_kept(cluster))


def test_a_namespace_of_a_chart_is_found(rendered: list[Cluster]) -> None:
    (finding,) = objects.in_our_namespaces(added(named(rendered), "Namespace"))
    assert "the chart makes a namespace" in finding.message


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]},
    ],
)
def test_a_role_that_reads_secrets_is_found(rendered: list[Cluster], rule: Json) -> None:
    cluster = added(named(rendered), "Role", rules=[rule])
    assert len(list(objects.secrets_unreadable(cluster))) == 1


def test_a_role_of_another_group_s_secrets_is_allowed(rendered: list[Cluster]) -> None:
    rule = {"apiGroups": ["vault.example"], "resources": ["secrets"], "verbs": ["get"]}
    assert list(objects.secrets_unreadable(added(named(rendered), "Role", rules=[rule]))) == []


def test_a_kind_that_the_project_does_not_allow_is_found(rendered: list[Cluster]) -> None:
    cluster = added(named(rendered, "oke-free/argocd"), "Job", api="batch/v1")
    (finding,) = objects.kinds_whitelisted(cluster)
    assert finding.path == "base/argocd/applications/project.yaml"
    assert "does not allow Job of group 'batch'" in finding.message


def test_a_kind_that_nothing_creates_is_found(rendered: list[Cluster]) -> None:
    without = [
        dataclasses.replace(c, items=tuple(i for i in c.items if i.kind != "DaemonSet"))
        for c in rendered
    ]
    messages = {finding.message for finding in objects.unused_whitelist(without)}
    assert [message.partition(": ")[2] for message in messages] == [
        "allows DaemonSet, which nothing creates"
    ]


def test_engines_that_render_differently_are_found(rendered: list[Cluster]) -> None:
    broken = edited(named(rendered), "StatefulSet", "loki", lambda m: m["spec"].update(replicas=2))
    findings = list(objects.same_for_both_engines([broken, named(rendered, "oke-free/argocd")]))
    assert [f.message.partition(":")[0] for f in findings] == ["StatefulSet monitoring/loki"]


def test_an_object_that_the_schema_refuses_is_found(rendered: list[Cluster]) -> None:
    broken = edited(named(rendered), "StatefulSet", "loki", lambda m: m["spec"].update(replica=2))
    (finding,) = objects.invalid([broken])
    assert "replica" in finding.message
