"""Each fault of the simulated day is told once, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.lab.alerting import faults
from scripts.lab.alerting.delivery import Delivery, Notification
from scripts.lab.alerting.faults import NOTIFIED
from scripts.lab.alerting.firing import FiringAlert
from scripts.model.manifests import Repository
from scripts.simulation.state import FAULTS
from tests.programs import tsdb_fixtures
from tests.programs.lab.alerting_day import START, firing, known

DAY = tsdb_fixtures.day(Path(), START, "incident")


def test_each_fault_has_an_alert_that_there_is(repository: Repository) -> None:
    assert {fault.name for fault in FAULTS} == NOTIFIED.keys()
    assert {told.alert for told in NOTIFIED.values()} <= known(repository).labels.keys()


def note(name: str, at: float, /, **labels: str) -> Notification:
    alert = {
        "labels": {"alertname": name, **labels},
        "annotations": {"runbook_url": f"https://r/{name}.md"},
        "status": "firing",
    }
    return Notification(
        START + at, "team", "webhook", "firing", faults.FIRST, {"a": name}, (alert,)
    )


def pings() -> Iterator[Notification]:
    for minute in range(1440):
        one = note("Watchdog", 60 * minute)
        yield dataclasses.replace(one, receiver="watchdog")


def complete() -> list[Notification]:
    """Each fault told once, as it should be."""
    found = []
    for fault in FAULTS:
        told = NOTIFIED[fault.name]
        labels = {
            name: re.sub(r"\.\*", "", pattern) or "x" for name, pattern in told.labels.items()
        }
        found.append(note(told.alert, fault.begin * 3600 + 300, **labels))
    return found


def judged(
    notifications: list[Notification], defaults: list[FiringAlert] | None = None
) -> list[str]:
    delivered = Delivery((*notifications, *pings()), ())
    ours = [FiringAlert(n.alerts[0]["labels"], {}, n.time - 30, n.time) for n in notifications]
    rows = faults.results(DAY, ours, delivered, defaults or [])
    return [finding.message for finding in faults.check_incident(DAY, rows, delivered)]


def test_a_day_on_which_each_fault_is_told_once_has_no_finding() -> None:
    assert judged(complete()) == []


def test_a_fault_that_nobody_is_told_of_is_found() -> None:
    assert judged(complete()[1:]) == ["the fault 'crash loop' is told 0 times (never)"]


def test_a_fault_that_is_told_twice_is_found() -> None:
    again = dataclasses.replace(complete()[0], time=START + 16 * 3600)
    assert judged([*complete(), again]) == ["the fault 'crash loop' is told 2 times (15:05, 16:00)"]


def test_a_repetition_is_no_second_time() -> None:
    again = dataclasses.replace(complete()[0], reason="repeat interval elapsed")
    assert judged([*complete(), again]) == []


def test_a_notification_about_nothing_is_found() -> None:
    assert judged([*complete(), note("PodNotReady", 3600, pod="web-1")]) == [
        "at 01:00, {'a': 'PodNotReady'} tells of no fault"
    ]


def test_a_notification_without_a_runbook_is_found() -> None:
    first, *rest = complete()
    (alert,) = first.alerts
    lost = {**alert, "annotations": {"runbook_url": "https://r/Lost.md"}}
    said = judged([dataclasses.replace(first, alerts=(lost,)), *rest])
    assert said == ["ContainerCrashLooping is told without a runbook: https://r/Lost.md"]


def test_a_default_that_is_faster_is_found_and_one_that_nobody_gets_is_not() -> None:
    begin = START + 15 * 3600
    labels = {"alertname": "KubePodCrashLooping", "container": NOTIFIED["crash loop"].defaults[:-2]}
    early = FiringAlert({**labels, "severity": "warning"}, {}, begin + 60, begin + 900)
    assert judged(complete(), [early]) == [
        "KubePodCrashLooping tells of 'crash loop' earlier than ContainerCrashLooping"
    ]
    assert judged(complete(), [dataclasses.replace(early, start=begin + 270)]) == []
    quiet = dataclasses.replace(early, labels={**labels, "severity": "info"})
    assert judged(complete(), [quiet]) == []


def test_an_alert_on_the_healthy_day_is_found() -> None:
    sent = Delivery(tuple(pings()), ({},))
    watchdog, other = firing("Watchdog", "none"), firing("PodNotReady")
    assert faults.check_healthy(DAY, [watchdog], sent) == []
    (found,) = faults.check_healthy(DAY, [watchdog, other], sent)
    assert found.message.startswith("PodNotReady fires on the healthy day")


def test_a_watchdog_that_pauses_or_is_resolved_is_found() -> None:
    every = list(pings())
    paused = Delivery(tuple(every[:600] + every[610:]), ())
    assert [f.message for f in faults.check_watchdog(DAY, paused)] == [
        "the Watchdog stays away for 660 s while all is well"
    ]
    resolved = dataclasses.replace(every[0], status="resolved")
    sent = Delivery((*every, resolved), ())
    assert [f.message for f in faults.check_watchdog(DAY, sent)] == [
        "the Watchdog is sent as resolved"
    ]


def test_the_table_says_which_faults_the_defaults_never_see() -> None:
    row = faults.FaultResult("crash loop", "ContainerCrashLooping", 330.0, 360.0, None, None)
    assert faults.table([row]).splitlines()[1].split() == [
        *("crash", "loop", "ContainerCrashLooping", "5:30", "6:00", "never", "seen", "–"),
    ]
