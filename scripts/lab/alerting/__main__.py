"""`make prove`: the alerts of two days, whom Alertmanager tells, and how soon."""

from __future__ import annotations

import argparse

from scripts import simulation, tools
from scripts.core.findings import execute, report
from scripts.lab.alerting import faults, firing
from scripts.lab.alerting.delivery import TEMPLATE, deliver
from scripts.model import charts
from scripts.model.manifests import Repository


def main() -> int:
    """Prove the alerts; return the exit code."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.lab.alerting", description=__doc__)
    charts.add_allow_missing(arguments)
    options = arguments.parse_args()
    if not charts.provable(Repository().syncs, allow_missing=options.allow_missing):
        return 0
    cluster = simulation.cluster()
    healthy, incident = (simulation.day(name) for name in simulation.DAYS)
    rules = firing.default_rules(cluster)
    defaults = firing.of_prometheus(simulation.day(incident.name, rules=rules), rules)
    alerts = firing.of_day(cluster, healthy)
    sent = deliver(alerts, healthy.start, healthy.end, tools.ROOT / TEMPLATE)
    findings = faults.check_healthy(healthy, alerts, sent)
    alerts = firing.of_day(cluster, incident)
    sent = deliver(alerts, incident.start, incident.end, tools.ROOT / TEMPLATE)
    results = faults.results(incident, alerts, sent, defaults)
    findings += faults.check_incident(incident, results, sent)
    print(faults.table(results))
    count = report(findings)
    first = sum(n.reason == faults.FIRST for n in faults.notifications(sent))
    suppressed = f"{len(sent.suppressed)} alerts held back"
    print(f"\n{first} notifications of {len(results)} faults, {suppressed}; {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    execute(main)
