"""The report as one page that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.diff.model import Picture, Report
from scripts.diff.outputs import data, formatting

FOLDER = Path(__file__).resolve().parent
# Characters of all pictures, so that a browser opens the page at once: some ten dashboards have it.
ROOM = 16 << 20


def page(report: Report) -> str:
    """Return the page, on which `page.js` draws the data; pictures are read from their files."""
    style, script = ((FOLDER / f"page.{kind}").read_text() for kind in ("css", "js"))
    images, notes = _images(report.pictures)
    drawn = {"report": data.data(report), "images": images, "notes": notes}
    # A manifest may hold what would end the script element.
    embedded = json.dumps(drawn, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        # Were anything of a manifest taken for markup, it could neither run nor load.
        "policy": f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        "title": html.escape(formatting.line(f"{report.base} → {report.head}")),
        "nothing": formatting.NOTHING,
        "style": style,
        "data": embedded,
        "script": script,
    }
    template = (FOLDER / "page.html").read_text()
    return re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], template)


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _images(found: Sequence[Picture]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return pictures up to the first that has no room, and what to say of the others.

    Returns:
        By dashboard, the addresses of its pictures `before` and `after`, where there are any; and
        sentences.
    """
    images: dict[str, dict[str, str]] = {}
    left_out, room = [], ROOM
    for one in found:
        if not one.drawn:
            continue
        sides = {"before": one.before, "after": one.after}
        own = {name: _image(path) for name, path in sides.items() if isinstance(path, str)}
        room -= sum(map(len, own.values()))
        if room < 0:
            left_out.append(one.dashboard)
        else:
            images[formatting.line(one.dashboard)] = own
    more = f"Left out, as there is no room: {', '.join(left_out)}." if left_out else ""
    return images, [formatting.line(note) for note in (more, formatting.undrawn(found)) if note]


def _image(path: str) -> str:
    return f"data:image/png;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"
