"""`make discover` proposes the inventory of each public layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.static import application
from scripts.live.discover import inventory
from tests.programs.live import layouts
from tests.programs.live.discover_manifests import proposed
from tests.programs.live.layouts import Layout

pytest_plugins = ("tests.programs.live.discover_manifests",)


def test_there_are_enough_layouts_and_each_has_something_of_its_own() -> None:
    every = [Layout.of(name) for name in layouts.NAMES]
    assert len(every) >= 10
    spaces = {one.application["NAMESPACES"] for one in every}
    assert spaces >= {"default", "todo-app", "todo-chatbot", "todo-phasev", "todo-prod"}
    told = {name for one in every for name in one.warnings}
    assert told == {
        *("dapr-annotations", "egress-without-dns", "health-path-assumed", "ingress-closed"),
        *("load-balancer-taken", "metrics-json", "no-room"),
    }


@pytest.mark.parametrize("name", layouts.NAMES)
def test_a_layout_is_proposed_by_its_manifests(name: str, root: Path) -> None:
    layout = Layout.of(name)
    made, after = proposed(root, *layout.options, *layout.document)
    assert made.values == layout.application
    assert sorted(one.name for one in made.risks) == layout.warnings
    assert all(one.text and one.fix for one in made.risks)
    values = inventory.values(after)
    assert values == {**inventory.values(layouts.INVENTORY), **layout.application}
    assert not list(application.contradictions(values))
