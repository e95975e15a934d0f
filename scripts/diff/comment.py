"""`make comment`: write the report of `make diff` into the merge or pull request of this job.

GitLab's pipeline runs it, and on Forgejo and Gitea the workflow Diff. GitHub's workflow Comment
says the same in a script of its own, as it may run nothing of a pull request.

Run as `python -m scripts.diff.comment [FOLDER]`.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import tools
from scripts.core.findings import execute, progress
from scripts.diff import forges
from scripts.diff.outputs import MARKDOWN, markdown

# How a comment of this kind begins, on every forge.
MARK = markdown.MARKER.partition(" flags=")[0]
# Who has read the flags adds it.
LABEL = "flags-acknowledged"
_FIRST = re.compile(re.escape(markdown.MARKER).replace(r"\{\}", r"(\d+)"))


def about(commit: str) -> str:
    """Return the first line of the comment that is about a commit."""
    return f"{MARK} commit={commit} -->"


def flags(report: str) -> int | None:
    """Return how many flags a report has; None if it is no report."""
    found = _FIRST.fullmatch(report.partition("\n")[0])
    return int(found[1]) if found else None


def body(report: str, request: forges.Request, *, acknowledged: bool) -> str:
    """Return the comment, which has room on every forge as the report has room on GitHub."""
    made = f"Made by this {request.noun}'s own code at {request.commit}; {request.whole}."
    lines = [about(request.commit), made, ""]
    if flags(report) is None:
        return "\n".join([*lines, "**Nothing to show: the run wrote no report.**", ""])
    if flags(report) and not acknowledged:
        advice = f"The flags advise. Who has read them adds the label `{LABEL}`; a push"
        lines += [f"{advice} takes it away.", ""]
    return "\n".join([*lines, report.partition("\n")[2]])


def comment(report: str, request: forges.Request) -> bool:
    """Write the comment, or the one that is there anew; say whether nothing is left to read.

    Args:
        report: As `make diff` wrote it; empty if it wrote none.
        request: What it is about.

    Raises:
        RepositoryError: If the forge does not do what it is asked.
    """
    state = request.state()
    if not state.open or state.commit != request.commit:
        progress(f"nothing to write: {request.commit} is no longer the head of an open request")
        return True
    there = next((one for one in request.own() if one.body.startswith(MARK)), None)
    # A label that is older than what is said of this commit was added for another one.
    known = there is not None and there.body.startswith(about(request.commit))
    acknowledged = LABEL in state.labels and known
    count = flags(report)
    if count and LABEL in state.labels and not known:
        request.unlabel(state.labels[LABEL])
    request.write(body(report, request, acknowledged=acknowledged), there)
    return count == 0 or (count is not None and acknowledged)


def main(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Write the comment; return 1 for flags that nobody has acknowledged, or without a report."""
    parser = argparse.ArgumentParser(prog="python -m scripts.diff.comment", description=__doc__)
    default = tools.ROOT / "build/diff"
    parser.add_argument("folder", nargs="?", type=Path, default=default, help="of the report")
    path = parser.parse_args(arguments).folder / MARKDOWN
    report = path.read_text() if path.is_file() else ""
    environment = os.environ if environment is None else environment
    if not environment.get(forges.TOKEN):
        progress(
            f"no comment, as {forges.TOKEN} is not set; scripts/README.md, In a pull request, says"
            " how to get it"
        )
        return int(flags(report) != 0)
    return int(not comment(report, forges.request(environment)))


if __name__ == "__main__":
    execute(main)
