"""The report for a terminal: the summary on one screen, then object by object."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Iterator

from scripts.core.columns import aligned
from scripts.core.findings import DIM, GREEN, RED, YELLOW, colour
from scripts.diff.model import Action, Change, Report
from scripts.diff.outputs import formatting

BOLD = 1
COLOURS = {Action.ADDED: GREEN, Action.CHANGED: YELLOW, Action.REMOVED: RED}
LINES = {"+": GREEN, "-": RED}
# Lines of one object, so that the next one is in sight.
OBJECT = 16
# Columns that are used however narrow the terminal is.
NARROW = 24
INDENT = 6


def text(report: Report, *, width: int = 100, summary: bool = False) -> str:
    """Return the report, coloured where standard output is a terminal.

    Args:
        report: What differs.
        width: Columns; prose is wrapped there, a line of a manifest is cut.
        summary: Whether to leave out the objects themselves.
    """
    if formatting.empty(report):
        return formatting.NOTHING
    objects, cut = _objects(() if summary else report.changes, width)
    parts = [
        _head(report),
        _table(report),
        _section("Charts", _bumps(report)),
        _section("Flags", _flags(report, width)),
        _section("Budget", _budget(report, width)),
        *(
            _section(topic, _sentences(own, width))
            for topic, own in formatting.topics(report).items()
        ),
        _section("Pictures", _pictures(report, width)),
        *objects,
        colour(f"Shortened here: {formatting.WHOLE}", DIM) if cut else "",
        _section("Not compared", _faults(report, width)),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(report: Report) -> str:
    revisions = formatting.line(f"{report.base} → {report.head}")
    return f"{colour(revisions, BOLD)}\n{' · '.join(formatting.headline(report))}"


def _section(title: str, lines: Iterable[str], where: str = "") -> str:
    body = [f"  {line}" for line in lines]
    return "\n".join([f"{colour(title, BOLD)}{_dim(where)}", *body]) if body else ""


def _table(report: Report) -> str:
    rows, more = formatting.rows(report)
    cells = [("", *Action, "")]
    for row in rows:
        cells.append((row.owner, *(str(row.counts[a] or "-") for a in Action), row.where))
    lines = list(aligned(cells, left=(0, 4)))
    if more:
        lines.append(f"… and {more} more")
    return _section("Objects", lines) if rows else ""


def _bumps(report: Report) -> list[str]:
    cells = []
    for one in report.bumps:
        name = one.chart if one.chart == one.release else f"{one.chart} (release {one.release})"
        moves = " → ".join(formatting.bump_cells(one))
        cells.append((formatting.line(name), moves, formatting.places(one.places)))
    return list(aligned(cells, left=None))


def _flags(report: Report, width: int) -> Iterator[str]:
    for flag in report.flags:
        name, where = formatting.line(flag.name), formatting.line(flag.where)
        yield f"{colour(name, RED)}  {where}{_dim(formatting.places(flag.places))}"
        yield from _wrapped(flag.why, width)
        yield from _wrapped(f"fix: {flag.fix}", width)


def _budget(report: Report, width: int) -> Iterator[str]:
    changed = formatting.changed_amounts(report.amounts)
    rows = []
    for one in changed:
        *names, before, after, limit = formatting.amount_cells(one)
        over = "over" if one.over else ""
        rows.append((*names, f"{before} → {after}", f"of {limit}" if limit else "", over))
    for one, line in zip(changed, aligned(rows, left=None), strict=True):
        yield colour(line, RED) if one.over else line
    if rest := formatting.unchanged_amounts(report.amounts):
        yield from _wrapped(f"as before: {rest}", width, indent=0)


def _sentences(sentences: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    for sentence, where in sentences:
        *first, last = _wrapped(sentence, width, indent=0)
        yield from (*first, f"{last}{_dim(where)}")


def _pictures(report: Report, width: int) -> Iterator[str]:
    for one in report.pictures:
        if one.drawn:
            yield formatting.line(one.dashboard)
            for name, picture in (("before", one.before), ("after", one.after)):
                # A path may be clicked, so it is not wrapped.
                text_ = picture if isinstance(picture, str) else formatting.placeholder(picture)
                yield f"  {name:6}  {formatting.line(text_)}"
    if hint := formatting.undrawn(report.pictures):
        yield from _wrapped(hint, width, indent=0)


def _faults(report: Report, width: int) -> Iterator[str]:
    for fault in report.faults:
        first, fix = map(formatting.line, str(fault).split("\n", 1))
        yield colour(first, RED)
        yield from _wrapped(fix.strip(), width)


def _objects(changes: Iterable[Change], width: int) -> tuple[list[str], bool]:
    """Return a section for each release or unit, and whether an object was shortened."""
    sections, cut = [], False
    for owner, where, own in formatting.groups(changes):
        lines = []
        for change in own:
            lines.append(colour(formatting.signed(change), COLOURS[change.action]))
            body = list(itertools.islice(_body(change, width), OBJECT + 1))
            cut |= len(body) > OBJECT
            lines += body[:OBJECT] + ["    …"] * (len(body) > OBJECT)
        sections.append(_section(owner, lines, where))
    return sections, cut


def _body(change: Change, width: int) -> Iterator[str]:
    for one in change.edits:
        path, *rest = formatting.edit(one, max(width - INDENT, NARROW))
        yield f"    {path}"
        yield from _manifest(rest, width)
    if not change.edits:
        yield from _manifest(formatting.block(change.text).splitlines(), width)


def _manifest(lines: Iterable[str], width: int) -> Iterator[str]:
    for line in lines:
        clipped = formatting.clip(line.expandtabs(4), max(width - INDENT, NARROW))
        yield f"    {colour(clipped, LINES[line[0]]) if line[:1] in LINES else clipped}"


def _dim(where: str) -> str:
    return f"  {colour(where, DIM)}" if where else ""


def _wrapped(text_: str, width: int, indent: int = 4) -> list[str]:
    lines = textwrap.wrap(formatting.line(text_), max(width - 2 - indent, NARROW))
    return [f"{' ' * indent}{line}" for line in lines] or [""]
