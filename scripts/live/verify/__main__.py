"""`make verify`: how soon Grafana's home page is there after a deployment, on a real cluster.

Deletes Grafana's pod once a round, whose Deployment makes a new one at once. Who opens the page is
said by GRAFANA_TOKEN, or by GRAFANA_USER and GRAFANA_PASSWORD, else it is the administrator; and
through the public URL a Viewer, whom he makes for each round and removes.
"""

from __future__ import annotations

import argparse
import os

from scripts import tools
from scripts.core import findings, kubectl
from scripts.core.findings import GREEN, RED, YELLOW, colour, confirmed, execute, progress
from scripts.core.yamlfile import load
from scripts.grafana import model
from scripts.live.verify import certificate, grafana, home_dashboard, summary, viewer
from scripts.live.verify.grafana_pods import GrafanaNamespace
from scripts.live.verify.measurement import Measurement, Round
from scripts.model.files import INVENTORY

ROUNDS = 5
LIMIT = 120.0


def options() -> argparse.Namespace:
    """Return the arguments of the command line."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.live.verify", description=__doc__)
    arguments.add_argument("--url", help=f"Grafana's public URL, in place of {INVENTORY}'s")
    arguments.add_argument("--rounds", type=_rounds, default=ROUNDS, help="how often to measure")
    arguments.add_argument("--namespace", default="monitoring", help="Grafana's namespace")
    arguments.add_argument(
        "--limit", type=float, default=LIMIT, help="seconds that each wait may take"
    )
    arguments.add_argument("--yes", action="store_true", help="delete the pod without asking")
    return arguments.parse_args()


def _rounds(text: str) -> int:
    if not text.isdecimal() or text == "0":
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds")
    return int(text)


def public_url(given: str | None) -> str:
    """Return the public URL; empty, having said so, where nobody has named one.

    Raises:
        RepositoryError: If credentials may not be sent there.
    """
    if given:
        return grafana.public(given)
    named = str(load(tools.ROOT / INVENTORY, tools.ROOT)[0]["data"]["GRAFANA_URL"])
    if not grafana.is_local(named):
        return grafana.public(named)
    print(f"public clock left out: GRAFANA_URL of {INVENTORY} is {named}; or give --url")
    return ""


def _question(given: argparse.Namespace) -> str:
    times = "once" if given.rounds == 1 else f"{given.rounds} times"
    where = f"namespace {given.namespace} of context {kubectl.context() or 'none'}"
    return f"Delete Grafana's pod {times} in {where}?"


def measured(measurement: Measurement, rounds: int) -> list[Round]:
    """Return the rounds; what was measured before an error is printed all the same."""
    done: list[Round] = []
    try:
        for number in range(1, rounds + 1):
            progress(f"round {number} of {rounds}: deleting Grafana's pod")
            done.append(measurement.round())
    finally:
        if done:
            print(summary.table(done))
    return done


def main() -> int:
    """Measure; return the exit code."""
    given = options()
    namespace = GrafanaNamespace(given.namespace)
    url = public_url(given.url)
    namespace.pod()
    if not given.yes and not confirmed("verify", "delete Grafana's pod", _question(given)):
        print("nothing was deleted")
        return 1
    release = model.release_values()
    page = home_dashboard.of_release(release)
    who = grafana.credentials(os.environ, namespace, release)
    queries = sum(len(panel.targets) for panel in page.panels)
    print(f"asked with {who.who}: {page.uid}, {len(page.panels)} panels, {queries} queries")
    if who.admin:
        text = "that is the administrator, not a viewer: name one where users outlive Grafana's pod"
        print(colour(text, YELLOW))
        if url:
            print(f"through {url} asks a {viewer.ROLE} that is made for each round, and removed")
    measurement = Measurement(namespace, page, who, url, given.limit)
    measurement.check()
    if url.startswith("https:"):
        good, text = certificate.seen(url)
        print(text if good else colour(text, YELLOW))
    done = measured(measurement, given.rounds)
    kept, text = summary.verdict(done)
    print(colour(text, GREEN if kept else RED))
    return 0 if kept else 1


def interruptible() -> int:
    """Measure until somebody interrupts; what runs is ended either way."""
    return findings.interruptible(
        main, "interrupted; Kubernetes brings Grafana's pod back by itself"
    )


if __name__ == "__main__":
    execute(interruptible)
