"""The report as Markdown for a comment of a pull request, which has room for 65,536 characters.

What comes from manifests stands in code, where GitHub and GitLab make nothing of it: no mention, no
reference, no HTML.
"""

from __future__ import annotations

import html
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from scripts.core.findings import counted
from scripts.diff.model import Action, Change, Report
from scripts.diff.outputs import formatting

# The comment is found by the beginning of its first line, which says how many flags there are.
MARKER = "<!-- todo-monitoring-diff flags={} -->"
LIMIT = 65_536
# For headings, for the note of what is left out, and for what a workflow writes above.
ROOM = 4_000
# Characters of a sentence: none may push out all others.
SENTENCE = 1_000
# Columns of an edit, as wide as a comment is.
WIDTH = 100
# Lines of an object's edits, and of its diff.
LINES = 120
WORD = re.compile(r"""([("']*)(`[^`]+`|\S+?)([.,:;)"']*)(?!\S)""")
PLAIN = re.compile(r"""(?:[^\W_]|[-.,:;()'"“”/→+=%?!·–…≥≤×])*""")
# Plain, and still made into something: an emoji, a reference (`GH-1` of GitHub, `!1` of the others,
# `%1` of GitLab), a link; in front, a list's item.
SPECIAL = re.compile(r":[\w+-]+:|GH-\d+|(?<!\w)[!%][\w\"]|://|\bwww\.", re.IGNORECASE)
ITEM = re.compile(r"[-+]|\d+[.)]")
COMPARISONS = (">", ">=", "<", "<=")
# An issue's address would tell its readers of this pull request.
ADDRESS = re.compile(r"https://(?!.*/(?:issues|pull|discussions|commit)/)[\w./%?=&#~+-]+")
# Heads of the tables.
ROW = ("", *Action, "clusters")
BUMP = ("chart", "before", "after", "clusters")
AMOUNT = ("cluster", "", "before", "after", "limit", "")


def text(report: Report, *, whole: str = "") -> str:
    """Return the report; what does not fit is left out, objects' diffs first and flags last.

    Args:
        report: What differs.
        whole: Where all of it can be read.
    """
    marker = MARKER.format(len(report.flags))
    if formatting.empty(report):
        return f"{marker}\n{formatting.NOTHING}\n"
    space = _Space(LIMIT - ROOM)
    # The first of these are the last to be left out.
    flags = space.first("flags", _flags(report))
    faults = space.first("faults", _faults(report))
    bumps = space.first("chart versions", _bumps(report))
    budget = space.first("budget lines", _budget(report))
    rows = space.first("rows", _rows(report))
    topics = list(_topics(report, space))
    pictures = [code(one.dashboard) for one in report.pictures if one.drawn]
    drawn = space.first("pictures", pictures)
    objects = list(_objects(report.changes, space))
    first, *others = formatting.headline(report)
    parts = [
        f"{marker}\n## What changes in the clusters",
        f"{code(report.base)} → {code(report.head)}",
        " · ".join([f"**{first}**", *others]),
        _left_out(space.left_out, whole),
        "\n".join(_table(ROW, rows)),
        *_section("Charts", _table(BUMP, bumps)),
        *_section("Flags", flags),
        *_section("Budget", [*_table(AMOUNT, budget), *_as_before(report)]),
        *topics,
        *_section("Objects", ["\n\n".join(objects)] if objects else []),
        *_section("Pictures", _pictures(drawn, formatting.undrawn(report.pictures))),
        *_section("Not compared", faults),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


class _Space:
    """The characters that are left, and what had no room.

    Attributes:
        left_out: How many, by what they are.
    """

    def __init__(self, characters: int) -> None:
        """Start with so many characters, each as UTF-16 counts it."""
        self._left = characters
        self.left_out: Counter[str] = Counter()

    def take(self, block: str) -> bool:
        """Say whether a block has room, with a blank line, and take it."""
        needed = len(block.encode("utf-16-le")) // 2 + 2
        if needed > self._left:
            return False
        self._left -= needed
        return True

    def first(self, noun: str, blocks: Iterable[str]) -> list[str]:
        """Return blocks up to the first that has no room."""
        blocks = list(blocks)
        kept = list(itertools.takewhile(self.take, blocks))
        self.left_out[noun] += len(blocks) - len(kept)
        return kept


def code(content: str) -> str:
    """Return text as a code span, whatever it holds."""
    shown_ = formatting.clip(formatting.line(content), SENTENCE)
    if not shown_:
        return ""
    ticks = "`" * (1 + max(map(len, re.findall("`+", shown_)), default=0))
    pad = " " if "`" in (shown_[0], shown_[-1]) else ""
    return f"{ticks}{pad}{shown_}{pad}{ticks}"


def prose(content: str) -> str:
    """Return a sentence in which every word that is not plain is code."""
    words = WORD.sub(_word, formatting.clip(formatting.line(content).strip(), SENTENCE))
    return re.sub("(?<!`)` `(?!`)", " ", words)


def _word(found: re.Match[str]) -> str:
    before, word, after = found.groups()
    if ADDRESS.fullmatch(word):
        return f"{before}<{word}>{after}"
    special = SPECIAL.search(found[0]) or (not found.start() and ITEM.fullmatch(found[0]))
    if not special and (PLAIN.fullmatch(word) or (found.start() and word in COMPARISONS)):
        return found[0]
    spanned = re.fullmatch("`([^`]+)`", word)
    return f"{before}{code(spanned[1] if spanned else word)}{after}"


def fence(lines: Iterable[str]) -> str:
    """Return lines as a block of a diff, whatever they hold."""
    content = "\n".join(lines)
    ticks = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", content))])
    return f"{ticks}diff\n{content}\n{ticks}"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"### {title}", "\n".join(lines)] if lines else []


