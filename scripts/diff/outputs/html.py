"""The report as one page that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.diff.model import Absent, Action, Change, Picture, Report
from scripts.diff.outputs import formatting

FOLDER = Path(__file__).resolve().parent
# Characters of all pictures, so that a browser opens the page at once: some ten dashboards have it.
ROOM = 16 << 20


def page(report: Report) -> str:
    """Return the page; pictures are read from their files."""
    style, script = ((FOLDER / f"page.{kind}").read_text() for kind in ("css", "js"))
    # A manifest may hold what would end the script element.
    data = json.dumps(_data(report), separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        # Were anything of a manifest taken for markup, it could neither run nor load.
        "policy": f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        "title": html.escape(formatting.line(f"{report.base} → {report.head}")),
        "nothing": formatting.NOTHING,
        "style": style,
        "data": data,
        "script": script,
    }
    template = (FOLDER / "page.html").read_text()
    return re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], template)


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _data(report: Report) -> dict[str, Any] | None:
    """Return what `page.js` draws: tables as lists of cells, texts as they are shown."""
    if formatting.empty(report):
        return None
    rows, more = formatting.rows(report)
    return {
        "revisions": formatting.line(f"{report.base} → {report.head}"),
        "headline": formatting.headline(report),
        "rows": [[r.owner, *(str(r.counts[a] or "") for a in Action), r.where] for r in rows],
        "more": more,
        "bumps": [
            [
                formatting.line(b.chart),
                formatting.line(b.release),
                *formatting.bump_cells(b),
                formatting.places(b.places),
            ]
            for b in report.bumps
        ],
        "flags": [
            {
                "name": formatting.line(f.name),
                "object": formatting.line(f.where),
                "where": formatting.places(f.places),
                "why": formatting.line(f.why),
                "fix": formatting.line(f.fix),
            }
            for f in report.flags
        ],
        "amounts": [
            {
                "cells": [*formatting.amount_cells(a), "over" if a.over else ""],
                "over": a.over,
            }
            for a in formatting.changed_amounts(report.amounts)
        ],
        "asBefore": formatting.unchanged_amounts(report.amounts),
        "topics": [
            {"title": topic, "sentences": [{"text": t, "where": where} for t, where in sentences]}
            for topic, sentences in formatting.topics(report).items()
        ],
        **_pictures(report.pictures),
        "changes": [_change(one) for one in report.changes],
        "faults": [
            {
                "object": formatting.line(f"{f.path}:{f.line}" if f.line else f.path),
                "why": formatting.line(f.message),
                "fix": formatting.line(f.fix),
            }
            for f in report.faults
        ],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "owner": formatting.owner(change),
        "where": formatting.places(change.places),
        "clusters": sorted({formatting.line(place.partition("/")[0]) for place in change.places}),
        "kind": formatting.line(change.kind),
        "title": formatting.title(change),
        "action": change.action,
        "sign": formatting.SIGNS[change.action],
        "edits": [[formatting.line(one.path), *formatting.values(one)] for one in change.edits],
        "text": formatting.block(change.text),
    }


def _pictures(found: Sequence[Picture]) -> dict[str, Any]:
    """Return pictures up to the first that has no room, and what to say of the others."""
    drawn, left_out, room = [], [], ROOM
    for one in found:
        if not one.drawn:
            continue
        before, after = _picture(one.before), _picture(one.after)
        room -= len(before["source"]) + len(after["source"])
        if room < 0:
            left_out.append(one.dashboard)
        else:
            name = formatting.line(one.dashboard)
            drawn.append({"dashboard": name, "before": before, "after": after})
    more = f"Left out, as there is no room: {', '.join(left_out)}." if left_out else ""
    notes = [formatting.line(note) for note in (more, formatting.undrawn(found)) if note]
    return {"pictures": drawn, "notes": notes}


def _picture(picture: str | Absent | None) -> dict[str, str]:
    if not isinstance(picture, str):
        return {"source": "", "words": formatting.placeholder(picture)}
    content = base64.b64encode(Path(picture).read_bytes()).decode()
    return {"source": f"data:image/png;base64,{content}", "words": ""}
