"""`make scale`, for logs: Loki on a bucket, in three and in its parts, with what the charts render.

Everything runs as processes on loopback: Loki, Alloy, and an S3 server that checks signatures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from scripts import simulation
from scripts.core.findings import Finding, execute, report
from scripts.grafana.model import committed
from scripts.lab.scale.logs import answers, bad_input, cost, migration, replica_loss
from scripts.lab.scale.logs.variants import BUCKET, DISTRIBUTED, NEW, REPLICAS, variant
from scripts.model import charts
from scripts.model.manifests import Repository
from scripts.servers.monitoring import prometheus

_DAY = simulation.DAYS[0]
_THREE, _PARTS = (BUCKET, NEW, REPLICAS), (BUCKET, NEW, DISTRIBUTED)
# Seconds that costs are measured for, each.
_SECONDS = 60.0


def _answers() -> list[Finding]:
    day, findings = simulation.day(_DAY), []
    with prometheus(simulation.cluster(), day.tsdb) as metrics:
        asked = []
        for name, parts, refuse in (
            ("one, on a volume", (), False),
            ("three, a bucket", _THREE, False),
            ("three, signed parts refused", _THREE, True),
            ("its parts, a bucket", _PARTS, False),
        ):
            one, found = answers.ask(
                name, variant(*parts), metrics, day, committed(), refuse_chunked=refuse
            )
            asked.append(one)
            findings += [*found, *(answers.differences(asked[0], one) if asked[1:] else ())]
    print(answers.table(asked))
    return findings


def _loss() -> list[Finding]:
    outcome = replica_loss.prove(variant(*_THREE))
    print(outcome.table())
    return outcome.findings


def _migration() -> list[Finding]:
    findings = []
    for steps in migration.SCENARIOS:
        results, found = migration.prove(steps)
        print(f"{migration.table(results)}\n")
        findings += found
    return findings


def _bad_input() -> list[Finding]:
    told = list(bad_input.tell_all())
    print(bad_input.table(told))
    return list(bad_input.unheard(told))


def _cost() -> list[Finding]:
    day = simulation.day(_DAY)
    clusters = {"three": variant(*_THREE), "its parts": variant(*_PARTS)}
    print(
        cost.table(
            [
                cost.measure(name, cluster, day, factor, _SECONDS)
                for name, cluster in clusters.items()
                for factor in cost.FACTORS
            ]
        )
    )
    return []


PARTS: Mapping[str, Callable[[], list[Finding]]] = {
    "answers": _answers,
    "loss": _loss,
    "migration": _migration,
    "bad-input": _bad_input,
    "cost": _cost,
}


def main() -> int:
    """Prove what is named, or all; return the exit code."""
    arguments = argparse.ArgumentParser(
        prog="python -m scripts.lab.scale.logs", description=__doc__
    )
    arguments.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    charts.add_allow_missing(arguments)
    options = arguments.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        arguments.error(f"there is no {', '.join(sorted(unknown))}; use {', '.join(PARTS)}")
    if not charts.provable(Repository().syncs, allow_missing=options.allow_missing):
        return 0
    findings = []
    for name in options.parts or PARTS:
        findings += PARTS[name]()
        print()
    count = report(findings)
    print(f"{count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    execute(main)
