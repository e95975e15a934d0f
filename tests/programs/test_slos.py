"""Objectives: the rules that are committed are those of the specifications."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards_py import metrics
from scripts.checks import monitors, policies, reach
from scripts.findings import RepositoryError
from scripts.manifests import Repository
from scripts.rules import RULES, facts, slos
from tests.fixtures import FROZEN

ROOT = FROZEN
SPECIFICATIONS = sorted((ROOT / slos.SPECIFICATIONS).glob("*.yaml"))
Json = dict[str, Any]


def load(path: Path) -> Json:
    parsed: Json = yaml.safe_load(path.read_text())
    return parsed


def rules(name: str) -> list[Json]:
    groups = load(ROOT / RULES / f"{slos.PREFIX}{name}.yaml")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


# Without sloth: what a person could forget to generate


def test_there_is_an_objective_for_each_promise() -> None:
    assert [path.stem for path in SPECIFICATIONS] == [
        "api-availability",
        "call-latency",
        "event-processing",
        "event-publishing",
        "reminder-freshness",
        "ui-availability",
    ]


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
    assert alerts.keys() == slos.KINDS.keys()
    for severity, kind in slos.KINDS.items():
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


def test_the_bucket_that_an_objective_reads_is_kept() -> None:
    monitor, _ = yaml.safe_load_all((ROOT / "base/config/monitors/dapr.yaml").read_text())
    dropped = [
        rule["regex"]
        for rule in monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]
        if rule.get("sourceLabels") == ["__name__", "le"]
    ]
    text = (ROOT / slos.SPECIFICATIONS / "call-latency.yaml").read_text()
    (metric,) = re.findall(r"\w+_bucket", text)
    (bound,) = re.findall(r'le=~"([^"]+)"', text)
    assert dropped
    for le in ("500", "500.0"):
        assert re.fullmatch(bound.replace("\\\\", "\\"), le)
        assert not any(re.fullmatch(regex, f"{metric};{le}") for regex in dropped)


def test_a_specification_is_no_lost_file_and_needs_no_schema_of_kubernetes(
    copy: Repository,
) -> None:
    (copy.root / slos.SPECIFICATIONS / "stray.yml").write_text("a: b\n")
    (copy.root / slos.SPECIFICATIONS / "another.yaml").write_text("apiVersion: v1\nkind: List\n")
    lost = [finding.path for finding in reach.check(copy)]
    assert lost == ["base/config/slos/stray.yml"]
    places = [f.path for f in policies.base(copy.root) if "without a schema" in f.message]
    assert places == ["base/config/slos/another.yaml"]


def test_a_recorded_objective_that_nobody_records_is_found() -> None:
    asked = ["slo:objective:ratio{} / slo:objectiv:ratio", "todo:http:x", "sloth_slo_info"]
    assert monitors.recorded_names(asked) == {
        "slo:objective:ratio",
        "slo:objectiv:ratio",
        "todo:http:x",
    }


# With sloth


@pytest.mark.prove
def test_the_committed_rules_are_what_sloth_makes() -> None:
    files = slos.render(ROOT)
    committed = sorted((ROOT / RULES).glob(f"{slos.PREFIX}*.yaml"))
    assert [path.relative_to(ROOT) for path in committed] == sorted(files)
    for path, text in files.items():
        assert (ROOT / path).read_text() == text, f"{path}: run `make rules`"


@pytest.mark.prove
def test_a_specification_that_sloth_refuses_is_named(tmp_path: Path) -> None:
    for part in (slos.SPECIFICATIONS, facts.THRESHOLDS.parent, facts.APPLICATION.parent):
        shutil.copytree(ROOT / part, tmp_path / part, dirs_exist_ok=True)
    broken = tmp_path / slos.SPECIFICATIONS / "ui-availability.yaml"
    broken.write_text(broken.read_text().replace("{{.window}}", "{{.windows}}"))
    with pytest.raises(RepositoryError, match=r"slos/ui-availability\.yaml: sloth refuses it"):
        slos.render(tmp_path)
