"""The report as data for programs, in the shape of `scripts/diff/report.schema.json`.

The page draws from it, `--format json` prints it, and `scripts.diff.mcp` answers from it. What
cannot be seen in a text (terminal sequences, marks that turn the direction of writing) is written
as its escape, here as in every output: the next to read it may be a terminal or a model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from scripts.core.yamlfile import Json
from scripts.diff.model import ABSENT, Absent, Action, Amount, Bump, Change, Edit, Flag, Report
from scripts.diff.outputs import formatting
from scripts.diff.outputs.formatting import block, line

# Of the format: raised where a field goes, is renamed or means something else.
VERSION = 1


def text(report: Report) -> str:
    """Return the report as JSON, without a newline at its end."""
    return json.dumps(data(report), ensure_ascii=False, indent=2, allow_nan=False)


def data(report: Report) -> dict[str, Json]:
    """Return the report as maps, lists and values of JSON."""
    declaring = formatting.declaring(report.changes)
    titles = {formatting.title(one): line(f"{one.kind} {one.name}") for one in report.changes}
    return {
        "version": VERSION,
        "base": line(report.base),
        "head": line(report.head),
        "differs": not formatting.empty(report),
        "blocking": report.blocking,
        "headline": formatting.headline(report),
        "counts": [
            {
                "unit": line(row.unit),
                "release": row.release,
                "places": _lines(row.places),
                **{action.value: row.counts[action] for action in Action},
            }
            for row in formatting.counts(report)
        ],
        "bumps": [_bump(one) for one in report.bumps],
        "flags": [_flag(one, titles) for one in report.flags],
        "budget": [_amount(one) for one in report.amounts],
        "topics": _topics(report),
        "pictures": [
            {"dashboard": line(p.dashboard), "before": _drawn(p.before), "after": _drawn(p.after)}
            for p in report.pictures
        ],
        "changes": [
            _change(one, declares) for one, declares in zip(report.changes, declaring, strict=True)
        ],
        "faults": [
            {
                "path": line(fault.path),
                "line": fault.line,
                "message": line(fault.message),
                "fix": line(fault.fix),
            }
            for fault in report.faults
        ],
    }


def printable(content: Any) -> Json:
    """Return a value as one of JSON, which has no dates, no infinity and no keys but texts.

    In its texts, what is not printable is written as its escape.
    """
    if isinstance(content, dict):
        return {block(str(key)): printable(item) for key, item in content.items()}
    if isinstance(content, list):
        return [printable(item) for item in content]
    if isinstance(content, bool | int | None) or (
        isinstance(content, float) and math.isfinite(content)
    ):
        return content
    return block(str(content))


def _bump(bump: Bump) -> dict[str, Json]:
    return {
        "release": line(bump.release),
        "chart": line(bump.chart),
        "before": line(bump.before) or None,
        "after": line(bump.after) or None,
        "application": {
            "before": line(bump.application_before) or None,
            "after": line(bump.application_after) or None,
        },
        "places": _lines(bump.places),
    }


def _flag(flag: Flag, titles: Mapping[str, str]) -> dict[str, Json]:
    # Flags that differ only in whom they are about are one, with all of them.
    named = {line(part) for part in flag.where.split(", ")}
    return {
        "name": flag.name.value,
        "where": line(flag.where),
        "objects": [title for title, short in titles.items() if named & {title, short}],
        "why": line(flag.why),
        "fix": line(flag.fix),
        "places": _lines(flag.places),
        "blocks": flag.blocks,
    }


def _amount(amount: Amount) -> dict[str, Json]:
    former = amount.former or (amount.limit if amount.before else "")
    return {
        "cluster": line(amount.cluster),
        "resource": line(amount.resource),
        "before": line(amount.before) or None,
        "after": line(amount.after) or None,
        "limit": {
            "before": None if former == formatting.NONE else line(former) or None,
            "after": line(amount.limit) or None,
        },
        "over": amount.over,
    }


def _topics(report: Report) -> list[Json]:
    found: dict[str, list[Json]] = {}
    for sentence in report.sentences:
        own = found.setdefault(line(sentence.topic), [])
        own.append({"text": line(sentence.text), "places": _lines(sentence.places)})
    return [{"topic": topic, "sentences": own} for topic, own in found.items()]


def _drawn(picture: str | Absent | None) -> str:
    if picture is ABSENT:
        return "absent"
    return "not drawn" if picture is None else "drawn"


def _change(change: Change, declares: bool) -> dict[str, Json]:
    return {
        "title": formatting.title(change),
        "kind": line(change.kind),
        "namespace": line(change.namespace) or None,
        "name": line(change.name),
        "action": change.action.value,
        "unit": line(change.unit),
        "release": change.release,
        "places": _lines(change.places),
        "declares": declares,
        "edits": [_edit(one) for one in change.edits],
        "text": block(change.text),
    }


def _edit(edit: Edit) -> dict[str, Json]:
    sides = {"before": edit.before, "after": edit.after}
    # None is a value of YAML, so what is not there has no field.
    there = {name: printable(content) for name, content in sides.items() if content is not ABSENT}
    return {"path": line(edit.path), **there}


def _lines(names: tuple[str, ...]) -> list[str]:
    return [line(name) for name in names]
