"""Pictures of dashboards in the per-user cache, found by what decides them, never by their age.

Beside the dashboard's JSON, a picture is decided by the files that it is made with
(`sources_digest`) and by the simulated day. There is a folder for each digest, in it one for each
day, in it the pictures.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.model import dashboards

Model = Mapping[str, Json]

# What the day and the servers are made of, and what queries, draws and simulates.
_SOURCES = (
    "base",
    "overlays",
    "tests/options",
    "scripts/grafana",
    "scripts/lab/preview",
    "scripts/simulation",
    "scripts/model",
    "scripts/rules",
    "scripts/servers",
    "scripts/tools",
)
_DAY = 86400
# Days after which a picture is removed: its change is merged or forgotten.
_KEPT = 14


def folder() -> Path:
    """Return the folder of all pictures."""
    return tools.cache() / "pictures"


@functools.cache
def sources_digest(root: Path) -> str:
    """Return a digest of all files of a tree that decide a picture, dashboards apart."""
    digest = hashlib.sha256()
    for source in _SOURCES:
        for path in sorted((root / source).rglob("*")):
            name = path.relative_to(root)
            inside = name.is_relative_to(dashboards.FOLDER) or "__pycache__" in name.parts
            if path.is_file() and not inside:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()[:16]


def place(day: str, model: Model) -> Path:
    """Return where the picture of a dashboard on a day is, or would be."""
    text = json.dumps(model, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return folder() / sources_digest(tools.ROOT) / day / f"{name}.png"


def find(*models: Model | None) -> list[Path | None]:
    """Return the picture of each dashboard, None where there is none; all are of one day.

    Between two days, what differs is not the dashboard's alone. The day is the newest of those on
    which the most of these dashboards are drawn.
    """
    best: list[Path | None] = [None] * len(models)
    days = sorted(path.name for path in (folder() / sources_digest(tools.ROOT)).glob("*"))
    for day in reversed(days):
        places = [None if model is None else place(day, model) for model in models]
        found = [path if path and path.exists() else None for path in places]
        if found.count(None) < best.count(None):
            best = found
    return best


def prune() -> None:
    """Remove the pictures of days long past."""
    oldest = time.strftime("%Y-%m-%d", time.gmtime(time.time() - _KEPT * _DAY))
    for day in folder().glob("*/*"):
        # Its name begins with its date.
        if day.name < oldest:
            shutil.rmtree(day, ignore_errors=True)
            if not any(day.parent.iterdir()):
                day.parent.rmdir()
