"""`make preview`: a page and a picture of each dashboard, and a list of them.

Run as `python -m scripts.lab.preview [--day …] [uid …]`, after `make prove`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, execute, progress, report
from scripts.grafana import frames, pages
from scripts.servers import browser

DASHBOARDS = tools.ROOT / "base" / "dashboards"
RESULTS = tools.ROOT / "build" / "proof"
OUTPUT = tools.ROOT / "build" / "preview"
# Grafana's default theme, and the other one.
THEMES = {"dark": "", "light": ".light"}


def load(path: Path) -> dict[str, Any]:
    """Return a JSON file's object."""
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


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
        text = f"no results of {', '.join(missing)}"
        raise RepositoryError(Finding(place.as_posix(), None, text, "run make prove first"))
    models = {path.stem: load(path) for path in sorted(DASHBOARDS.glob("*.json"))}
    models = dict(sorted(models.items(), key=lambda item: str(item[1]["title"])))
    written = []
    for day in days or known:
        for uid in uids or models:
            source = results / day / f"{uid}.json"
            if uid not in models:
                fix = f"use one of {', '.join(models)}"
                raise RepositoryError(Finding("base/dashboards", None, f"no dashboard {uid}", fix))
            if not source.exists():
                text = f"no results of {uid} on the {day} day"
                path = (place / day / source.name).as_posix()
                raise RepositoryError(Finding(path, None, text, "run make prove first"))
            data = frames.dashboard(models[uid], load(source))
            data["links"] = [
                {"title": model["title"], "href": f"{other}.html", "current": other == uid}
                for other, model in models.items()
            ]
            page = output / day / f"{uid}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(pages.page(data, browser.modules()))
            written.append(page)
    listed = {
        day: [
            {key: str(models[uid][key]) for key in ("uid", "title", "description")}
            for uid in models
            if (output / day / f"{uid}.html").exists()
        ]
        for day in known
    }
    shown = {day: cards for day, cards in listed.items() if cards}
    (output / "index.html").write_text(pages.index(shown, browser.modules()))
    return written


def main() -> int:
    """Write pages and pictures; return 1 where the browser saw a fault."""
    parser = argparse.ArgumentParser(prog="python -m scripts.lab.preview", description=__doc__)
    parser.add_argument("--day", action="append", default=[], help="default: all with results")
    parser.add_argument("uid", nargs="*", help="default: every dashboard")
    arguments = parser.parse_args()
    started = time.monotonic()
    written = write(arguments.day, arguments.uid, RESULTS, OUTPUT)
    progress(f"wrote {len(written)} pages in {time.monotonic() - started:.1f} s")
    jobs = [
        browser.PageJob(page, theme, page.with_name(f"{page.stem}{suffix}.png"))
        for page in written
        for theme, suffix in THEMES.items()
    ]
    findings = []
    for number, seen in enumerate(browser.open_pages(jobs), 1):
        picture = seen.job.picture
        seconds = sum(seen.report.get("seconds", {}).values())
        progress(f"{number}/{len(jobs)} {picture and picture.relative_to(OUTPUT)} {seconds:.1f} s")
        if seen.job.theme == "dark":
            for text in browser.truncated(seen):
                progress(f"    cut: {text}")
        findings += browser.page_findings(seen)
    count = report(findings)
    print(f"{len(written)} previews in {time.monotonic() - started:.0f} s: {OUTPUT / 'index.html'}")
    return 1 if count else 0


if __name__ == "__main__":
    execute(main)
