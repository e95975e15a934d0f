"""Settings whose absence shows only in production."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.checks.static import required_values
from scripts.model.manifests import Repository
from scripts.model.scraping import SELECTORS
from tests.programs.cluster_syncs import FLUX, Edit, assert_says, edited, holding, named


def spec(values: Any) -> Any:
    return values["prometheus"]["prometheusSpec"]


def claim(values: Any) -> Any:
    return spec(values)["storageSpec"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]


PROMETHEUS, LOKI = "kube-prometheus-stack", "loki"


@pytest.mark.parametrize(
    ("release", "edit", "says"),
    [
        (PROMETHEUS, lambda v: spec(v).update(retentionSize="43GiB"), "43GiB is over 85 % .+ 50Gi"),
        (PROMETHEUS, lambda v: spec(v).update(retentionSize="43GB"), "43GB is over 85 % .+ 50Gi"),
        (PROMETHEUS, lambda v: claim(v).update(storage="47G"), "40GiB is over 85 % .+ 47G$"),
        (PROMETHEUS, lambda v: spec(v).update(retentionSize="40Gi"), "'40Gi' is no size that"),
        (PROMETHEUS, lambda v: claim(v).update(storage="fifty"), "'fifty' is no quantity"),
        (PROMETHEUS, lambda v: spec(v).pop("retentionSize"), "no retentionSize"),
        *(
            (
                PROMETHEUS,
                lambda v, key=f"{kind}SelectorNilUsesHelmValues": spec(v).pop(key),
                f"{kind}SelectorNilUsesHelmValues is not false",
            )
            for kind in SELECTORS
        ),
        (
            LOKI,
            lambda v: v["loki"]["compactor"].update(retention_enabled=False),
            "compactor.retention_enabled is not set",
        ),
        (
            LOKI,
            lambda v: v["loki"]["limits_config"].pop("retention_period"),
            "logs are kept for ever",
        ),
        (
            LOKI,
            lambda v: v["loki"]["schemaConfig"]["configs"].append(
                {"from": "2027-01-01", "store": "tsdb", "schema": "v12", "index": {"period": "24h"}}
            ),
            r"the schema is \('tsdb', 'v12', '24h'\)",
        ),
        (LOKI, lambda v: v["chunksCache"].pop("enabled"), "chunksCache is on"),
        ("grafana", lambda v: v["admin"].pop("existingSecret"), "no admin.existingSecret"),
        ("grafana", lambda v: v.update(persistence={"enabled": True}), "a volume: attaching it"),
        ("grafana", lambda v: v["grafana.ini"].pop("plugins"), "preinstall_disabled is not true"),
        ("grafana", lambda v: v.update(plugins=["grafana-clock-panel"]), "plugins are downloaded"),
        (
            "prometheus-operator-crds",
            lambda v: v["crds"]["annotations"].pop("helm.sh/resource-policy"),
            "CRDs go with their release",
        ),
        (
            "prometheus-operator-crds",
            lambda v: v["crds"]["annotations"].update(
                {"argocd.argoproj.io/sync-options": "Prune=false"}
            ),
            "CRDs go with their release",
        ),
        (
            "alloy-events",
            lambda v: v["controller"].update(replicas=2),
            "sends each of Kubernetes' events from several pods",
        ),
        (
            "alloy-events",
            lambda v: v["controller"].pop("type"),
            "sends each of Kubernetes' events from several pods",
        ),
    ],
)
def test_a_setting_that_is_missed_in_production(
    repository: Repository, release: str, edit: Edit, says: str
) -> None:
    sync = edited(
        named(repository, FLUX), "HelmRelease", release, lambda o: edit(o["spec"]["values"])
    )
    where = rf"releases/{release}.yaml:\d+: HelmRelease {release}: .*"
    assert_says(required_values.check(holding(repository, sync)), where + says)


def test_a_schema_of_old_data_may_stay(repository: Repository) -> None:
    def edit(item: Any) -> None:
        old = {"from": "2024-01-01", "store": "boltdb-shipper", "schema": "v11"}
        item["spec"]["values"]["loki"]["schemaConfig"]["configs"].insert(0, old)

    sync = edited(named(repository, FLUX), "HelmRelease", LOKI, edit)
    assert required_values.check(holding(repository, sync)) == []


def test_no_pipeline_that_sends_events(repository: Repository) -> None:
    def edit(item: Any) -> None:
        item["data"]["events.alloy"] = ""

    sync = edited(named(repository, FLUX), "ConfigMap", "alloy-events", edit)
    says = r"releases/alloy.+.yaml:\d+: HelmRelease alloy.*: nothing sends Kubernetes' events"
    assert_says(required_values.check(holding(repository, sync)), says)


def test_a_second_pipeline_that_sends_events(repository: Repository) -> None:
    def edit(item: Any) -> None:
        item["data"]["pods.alloy"] += f'\n{required_values.EVENTS} "again" {{ forward_to = [] }}\n'

    sync = edited(named(repository, FLUX), "ConfigMap", "alloy-logs", edit)
    assert_says(
        required_values.check(holding(repository, sync)),
        r"alloy.yaml:\d+: HelmRelease alloy: sends each of .+ from several pods",
        r"alloy.+.yaml:\d+: HelmRelease alloy.*: sends Kubernetes' events, which alloy\S* sends",
    )
