"""`make rules`: what specifications, thresholds and facts become, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.model.files import INVENTORY
from scripts.model.manifests import Repository
from scripts.rules import RULES, __main__, alerts, budgets, facts, slos, tidy
from scripts.rules.facts import THRESHOLDS, Facts
from tests.fixtures import FROZEN

KNOWN = Facts(
    {"ratio": 0.005, "wait": 43200, "odd": 90, "bytes": 53687091200},
    {"NAMESPACES": "default", "GRAFANA_URL": "https://g.example/", "RUNBOOKS_URL": "https://r/x"},
)
FILE = FROZEN / THRESHOLDS


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("x > ${ratio}", "x > 0.005"),
        ("${ratio|percent}", "0.5%"),
        ("[${wait|duration}]", "[12h]"),
        ("[${odd|duration}]", "[90s]"),
        ("> ${bytes}", "> 53687091200"),
        ('{namespace=~"${NAMESPACES}"}', '{namespace=~"default"}'),
        ("{{ $value }} $1", "{{ $value }} $1"),
    ],
)
def test_placeholders_are_filled_in(text: str, filled: str) -> None:
    assert KNOWN.fill(text, FILE, FROZEN) == filled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${ratios}", r"thresholds\.yaml: \$\{ratios\} is not known\n.*use one of .*ratio"),
        ("${ratio|minutes}", r"use one of the forms percent, duration"),
        ("${NAMESPACES|percent}", r"\$\{NAMESPACES\|percent\} is not known"),
    ],
)
def test_a_placeholder_that_is_not_known_is_refused(text: str, message: str) -> None:
    with pytest.raises(RepositoryError, match=message):
        KNOWN.fill(text, FILE, FROZEN)


def test_links_do_not_depend_on_a_slash_at_the_end() -> None:
    assert KNOWN.dashboard("todo-api?var-x=1") == "https://g.example/d/todo-api?var-x=1"
    assert KNOWN.runbook("TodoX") == "https://r/x/TodoX.md"


def test_only_numbers_are_thresholds(copy: Repository) -> None:
    path = copy.root / THRESHOLDS
    path.write_text("# A number.\nratio: true\n")
    with pytest.raises(RepositoryError, match=r"thresholds\.yaml:2: ratio is True, no number"):
        Facts.of(copy.root)


@pytest.mark.parametrize("part", [THRESHOLDS, Path(INVENTORY)])
def test_a_missing_file_of_facts_is_named(copy: Repository, part: Path) -> None:
    (copy.root / part).unlink()
    with pytest.raises(RepositoryError, match=rf"{part.name}: is no file of names and values"):
        Facts.of(copy.root)


def test_an_expression_keeps_its_lines_and_no_space_at_their_ends() -> None:
    assert tidy(" a \n  or \nb  \n") == "a\n  or\nb\n"
    assert tidy("  a > 1 ") == "a > 1"


def test_a_changed_threshold_reaches_the_rules(copy: Repository) -> None:
    path = copy.root / THRESHOLDS
    path.write_text(path.read_text().replace("node_memory_ratio: 0.9", "node_memory_ratio: 0.85"))
    text = alerts.render(copy.root)[RULES / "alerts-kubernetes.yaml"]
    assert ") > 0.85\n" in text
    assert "uses more than 85% of its memory" in text


def test_rules_of_loki_are_a_file_that_its_ruler_reads(copy: Repository) -> None:
    text = alerts.render(copy.root)[alerts.LOKI_RULES / "logs.yaml"]
    (group,) = yaml.safe_load(text)["groups"]
    assert {"alert", "expr", "labels", "annotations"} <= group["rules"][0].keys()


def test_every_fact_that_a_specification_names_is_seen(copy: Repository) -> None:
    named = set(facts.names_used(copy.root))
    assert named >= facts.LINKS
    assert {"REMINDER_BINDING", "NAMESPACES", "node_memory_ratio"} <= named


def budget(root: Path, environment: str, **sections: object) -> Path:
    path = root / "overlays" / environment / "budget.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections))
    return Path("overlays", environment, budgets.OUTPUT)


def recorded(text: str) -> dict[str, str]:
    """The expression of each resource in a rule file."""
    (group,) = yaml.safe_load(text)["spec"]["groups"]
    assert {rule["record"] for rule in group["rules"]} == {budgets.RECORD}
    return {rule["labels"]["resource"]: rule["expr"] for rule in group["rules"]}


def test_each_environment_s_budget_becomes_series_in_base_units(tmp_path: Path) -> None:
    of_one = budget(
        tmp_path,
        "one",
        nodes=3,
        requests={"cpu": "700m", "memory": "2Gi"},
        series={"limit": 40000, "recorded": 1},
        tier={"cpu": 4, "memory": "24Gi", "storage": "20Ti", "bootVolume": "50Gi"},
        volumes={"count": 2, "smallest": "50Gi"},
    )
    of_other = budget(tmp_path, "other", requests={"cpu": "1", "memory": "1Gi"})
    files = budgets.render(tmp_path)
    assert set(files) == {of_one, of_other}
    assert recorded(files[of_one]) == {
        "requests.cpu": "vector(0.7)",
        "requests.memory": "vector(2147483648)",
        "series.limit": "vector(40000)",
        "tier.cpu": "vector(4)",
        "tier.memory": "vector(25769803776)",
        "tier.storage": "vector(21990232555520)",
        "tier.bootVolume": "vector(53687091200)",
        "volumes.smallest": "vector(53687091200)",
    }
    assert recorded(files[of_other]) == {
        "requests.cpu": "vector(1)",
        "requests.memory": "vector(1073741824)",
    }


def test_a_copy_of_an_environment_needs_no_other_rules(tmp_path: Path) -> None:
    same: dict[str, object] = {"requests": {"cpu": "1", "memory": "1Gi"}}
    paths = [budget(tmp_path, name, **same) for name in ("one", "other")]
    files = budgets.render(tmp_path)
    assert files[paths[0]] == files[paths[1]]


def test_a_budget_that_is_no_quantity_is_refused(tmp_path: Path) -> None:
    budget(tmp_path, "one", requests={"cpu": "much", "memory": "1Gi"})
    says = r"overlays/one/budget\.yaml: requests\.cpu: 'much' is no quantity"
    with pytest.raises(RepositoryError, match=says):
        budgets.render(tmp_path)


@pytest.mark.prove
def test_a_rule_file_whose_specification_is_gone_is_removed(
    copy: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools, "ROOT", copy.root)
    assert __main__.main() == 0
    assert "wrote" not in capsys.readouterr().out
    (copy.root / slos.SPECIFICATIONS / "call-latency.yaml").unlink()
    (copy.root / alerts.SPECIFICATIONS / "stack.yaml").unlink()
    assert __main__.main() == 0
    said = capsys.readouterr().out
    for name in ("alerts-stack.yaml", "slo-call-latency.yaml"):
        assert not (copy.root / RULES / name).exists()
        assert f"removed    {RULES}/{name}" in said
