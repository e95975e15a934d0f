"""Grafana's own libraries as one script for the pages, built once into the per-user cache.

`@grafana/data` and `@grafana/ui` are on npm under Apache-2.0, at the version of Grafana's image in
`base/releases/grafana.yaml`. They are 400 MB with all that they name; esbuild takes what
`library.mjs` imports, 2 MB, and nothing else is kept.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError
from scripts.grafana import model
from scripts.servers import npm

FOLDER = Path(__file__).resolve().parent
ENTRY = FOLDER / "library.mjs"
SOURCES = (ENTRY, FOLDER / "icons.mjs", Path(__file__))
SCRIPT, STYLE = "library.js", "library.css"
# The fonts that Grafana brings along, by Grafana's names; without them, text would be cut at other
# places.
FONTS = {
    "Inter": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "Roboto Mono": "@fontsource-variable/roboto-mono/files/roboto-mono-latin-wght-normal.woff2",
}
# Pages are in UTC: the time zones of ten years instead of all save a third of the script.
_ZONES = "moment-timezone/builds/moment-timezone-with-data-10-year-range.js"
_OPTIONS = (
    "--bundle",
    "--minify",
    "--format=iife",
    "--log-level=error",
    '--define:process.env.NODE_ENV="production"',
    "--alias:react-inlinesvg=./icons.mjs",
    f"--alias:moment-timezone=./node_modules/{_ZONES}",
    # The editor of queries, which no page shows.
    "--external:monaco-editor",
    f"--outfile=kept/{SCRIPT}",
)


def folder() -> Path:
    """Return the folder with SCRIPT, STYLE and a file for each of FONTS.

    Raises:
        RepositoryError: If Node.js is missing, or npm or esbuild fails.
    """
    return npm.installed(FOLDER, _bundle, *SOURCES)


def version_findings() -> list[Finding]:
    """Return a finding where clusters get another minor version than pages are drawn with."""
    drawn = json.loads((FOLDER / "package.json").read_text())["dependencies"]["@grafana/data"]
    given = str((model.release_values().get("image") or {}).get("tag") or drawn)
    if given.split(".")[:2] == drawn.split(".")[:2]:
        return []
    text = f"clusters get Grafana {given}, pages are drawn with the libraries of {drawn}"
    fix = (
        "set @grafana/data and @grafana/ui to the nearest version that npm has, and run "
        "`npm install --package-lock-only --ignore-scripts` there"
    )
    return [Finding("scripts/grafana/package.json", None, text, fix)]


def font(name: str) -> str:
    """Return the file of a font in `folder()`."""
    return FONTS[name].rpartition("/")[2]


def _bundle(scratch: Path) -> Path:
    for source in SOURCES[:2]:
        shutil.copy(source, scratch)
    node, esbuild = npm.program(("node",), npm.NODE), "node_modules/esbuild/bin/esbuild"
    done = subprocess.run(
        (node, esbuild, ENTRY.name, *_OPTIONS),
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"esbuild failed: {done.stderr.strip()[:600]}"
        fix = "import what the pinned versions export"
        raise RepositoryError(Finding("scripts/grafana/library.mjs", None, message, fix))
    kept = scratch / "kept"
    for name, file in FONTS.items():
        shutil.copy(scratch / "node_modules" / file, kept / font(name))
    return kept
