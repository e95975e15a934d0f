"""Programs are asked about what they get, and what they refuse is found where it is written."""

from __future__ import annotations

import base64
import dataclasses
import re
import sys
from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.checks import render
from scripts.checks.rendered import refusals
from scripts.core.yamlfile import Json
from scripts.model import schemas
from scripts.model.alertmanager import TEMPLATE
from scripts.model.rendered import Cluster, Item
from tests.fixtures import CODE, FROZEN
from tests.programs.checks.rendered_edits import (
    KUBELET,
    STACK,
    STATE,
    Edit,
    added,
    argument,
    container,
    edited,
    named,
    text,
)

OPERATOR = f"{STACK}-operator"
EVERY = (*refusals.API, *refusals.KINDS)


def refused(*clusters: Cluster) -> list[str]:
    """Everything that programs refuse of clusters."""
    return [f"{f.path}:{f.line}: {f.message}" for _, f in refusals.found(EVERY, clusters)]


def endpoint(**more: Json) -> Edit:
    return lambda manifest: manifest["spec"]["endpoints"][0].update(more)


def relabelling(**rule: Json) -> Edit:
    return endpoint(metricRelabelings=[rule])


def prometheus(**more: Json) -> Edit:
    return lambda manifest: manifest["spec"].update(more)


def monitor(without: str) -> Edit:
    return lambda manifest: manifest["spec"].pop(without)


def first_rule(expr: str) -> Edit:
    def edit(manifest: Json) -> None:
        manifest["spec"]["groups"][0]["rules"][0]["expr"] = expr

    return edit


BROKEN: list[tuple[str, str, str, Edit]] = [
    (
        "the Prometheus operator refuses it: endpoints[0]: metricRelabelConfigs: .*`++`",
        "ServiceMonitor",
        KUBELET,
        relabelling(sourceLabels=["a"], regex="go_.++", action="drop"),
    ),
    (
        "dropequal action needs targetLabel",
        "ServiceMonitor",
        KUBELET,
        relabelling(sourceLabels=["a"], action="dropequal"),
    ),
    (
        'scrapeTimeout "45s" greater than scrapeInterval "30s"',
        "ServiceMonitor",
        KUBELET,
        endpoint(scrapeTimeout="45s", interval="30s"),
    ),
    # The API server sets the interval where none is written.
    (
        'scrapeTimeout "45s" greater than scrapeInterval "30s"',
        "Prometheus",
        STACK,
        lambda m: (m["spec"].pop("scrapeInterval"), m["spec"].update(scrapeTimeout="45s")),
    ),
    (
        "web.config.file",
        "Prometheus",
        STACK,
        prometheus(additionalArgs=[{"name": "web.config.file"}]),
    ),
    ("unsupported Prometheus version", "Prometheus", STACK, prometheus(version="v1.8.2")),
    ("parse error", "PrometheusRule", "requests", first_rule("sum(")),
    (
        "at least one of endpoints or endpointslice needs to be enabled",
        "Deployment",
        OPERATOR,
        argument("--kubelet-endpointslice=true", "--kubelet-endpointslice=false"),
    ),
    (
        "both set, they are mutually exclusive",
        "Deployment",
        STATE,
        lambda m: container(m)["args"].append("--metric-allowlist=kube_.+"),
    ),
    (
        "error parsing regexp",
        "Deployment",
        STATE,
        argument("kube_pod_init_container_.+", "kube_(x"),
    ),
    (
        "resource pod does not exist",
        "Deployment",
        STATE,
        lambda m: container(m)["args"].append("--metric-labels-allowlist=pod=[*]"),
    ),
    (
        "node-exporter refuses it: unknown long flag '--collector.nothing'",
        "DaemonSet",
        f"{STACK}-prometheus-node-exporter",
        argument("--collector.conntrack", "--collector.nothing"),
    ),
    (
        "the Prometheus operator refuses it: flag provided but not defined: -manage-crds",
        "Deployment",
        OPERATOR,
        argument("--localhost=127.0.0.1", "--manage-crds=true"),
    ),
    (
        "expected 'internal' or 'external'",
        "Deployment",
        OPERATOR,
        argument("--localhost=127.0.0.1", "--kubelet-node-address-priority=all"),
    ),
    ("unknown flag: --collectors", "Deployment", STATE, argument("--resources=", "--collectors=")),
    (
        "the blackbox exporter refuses it: .*field valid_status_code not found",
        "ConfigMap",
        "blackbox-exporter",
        text("blackbox.yaml", "    http:\n", "    http:\n      valid_status_code: [200]\n"),
    ),
    (
        "Loki refuses it: .*field enforce_metric_name not found",
        "ConfigMap",
        "loki",
        text("config.yaml", "limits_config:\n", "limits_config:\n  enforce_metric_name: false\n"),
    ),
    (
        "Loki refuses it: .*field enforce_metric_name not found",
        "ConfigMap",
        "loki-runtime",
        lambda m: m["data"].update(
            {"runtime-config.yaml": "overrides:\n  a:\n    enforce_metric_name: false\n"}
        ),
    ),
    (
        "flag provided but not defined: -nothing",
        "StatefulSet",
        "loki",
        lambda m: container(m)["args"].append("-nothing"),
    ),
    ("the API server refuses it: spec.paused: ", "Prometheus", STACK, prometheus(paused="no")),
    ("the API server refuses it: spec.selector: ", "ServiceMonitor", KUBELET, monitor("selector")),
    (
        'no matches for kind "Prometheus" in version "monitoring.coreos.com/v2"',
        "Prometheus",
        STACK,
        lambda m: m.update(apiVersion="monitoring.coreos.com/v2"),
    ),
    (
        "the API server refuses it: .*rollingUpdate requires type to be RollingUpdate",
        "Prometheus",
        STACK,
        prometheus(updateStrategy={"type": "OnDelete", "rollingUpdate": {"maxUnavailable": 1}}),
    ),
    (
        "the API server refuses it: .*Duplicate value",
        "Prometheus",
        STACK,
        prometheus(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a"]}] * 2),
    ),
]


@pytest.mark.parametrize(("expected", "kind", "name", "edit"), BROKEN)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, kind: str, name: str, edit: Edit
) -> None:
    found = refused(edited(named(rendered), kind, name, edit))
    assert len(found) == 1, found
    pattern = re.escape(expected).replace(r"\.\*", ".*")
    assert re.search(pattern, found[0]), found
    assert re.match(r"(base|overlays)/.*:\d+: ", found[0])


