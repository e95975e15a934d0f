"""What `make diff` says of alerts, objectives and routes."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from scripts.checks.routing import TEMPLATE
from scripts.diff.model import Flag
from scripts.diff.readers import (
    alerts,
    objectives,
    routing,
)
from scripts.findings import RepositoryError
from tests.diff_pairs import (
    Edit,
    Json,
    cluster,
    manifest,
    pair,
    put,
)


def rules(*items: Json) -> Json:
    groups = [{"name": "g", "rules": list(items)}]
    return manifest("PrometheusRule", api="monitoring.coreos.com/v1", spec={"groups": groups})


ALERT = {"alert": "A", "expr": "a > 1", "for": "5m", "labels": {"severity": "warning", "team": "x"}}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({**ALERT, "for": "1m"}, ["A: for 5m → 1m"]),
        ({k: v for k, v in ALERT.items() if k != "for"}, ["A: for 5m → none"]),
        ({**ALERT, "keep_firing_for": "5m"}, ["A: keep_firing_for none → 5m"]),
        ({**ALERT, "expr": "b > 1"}, ["A: `a > 1` → `b > 1`"]),
        ({**ALERT, "expr": "a\n  > 1"}, []),
        (
            {**ALERT, "labels": {"severity": "info"}},
            ["A: severity warning → info, team x → none", "alert-weakened: alert A"],
        ),
        (
            {**ALERT, "labels": {"severity": "critical", "team": "x"}},
            ["A: severity warning → critical"],
        ),
        ({**ALERT, "annotations": {"summary": "s"}}, ["What these say changes: A"]),
        ({"record": "r", "expr": "1"}, ["A: removed, it was warning", "alert-removed: alert A"]),
    ],
)
def test_alerts(after: Json, expected: list[str]) -> None:
    found = alerts.read(pair(cluster(rules(ALERT)), cluster(rules(after))))
    assert [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found] == expected


def test_an_alert_of_two_severities_loses_one() -> None:
    page = {**ALERT, "labels": {"severity": "critical"}}
    found = list(alerts.read(pair(cluster(rules(ALERT, page)), cluster(rules(ALERT)))))
    assert [one.text for one in found if not isinstance(one, Flag)] == [
        "A: removed, it was critical"
    ]


def test_alerts_of_one_name_are_paired_by_severity() -> None:
    page = {**ALERT, "labels": {"severity": "critical"}}
    later = [{**page, "for": "9m"}, {**ALERT, "for": "8m"}]
    found = alerts.read(pair(cluster(rules(ALERT, page)), cluster(rules(*later))))
    assert [one.text for one in found if not isinstance(one, Flag)] == [
        "A: for 5m → 8m",
        "A: for 5m → 9m",
    ]


def test_an_alert_that_is_new() -> None:
    found = list(alerts.read(pair(cluster(), cluster(rules(ALERT)))))
    assert [one.text for one in found if not isinstance(one, Flag)] == ["A: new, warning after 5m"]


def test_objectives(tmp_path: Path) -> None:
    def tree(name: str, *objectives: Json) -> Path:
        path = tmp_path / name / "base/config/slos/a.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"slos": objectives}))
        return tmp_path / name

    kept = {"name": "a", "objective": 99, "sli": {"q": "a"}, "alerting": {"name": "A"}}
    empty = tree("empty")
    one = tree("one", kept)
    other = tree("other", {**kept, "objective": 99.5, "sli": {"q": "b"}, "alerting": {"name": "B"}})
    for before, after, text in (
        (empty, one, "a: new, 99 %"),
        (one, empty, "a: removed, it was 99 %"),
        (
            one,
            other,
            "a: objective 99 % → 99.5 %, what counts as failed changes, its alerts change",
        ),
    ):
        assert [one.text for one in objectives.read(before, after)] == [text]  # type: ignore[union-attr]
    assert list(objectives.read(one, one)) == []


ROUTES: Json = {
    "route": {
        "receiver": "all",
        "routes": [{"receiver": "team", "matchers": ['alertname=~"Todo.+"']}],
    },
    "receivers": [
        {"name": "all", "webhook_configs": [{"url_file": "f"}]},
        {"name": "team", "webhook_configs": [{"url_file": "g"}]},
        {"name": "nobody"},
    ],
    "inhibit_rules": [
        {"source_matchers": ["a=b"], "target_matchers": ["c=d"], "equal": ["namespace"]}
    ],
}
KNOWN = [("TodoDown", "critical"), ("NodeDown", "critical")]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            put("route/routes/0/receiver", "nobody"),
            [
                'route alertname=~"Todo.+": receiver team → nobody',
                f"alert-silenced: {TEMPLATE}: TodoDown",
            ],
        ),
        (
            put("receivers/0/webhook_configs", None),
            [
                "receiver all: webhook_configs",
                f"alert-silenced: {TEMPLATE}: NodeDown",
            ],
        ),
        (put("route/routes/0/receiver", "all"), ['route alertname=~"Todo.+": receiver team → all']),
        (put("route/routes", []), ['route alertname=~"Todo.+": removed']),
        (put("inhibit_rules", []), ["inhibition of c=d by a=b: removed"]),
        (
            put("inhibit_rules/0/equal", ["pod"]),
            ["inhibition of c=d by a=b: equal[namespace] namespace → none, equal[pod] none → pod"],
        ),
        (put("global", {"resolve_timeout": "1m"}), ["global"]),
        (put("route/repeat_interval", "1h"), ["route of all: repeat_interval none → 1h"]),
    ],
)
def test_routes(edit: Edit, expected: list[str], tmp_path: Path) -> None:
    after = copy.deepcopy(ROUTES)
    edit(after)
    for name, config in (("before", ROUTES), ("after", after)):
        path = tmp_path / name / TEMPLATE
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(config))
    found = routing.read(tmp_path / "before", tmp_path / "after", KNOWN)
    said = [f"{one.name}: {one.where}" if isinstance(one, Flag) else one.text for one in found]
    assert said == expected


def test_routes_that_alertmanager_refuses_are_said_to_be_so(tmp_path: Path) -> None:
    for name, receiver in (("before", "all"), ("after", "undeclared")):
        path = tmp_path / name / TEMPLATE
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**ROUTES, "route": {"receiver": receiver}}))
    with pytest.raises(RepositoryError, match=r"amtool: .*undeclared"):
        list(routing.read(tmp_path / "before", tmp_path / "after", KNOWN))
