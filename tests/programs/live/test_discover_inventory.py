"""The inventory is edited in place, and only what changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.core.findings import RepositoryError
from scripts.live.discover import inventory
from scripts.model.files import INVENTORY
from tests.programs.live import layouts
from tests.programs.live.discover_manifests import BACKEND, FRONTEND, Write, proposed, refused
from tests.programs.live.layouts import Layout

pytest_plugins = ("tests.programs.live.discover_manifests",)


@pytest.mark.parametrize("name", layouts.NAMES)
def test_what_is_written_once_is_proposed_no_more(name: str, root: Path) -> None:
    layout = Layout.of(name)
    path = root / INVENTORY
    path.write_text(proposed(root, *layout.options, *layout.document)[1])
    assert proposed(root, *layout.options, *layout.document)[1] == path.read_text()


def test_comments_order_and_quotes_of_what_stays_are_kept(root: Path) -> None:
    _, after = proposed(root, *Layout.of("several-namespaces").options)
    assert after.splitlines() == [
        *layouts.INVENTORY.splitlines()[:7],
        "  NAMESPACES: todo-api|todo-web|todo-workers  # of before",
        "  FRONTEND_URL: http://web.todo-web.svc:3000/",
        "  BACKEND_URL: http://api.todo-api.svc:80/healthz # and here",
        "  REMINDER_BINDING: reminder-cron",
        *layouts.INVENTORY.splitlines()[11:],
    ]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
@pytest.mark.parametrize("after", ["", "  # of nothing\n  MORE: x\n"])
def test_a_block_is_replaced_up_to_its_last_line(after: str, ending: str) -> None:
    base = layouts.INVENTORY.partition("  ROUTES:")[0]
    links = "  GRAFANA_URL: http://a\n  RUNBOOKS_URL: http://a/b\n"
    text = f"{base}{links}  ROUTES: |\n    /a\n\n    /b\n{after}".rstrip("\n") + ending
    routes_ = {"ROUTES": "/c\n/d\n"}
    assert inventory.edited(text, routes_) == text.replace("/a\n\n    /b", "/c\n    /d") + (
        "" if after or ending else "\n"
    )


@pytest.mark.parametrize("value", ["true", "007", "a: b", "a #b", "* {}"])
def test_a_value_that_yaml_would_read_otherwise_is_quoted(value: str) -> None:
    after = inventory.edited(layouts.INVENTORY, {"REMINDER_BINDING": value})
    assert inventory.values(after)["REMINDER_BINDING"] == value


def test_a_file_in_another_style_is_edited_as_well_or_refused() -> None:
    data = inventory.values(layouts.INVENTORY)
    top = layouts.INVENTORY.split("\ndata:\n")[0]
    flow = f"{top}\ndata: {json.dumps(data)}\n"
    assert inventory.values(inventory.edited(flow, {"NAMESPACES": "todo"}))["NAMESPACES"] == "todo"
    with pytest.raises(RepositoryError, match="cannot be edited in place"):
        inventory.edited(flow, {"ROUTES": "/a\n/b\n"})


def test_an_inventory_that_cannot_be_read_is_told(root: Path, written: Write) -> None:
    source, path = written(*BACKEND, *FRONTEND), root / INVENTORY
    path.write_text("data: {NAMESPACES: 1}\n")
    assert re.search(rf"{INVENTORY}: .* git checkout", refused(root, source).replace("`", ""))
    path.write_text("a: [\n")
    assert "not valid YAML" in refused(root, source)
