"""Objectives: what is lost, what is dropped on the way, and what sloth refuses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from scripts.checks.static import monitors, policies, unused_files
from scripts.core.findings import RepositoryError
from scripts.model.files import INVENTORY
from scripts.model.manifests import Repository
from scripts.rules import facts, slos
from tests.fixtures import FROZEN

ROOT = FROZEN


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
    lost = [finding.path for finding in unused_files.check(copy)]
    assert lost == ["base/config/slos/stray.yml"]
    places = [
        f.path
        for f in policies.base_files_are_conventional(copy.root)
        if "without a schema" in f.message
    ]
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
def test_a_specification_that_sloth_refuses_is_named(tmp_path: Path) -> None:
    for part in (slos.SPECIFICATIONS, facts.THRESHOLDS.parent, Path(INVENTORY).parent):
        shutil.copytree(ROOT / part, tmp_path / part, dirs_exist_ok=True)
    broken = tmp_path / slos.SPECIFICATIONS / "ui-availability.yaml"
    broken.write_text(broken.read_text().replace("{{.window}}", "{{.windows}}"))
    with pytest.raises(RepositoryError, match=r"slos/ui-availability\.yaml: sloth refuses it"):
        slos.render(tmp_path)
