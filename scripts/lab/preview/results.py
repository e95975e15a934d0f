"""Pages of what `make prove` wrote, and the list of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.grafana import frames, pages
from scripts.model import dashboards


def write(days: Sequence[str], uids: Sequence[str], results: Path, output: Path) -> list[Path]:
    """Write the pages of these dashboards, and the list of all that exist; return the pages.

    Args:
        days: Names of simulated days; none means all that have results.
        uids: Dashboards to draw; none means all.
        results: Folder of what `make prove` wrote.
        output: Folder to write into.

    Raises:
        RepositoryError: For a day or a dashboard without results.
    """
    known = sorted(path.name for path in results.glob("*/"))
    place = results.relative_to(results.parents[1])
    if missing := [day for day in days if day not in known] or (not known and ["any day"]):
        raise _missing(place, f"no results of {', '.join(missing)}")
    boards = {name.removesuffix(".json"): b for name, b in dashboards.load(tools.ROOT).items()}
    boards = dict(sorted(boards.items(), key=lambda item: str(item[1]["title"])))
    written = []
    for day in days or known:
        for uid in uids or boards:
            source = results / day / f"{uid}.json"
            if uid not in boards:
                fix = f"use one of {', '.join(boards)}"
                raise RepositoryError(Finding(dashboards.FOLDER, None, f"no dashboard {uid}", fix))
            if not source.exists():
                text = f"no results of {uid} on the {day} day"
                raise _missing(place / day / source.name, text)
            data = frames.dashboard(boards[uid], json.loads(source.read_text()), boards.values())
            data["links"] = [
                {"title": board["title"], "href": f"{other}.html", "current": other == uid}
                for other, board in boards.items()
            ]
            page = output / day / f"{uid}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(pages.page(data))
            written.append(page)
    listed = {
        day: [
            {key: str(board[key]) for key in ("uid", "title", "description")}
            for uid, board in boards.items()
            if (output / day / f"{uid}.html").exists()
        ]
        for day in known
    }
    shown = {day: cards for day, cards in listed.items() if cards}
    (output / "index.html").write_text(pages.index(shown))
    return written


def _missing(path: Path, text: str) -> RepositoryError:
    return RepositoryError(Finding(path.as_posix(), None, text, "run make prove first"))
