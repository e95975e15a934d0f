"""Namespaces are read from the files that declare them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards_py import namespaces
from scripts.core.findings import RepositoryError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository without files, in place of this one."""
    monkeypatch.setattr(namespaces, "ROOT", tmp_path)
    functions = (namespaces.application, namespaces.monitoring)
    for function in functions:
        function.cache_clear()
    yield tmp_path
    for function in functions:
        function.cache_clear()


def write(root: Path, path: Path, text: str) -> None:
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text(text)


@pytest.mark.usefixtures("root")
def test_a_missing_inventory_says_what_it_needs() -> None:
    with pytest.raises(RepositoryError, match=r"application\.yaml: cannot be read"):
        namespaces.application()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no usable data.NAMESPACES"),
        ("data: {}", "no usable data.NAMESPACES"),
        ("data: {NAMESPACES: 1}", "no usable data.NAMESPACES"),
        ("data: {NAMESPACES: '('}", "no usable data.NAMESPACES"),
        ("data: {NAMESPACES: ''}", "data.NAMESPACES is empty"),
    ],
)
def test_an_inventory_without_namespaces_is_refused(root: Path, text: str, message: str) -> None:
    write(root, namespaces.INVENTORY, text)
    with pytest.raises(RepositoryError, match=message):
        namespaces.application()


def test_namespaces_of_the_monitoring_are_those_that_it_declares(root: Path) -> None:
    text = "kind: Namespace\nmetadata: {name: b}\n---\nkind: Namespace\nmetadata: {name: a}\n"
    write(root, namespaces.MONITORING, f"{text}---\nkind: LimitRange\nmetadata: {{name: c}}\n")
    assert namespaces.monitoring() == "a|b"
    assert namespaces.monitoring(engines=True) == "a|argocd|b|flux-system"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "declares no Namespace"),
        ("kind: LimitRange\nmetadata: {name: c}\n", "declares no Namespace"),
        ("kind: Namespace\n", "not all documents are objects"),
        ("monitoring\n", "not all documents are objects"),
    ],
)
def test_a_monitoring_without_namespaces_is_refused(root: Path, text: str, message: str) -> None:
    write(root, namespaces.MONITORING, text)
    with pytest.raises(RepositoryError, match=message):
        namespaces.monitoring()


@pytest.mark.usefixtures("root")
def test_a_monitoring_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(RepositoryError, match=r"namespaces\.yaml: cannot be read"):
        namespaces.monitoring()