def test_nothing_of_the_repository_is_refused(rendered: list[Cluster]) -> None:
    assert refused(*rendered) == []


def test_a_configuration_in_a_secret_is_read(rendered: list[Cluster]) -> None:
    def moved(item: Item) -> Item:
        if (item.kind, item.name) == ("ConfigMap", "loki"):
            content = item.manifest["data"]["config.yaml"] + "\nnothing: {}\n"
            data = {"config.yaml": base64.b64encode(content.encode()).decode()}
            return Item({**item.manifest, "kind": "Secret", "data": data}, item.release)
        if (item.kind, item.name) == ("StatefulSet", "loki"):
            changed = yaml.safe_load(yaml.safe_dump(dict(item.manifest)))
            for volume in changed["spec"]["template"]["spec"]["volumes"]:
                if volume.get("configMap", {}).get("name") == "loki":
                    volume["secret"] = {"secretName": volume.pop("configMap")["name"]}
            return Item(changed, item.release)
        return item

    cluster = named(rendered)
    cluster = dataclasses.replace(cluster, items=tuple(moved(item) for item in cluster.items))
    (found,) = refused(cluster)
    assert "Secret monitoring/loki: Loki refuses it: " in found
    assert "field nothing not found" in found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"receivers": [{"name": "a"}]}, []),
        ({"receivers": [{"name": "a"}], "route": {"receiver": "b"}}, ['"b"']),
        (
            {
                "receivers": [
                    {"name": "a", "pagerdutyConfigs": [{"routingKey": {"name": "p", "key": "k"}}]}
                ],
                "route": {"receiver": "a"},
            },
            [],
        ),
    ],
)
def test_an_alertmanagerconfig_is_taken_or_refused(
    rendered: list[Cluster], spec: Json, expected: list[str]
) -> None:
    api = "monitoring.coreos.com/v1alpha1"
    cluster = added(named(rendered), "AlertmanagerConfig", api=api, spec=spec)
    found = refused(cluster)
    assert [part for part in expected if part in "".join(found)] == expected
    assert len(found) == len(expected)


def test_the_operator_refuses_what_it_does_not_know_of_the_template(
    rendered: list[Cluster], tmp_path: Path
) -> None:
    cluster = named(rendered)
    template = tmp_path / TEMPLATE
    template.parent.mkdir(parents=True)
    content = (FROZEN / TEMPLATE).read_text()
    template.write_text(content.replace("    webhook_configs:", "    webhooks_configs:", 1))
    other = type(cluster.repository)(tmp_path)
    other.__dict__["sources"] = cluster.repository.sources
    (found,) = refused(dataclasses.replace(cluster, repository=other))
    assert re.match(rf"{TEMPLATE}:\d+: the Prometheus operator refuses it: ", found)
    assert "field webhooks_configs not found" in found


def test_a_program_is_asked_once(
    rendered: list[Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = edited(named(rendered), "Prometheus", STACK, prometheus(version="v1.8.2"))
    run, asked = tools.run, []

    def count(name: str, *arguments: str | Path, **more: Json) -> object:
        asked.append(name)
        return run(name, *arguments, **more)

    paths = {name: tools.path(name) for name in refusals.TOOLS}
    crds = schemas.folder()
    monkeypatch.setattr(tools, "cache", lambda: tmp_path)
    monkeypatch.setattr(tools, "path", paths.__getitem__)
    monkeypatch.setattr(schemas, "folder", lambda: crds)
    monkeypatch.setattr(tools, "run", count)
    first = refused(cluster, named(rendered, "oke-free/argocd"))
    assert sorted(asked) == sorted(refusals.TOOLS)
    assert refused(cluster, named(rendered, "oke-free/argocd")) == first
    assert len(asked) == len(refusals.TOOLS)


@pytest.mark.parametrize("allowed", [True, False])
def test_what_is_not_built_is_said_only_where_that_is_allowed(
    allowed: bool,
    rendered: list[Cluster],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    left: list[object] = []

    def check(*_: object) -> list[object]:
        left.append(_[2])
        return []

    monkeypatch.setattr(tools, "built", lambda name: name != "loki")
    monkeypatch.setattr(render, "check", check)
    monkeypatch.setattr(render, "OUTPUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["render", str(FROZEN), *(["--allow-missing"] * allowed)])
    assert render.main() == 0
    assert left == [["loki"] if allowed else []]
    said = "not checked: what programs refuse; not built yet: loki (" in capsys.readouterr().out
    assert said == allowed


def test_the_operator_is_the_one_whose_objects_are_checked() -> None:
    pinned = tools.modules("configcheck")["github.com/prometheus-operator/prometheus-operator"]
    assert pinned in (CODE / "scripts" / "schemas.yaml").read_text()
