"""Each alert's dashboard is what its specification says."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards_py import alerts
from dashboards_py.queries import health
from scripts.core.findings import RepositoryError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in (alerts.ALERTS, alerts.OBJECTIVES):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(alerts, "ROOT", tmp_path)
    monkeypatch.setattr(alerts, "dashboards", alerts.dashboards.__wrapped__)
    monkeypatch.setattr(alerts, "objectives", alerts.objectives.__wrapped__)
    monkeypatch.setattr(alerts, "of_logs", alerts.of_logs.__wrapped__)
    (tmp_path / alerts.ALERTS / "a.yaml").write_text(
        "groups:\n  - name: g\n    rules:\n"
        "      - record: r\n        expr: vector(1)\n"
        "      - alert: Slow\n        dashboard: todo-api?var-app={{ $labels.app }}\n"
        "      - alert: Down\n        dashboard: todo-overview\n"
    )
    (tmp_path / alerts.OBJECTIVES / "o.yaml").write_text(
        "slos:\n  - name: quick\n    alerting:\n      name: QuickBurns\n"
        "      annotations:\n        dashboard: todo-slo\n"
    )
    return tmp_path


def test_alerts_and_objectives_name_their_dashboards(root: Path) -> None:
    assert root
    assert alerts.dashboards() == {
        "Slow": "todo-api",
        "Down": "todo-overview",
        "QuickBurns": "todo-slo",
    }
    assert alerts.objectives() == ("quick",)


def test_the_list_says_which_alerts_loki_fires(root: Path) -> None:
    assert alerts.of_logs() == ()
    path = root / alerts.ALERTS / "a.yaml"
    path.write_text("datasource: loki\n" + path.read_text())
    assert alerts.of_logs() == ("Slow", "Down")


def test_a_row_of_the_list_leads_to_what_they_name(root: Path) -> None:
    assert root
    asked = health.alerts_by_object().expr
    assert '"dashboard", "todo-api", "alertname", "Slow")' in asked
    assert '"dashboard", "todo-slo", "alertname", "QuickBurns")' in asked
    assert '"runbook", "$1.md", "alertname", "(Down|QuickBurns|Slow)")' in asked


def test_a_specification_without_a_dashboard_is_named(root: Path) -> None:
    path = root / alerts.ALERTS / "a.yaml"
    path.write_text("groups:\n  - rules:\n      - alert: Slow\n")
    with pytest.raises(
        RepositoryError, match=r"base/config/alerts/a.yaml: .+ KeyError 'dashboard'"
    ):
        alerts.dashboards()
