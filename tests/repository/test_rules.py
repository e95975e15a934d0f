"""Every rule of this repository does what its unit tests say, and they notice when it does not."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json
from scripts.model.budget import limits
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from scripts.rules import budgets
from tests.fixtures import rules


def asserted(kind: str, paths: Iterable[Path] = rules.FILES) -> dict[str, list[Json]]:
    """Every test of a kind, by the alert's name or the expression that it is about."""
    key = {"alert_rule_test": "alertname", "promql_expr_test": "expr"}[kind]
    found: dict[str, list[Json]] = {}
    for path in paths:
        for group in rules.suite(path)["tests"]:
            for test in group.get(kind) or ():
                found.setdefault(test[key], []).append(test)
    return found


@pytest.fixture(scope="session")
def rule_sets(repository: Repository) -> dict[str, dict[str, Json]]:
    return rules.rule_sets(repository.syncs)


@pytest.fixture(scope="session")
def everything(rule_sets: dict[str, dict[str, Json]]) -> dict[str, Json]:
    """The rules of all clusters, opt-ins included, without budgets: each cluster has its own."""
    return {
        name: content
        # Where an opt-in patches one, what clusters have without it.
        for files in reversed(rule_sets.values())
        for name, content in files.items()
        if name != budgets.NAME
    }


