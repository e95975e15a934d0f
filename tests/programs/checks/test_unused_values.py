"""Every value of every release does something, and one that does not is found."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from scripts.checks import unused_values
from scripts.checks.unused_values import ABSENT, Variant
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster

BLACKBOX = "prometheus-blackbox-exporter"


@pytest.fixture
def cluster(rendered: list[Cluster]) -> Cluster:
    return next(cluster for cluster in rendered if cluster.name == "oke-free/flux")


def variant(cluster: Cluster, release: str, **values: Any) -> Variant:
    """A release with some values more."""
    found = cluster.release(release)
    changed = dataclasses.replace(found, values={**found.values, **values})
    return Variant(cluster.sync, changed)


def findings(cluster: Cluster, *found: Variant) -> list[Finding]:
    return unused_values.findings(cluster.repository, list(found))


@pytest.mark.usefixtures("rendered")
def test_every_value_does_something(repository: Repository) -> None:
    assert (
        list(map(str, unused_values.findings(repository, unused_values.variants(repository)))) == []
    )


def test_a_misspelt_key_is_found(cluster: Cluster) -> None:
    (finding,) = findings(cluster, variant(cluster, BLACKBOX, podSecurityContex={"runAsUser": 1}))
    assert "podSecurityContex.runAsUser changes nothing that the chart renders" in finding.message


def test_a_default_is_no_advice_where_the_outcome_is_wrong(cluster: Cluster) -> None:
    changed = variant(cluster, BLACKBOX, replicas=1)
    (finding,) = findings(cluster, changed)
    assert finding.message.endswith("replicas is the chart's default")
    said = Finding(f"base/releases/{BLACKBOX}.yaml", 1, "one pod is too few", "run two")
    assert unused_values.findings(cluster.repository, [changed], [said]) == []
    elsewhere = Finding("base/releases/loki.yaml", 1, "one pod is too few", "run two")
    assert unused_values.findings(cluster.repository, [changed], [elsewhere]) == [finding]


def test_a_misplaced_key_is_found(cluster: Cluster) -> None:
    (finding,) = findings(
        cluster,
        variant(
            cluster,
            "loki",
            chunksCache={"enabled": False},
            resultsCache={"enabled": False, "loki": {"replicas": 1}},
        ),
    )
    assert "resultsCache.loki.replicas" in finding.message


def test_a_key_that_repeats_the_default_is_found(cluster: Cluster) -> None:
    (finding,) = findings(cluster, variant(cluster, BLACKBOX, replicas=1))
    assert finding.message == f"{BLACKBOX}: replicas is the chart's default"
    assert finding.path == f"base/releases/{BLACKBOX}.yaml"


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize(("base", "needed"), [("30d", True), ("", False)])
def test_an_overlay_may_return_to_the_default(copy: Repository, base: str, needed: bool) -> None:
    overlay = copy.root / "overlays/oke-free/releases/kube-prometheus-stack.yaml"
    key = "      prometheusSpec:\n"
    overlay.write_text(overlay.read_text().replace(key, f"{key}        retention: 10d\n"))
    release = copy.root / "base/releases/kube-prometheus-stack.yaml"
    text = re.sub(
        r"\n +retention: .*", f"\n        retention: {base}" if base else "", release.read_text()
    )
    release.write_text(text)
    said = [str(one) for one in unused_values.findings(copy, unused_values.variants(copy))]
    assert any("retention is the chart's default" in one for one in said) != needed


def test_a_key_that_helps_in_one_variant_earns_its_place(cluster: Cluster) -> None:
    useless = variant(cluster, BLACKBOX, serviceMonitor={"defaults": {"interval": "60s"}})
    useful = variant(
        cluster,
        BLACKBOX,
        serviceMonitor={
            "enabled": True,
            "defaults": {"interval": "60s"},
            "targets": [{"name": "a", "url": "http://a"}],
        },
    )
    assert len(findings(cluster, useless)) == 1
    assert findings(cluster, useless, useful) == []


def test_a_random_render_is_found(cluster: Cluster) -> None:
    values = {k: v for k, v in cluster.release("grafana").values.items() if k != "admin"}
    release = dataclasses.replace(cluster.release("grafana"), values=values)
    assert Variant(cluster.sync, release).changes(())
    assert not Variant(cluster.sync, cluster.release("grafana")).changes(())


def test_a_key_without_which_nothing_renders_does_something(cluster: Cluster) -> None:
    assert variant(cluster, "loki").changes(("read", "replicas"))


def test_what_was_tried_is_not_tried_again(cluster: Cluster) -> None:
    first = variant(cluster, BLACKBOX, replicas=1)
    findings(cluster, first)
    second = variant(cluster, BLACKBOX, replicas=1)
    assert second.knows(("replicas",))
    findings(cluster, second)
    assert second.renders == 0


def test_keys_are_scalars_lists_and_empty_maps() -> None:
    values: Json = {"a": {"b": 1, "c": [{"d": 2}], "e": {}}, "f": None}
    assert dict(unused_values.paths(values)) == {
        ("a", "b"): 1,
        ("a", "c"): [{"d": 2}],
        ("a", "e"): {},
        ("f",): None,
    }


def test_taking_a_key_out_leaves_the_others() -> None:
    values: Json = {"a": {"b": 1, "c": 2}, "d": 3}
    assert unused_values.without(values, ("a", "b")) == {"a": {"c": 2}, "d": 3}
    assert unused_values.without(values, ("d",)) == {"a": {"b": 1, "c": 2}}
    assert values == {"a": {"b": 1, "c": 2}, "d": 3}


def test_defaults_are_looked_up_in_the_sub_chart_too(cluster: Cluster) -> None:
    stack = cluster.release("kube-prometheus-stack")
    assert unused_values.default(stack, ("prometheus-node-exporter", "hostNetwork")) is True
    assert unused_values.default(stack, ("prometheus", "prometheusSpec", "replicas")) == 1
    assert unused_values.default(stack, ("prometheus", "prometheusSpec", "replica")) is ABSENT
