"""`make gallery`: the README's pictures of the dashboards, drawn anew.

Run as `python -m scripts.lab.preview.gallery`, after `make prove`. Each shows what a window of
1366×768 pixels does, smaller, on the day with faults: there is more to see.
"""

from __future__ import annotations

from pathlib import Path

from scripts import simulation, tools
from scripts.core.findings import Finding, execute, report
from scripts.lab.preview import results
from scripts.lab.preview.__main__ import OUTPUT, RESULTS
from scripts.model import dashboards
from scripts.servers import browser

FOLDER = Path(".github/dashboards")
SCALE = 0.5
# Of one picture, in bytes: every clone carries each that was ever committed.
LARGEST = 60 * 1024


def main() -> int:
    """Draw; return 1 where the browser saw a fault, or a picture is too large."""
    pages = results.write([simulation.DAYS[-1]], [], RESULTS, OUTPUT)
    folder = tools.ROOT / FOLDER
    folder.mkdir(exist_ok=True)
    jobs = [browser.PageJob(p, picture=folder / f"{p.stem}.jpeg", scale=SCALE) for p in pages]
    findings = []
    for seen in browser.open_pages(jobs):
        # What else may be wrong with a page, `make preview` says, where no pixel is left out.
        picture = seen.job.picture
        if picture and picture.stat().st_size > LARGEST:
            path, text = FOLDER / picture.name, f"has {picture.stat().st_size} bytes"
            fix = f"keep below {LARGEST}: reduce SCALE in {Path(__file__).name}"
            findings.append(Finding(path.as_posix(), None, text, fix))
    for old in folder.glob("*.jpeg"):
        if f"{old.stem}.json" not in dashboards.load(tools.ROOT):
            old.unlink()
    return 1 if report(findings) else 0


if __name__ == "__main__":
    execute(main)