@pytest.mark.parametrize("path", rules.FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(
    path: Path, rule_sets: dict[str, dict[str, Json]], tmp_path: Path
) -> None:
    needed = set(rules.suite(path)["rule_files"])
    # Clusters have most rules in common.
    distinct = {
        json.dumps([files[name] for name in sorted(needed)]): (names, files)
        for names, files in rule_sets.items()
        if needed <= files.keys()
    }
    assert distinct, f"{path.name}: no cluster has {sorted(needed)}"
    for number, (names, files) in enumerate(distinct.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        passed, said = rules.run(path, files, folder)
        assert passed, f"{names}: {said}"


def test_every_alert_is_seen_to_fire_and_not_to_fire(everything: dict[str, Json]) -> None:
    tests = asserted("alert_rule_test")
    untested, never, always = [], [], []
    for name in sorted(rules.alerts(everything)):
        of_alert = tests.get(name, [])
        if not of_alert:
            untested.append(name)
        elif not any(test.get("exp_alerts") for test in of_alert):
            never.append(name)
        elif all(test.get("exp_alerts") for test in of_alert) and name != "Watchdog":
            always.append(name)
    assert (untested, never, always) == ([], [], [])


def test_every_severity_of_an_alert_is_seen(everything: dict[str, Json]) -> None:
    seen = {
        (name, alert["exp_labels"]["severity"])
        for name, tests in asserted("alert_rule_test").items()
        for test in tests
        for alert in test.get("exp_alerts") or ()
    }
    declared = {
        (rule["alert"], rule["labels"]["severity"])
        for rule in rules.rules(everything)
        if "alert" in rule
    }
    assert declared == seen


def test_every_recording_rule_is_tested(everything: dict[str, Json]) -> None:
    """By a file that names its PrometheusRule: objectives record the same names."""
    untested = []
    for name, content in everything.items():
        asked = asserted("promql_expr_test", _files_of(name))
        seen = {word for expr, tests in asked.items() if _some(tests) for word in _words(expr)}
        untested += [f"{name}: {record}" for record in _records(content) if record not in seen]
    assert untested == []


def test_every_cluster_records_its_own_budget(repository: Repository) -> None:
    for sync in repository.syncs:
        written = limits(Cluster(repository, sync, ()))
        if not sync.synced:
            continue
        (recorded,) = (i for i in sync.objects() if i["metadata"]["name"] == budgets.NAME)
        values = {
            rule["labels"]["resource"]: float(rule["expr"].removeprefix("vector(")[:-1])
            for rule in rules.rules({"": recorded["spec"]})
        }
        assert values, sync.name
        for name, value in values.items():
            section, _, key = name.partition(".")
            assert value == pytest.approx(quantity(written[section][key])), (sync.name, name)
        # What each environment must say, and what only one with a tier does.
        assert values.keys() >= {"requests.cpu", "requests.memory", "series.limit"}
        tier = {f"tier.{key}" for key in written.get("tier", {})}
        assert {name for name in values if name.startswith("tier.")} == tier


def _files_of(name: str) -> list[Path]:
    return [path for path in rules.FILES if name in rules.suite(path)["rule_files"]]


def _records(content: Json) -> list[str]:
    return [rule["record"] for rule in rules.rules({"": content}) if "record" in rule]


def _some(tests: list[Json]) -> bool:
    return any(test.get("exp_samples") for test in tests)


def _words(expression: str) -> set[str]:
    return set(rules.NAME.findall(expression))


def mutants(content: Json) -> Iterator[tuple[dict[str, str], Json]]:
    """A PrometheusRule whose alerts are wrong in one way each, all of them at once.

    Each comparison is negated once, and the time that an alert waits left out.

    Yields:
        What is wrong by the alert's name, and the rules.
    """
    for number in itertools.count():
        wrong: dict[str, str] = {}
        before: Counter[str] = Counter()

        def change(
            rule: Json,
            number: int = number,
            wrong: dict[str, str] = wrong,
            before: Counter[str] = before,
        ) -> None:
            if "alert" not in rule:
                return
            ways = rules.wrong(rule)
            index = number - before[rule["alert"]]
            before[rule["alert"]] += len(ways)
            if 0 <= index < len(ways):
                wrong[rule["alert"]] = f"{rule['labels']['severity']}, {ways[index]}"
                rule |= ways[index]

        (mutant,) = rules.changed({"": content}, change).values()
        if not wrong:
            return
        yield wrong, mutant


def _tested() -> Iterator[Any]:
    """Each PrometheusRule with alerts; sloth makes those of the objectives all alike."""
    names = {
        name
        for path in rules.FILES
        if asserted("alert_rule_test", [path])
        for name in rules.suite(path)["rule_files"]
    }
    objectives = sorted(name for name in names if name.startswith("slo-"))
    for name in sorted(names):
        marks = [pytest.mark.prove] if name in objectives[1:] else []
        yield pytest.param(name, marks=marks)


@pytest.mark.mutation
@pytest.mark.parametrize("name", list(_tested()))
def test_no_alert_can_be_negated_unnoticed(
    name: str, everything: dict[str, Json], tmp_path: Path
) -> None:
    unnoticed = []
    files = [path for path in _files_of(name) if asserted("alert_rule_test", [path])]
    for number, (wrong, mutant) in enumerate(mutants(everything[name])):
        noticed: set[str] = set()
        for path in files:
            if noticed >= wrong.keys():
                break
            folder = tmp_path / f"{number}-{path.stem}"
            folder.mkdir()
            noticed |= rules.failed(rules.run(path, everything | {name: mutant}, folder)[1])
        unnoticed += [f"{alert}: {how}" for alert, how in wrong.items() if alert not in noticed]
    assert unnoticed == []


@pytest.mark.mutation
def test_no_recording_rule_can_be_changed_unnoticed(
    everything: dict[str, Json], tmp_path: Path
) -> None:
    def double(rule: Json) -> None:
        if "record" in rule:
            rule["expr"] = f"2 * ({rule['expr']}\n) + 1"

    changed = rules.changed(everything, double)
    said = {}
    for path in rules.FILES:
        (tmp_path / path.stem).mkdir()
        said[path] = rules.failed(rules.run(path, changed, tmp_path / path.stem)[1])
    unnoticed = []
    for name, content in everything.items():
        noticed = {word for path in _files_of(name) for expr in said[path] for word in _words(expr)}
        unnoticed += [f"{name}: {record}" for record in _records(content) if record not in noticed]
    assert unnoticed == []


def test_a_comparison_is_found_outside_of_matchers_and_strings() -> None:
    expression = (
        'a{b!="c", d=~"e>f"} >= bool 2 and (g == 1 or label_replace(h, "<", "$1", "i", ""))'
    )
    assert rules.negations(expression) == [
        expression.replace(">= bool 2", "< bool 2"),
        expression.replace("g == 1", "g != 1"),
    ]
