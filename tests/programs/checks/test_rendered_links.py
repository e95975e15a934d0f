"""What names something in what is rendered names what is there."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from scripts.checks.rendered import links
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    STACK,
    STATE,
    Broken,
    Check,
    Edit,
    added,
    container,
    each,
    messages,
    named,
    pod,
    text,
)


def policy(**spec: Any) -> Json:
    return {"api": "networking.k8s.io/v1", "release": None, "spec": {"podSelector": {}, **spec}}


BROKEN: list[Broken] = [
    (
        "the module http_2xx has the prober https: blackbox exporter has no such prober",
        links.resolved,
        "ConfigMap",
        "blackbox-exporter",
        text("blackbox.yaml", "prober: http\n", "prober: https\n"),
    ),
    (
        "livenessProbe asks the port web",
        links.resolved,
        "Deployment",
        "grafana",
        lambda m: container(m)["livenessProbe"]["httpGet"].update(port="web"),
    ),
    (
        "preStop asks the port web",
        links.resolved,
        "Deployment",
        "grafana",
        lambda m: container(m).update(lifecycle={"preStop": {"httpGet": {"port": "web"}}}),
    ),
    (
        "the port 8080 leads to metricz",
        links.resolved,
        "Service",
        STATE,
        lambda m: m["spec"]["ports"][0].update(targetPort="metricz"),
    ),
    (
        "selects app.kubernetes.io/name=prometheus,operator.prometheus.io/name=other",
        links.resolved,
        "Service",
        f"{STACK}-prometheus",
        lambda m: m["spec"]["selector"].update({"operator.prometheus.io/name": "other"}),
    ),
    (
        "container loki listens on the port 3101",
        links.resolved,
        "ConfigMap",
        "loki",
        text("config.yaml", "http_listen_port: 3100", "http_listen_port: 3101"),
    ),
    (
        "container kube-state-metrics listens on the port 9090",
        links.resolved,
        "Deployment",
        STATE,
        lambda m: container(m)["args"].__setitem__(0, "--port=9090"),
    ),
    (
        "takes its node's port 9100: another pod has it",
        links.resolved,
        "Deployment",
        "blackbox-exporter",
        lambda m: container(m)["ports"][0].update(hostPort=9100),
    ),
    (
        "is mounted from the volume rules",
        links.resolved,
        "StatefulSet",
        "loki",
        lambda m: pod(m).update(volumes=[v for v in pod(m)["volumes"] if v["name"] != "rules"]),
    ),
    (
        "container loki writes to /var/loki/rules-temp",
        links.resolved,
        "StatefulSet",
        "loki",
        lambda m: [x.update(readOnly=True) for x in container(m)["volumeMounts"]],
    ),
    (
        "container alloy writes to /etc/alloy/data",
        links.resolved,
        "DaemonSet",
        "alloy",
        lambda m: container(m)["args"].__setitem__(2, "--storage.path=/etc/alloy/data"),
    ),
    (
        "has the priority high",
        links.resolved,
        "StatefulSet",
        "loki",
        lambda m: pod(m).update(priorityClassName="high"),
    ),
    (
        "makes metrics of source.toolkit.fluxcd.io/gitrepositories",
        links.resolved,
        "ClusterRole",
        STATE,
        lambda m: m["rules"][-1]["resources"].remove("gitrepositories"),
    ),
]


@each(BROKEN)
def test_a_fault_is_found_once(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert any(expected in message for message in found), found
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"policyTypes": ["Ingress"], "ingress": []}, []),
        ({"policyTypes": ["Egress"], "egress": [{}]}, []),
        ({"egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]}, ["and 1[0-9] pairs more"]),
        (
            {"egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 443}]}]},
            ["DNS: .* so no name is resolved", "pairs more"],
        ),
        ({"policyTypes": ["Egress"]}, ["DNS: .*nor is anything else reached"]),
        ({"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}, []),
        ({"podSelector": {"matchLabels": {"app": "x"}}, "ingress": [{}]}, ["the pods with app=x"]),
        ({"ingress": [{"ports": [{"port": 3100}, {"port": 80}]}]}, ["opens the port 80"]),
    ],
)
def test_policies_are_followed(
    rendered: list[Cluster], spec: dict[str, Json], expected: list[str]
) -> None:
    cluster = added(named(rendered), "NetworkPolicy", **policy(**spec))
    found = [finding.message for finding in links.resolved(cluster)]
    assert len(found) == len(expected), found
    for pattern in expected:
        assert any(re.search(pattern, message) for message in found), found


def test_a_policy_admits_by_name_of_a_port_and_by_namespace(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    others = [item for item in cluster.items if item.kind != "NetworkPolicy"]
    alone = dataclasses.replace(cluster, items=tuple(others))
    only = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "loki"}}}
    place = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring-node"}}
    rule: dict[str, Any] = {"ports": [{"port": "http-metrics"}]}
    assert not list(links.resolved(added(alone, "NetworkPolicy", **policy(**only, ingress=[rule]))))
    rule["from"] = [{"namespaceSelector": place}]
    found = links.resolved(added(alone, "NetworkPolicy", **policy(**only, ingress=[rule])))
    (message,) = [finding.message for finding in found]
    assert "keeps" in message
    assert "from loki at 3100" in message
    assert "keeps alloy " not in message
