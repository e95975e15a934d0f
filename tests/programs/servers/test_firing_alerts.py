"""Which alert is the cause of which, as Alertmanager holds them back."""

from __future__ import annotations

from scripts.servers import firing_alerts
from scripts.servers.firing_alerts import FiringNow


def alert(name: str, severity: str = "warning", since: float = 0, held_by: str = "") -> FiringNow:
    return FiringNow(name, {"severity": severity}, since, name, held_by)


def test_the_most_urgent_cause_is_named_first_and_then_the_newest() -> None:
    found = firing_alerts.causes(
        [alert("Old"), alert("New", since=9), alert("Worst", "critical"), alert("Ping", "none")]
    )
    assert [cause.alert.name for cause in found] == ["Worst", "New", "Old"]


def test_a_symptom_of_a_symptom_is_one_of_the_cause() -> None:
    found = firing_alerts.causes(
        [alert("Pod", held_by="Sidecar"), alert("Sidecar", held_by="Node"), alert("Node")]
    )
    assert [(c.alert.name, [s.name for s in c.symptoms]) for c in found] == [
        ("Node", ["Pod", "Sidecar"])
    ]


def test_what_is_held_back_by_something_unknown_or_by_each_other_is_still_named() -> None:
    gone = firing_alerts.causes([alert("Pod", held_by="Gone")])
    assert [cause.alert.name for cause in gone] == ["Pod"]
    circle = firing_alerts.causes([alert("A", held_by="B"), alert("B", held_by="A")])
    assert {c.alert.name for c in circle} | {s.name for c in circle for s in c.symptoms} == {*"AB"}
