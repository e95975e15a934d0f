"""`make triage`: what fires in the cluster that kubectl reaches, and the evidence; it only reads.

Asks the queries of each alert's runbook, prints what they show beside what the page expects, and
names the cause before what Alertmanager holds back because of it.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime

from scripts.core import findings, kubectl
from scripts.core.findings import Finding, execute, report
from scripts.live.triage import output, servers
from scripts.live.triage.investigation import Case, Investigation

TIMEOUT = 20.0
# Alerts of one name that are looked into; the others are about more of the same.
OF_ONE_NAME = 3


def options() -> argparse.Namespace:
    """Return the arguments of the command line."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.live.triage", description=__doc__)
    arguments.add_argument("alert", nargs="?", default="", help="an alert; else all that fires")
    arguments.add_argument("--output", choices=("text", "json"), default="text")
    arguments.add_argument(
        "--at", type=_moment, help="ask as of then, such as 2026-01-31T20:00:00Z; else now"
    )
    arguments.add_argument(
        "--timeout", type=float, default=TIMEOUT, help="seconds that an answer may take"
    )
    return arguments.parse_args()


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 2026-01-31T20:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def chosen(cases: list[Case]) -> tuple[list[Case], list[str]]:
    """Return the alerts that are looked into, and what is left out."""
    kept: list[Case] = []
    dropped: dict[str, int] = {}
    for case in cases:
        if sum(other.alert == case.alert for other in kept) < OF_ONE_NAME:
            kept.append(case)
        else:
            dropped[case.alert] = dropped.get(case.alert, 0) + 1
    return kept, [f"{count} more of {name}" for name, count in dropped.items()]


def main() -> int:
    """Look into what fires; return the exit code."""
    given = options()
    context = kubectl.context()
    as_text = given.output == "text"
    cases: list[Case] = []
    with servers.reach(given.timeout) as (reached, absent):
        investigation = Investigation(reached, given.at or time.time(), absent)
        try:
            firing = investigation.firing()
            found, left_out = chosen(investigation.cases(firing, given.alert))
            if as_text:
                print(output.head(investigation, context, found))
            for number, case in enumerate(found, 1):
                cases.append(case)
                investigation.look_into(case)
                if as_text:
                    print(output.text(number, case, investigation.at), flush=True)
            if as_text and left_out:
                print(f"\nnot looked into: {', '.join(left_out)}")
        finally:
            wrong = _distinct(investigation.findings)
            if not as_text:
                print(json.dumps(output.document(investigation, context, cases, wrong), indent=2))
            report(wrong)
    return 1 if wrong else 0


def _distinct(found: list[Finding]) -> list[Finding]:
    return list(dict.fromkeys(found))


def interruptible() -> int:
    """Look into what fires until somebody interrupts; kubectl is ended either way."""
    return findings.interruptible(main, "interrupted; what was found so far is above")


if __name__ == "__main__":
    execute(interruptible)
