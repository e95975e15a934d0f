"""`make prove`: the alerts of two days, whom Alertmanager tells, and how soon."""

from __future__ import annotations

import argparse
from dataclasses import replace

from scripts import tools
from scripts.core.findings import Finding, execute, progress, report
from scripts.lab import simulation
from scripts.lab.alerting import faults, rulers
from scripts.lab.alerting.delivery import TEMPLATE, Delivery, deliver
from scripts.lab.alerting.rulers import Firing
from scripts.lab.simulation import Day
from scripts.model import charts
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, rule_files
from scripts.servers import monitoring


def of_day(cluster: Cluster, day: Day) -> tuple[list[Firing], Delivery]:
    """Return what fires on a day, and what Alertmanager makes of it.

    Args:
        cluster: The one that was simulated.
        day: A day that was made with its rules.
    """
    firing = rulers.of_prometheus(day, rule_files(cluster))
    progress(f"{day.name}: alerts on log lines")
    with monitoring.loki(cluster, day.logs) as loki:
        firing += rulers.of_loki(loki, day, rulers.loki_rules(cluster))
    added = rulers.external_labels(cluster)
    firing = [replace(alert, labels={**added, **alert.labels}) for alert in firing]
    return firing, deliver(firing, day.start, day.end, tools.ROOT / TEMPLATE)


def main() -> int:
    """Prove the alerts; return the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.lab.alerting", description=__doc__)
    charts.add_allow_missing(arguments)
    options = arguments.parse_args()
    if not charts.provable(Repository().syncs, allow_missing=options.allow_missing):
        return 0
    cluster = simulation.cluster()
    healthy, incident = (simulation.day(name) for name in simulation.DAYS)
    defaults = rulers.defaults(cluster)
    standard = rulers.of_prometheus(simulation.day(incident.name, rules=defaults), defaults)
    findings: list[Finding] = []
    firing, sent = of_day(cluster, healthy)
    findings += faults.judge_healthy(healthy, firing, sent)
    firing, sent = of_day(cluster, incident)
    rows = faults.rows(incident, firing, sent, standard)
    findings += faults.judge_incident(incident, rows, sent)
    print(faults.table(rows))
    found = report(findings)
    told = sum(n.reason == faults.FIRST for n in faults.notifications(sent))
    text = f"{told} notifications of {len(rows)} faults, {len(sent.held)} alerts held back"
    print(f"\n{text}; {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    execute(main)
