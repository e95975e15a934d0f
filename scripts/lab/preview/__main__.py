"""`make preview`: a page and a picture of each dashboard, and a list of them.

Run as `python -m scripts.lab.preview [--day …] [uid …]`, after `make prove`.
"""

from __future__ import annotations

import argparse
import time

from scripts import tools
from scripts.core.findings import execute, progress, report
from scripts.grafana import library
from scripts.lab.preview import results
from scripts.servers import browser

RESULTS = tools.ROOT / "build" / "proof"
OUTPUT = tools.ROOT / "build" / "preview"
# Grafana's default theme, and the other one.
THEMES = {"dark": "", "light": ".light"}


def main() -> int:
    """Write pages and pictures; return 1 where the browser saw a fault."""
    parser = argparse.ArgumentParser(prog="python -m scripts.lab.preview", description=__doc__)
    parser.add_argument("--day", action="append", default=[], help="default: all with results")
    parser.add_argument("uid", nargs="*", help="default: every dashboard")
    arguments = parser.parse_args()
    started = time.monotonic()
    written = results.write(arguments.day, arguments.uid, RESULTS, OUTPUT)
    progress(f"wrote {len(written)} pages in {time.monotonic() - started:.1f} s")
    jobs = [
        browser.PageJob(page, theme, page.with_name(f"{page.stem}{suffix}.png"))
        for page in written
        for theme, suffix in THEMES.items()
    ]
    findings = library.version_findings()
    for number, seen in enumerate(browser.open_pages(jobs), 1):
        picture = seen.job.picture
        seconds = sum(seen.report.get("seconds", {}).values())
        progress(f"{number}/{len(jobs)} {picture and picture.relative_to(OUTPUT)} {seconds:.1f} s")
        if seen.job.theme == "dark":
            for text in browser.truncated(seen):
                progress(f"    cut: {text}")
            findings += browser.too_low(seen)
        findings += browser.page_findings(seen)
    count = report(findings)
    print(f"{len(written)} previews in {time.monotonic() - started:.0f} s: {OUTPUT / 'index.html'}")
    return 1 if count else 0


if __name__ == "__main__":
    execute(main)
