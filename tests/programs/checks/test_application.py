"""An inventory of the application that contradicts itself is told, at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.static import application, file_schemas
from scripts.checks.validate import validate
from scripts.model.files import INVENTORY
from scripts.model.manifests import Repository
from tests.programs.live import layouts

GOOD = layouts.INVENTORY.replace('"old"', "old")


def said(root: Path, text: str) -> list[str]:
    path = root / INVENTORY
    path.parent.mkdir(parents=True)
    path.write_text(text)
    repository = Repository(root)
    found = file_schemas.check(repository) or application.check(repository)
    assert all(finding.fix for finding in found)
    return [f"{finding.path}:{finding.line}: {finding.message}" for finding in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NAMESPACES: old", "NAMESPACES: old"),
        ("NAMESPACES: old", "NAMESPACES: other|old"),
        ("NAMESPACES: old", "NAMESPACES: o.+"),
        ("NAMESPACES: old", "NAMESPACES: (old|other)-?"),
        ("http://old-backend.old.svc:8000/health", "http://old-backend.old.svc.cluster.local/"),
        ("http://old-backend.old.svc:8000/health", "https://api.example.com/health"),
        ("http://old-backend.old.svc:8000/health", "http://10.0.0.7:8000/health"),
        ("    /old", "    /\n    /api/{user_id}/tasks-2/a.b"),
    ],
)
def test_what_is_in_order(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOOD
    assert said(tmp_path, GOOD.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("NAMESPACES: old", "NAMESPACES: ''", 8, "data.NAMESPACES: '' should be non-empty"),
        ("NAMESPACES: old", "NAMESPACES: old|", 8, "NAMESPACES also matches an empty namespace"),
        ("NAMESPACES: old", "NAMESPACES: (old)?", 8, "NAMESPACES also matches an empty namespace"),
        ("NAMESPACES: old", "NAMESPACES: old(", 8, "NAMESPACES is no regular expression: old("),
        ("NAMESPACES: old", "NAMESPACES: old|To_do", 8, "NAMESPACES names no namespace that can"),
        ("old-frontend.old.svc", "web.shop.svc", 9, "FRONTEND_URL is in the namespace shop, which"),
        ("old-backend.old.svc", "api.old2.svc", 10, "BACKEND_URL is in the namespace old2, which"),
        ("old-backend.old.svc", "api", 10, "BACKEND_URL names the Service api without its"),
        ("old.svc:8000", "old.svc:port", 10, "BACKEND_URL is no URL: "),
        ("    /old", "    /a\n    api/b", 14, "ROUTES has a line that is no route template: api/b"),
        ("    /old", "    /a\n    /b?c=d", 14, "ROUTES has a line that is no route template: /b?c"),
        ("    /old", "    /a\n    /b (c", 14, "ROUTES has a line that is no route template: /b (c"),
        ("    /old", "    /a\n\n    /b", 12, "ROUTES has a line that is no route template: an emp"),
        ("  REMINDER_BINDING: old-cron\n", "", 6, "data: 'REMINDER_BINDING' is a required"),
    ],
)
def test_what_contradicts_itself(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    found = said(tmp_path, GOOD.replace(old, new))
    assert any(one.startswith(f"{INVENTORY}:{line}: {says}") for one in found), found


def test_without_an_inventory_there_is_one_message(copy: Repository) -> None:
    (copy.root / INVENTORY).unlink()
    (finding,) = validate(copy)
    assert finding.path == INVENTORY
