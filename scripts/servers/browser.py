"""Chromium, driven by Node.js: opens pages, reports what they show and takes screenshots."""

from __future__ import annotations

import functools
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scripts.core.findings import Finding, RepositoryError
from scripts.servers import npm

FOLDER = Path(__file__).resolve().parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH = 1366
# Share of the samples of a graph's topmost series that must have its colour on the canvas.
MIN_PAINTED = 0.5


class PageJob(NamedTuple):
    """A page to open.

    Attributes:
        page: The HTML file.
        theme: `dark` or `light`, as the browser's user prefers it.
        picture: The PNG or JPEG to write, full height.
        toggle: Whether to press the page's button for the other theme.
        width: Of the window, in pixels.
        scale: Pixels of the picture for one of the window. Below 1, the picture ends with the
            window.
    """

    page: Path
    theme: str = "dark"
    picture: Path | None = None
    toggle: bool = False
    width: int = WIDTH
    scale: float = 1


class PageReport(NamedTuple):
    """What the browser reports of a page.

    Attributes:
        job: The page.
        report: As `browser.mjs` writes it: `panels` with state and box, `errors`, `requests`,
            `cut` text, `width` in pixels, `seconds`.
    """

    job: PageJob
    report: dict[str, Any]


@functools.cache
def modules() -> Path:
    """Return the folder `node_modules` with what drives the browser.

    Raises:
        RepositoryError: If Node.js is missing, or npm fails.
    """
    return npm.installed(FOLDER, _modules) / "node_modules"


def _modules(scratch: Path) -> Path:
    kept = scratch / "kept"
    kept.mkdir()
    (scratch / "node_modules").rename(kept / "node_modules")
    return kept


def executable() -> str:
    """Return the browser: environment variable CHROMIUM, else the first on PATH.

    Raises:
        RepositoryError: If there is none.
    """
    chosen = os.environ.get("CHROMIUM")
    fix = "Chromium or Google Chrome and put it on PATH, or set CHROMIUM to its path"
    return npm.program((chosen,) if chosen else BROWSERS, fix)


def open_pages(jobs: Iterable[PageJob]) -> Iterator[PageReport]:
    """Open pages one after another; yield the report of each as soon as it is known.

    Raises:
        RepositoryError: If Node.js or the browser is missing, or the browser ends.
    """
    node = npm.program(("node",), npm.NODE)
    command = (node, str(FOLDER / "browser.mjs"), str(modules()), executable())
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdin  # noqa: S101 - a pipe
        assert process.stdout  # noqa: S101 - a pipe
        for job in jobs:
            try:
                process.stdin.write(json.dumps(_request(job)) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline()
            except BrokenPipeError:
                answer = ""
            if not answer:
                errors.seek(0)
                text = f"the browser ended: {errors.read().strip()[-600:]}"
                fix = f"see that {executable()} --headless starts here"
                raise RepositoryError(Finding("scripts/servers/browser.mjs", None, text, fix))
            yield PageReport(job, json.loads(answer))
        process.stdin.close()


def _request(job: PageJob) -> dict[str, Any]:
    return {
        "url": job.page.resolve().as_uri(),
        "theme": job.theme,
        "picture": str(job.picture) if job.picture else None,
        "toggle": job.toggle,
        "width": job.width,
        "scale": job.scale,
    }


def page_findings(page: PageReport) -> list[Finding]:
    """Return what no page may show: errors, requests, panels not drawn, overlapping or too wide."""
    job, report = page
    path = f"{job.page.parent.name}/{job.page.name}"
    texts = [f"the browser's console says: {error}" for error in report["errors"]]
    texts += [f"asks the network for {url}" for url in report["requests"]]
    panels = report["panels"]
    for panel in panels:
        name = f"panel {panel['title']!r}"
        if panel["state"] is None:
            texts.append(f"{name} is not drawn")
        elif panel["state"] == "error":
            texts.append(f"{name} shows an error: {panel['text'].strip()}")
        painted = panel["painted"]
        if painted and painted["series"] and painted["best"] < MIN_PAINTED:
            texts.append(f"{name} has {painted['series']} series and draws none")
    for one, other in itertools.combinations(panels, 2):
        if _overlap(one["box"], other["box"]):
            texts.append(f"panels {one['title']!r} and {other['title']!r} overlap")
    if report.get("width", 0) > job.width:
        texts.append(f"is {report['width']} px wide in a window of {job.width} px")
    fix = "open the page in a browser and mend the panel, its query or scripts/grafana"
    return [Finding(path, None, text, fix) for text in texts]


def truncated(page: PageReport) -> list[str]:
    """Return what does not fit into its place, as Grafana would cut it, too."""
    return [
        f"{one['panel'] or 'top'}: {one['what']} needs {one['wanted']} of {one['width']} px"
        for one in page.report["cut"]
    ]


def too_low(page: PageReport) -> list[Finding]:
    """Return a finding for each table that scrolls for less than one more row.

    One that scrolls for many is a matter of how much there is to show.
    """
    job = page.job
    fix = "make the panel one unit higher, as `height_of_table` does"
    return [
        Finding(
            f"{job.page.parent.name}/{job.page.name}",
            None,
            f"panel {one['panel']!r}: {one['what']} needs {one['wanted']} of {one['width']} px, so "
            "its last row is cut",
            fix,
        )
        for one in page.report["cut"]
        if one["wanted"] - one["width"] < one.get("line", 0)
    ]


def _overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    """Say whether two boxes share more than the half pixel that rounding may cost."""
    overlaps = []
    for start, length in (("x", "width"), ("y", "height")):
        end = min(one[start] + one[length], other[start] + other[length])
        overlaps.append(end - max(one[start], other[start]) > 0.5)
    return all(overlaps)
