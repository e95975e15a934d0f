"""The template names only alerts and labels that there are."""

from __future__ import annotations

import re

import pytest
import yaml

from scripts.checks.static import routing
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from tests.fixtures import rules
from tests.programs.lab.alerting_day import CONFIG, known


@pytest.fixture
def config() -> Json:
    return yaml.safe_load(CONFIG.read_text())


def test_the_template_names_only_what_there_is(config: Json, repository: Repository) -> None:
    assert list(routing.unknown_matchers(config, known(repository))) == []
    assert list(routing.no_credentials(config)) == []


def test_comparing_by_a_label_that_only_one_side_has_is_found(
    config: Json, repository: Repository
) -> None:
    config["inhibit_rules"] = [
        {
            "source_matchers": ['alertname = "NodeNotReady"'],
            "target_matchers": ['alertname = "PodNotReady"'],
            "equal": ["node", "pod"],
        }
    ]
    said = [text for _, text, _ in routing.unknown_matchers(config, known(repository))]
    assert said == ["no alert that is the source has the label pod"]


def test_comparing_the_cluster_alone_is_not_enough(config: Json, repository: Repository) -> None:
    config["inhibit_rules"] = [
        {
            "source_matchers": ['alertname = "ContainerCrashLooping"'],
            "target_matchers": ['alertname = "PodNotReady"'],
            "equal": ["cluster"],
        }
    ]
    ((_, text, fix),) = routing.uncompared(config, known(repository))
    assert re.fullmatch(r"without (\w+) in `equal`, it holds back PodNotReady whatever \1 .*", text)
    assert fix.startswith("add equal: [cluster, ")


def test_a_fault_of_one_cluster_says_nothing_of_another(config: Json) -> None:
    assert list(routing.across_clusters(config)) == []
    rule = next(r for r in config["inhibit_rules"] if r["equal"] == ["cluster", "node"])
    rule["equal"] = ["node"]
    ((place, text, _),) = routing.across_clusters(config)
    assert place == rule["target_matchers"][0]
    assert text == "a fault of one cluster holds back what is said of another"
    del rule["equal"]
    assert len(list(routing.across_clusters(config))) == 1


@pytest.mark.parametrize(
    ("grouped", "found"),
    [(["alertname"], 1), ([], 1), (None, 1), (["..."], 0), (["cluster"], 0)],
)
def test_a_notification_is_of_one_cluster(
    config: Json, grouped: list[str] | None, found: int
) -> None:
    config["route"].pop("group_by")
    if grouped is not None:
        config["route"]["group_by"] = grouped
    said = [text for _, text, _ in routing.across_clusters(config)]
    assert said == ["one notification may be of several clusters"] * found
    config["route"]["group_by"] = ["cluster"]
    config["route"]["routes"][0]["group_by"] = ["alertname"]
    assert len(list(routing.across_clusters(config))) == 1


def test_a_credential_in_the_template_is_found(config: Json) -> None:
    config["receivers"][0]["slack_configs"] = [{"api_url": "https://example.org/hook"}]
    (found,) = routing.no_credentials(config)
    assert found[1:] == ("api_url holds what should be in a file", "use api_url_file")


def test_no_alert_is_both_ours_and_the_charts(rendered: list[Cluster]) -> None:
    for cluster in rendered:
        ours, theirs = (
            rules.alerts(
                {
                    item.name: item.spec
                    for item in cluster.of("PrometheusRule")
                    if (item.release is None) is own
                }
            )
            for own in (True, False)
        )
        assert ours & theirs == set(), cluster.name
        # Those that the template names, and what nothing here says.
        assert routing.OF_CHART | {"PrometheusRuleFailures", "KubeAPIDown"} <= theirs, cluster.name
