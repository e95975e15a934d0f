"""A screenshot of Grafana's home page in a real browser, and what the page does not show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from scripts.core import programs
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json
from scripts.servers import browser

# Grafana's own text, for panels that have none: those of log lines.
NO_DATA = "No data"
INSTALL_NODE = "install Node.js 20 or newer and put it on PATH"
SCRIPT = Path(__file__).with_suffix(".mjs")
# Seconds that panels may take, and that the browser may take to start and to log in besides.
PATIENCE, _START = 90, 90
# Pixels of a row of Grafana's grid with its margin, and of what is above the dashboard.
_ROW, _ABOVE = 38, 200


def take(
    url: str, login: Mapping[str, str], board: Mapping[str, Json], path: Path
) -> list[Finding]:
    """Open the home page, wait until every panel is drawn, and write a picture of it.

    Args:
        url: Of Grafana.
        login: `user` and `password`.
        board: The home dashboard's JSON.
        path: Of the PNG.

    Returns:
        Each panel that is not drawn, shows an error, or has no data in the first row.

    Raises:
        RepositoryError: If the page cannot be opened.
    """
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    bottom = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    job = {
        "url": url,
        "login": login,
        "titles": [panel["title"] for panel in panels],
        # As high as the dashboard, as Grafana draws only what is in sight.
        "viewport": {"width": browser.WIDTH, "height": bottom * _ROW + _ABOVE},
        "picture": str(path),
        "seconds": PATIENCE,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    progress("opening the home page in a browser")
    command = ("node", str(SCRIPT), str(browser.modules()), browser.executable())
    timeout = PATIENCE + _START
    run = programs.run(command, INSTALL_NODE, stdin=json.dumps(job), timeout=timeout)
    if run.returncode == programs.TIMED_OUT:
        raise _failed(f"no picture within {timeout} s")
    if run.returncode:
        raise _failed(run.stderr.replace(login["password"], "…").strip()[-600:])
    top = min(panel["gridPos"]["y"] for panel in panels)
    shown = {one["title"]: one for one in json.loads(run.stdout)}
    return [
        Finding(f"home page, panel {p['title']!r}", None, fault, "look at the picture")
        for p in panels
        if (fault := _fault(p, shown[p["title"]], first=p["gridPos"]["y"] == top))
    ]


def _failed(reason: str) -> RepositoryError:
    fix = f"see that {browser.executable()} --headless starts here, and that Grafana answers"
    return RepositoryError(Finding("home page", None, f"cannot be opened: {reason}", fix))


def _fault(panel: Json, one: Json, *, first: bool) -> str:
    if not one["drawn"]:
        return "is not drawn"
    if one["failed"]:
        return "shows an error"
    # Each panel's code says what it shows in place of data; only the first row must have some.
    empty = panel["fieldConfig"]["defaults"].get("noValue", NO_DATA) in one["text"]
    return f"has no data: {one['text']}" if first and empty else ""
