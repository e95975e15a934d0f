"""What `make diff` says of alerts and objectives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import alerts, objectives
from scripts.diff.model import Flag
from scripts.diff.objects import RevisionPair
from tests.programs.diff.diff_pairs import cluster, manifest, pair


def rules(*items: Json) -> Json:
    groups = [{"name": "g", "rules": list(items)}]
    return manifest("PrometheusRule", api="monitoring.coreos.com/v1", spec={"groups": groups})


ALERT = {"alert": "A", "expr": "a > 1", "for": "5m", "labels": {"severity": "warning", "team": "x"}}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({**ALERT, "for": "1m"}, ["A: for 5m → 1m"]),
        ({**ALERT, "for": "9m"}, ["A: for 5m → 9m"]),
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
    found = alerts.analyze(pair(cluster(rules(ALERT)), cluster(rules(after))))
    assert [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found] == expected


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (None, "24h", ["watchdog-changed"]),
        ("5m", "1h", ["watchdog-changed"]),
        ("24h", None, []),
        ("24h", "5m", []),
        (None, "0s", []),
    ],
)
def test_the_watchdog_waits(before: str | None, after: str | None, flags: list[str]) -> None:
    watchdog = {"alert": "Watchdog", "expr": "vector(1)"}
    sides = (
        cluster(rules({**watchdog, **({"for": own} if own else {})})) for own in (before, after)
    )
    assert [one.name for one in alerts.analyze(pair(*sides)) if isinstance(one, Flag)] == flags


def test_an_alert_of_two_severities_loses_one() -> None:
    page = {**ALERT, "labels": {"severity": "critical"}}
    found = list(alerts.analyze(pair(cluster(rules(ALERT, page)), cluster(rules(ALERT)))))
    assert [one.text for one in found if not isinstance(one, Flag)] == [
        "A: removed, it was critical"
    ]


def test_alerts_of_one_name_are_paired_by_severity() -> None:
    page = {**ALERT, "labels": {"severity": "critical"}}
    later = [{**page, "for": "9m"}, {**ALERT, "for": "8m"}]
    found = alerts.analyze(pair(cluster(rules(ALERT, page)), cluster(rules(*later))))
    assert [one.text for one in found if not isinstance(one, Flag)] == [
        "A: for 5m → 8m",
        "A: for 5m → 9m",
    ]


def test_an_alert_that_is_new() -> None:
    found = list(alerts.analyze(pair(cluster(), cluster(rules(ALERT)))))
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
        assert [one.text for one in objectives.analyze(RevisionPair(before, after, []))] == [text]  # type: ignore[union-attr]
    assert list(objectives.analyze(RevisionPair(one, one, []))) == []
