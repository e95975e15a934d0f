"""Dashboards that changed, drawn before and after on the same simulated day.

Both are asked of the same servers, which run the working tree's rules and log stages, so that what
differs between two pictures is the dashboard's own. Of the revision before, only JSON is read. What
is drawn is kept (`picture_store`), and `make diff` shows it.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scripts import simulation, tools
from scripts.core.findings import SHAPE_ERRORS, Finding, RepositoryError, progress, shape_findings
from scripts.grafana import evaluation, frames, library, model, pages, picture_store
from scripts.grafana.model import DashboardModel
from scripts.model import dashboards, revisions
from scripts.model.revisions import Revision
from scripts.servers import browser
from scripts.servers.monitoring import Servers, servers

DAY = "healthy"
# Grafana's default; both would take twice the time to draw, and twice the room in a report.
THEME = "dark"


class DrawnDashboard(NamedTuple):
    """A dashboard at one revision, as it is drawn.

    Attributes:
        path: Of its file.
        revision: Whose file.
        json: As Grafana would get it.
        model: What Grafana would read of it.
    """

    path: str
    revision: Revision
    json: dict[str, Any]
    model: DashboardModel

    def __str__(self) -> str:
        """Return what to call it in a line."""
        return f"{Path(self.path).stem} of {self.revision.title}"


class ChangedDashboard(NamedTuple):
    """A dashboard that differs; None at a revision without it, or where it cannot be read."""

    before: DrawnDashboard | None
    after: DrawnDashboard | None

    @property
    def name(self) -> str:
        """Its file's, without the ending."""
        return Path(self.drawable[0].path).stem

    @property
    def drawable(self) -> list[DrawnDashboard]:
        """What can be drawn: before, after, or both."""
        return [one for one in self if one]

    @property
    def pictures(self) -> list[Path | None]:
        """Before and after, as far as they are drawn."""
        return picture_store.find(*(one and one.json for one in self))

    @property
    def drawn(self) -> bool:
        """Whether all is drawn that can be."""
        return len(list(filter(None, self.pictures))) == len(self.drawable)


def changes(
    root: Path, before: Revision, after: Revision, paths: Iterable[str]
) -> tuple[list[ChangedDashboard], list[Finding]]:
    """Return the dashboards that differ, and what of them cannot be read.

    Args:
        root: The repository.
        before: The revision before.
        after: The revision after.
        paths: Of dashboards whose files differ.
    """
    found: list[ChangedDashboard] = []
    findings: list[Finding] = []
    for path in paths:
        dashboards: list[DrawnDashboard | None] = []
        for revision in (before, after):
            dashboard = None
            try:
                dashboard = _read(root, revision, path)
            except (RepositoryError, *SHAPE_ERRORS) as error:
                findings += _refused(path, revision, error)
            dashboards.append(dashboard)
        one, other = (dashboard and dashboard.json for dashboard in dashboards)
        # Not where its text alone differs.
        if one != other:
            found.append(ChangedDashboard(*dashboards))
    return found, findings


def draw(changed: Iterable[ChangedDashboard]) -> list[Finding]:
    """Draw what is not drawn yet; return what cannot be, and what is wrong with what is drawn.

    Raises:
        RepositoryError: If a program or a chart is missing, or a server or the browser fails.
    """
    undrawn = [change for change in changed if not change.drawn]
    if not undrawn:
        return []
    # What is missing here is said before the servers take their time.
    browser.executable()
    browser.modules()
    library.folder()
    picture_store.prune()
    day = simulation.day(DAY)
    wanted = {
        place: dashboard
        for change in undrawn
        for dashboard in change.drawable
        if not (place := picture_store.place(day.folder.name, dashboard.json)).exists()
    }
    findings: list[Finding] = []
    picture_store.folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=picture_store.folder()) as scratch:
        jobs: dict[browser.PageJob, tuple[Path, DrawnDashboard]] = {}
        with servers(simulation.cluster(), day.tsdb, day.logs) as running:
            for place, dashboard in wanted.items():
                started = time.monotonic()
                page = Path(scratch) / f"{place.stem}.html"
                try:
                    page.write_text(_page(running, dashboard, day))
                except SHAPE_ERRORS as error:
                    findings += _refused(dashboard.path, dashboard.revision, error)
                    continue
                jobs[browser.PageJob(page, THEME, page.with_suffix(".png"))] = place, dashboard
                progress(f"asked for {dashboard}, {time.monotonic() - started:.1f} s")
        for number, seen in enumerate(browser.open_pages(jobs), 1):
            place, dashboard = jobs[seen.job]
            picture, fix = seen.job.page.with_suffix(".png"), "mend scripts/grafana"
            if picture.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                # At once, as somebody else may read it.
                picture.rename(place)
                fix = f"look at {place}"
            findings += [
                _of(dashboard.path, dashboard.revision, fault, fix)
                for fault in browser.page_findings(seen)
            ]
            progress(f"drew {number} of {len(jobs)}: {dashboard}")
    return findings


def _read(root: Path, revision: Revision, path: str) -> DrawnDashboard | None:
    text = revisions.content(root, revision, path)
    if text is None:
        return None
    parsed = json.loads(text)
    return DrawnDashboard(path, revision, parsed, model.read(parsed, model.datasources()))


def _page(running: Servers, dashboard: DrawnDashboard, day: simulation.Day) -> str:
    """Return a dashboard's page with what the servers answer; it leads to no other page."""
    time_range = evaluation.time_range_at(day.at, dashboard.model.length)
    opened = evaluation.open_dashboard(running, dashboard.model, time_range)
    others = dashboards.load(tools.ROOT).values()
    data = frames.dashboard(dashboard.json, evaluation.document(opened, day.name), others)
    return pages.page(data | {"links": []})


def _refused(path: str, revision: Revision, error: Exception) -> Iterator[Finding]:
    """Say why a dashboard of a revision cannot be drawn."""
    for one in shape_findings(path, error):
        # What is committed cannot be corrected any more.
        fix = "name a newer BASE, or do without this picture" if revision.commit else one.fix
        yield _of(path, revision, one, fix)


def _of(path: str, revision: Revision, found: Finding, fix: str) -> Finding:
    message = f"{revision.title}: {found.message}"
    return dataclasses.replace(found, path=path, message=message, fix=fix)
