"""The dashboards of the frozen repository."""

from __future__ import annotations

import json
from typing import Any

from tests.fixtures import FROZEN

Json = dict[str, Any]
FOLDER = FROZEN / "base/dashboards"


def committed() -> dict[str, Json]:
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
