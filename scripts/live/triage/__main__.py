"""`make triage`: what fires in the cluster that kubectl reaches, and the evidence; it only reads.

Asks the queries of each alert's runbook, prints what they show beside what the page expects, and
names the cause before what Alertmanager holds back because of it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scripts.core import findings, kubectl
from scripts.core.findings import RepositoryError, execute, report
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


def chosen(cases: list[Case]) -> tuple[list[Case], dict[str, int]]:
    """Return the alerts that are looked into, and how many more of a name are left out."""
    kept: list[Case] = []
    dropped: dict[str, int] = {}
    for case in cases:
        if sum(other.alert == case.alert for other in kept) < OF_ONE_NAME:
            kept.append(case)
        else:
            dropped[case.alert] = dropped.get(case.alert, 0) + 1
    return kept, dropped


@dataclass
class Run:
    """One run, and what it has found so far.

    Attributes:
        given: The command line.
        context: Of kubectl.
        cases: Alerts that were looked into.
        left_out: How many more there are of a name.
    """

    given: argparse.Namespace
    investigation: Investigation
    context: str = ""
    cases: list[Case] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Look into what fires, and print it where it is for people.

        Raises:
            RepositoryError: If the cluster cannot be reached, or there is no alert of that name.
        """
        self.context = kubectl.context()
        as_text = self.given.output == "text"
        with servers.reach(self.given.timeout) as (reached, absent):
            self.investigation.servers = reached
            self.investigation.findings += absent
            firing = self.investigation.firing()
            found = self.investigation.cases(firing, self.given.alert)
            kept, self.left_out = chosen(found)
            if as_text:
                print(output.head(self.investigation, self.context, kept))
            for number, case in enumerate(kept, 1):
                self.cases.append(case)
                try:
                    self.investigation.look_into(case)
                finally:
                    if as_text:
                        print(output.text(number, case, self.investigation.at), flush=True)
            if as_text and self.left_out:
                more = (f"{count} more of {name}" for name, count in self.left_out.items())
                print(f"\nnot looked into: {', '.join(more)}")

    def end(self) -> int:
        """Print what is wrong, and all of it where it is for programs; return the exit code."""
        wrong = list(dict.fromkeys(self.investigation.findings))
        if self.given.output == "json":
            document = output.document(
                self.investigation, self.context, self.cases, self.left_out, wrong
            )
            print(json.dumps(document, indent=2))
        report(wrong)
        return 1 if wrong else 0


def main() -> int:
    """Look into what fires; return the exit code."""
    given = options()
    run = Run(given, Investigation({}, given.at or time.time()))
    try:
        run.look()
    except RepositoryError as error:
        run.investigation.findings += error.findings
    except KeyboardInterrupt:
        run.end()
        raise
    return run.end()


def interruptible() -> int:
    """Look into what fires until somebody interrupts; kubectl is ended either way."""
    return findings.interruptible(main, "interrupted; what was found so far is above")


if __name__ == "__main__":
    execute(interruptible)
