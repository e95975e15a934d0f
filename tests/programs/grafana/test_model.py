"""Data sources are read from the release of Grafana."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.grafana import model
from scripts.model import dashboards
from tests.programs.tsdb_fixtures import board

pytestmark = pytest.mark.prove


def test_an_unknown_data_source_is_named() -> None:
    json = board({"title": "P", "datasource": {"uid": "lost"}, "targets": [{"expr": "up"}]})
    with pytest.raises(RepositoryError, match="panel 'P' asks data source 'lost'"):
        model.read(json, model.datasources())


@pytest.mark.parametrize(("uid", "message"), [("prometheus", "of another one"), ("", "no uid")])
def test_a_data_source_needs_a_uid_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: str, message: str
) -> None:
    text = (tools.ROOT / dashboards.GRAFANA).read_text().replace("uid: loki", f"uid: {uid!r}")
    (tmp_path / dashboards.GRAFANA).parent.mkdir(parents=True)
    (tmp_path / dashboards.GRAFANA).write_text(text)
    monkeypatch.setattr(tools, "ROOT", tmp_path)
    with pytest.raises(RepositoryError, match=message):
        model.datasources()


def test_a_panel_is_found_in_the_module_of_its_dashboard_or_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = model.read(board({"title": "P"}) | {"uid": "stack-health"}, model.datasources())
    for folder, text in ((model.MODULES, '"Own"\n'), (model.ROWS, '#\n"Far"\n')):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "stack_health.py").write_text(text)
    monkeypatch.setattr(tools, "ROOT", tmp_path)
    own, rows = (f"{folder}/stack_health.py" for folder in (model.MODULES, model.ROWS))
    assert [read.source(t) for t in ("Own", "Far", "")] == [(own, 1), (rows, 2), (own, None)]
