"""The command that writes the dashboards: the same files each time, or none after a fault."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboards_py import __main__ as command
from scripts.core.findings import execute
from scripts.model import dashboards as checks
from tests.fixtures import CODE


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    script = "from dashboards_py.__main__ import render; print(sorted(render().items()))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=CODE,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1


def test_write_replaces_what_changed_and_removes_what_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone.json").write_text("{}")
    (tmp_path / "same.json").write_text("same\n")
    (tmp_path / "changed.json").write_text("old\n")
    (tmp_path / "kustomization.yaml").write_text("kept\n")
    files = {Path("same.json"): "same\n", Path("changed.json"): "new\n", Path("new.json"): "n\n"}
    command.write(files, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "same.json": "same\n",
        "changed.json": "new\n",
        "new.json": "n\n",
        "kustomization.yaml": "kept\n",
    }
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert words == ["unchanged", "wrote", "wrote", "removed"]


def test_check_names_each_file_that_differs(tmp_path: Path) -> None:
    (tmp_path / "stale.json").write_text("old")
    (tmp_path / "orphan.json").write_text("{}")
    files = {Path("stale.json"): "new", Path("missing.json"): "x"}
    findings = command.differences(files, tmp_path)
    assert [f.path for f in findings] == [
        "base/dashboards/missing.json",
        "base/dashboards/orphan.json",
        "base/dashboards/stale.json",
    ]


@pytest.fixture
def broken_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Put a module of a dashboard beside the real ones; return what the command then says."""
    from dashboards_py import dashboards

    monkeypatch.setattr(dashboards, "__path__", [*dashboards.__path__, str(tmp_path)])
    written = CODE / checks.FOLDER
    before = {path.name: path.read_bytes() for path in written.iterdir()}

    def run(source: str, capsys: pytest.CaptureFixture[str]) -> str:
        (tmp_path / "todo_broken.py").write_text(source)
        with pytest.raises(SystemExit, match="1"):
            execute(command.main)
        assert {path.name: path.read_bytes() for path in written.iterdir()} == before
        return capsys.readouterr().err

    yield run
    sys.modules.pop("dashboards_py.dashboards.todo_broken", None)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("DASHBOARD = 1 / 0\n", "ZeroDivisionError"),
        ("DASHBOARD =\n", "SyntaxError"),
        ("", "no attribute 'DASHBOARD'"),
        ("DASHBOARD = 1\n", "not made by dashboard()"),
        (
            "from dashboards_py import metrics as m\nm.POD_READY(pood='x')\n",
            "kube_pod_status_ready has no label 'pood'",
        ),
        (
            "from dashboards_py.queries import traffic\nfrom dashboards_py.panels import show\n"
            "show(traffic.request_rate('app'), '{{pod}}')\n",
            "has no label 'pod'",
        ),
    ],
)
def test_a_broken_module_is_named_and_nothing_is_written(
    broken_module: Callable[..., str], capsys: pytest.CaptureFixture[str], source: str, says: str
) -> None:
    message = broken_module(source, capsys)
    assert "dashboards_py/dashboards/todo_broken.py" in message
    assert says in message
    assert "Traceback" not in message


def test_a_uid_that_is_not_the_modules_name_is_refused(
    broken_module: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = "from dashboards_py.dashboards.todo_logs import DASHBOARD\n__all__ = ['DASHBOARD']\n"
    assert "set uid='todo-broken'" in broken_module(source, capsys)
