"""`make kind`: install this commit on a kind cluster, picture and measure Grafana's home page.

What is synced is HEAD as `origin` has it: it must be pushed, to where no credentials are needed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from scripts import tools
from scripts.core import findings, kubectl, programs
from scripts.core.findings import Finding, RepositoryError, execute, progress, report
from scripts.core.waiting import until
from scripts.grafana import model
from scripts.live.kind import engines, prerequisites, readiness, screenshot, source
from scripts.live.kind.cluster import KindCluster, created
from scripts.live.verify import grafana, home_dashboard
from scripts.live.verify.grafana import Grafana, PageLoad
from scripts.live.verify.grafana_pods import GrafanaNamespace
from scripts.model import clusters, dashboards
from scripts.model.manifests import ENGINES, Repository
from scripts.servers import browser

# Where each engine's own manifest puts it.
NAMESPACES = {"flux": "flux-system", "argocd": "argocd"}
# Looked for before minutes are spent, as the browser is.
PROGRAMS = {
    "kind": "install it: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "kubectl": kubectl.INSTALL,
    "node": screenshot.INSTALL_NODE,
}
# Seconds that everything may take to get ready, images included, and then the first data.
LIMIT = 900.0
# How often `make verify` deletes Grafana's pod.
ROUNDS = 3
OUTPUT = tools.ROOT / "build" / "kind"
# The command that measures.
VERIFY = ("scripts.live.verify",)


def options() -> argparse.Namespace:
    """Return the arguments of the command line."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.live.kind", description=__doc__)
    arguments.add_argument("engine", choices=ENGINES, help="which engine syncs")
    text = "a folder of clusters/ (default: the only one, or the only one without volumes)"
    arguments.add_argument("--cluster", default="", help=text)
    arguments.add_argument("--keep", action="store_true", help="leave the cluster there")
    text = "seconds that each wait may take"
    arguments.add_argument("--limit", type=float, default=LIMIT, help=text)
    return arguments.parse_args()


def find_programs() -> None:
    """Look for everything that will be run.

    Raises:
        RepositoryError: If something is missing.
    """
    for name, fix in PROGRAMS.items():
        if not shutil.which(name):
            raise programs.absent(name, fix)
    browser.executable()
    browser.modules()


def open_home_page(login: Mapping[str, str], path: Path, limit: float) -> list[Finding]:
    """Wait until the first row has data, open the page in a browser; return what is wrong.

    Raises:
        RepositoryError: If there is no data in time, or no page.
    """
    namespace, release = GrafanaNamespace("monitoring"), model.release_values()
    page, who = home_dashboard.of_release(release), grafana.credentials({}, namespace, release)
    board = dashboards.load(tools.ROOT)[f"{page.uid}.json"]
    with contextlib.closing(namespace.forward(namespace.pod())) as forward:
        progress("waiting until the first row has data")
        reached = Grafana("kubectl port-forward", forward.url, who, local=True)
        until(PageLoad(reached, page).attempt, limit)
        return screenshot.take(forward.url(), login, board, path)


def measure() -> None:
    """Run `make verify` with the cluster's Secret, whatever the user's environment names.

    Raises:
        RepositoryError: If it fails; it prints why.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRAFANA_")}
    command = (sys.executable, "-m", *VERIFY, "--yes", f"--rounds={ROUNDS}")
    run = subprocess.run(command, cwd=tools.FOLDER.parents[1], env=environment, check=False)
    if run.returncode:
        text = "the home page is not there, or not in time"
        raise RepositoryError(Finding("make verify", None, text, "see what it says above"))


def print_report(cluster: KindCluster) -> None:
    """Print the cluster's report, as the cluster is deleted after it."""
    print("what the cluster says:", file=sys.stderr)
    for line in readiness.report(cluster):
        print(f"  {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Install, wait, picture and measure; return the exit code."""
    given = options()
    find_programs()
    repository = Repository()
    name = clusters.chosen(repository.root, given.cluster, with_volumes=False)
    sync = repository.cluster(name).get(given.engine)
    if sync is None:
        text, fix = f"is not synced by {given.engine}", "name the other engine, or another cluster"
        raise RepositoryError(Finding(f"clusters/{name}", None, text, fix))
    git_source = source.of_head(repository.root)
    manifest = engines.manifest(given.engine)
    namespace, path = NAMESPACES[given.engine], OUTPUT / f"{given.engine}.png"
    secret_values = prerequisites.secret_values(sync, repository)
    login = prerequisites.login(sync, secret_values)
    print(f"{sync.name}: {git_source.ref} of {git_source.url}, at {git_source.commit}", flush=True)
    with created(f"todo-monitoring-{given.engine}", keep=given.keep) as cluster:
        try:
            cluster.create(*prerequisites.objects(sync, namespace, secret_values))
            prerequisites.run_application(cluster)
            progress(f"installing {given.engine}")
            cluster.apply(manifest, f"--namespace={namespace}")
            cluster.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
            began = time.monotonic()
            cluster.create(*engines.sync(sync, git_source))
            readiness.wait(cluster, sync, git_source.commit, given.limit)
            print(f"everything is ready after {time.monotonic() - began:.0f} s", flush=True)
            faults = open_home_page(login, path, given.limit)
            print(f"home page: {path}", flush=True)
            measure()
        except RepositoryError:
            print_report(cluster)
            raise
    return 1 if report(faults) else 0


def interruptible() -> int:
    """Run until somebody interrupts; the cluster is deleted either way."""
    return findings.interruptible(main, "interrupted")


if __name__ == "__main__":
    execute(interruptible)