def _table(heads: Sequence[str], rows: Sequence[str]) -> list[str]:
    return [_row(heads), _row(["---"] * len(heads)), *rows] if rows else []


def _row(cells: Iterable[str]) -> str:
    # A pipe ends a cell even in code.
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _left_out(left_out: Counter[str], whole: str) -> str:
    parts = [f"{count} {noun}" for noun, count in left_out.items() if count]
    if not parts:
        return ""
    where = f"All of it: {prose(whole)}" if whole else prose(formatting.WHOLE)
    return f"> [!NOTE]\n> Left out, as there is no room: {', '.join(parts)}. {where}"


def _beside(where: str) -> str:
    return f" · {prose(where)}" if where else ""


def _pictures(drawn: Sequence[str], hint: str) -> list[str]:
    shown_ = [f"In the HTML report: {', '.join(drawn)}."] if drawn else []
    return [*shown_, *([prose(hint)] if hint else [])]


def _flags(report: Report) -> Iterator[str]:
    for flag in report.flags:
        where = f"{code(flag.where)}{_beside(formatting.places(flag.places))}"
        yield f"- {code(flag.name)} {where}<br>{prose(flag.why)}<br>**Fix:** {prose(flag.fix)}"


def _faults(report: Report) -> Iterator[str]:
    for fault in report.faults:
        place = f"{fault.path}:{fault.line}" if fault.line else fault.path
        yield f"- {code(place)}: {prose(fault.message)}<br>**Fix:** {prose(fault.fix)}"


def _bumps(report: Report) -> Iterator[str]:
    for bump in report.bumps:
        own = "" if bump.chart == bump.release else f" (release {code(bump.release)})"
        versions = map(prose, formatting.bump_cells(bump))
        yield _row((f"{code(bump.chart)}{own}", *versions, prose(formatting.places(bump.places))))


def _budget(report: Report) -> Iterator[str]:
    for one in formatting.changed_amounts(report.amounts):
        cells = map(prose, formatting.amount_cells(one))
        yield _row((*cells, "**over**" if one.over else ""))


def _as_before(report: Report) -> list[str]:
    rest = formatting.unchanged_amounts(report.amounts)
    return ["", f"As before: {prose(rest)}"] if rest else []


def _rows(report: Report) -> Iterator[str]:
    rows, more = formatting.rows(report)
    for row in rows:
        counts = (str(row.counts[action] or "") for action in Action)
        yield _row((prose(row.owner), *counts, prose(row.where)))
    if more:
        yield _row((f"… and {more} more", *[""] * (len(ROW) - 1)))


def _topics(report: Report, space: _Space) -> Iterator[str]:
    for topic, sentences in formatting.topics(report).items():
        items = [f"- {prose(one)}{_beside(where)}" for one, where in sentences]
        items[0] = f"### {prose(topic)}\n\n{items[0]}"
        if kept := space.first("sentences", items):
            yield "\n".join(kept)


def _objects(changes: Sequence[Change], space: _Space) -> Iterator[str]:
    """Yield a block for each release or unit; edits have room before any object's diff has."""
    groups: list[tuple[str, list[tuple[Change, list[str]]]]] = []
    for owner, where, changed in formatting.groups(changes):
        heading = f"#### {prose(owner)}{_beside(where)}"
        if not space.take(heading):
            break
        kept = list(itertools.takewhile(lambda one: space.take(_object(one, ())), changed))
        groups.append((heading, [(change, []) for change in kept]))
        if len(kept) < len(changed):
            break
    listed = [sync for _, own in groups for sync in own]
    space.left_out["objects"] += len(changes) - len(listed)
    for noun, body in (("objects' edits", _edits), ("objects' diffs", _diff)):
        for change, blocks in listed:
            lines = body(change)
            more = len(lines) - LINES
            if more > 0:
                lines[LINES:] = [f" … and {more} more lines"]
            block = fence(lines)
            if lines and space.take(block):
                blocks.append(block)
                space.left_out["lines of objects"] += max(more, 0)
            elif lines:
                space.left_out[noun] += 1
    for heading, own in groups:
        yield "\n".join([heading, *(_object(*sync) for sync in own)])


def _object(change: Change, blocks: Sequence[str]) -> str:
    content = "\n\n".join(["", *blocks, ""]) if blocks else ""
    summary = f"<code>{html.escape(formatting.signed(change))}</code>"
    if change.edits:
        summary += f" {counted(len(change.edits), 'edit')}"
    return f"<details><summary>{summary}</summary>{content}</details>"


def _edits(change: Change) -> list[str]:
    lines: list[str] = []
    for one in change.edits:
        path, *rest = formatting.edit(one, WIDTH)
        lines += [f"  {path}", *rest]
    return lines


def _diff(change: Change) -> list[str]:
    return formatting.block(change.text).splitlines()
