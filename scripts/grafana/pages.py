"""Pages that open without a network: data, scripts, styles and fonts in one file."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.grafana import library

FOLDER = Path(__file__).resolve().parent
# Their top-level names are shared, so that the order counts.
SCRIPTS = ("fields.js", "own.js", "page.js")


def page(data: Mapping[str, Any]) -> str:
    """Return a dashboard's page.

    Args:
        data: What `frames.dashboard` returns, with `links`: `{title, href, current}` of the pages
            of the same day.

    Raises:
        RepositoryError: If Grafana's libraries cannot be had.
    """
    scripts = (library.folder() / library.SCRIPT, *(FOLDER / name for name in SCRIPTS))
    # A log line, or a library, may hold what would end the script element.
    script = "\n".join(path.read_text() for path in scripts).replace("</script", "<\\/script")
    style = (library.folder() / library.STYLE).read_text() + _style()
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    title = html.escape(f"{data['title']} · {data['day']} day · preview")
    return _fill(title=title, style=style, data=text, script=script)


def index(days: Mapping[str, Iterable[Mapping[str, str]]]) -> str:
    """Return the list of all pages.

    Args:
        days: The dashboards by day: `{uid, title, description}`.
    """
    parts = [
        '<div class="notice">Previews, not Grafana: drawn from simulated days with '
        "Grafana's own libraries.</div>"
    ]
    for day, dashboards in days.items():
        parts.append(f'<div class="bar"><h1>{html.escape(day.capitalize())} day</h1></div>')
        cards = []
        for one in dashboards:
            address = f"{day}/{one['uid']}"
            words = {key: html.escape(text) for key, text in one.items()}
            cards.append(
                f'<a href="{address}.html"><img src="{address}.png" alt="">'
                f"<strong>{words['title']}</strong><span>{words['description']}</span></a>"
            )
        parts.append(f'<div class="index">{"".join(cards)}</div>')
    filled = _fill(title="Previews of the dashboards", style=_style(), data="null", script="")
    return filled.replace('<main id="grid"></main>', f"<main>{''.join(parts)}</main>")


def _style() -> str:
    fonts = []
    for name in library.FONTS:
        content = base64.b64encode((library.folder() / library.font(name)).read_bytes()).decode()
        source = f"url(data:font/woff2;base64,{content})"
        fonts.append(f"@font-face{{font-family:{name!r};font-weight:100 900;src:{source}}}")
    return "".join(fonts) + (FOLDER / "page.css").read_text()


def _fill(**parts: str) -> str:
    template = (FOLDER / "page.html").read_text()
    return re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], template)
