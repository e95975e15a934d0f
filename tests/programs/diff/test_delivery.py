"""What `make diff` says where alerts or targets are no longer taken up, or alerts not sent."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import delivery, targets
from scripts.diff.model import Flag
from tests.programs.diff.diff_pairs import Edit, cluster, manifest, pair, put


def custom(kind: str, spec: Json, **metadata: Any) -> Json:
    return manifest(kind, api="monitoring.coreos.com/v1", spec=spec, metadata=metadata)


SELECTORS = [
    f"{name}{of}Selector" for name in ("rule", "serviceMonitor") for of in ("", "Namespace")
]
STEPS = [{"action": "drop", "source_labels": ["severity"], "regex": ".+"}]
OURS = {"labels": {"team": "x"}}
STACK: Json = {
    "namespace": manifest("Namespace", metadata={"name": "n", "labels": {"kept": "yes"}}),
    "rule": custom("PrometheusRule", {"groups": []}, name="r", **OURS),
    "monitor": custom("ServiceMonitor", {"selector": {}}, name="m", namespace="other", **OURS),
    "receivers": custom("AlertmanagerConfig", {}, name="c", **OURS),
    "service": manifest("Service", metadata={"name": "am"}, spec={}),
    "secret": manifest("Secret", metadata={"name": "s"}, stringData={"k": "[]"}),
    "alertmanager": custom(
        "Alertmanager",
        {"alertmanagerConfigSelector": {}, "configSecret": "alertmanager-a"},
    ),
    "prometheus": custom(
        "Prometheus",
        {
            **{key: {} for key in SELECTORS},
            "alerting": {"alertmanagers": [{"name": "am", "namespace": "n", "port": "web"}]},
            "additionalAlertRelabelConfigs": {"name": "s", "key": "k"},
        },
    ),
}
ON_PROMETHEUS = "alert-silenced: Prometheus n/a"


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (put("prometheus/spec/ruleSelector", {"matchLabels": {"team": "x"}}), []),
        (
            put("prometheus/spec/ruleSelector", {"matchLabels": {"team": "y"}}),
            ["alert-silenced: PrometheusRule n/r"],
        ),
        (
            put(
                "prometheus/spec/ruleSelector",
                {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]},
            ),
            ["alert-silenced: PrometheusRule n/r"],
        ),
        (put("prometheus/spec/ruleSelector", None), ["alert-silenced: PrometheusRule n/r"]),
        (put("prometheus/spec/ruleNamespaceSelector", None), []),
        (put("prometheus/spec/ruleNamespaceSelector", {"matchLabels": {"kept": "yes"}}), []),
        (
            put(
                "prometheus/spec/ruleNamespaceSelector",
                {"matchLabels": {"kubernetes.io/metadata.name": "n"}},
            ),
            [],
        ),
        (
            put("prometheus/spec/ruleNamespaceSelector", {"matchLabels": {"kept": "no"}}),
            ["alert-silenced: PrometheusRule n/r"],
        ),
        (
            put("prometheus/spec/serviceMonitorSelector", {"matchLabels": {"team": "y"}}),
            ["monitor-unselected: ServiceMonitor other/m"],
        ),
        (
            put("prometheus/spec/serviceMonitorNamespaceSelector", None),
            ["monitor-unselected: ServiceMonitor other/m"],
        ),
        (
            put("alertmanager/spec/alertmanagerConfigSelector", None),
            ["alert-silenced: AlertmanagerConfig n/c"],
        ),
        (put("prometheus/spec/alerting/alertmanagers", []), [ON_PROMETHEUS]),
        (put("prometheus/spec/alerting", None), [ON_PROMETHEUS]),
        (put("prometheus/spec/alerting/alertmanagers/0/name", "gone"), [ON_PROMETHEUS]),
        (put("prometheus/spec/alerting/alertmanagers/0/namespace", None), []),
        (put("secret/stringData/k", '[{"action": "labeldrop", "regex": "replica"}]'), []),
        (put("alertmanager/spec/configSecret", "b"), ["alert-silenced: Alertmanager n/a"]),
        (put("alertmanager/spec/configSecret", None), []),
        (
            put("alertmanager/spec/alertmanagerConfiguration", {"name": "b"}),
            ["alert-silenced: Alertmanager n/a"],
        ),
        # What is removed is said of itself.
        (put("prometheus", None), []),
        (put("rule", None), []),
        (
            lambda stack: (stack.pop("alertmanager"), stack["prometheus"]["spec"].pop("alerting")),
            [],
        ),
        (put("rule/metadata/annotations", {"a": "b"}), []),
    ],
)
def test_the_way_of_alerts_and_what_is_scraped(edit: Edit, expected: list[str]) -> None:
    after = copy.deepcopy(STACK)
    edit(after)
    compared = pair(cluster(*STACK.values()), cluster(*after.values()))
    found = [*delivery.analyze(compared), *targets.analyze(compared)]
    assert [f"{one.name}: {one.where}" for one in found if isinstance(one, Flag)] == expected


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (put("secret/stringData/k", json.dumps(STEPS)), "drop severity .+"),
        (
            put(
                "secret",
                manifest(
                    "Secret",
                    metadata={"name": "s"},
                    data={"k": base64.b64encode(json.dumps(STEPS).encode()).decode()},
                ),
            ),
            "drop severity .+",
        ),
        (
            put("secret/stringData/k", '[{"target_label": "severity", "replacement": "none"}]'),
            "replace severity",
        ),
        (
            put("prometheus/spec/additionalAlertRelabelConfigs/name", "t"),
            "by k of Secret t, which is not known here",
        ),
        (
            put(
                "prometheus/spec/alerting/alertmanagers/0/alertRelabelings",
                [{"action": "Drop", "sourceLabels": ["severity"], "regex": ".+"}],
            ),
            "drop severity .+",
        ),
        (
            put(
                "prometheus/spec/alerting/alertmanagers/0/relabelings",
                [{"targetLabel": "alertname", "replacement": "A"}],
            ),
            "replace alertname",
        ),
    ],
)
def test_alerts_that_are_relabelled(edit: Edit, expected: str) -> None:
    after = copy.deepcopy(STACK)
    edit(after)
    (flag,) = delivery.analyze(pair(cluster(*STACK.values()), cluster(*after.values())))
    assert isinstance(flag, Flag)
    assert (flag.name, flag.where) == ("alert-silenced", "Prometheus n/a")
    assert flag.why.endswith(f": {expected}.")


def test_what_was_so_before_is_none_of_this_change() -> None:
    before = copy.deepcopy(STACK)
    put("secret/stringData/k", json.dumps(STEPS))(before)
    put("prometheus/spec/ruleSelector", {"matchLabels": {"team": "x"}})(before)
    after = {**before, "other": custom("PrometheusRule", {"groups": []}, name="o")}
    assert not list(delivery.analyze(pair(cluster(*before.values()), cluster(*after.values()))))


def test_in_a_new_cluster_nothing_was_told_before() -> None:
    after = copy.deepcopy(STACK)
    put("secret/stringData/k", json.dumps(STEPS))(after)
    put("prometheus/spec/alerting", None)(after)
    assert not list(delivery.analyze(pair(cluster(), cluster(*after.values()))))
