"""The proof finds a runbook whose page says something else than the servers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scripts.lab.alerting.firing import FiringAlert
from scripts.lab.proof import causes, runbooks
from scripts.lab.proof.causes import Told
from scripts.lab.proof.runbooks import Occurrence
from scripts.model.runbooks import Reading, RunbookQuery
from scripts.servers.evidence import Evidence, Row
from scripts.servers.firing_alerts import Cause, FiringNow
from tests.programs import tsdb_fixtures

START = 1_700_000_000.0
DAY = tsdb_fixtures.day(Path(), START, "incident")
ROWS, NOTHING, ANYTHING = (Reading(kind, None, kind) for kind in ("rows", "nothing", "anything"))
ALERT = Occurrence("WebDown", {"namespace": "shop", "severity": "warning"}, 0)


def answer(*values: float, firing: Reading = ROWS, quiet: Reading = NOTHING) -> Evidence:
    query = RunbookQuery("promql", 'up{namespace="x"}', 1, ("namespace",), firing, quiet)
    rows = tuple(Row({}, v, "a line" if math.isnan(v) else "", 0) for v in values)
    return Evidence(query, query.about(ALERT.labels), rows, "", 0)


@pytest.mark.parametrize(
    ("found", "fires", "first", "message"),
    [
        (answer(1), True, True, ""),
        (answer(), False, True, ""),
        (answer(), True, True, "fires, the page says 'rows', and there is nothing: "),
        (
            answer(1, 2),
            False,
            False,
            "is quiet, the page says 'nothing', and there is 2 rows (1, 2)",
        ),
        (answer(math.nan), False, False, "and there is 1 line: "),
        # What can be either is right, but no page may begin with it.
        (answer(1, quiet=ANYTHING), True, False, ""),
        (answer(1, quiet=ANYTHING), True, True, "fires, the page says 'rows', and there is 1 row"),
    ],
)
def test_an_answer_that_the_page_does_not_tell_of_is_found(
    found: Evidence, fires: bool, first: bool, message: str
) -> None:
    text, _ = runbooks.judge(found, ALERT, fires=fires, first=first)
    assert message in text
    assert bool(text) == bool(message)
    if text:
        assert text.startswith("WebDown of namespace=shop ")


def test_a_query_that_is_refused_is_found() -> None:
    query = answer().query
    refused = Evidence(query, "up{", (), "parse error", 0)
    text, _ = runbooks.judge(refused, ALERT, fires=True, first=False)
    assert text == "refused: parse error: up{"


def test_context_tells_nothing() -> None:
    query = RunbookQuery("promql", "up", 1, (), None, None, "who")
    shown = Evidence(query, "up", (), "", 0)
    assert runbooks.judge(shown, ALERT, fires=True, first=False) == ("", "")


def test_an_alert_is_looked_into_once_for_each_object() -> None:
    alerts = [
        FiringAlert({"alertname": "A", "pod": "p"}, {}, START + 9000, START + 9900),
        FiringAlert({"alertname": "A", "pod": "p"}, {}, START + 5000, START + 6000),
        FiringAlert({"alertname": "A", "pod": "q"}, {}, START, START + 6000),
    ]
    found = runbooks.occurrences(DAY, alerts)
    assert [(one.labels["pod"], one.after) for one in found] == [("q", 3600), ("p", 5000)]


def told(
    rank: int = 1, others: tuple[str, ...] = (), verdicts: tuple[str, ...] = ("firing",)
) -> Told:
    alert = FiringNow("ContainerCrashLooping", {}, 0, "a")
    symptom = FiringNow("PodNotReady", {}, 0, "b")
    cause = Cause(alert, (symptom, symptom)) if rank else None
    return Told("crash loop", cause, rank, others, verdicts)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (told(rank=0), "crash loop: ContainerCrashLooping is not named as a cause"),
        (told(rank=2), "ContainerCrashLooping is number 2 of its severity as it begins"),
        (told(others=("TodoLogErrors",)), "crash loop: TodoLogErrors is named as a cause, too"),
        (told(verdicts=("undecided", "firing")), "crash loop: the first query says"),
        (told(verdicts=()), "crash loop: the first query says nothing"),
    ],
)
def test_a_fault_of_which_something_else_is_said_is_found(one: Told, message: str) -> None:
    (finding,) = causes.check([one])
    assert message in finding.message


def test_the_table_says_what_is_named_and_what_it_explains() -> None:
    assert list(causes.check([told()])) == []
    _, line, none = causes.table(
        [told(verdicts=("firing", "context", "firing")), told(rank=0)]
    ).splitlines()
    assert line.split("  ")[0] == "crash loop"
    assert "ContainerCrashLooping" in line
    assert "2 firing, 1 context" in line
    assert line.endswith("PodNotReady")
    assert none.split() == ["crash", "loop", "none"]
