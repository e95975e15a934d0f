"""Dashboards that changed, drawn before and after on the same simulated day.

Both are asked of the same servers, which run the working tree's rules and log stages, so that what
differs between two pictures is the dashboard's own. Of the revision before, only JSON is read. What
is drawn is kept (`store`), and `make diff` shows it.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scripts.core.findings import MISSHAPEN, Finding, RepositoryError, misread, progress
from scripts.grafana import evaluation, frames, model, pages, picture_store
from scripts.lab import simulation
from scripts.model import revisions
from scripts.model.revisions import Revision
from scripts.servers import browser
from scripts.servers.monitoring import Servers, servers

DAY = "healthy"
# Grafana's default; both would take twice the time to draw, and twice the room in a report.
THEME = "dark"


class Side(NamedTuple):
    """A dashboard at one revision.

    Attributes:
        path: Of its file.
        revision: Whose file.
        json: As Grafana would get it.
        board: As it is asked.
    """

    path: str
    revision: Revision
    json: dict[str, Any]
    board: model.Dashboard

    def __str__(self) -> str:
        """Return what to call it in a line."""
        return f"{Path(self.path).stem} of {self.revision.title}"


class Change(NamedTuple):
    """A dashboard that differs; a side is None where it is not there, or cannot be read."""

    before: Side | None
    after: Side | None

    @property
    def name(self) -> str:
        """Its file's, without the ending."""
        return Path(self.sides[0].path).stem

    @property
    def sides(self) -> list[Side]:
        """Those that can be drawn."""
        return [side for side in self if side]

    @property
    def pictures(self) -> list[Path | None]:
        """Before and after, as far as they are drawn."""
        return picture_store.find(*(side and side.json for side in self))

    @property
    def drawn(self) -> bool:
        """Whether all is drawn that can be."""
        return len(list(filter(None, self.pictures))) == len(self.sides)


def changes(
    root: Path, before: Revision, after: Revision, paths: Iterable[str]
) -> tuple[list[Change], list[Finding]]:
    """Return the dashboards that differ, and what of them cannot be read.

    Args:
        root: The repository.
        before: The revision before.
        after: The revision after.
        paths: Of dashboards whose files differ.
    """
    found: list[Change] = []
    findings: list[Finding] = []
    for path in paths:
        sides: list[Side | None] = []
        for revision in (before, after):
            side = None
            try:
                side = _side(root, revision, path)
            except (RepositoryError, *MISSHAPEN) as error:
                findings += _refused(path, revision, error)
            sides.append(side)
        one, other = (side and side.json for side in sides)
        # Not where its text alone differs.
        if one != other:
            found.append(Change(*sides))
    return found, findings


def draw(changed: Iterable[Change]) -> list[Finding]:
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
    picture_store.prune()
    day = simulation.day(DAY)
    sides = {picture_store.place(day.folder.name, s.json): s for one in undrawn for s in one.sides}
    wanted = {place: side for place, side in sides.items() if not place.exists()}
    findings: list[Finding] = []
    picture_store.folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=picture_store.folder()) as scratch:
        jobs: dict[browser.PageJob, tuple[Path, Side]] = {}
        with servers(simulation.cluster(), day.tsdb, day.logs) as running:
            for place, side in wanted.items():
                started = time.monotonic()
                page = Path(scratch) / f"{place.stem}.html"
                try:
                    page.write_text(_page(running, side, day))
                except MISSHAPEN as error:
                    findings += _refused(side.path, side.revision, error)
                    continue
                jobs[browser.PageJob(page, THEME, page.with_suffix(".png"))] = place, side
                progress(f"asked for {side}, {time.monotonic() - started:.1f} s")
        for number, seen in enumerate(browser.open_pages(jobs), 1):
            place, side = jobs[seen.job]
            picture, fix = seen.job.page.with_suffix(".png"), "mend scripts/lab/preview"
            if picture.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                # At once, as somebody else may read it.
                picture.rename(place)
                fix = f"look at {place}"
            findings += [_of(side.path, side.revision, f, fix) for f in browser.page_findings(seen)]
            progress(f"drew {number} of {len(jobs)}: {side}")
    return findings


def _side(root: Path, revision: Revision, path: str) -> Side | None:
    text = revisions.content(root, revision, path)
    if text is None:
        return None
    parsed = json.loads(text)
    return Side(path, revision, parsed, model.read(parsed, model.datasources()))


def _page(running: Servers, side: Side, day: simulation.Day) -> str:
    """Return a dashboard's page with what the servers answer; it leads to no other page."""
    opened = evaluation.open_dashboard(running, side.board, evaluation.window(day.at))
    data = frames.dashboard(side.json, evaluation.document(opened, day.name))
    return pages.page(data | {"links": []}, browser.modules())


def _refused(path: str, revision: Revision, error: Exception) -> Iterator[Finding]:
    """Say why a dashboard of a revision cannot be drawn."""
    for one in misread(path, error):
        # What is committed cannot be corrected any more.
        fix = "name a newer BASE, or do without this picture" if revision.commit else one.fix
        yield _of(path, revision, one, fix)


def _of(path: str, revision: Revision, found: Finding, fix: str) -> Finding:
    message = f"{revision.title}: {found.message}"
    return dataclasses.replace(found, path=path, message=message, fix=fix)
