"""The dashboards of the frozen repository."""

from __future__ import annotations

import json

from scripts.core.yamlfile import Json
from tests.fixtures import FROZEN

FOLDER = FROZEN / "base/dashboards"


def committed() -> dict[str, Json]:
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
