"""kubectl as every command runs it, with a program in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core import kubectl
from scripts.core.findings import RepositoryError
from scripts.core.kubectl import Kubectl

PlayedBy = Callable[[str], None]
RUN = Kubectl("see", 5, ("--namespace=n",), words=2)


@pytest.fixture
def played_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedBy:
    """Have a shell script be kubectl."""

    def write(script: str) -> None:
        (tmp_path / "kubectl").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "kubectl").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return write


def test_options_come_first_and_nothing_is_no_object(played_by: PlayedBy) -> None:
    played_by("echo $@")
    assert RUN.text("get", "pods") == "--namespace=n get pods\n"
    played_by("true")
    assert RUN.json("get", "pods") is None


def test_an_answer_that_is_no_json_is_not_quoted(played_by: PlayedBy) -> None:
    played_by("echo '{\"data\": hidden'")
    with pytest.raises(RepositoryError) as error:
        RUN.json("get", "secret", "name")
    place = "kubectl get secret: its answer is not JSON at character 9"
    assert str(error.value) == f"{place}\n    fix: see"
    assert error.value.__suppress_context__
    assert error.value.__cause__ is None


def test_the_last_line_is_the_reason(played_by: PlayedBy) -> None:
    played_by("echo warning >&2; echo error: no such host >&2; exit 1")
    with pytest.raises(RepositoryError, match=r"^kubectl get pods: no such host\n"):
        RUN.text("get", "pods", "--watch")


def test_without_a_context_kubectl_is_in_a_cluster_and_without_an_answer_it_is_not_known(
    played_by: PlayedBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    played_by("echo error: current-context is not set >&2; exit 1")
    assert kubectl.context() == ""
    monkeypatch.setattr(kubectl, "CONFIG_TIMEOUT", 0.2)
    played_by("exec sleep 20")
    with pytest.raises(RepositoryError, match=r"kubectl config: no answer within 0\.2 s"):
        kubectl.context()
