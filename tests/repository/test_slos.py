"""Objectives: the rules that are committed are those of the specifications."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from dashboards_py import metrics
from scripts import tools
from scripts.core.yamlfile import Json
from scripts.rules import RULES, slos

ROOT = tools.ROOT
SPECIFICATIONS = sorted((ROOT / slos.SPECIFICATIONS).glob("*.yaml"))


def load(path: Path) -> Json:
    parsed: Json = yaml.safe_load(path.read_text())
    return parsed


def rules(name: str) -> list[Json]:
    groups = load(ROOT / RULES / f"{slos.PREFIX}{name}.yaml")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


# Without sloth: what a person could forget to generate


@pytest.mark.parametrize("path", SPECIFICATIONS, ids=lambda path: path.stem)
def test_the_committed_rules_are_of_this_specification(path: Path) -> None:
    (objective,) = load(path)["slos"]
    assert objective["name"] == path.stem
    found = {
        (rule["record"], rule["labels"].get("sloth_window")): rule
        for rule in rules(path.stem)
        if "record" in rule
    }
    written = found["slo:objective:ratio", None]["expr"]
    assert float(written.removeprefix("vector(").rstrip(")\n")) == pytest.approx(
        objective["objective"] / 100
    )
    queries = objective["sli"]["events"]
    for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d"):
        expr = squeezed(found[f"slo:sli_error:ratio_rate{window}", window]["expr"])
        for query in queries.values():
            assert squeezed(query.replace("{{.window}}", window)) in expr


@pytest.mark.parametrize("path", SPECIFICATIONS, ids=lambda path: path.stem)
def test_an_alert_needs_a_minimum_of_failed_events_which_is_recorded(path: Path) -> None:
    (objective,) = load(path)["slos"]
    recorded = {rule["record"]: rule["expr"] for rule in rules(path.stem) if "record" in rule}
    alerts = {r["labels"]["sloth_severity"]: r for r in rules(path.stem) if "alert" in r}
    assert alerts.keys() == slos.BURN_RATE_ALERTS.keys()
    for severity, kind in slos.BURN_RATE_ALERTS.items():
        failed = objective["sli"]["events"]["error_query"].replace("{{.window}}", kind.window)
        assert squeezed(recorded[f"{slos.FAILED}{kind.window}"]) == squeezed(failed)
        alert = alerts[severity]
        assert alert["for"] == kind.wait
        assert re.search(rf"and on \(sloth_id\)\n{slos.FAILED}{kind.window} >= \d+", alert["expr"])


@pytest.mark.parametrize("path", SPECIFICATIONS, ids=lambda path: path.stem)
def test_rules_record_every_name_that_dashboards_read(path: Path) -> None:
    records = {rule["record"] for rule in rules(path.stem) if "record" in rule}
    assert {name for name in metrics.BY_NAME if name.startswith("slo:")} <= records


@pytest.mark.parametrize("path", SPECIFICATIONS, ids=lambda path: path.stem)
def test_a_window_without_events_is_no_sample(path: Path) -> None:
    """One NaN in the ratio of 5 minutes would spoil the mean of 30 days."""
    total = load(path)["slos"][0]["sli"]["events"]["total_query"]
    # Without any sample, what counts samples has no result.
    assert "> 0" in total or total.startswith("sum(count_over_time(")


def test_every_probe_that_an_objective_counts_exists() -> None:
    documents = yaml.safe_load_all((ROOT / "base/config/monitors/probes.yaml").read_text())
    probes = {document["spec"]["jobName"] for document in documents}
    text = "".join(path.read_text() for path in SPECIFICATIONS)
    assert set(re.findall(r'probe_success\{job="([a-z]+)"\}', text)) <= probes


# With sloth


@pytest.mark.prove
def test_the_committed_rules_are_what_sloth_makes() -> None:
    files = slos.render(ROOT)
    committed = sorted((ROOT / RULES).glob(f"{slos.PREFIX}*.yaml"))
    assert [path.relative_to(ROOT) for path in committed] == sorted(files)
    for path, text in files.items():
        assert (ROOT / path).read_text() == text, f"{path}: run `make rules`"
