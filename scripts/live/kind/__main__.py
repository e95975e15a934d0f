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
from scripts.core import findings, kubectl
from scripts.core.findings import Finding, RepositoryError, execute, progress, report
from scripts.grafana import model
from scripts.live.kind import engines, picture, prepared, ready, source
from scripts.live.kind.cluster import Cluster, created
from scripts.live.verify import grafana, home
from scripts.live.verify.grafana import Grafana, Visit
from scripts.live.verify.kubectl import Kubectl
from scripts.live.verify.waiting import until
from scripts.model import clusters, dashboards
from scripts.model.manifests import ENGINES, Repository
from scripts.servers import browser

# Where each engine's own manifest puts it.
NAMESPACES = {"flux": "flux-system", "argocd": "argocd"}
# Asked for before minutes are spent; kubectl and the browser have messages of their own.
PROGRAMS = {
    "kind": "install it: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "node": "install Node.js 20 or newer and put it on PATH",
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


def programs() -> None:
    """Look for everything that will be run.

    Raises:
        RepositoryError: If something is missing.
    """
    for name, fix in PROGRAMS.items():
        if not shutil.which(name):
            raise RepositoryError(Finding(name, None, "is not on PATH", fix))
    if not shutil.which("kubectl"):
        raise kubectl.absent()
    browser.executable()
    browser.modules()


def pictured(login: Mapping[str, str], path: Path, limit: float) -> list[Finding]:
    """Wait until the first row has data, open the page in a browser; return what is wrong.

    Raises:
        RepositoryError: If there is no data in time, or no page.
    """
    reader, release = Kubectl("monitoring"), model.release_values()
    page, who = home.of_release(release), grafana.credentials({}, reader, release)
    board = dashboards.load(tools.ROOT)[f"{page.uid}.json"]
    with contextlib.closing(reader.forward(reader.pod())) as forward:
        progress("waiting until the first row has data")
        visit = Visit(Grafana("kubectl port-forward", forward.url, who, local=True), page)
        until(visit.attempt, time.monotonic() + limit, limit)
        return picture.take(forward.url(), login, board, path)


def measure() -> None:
    """Run `make verify` with the cluster's Secret, whatever the user's environment names.

    Raises:
        RepositoryError: If it fails, having said why.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRAFANA_")}
    command = (sys.executable, "-m", *VERIFY, "--yes", f"--rounds={ROUNDS}")
    if subprocess.run(
        command, cwd=tools.FOLDER.parents[1], env=environment, check=False
    ).returncode:
        text = "the home page is not there, or not in time"
        raise RepositoryError(Finding("make verify", None, text, "see what it says above"))


def tell(cluster: Cluster) -> None:
    """Print what the cluster says, for somebody who will not see it any more."""
    print("what the cluster says:", file=sys.stderr)
    for line in ready.told(cluster):
        print(f"  {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Install, wait, picture and measure; return the exit code."""
    given = options()
    programs()
    repository = Repository()
    name = clusters.chosen(repository.root, given.cluster, kept=False)
    sync = repository.cluster(name).get(given.engine)
    if sync is None:
        text, fix = f"is not synced by {given.engine}", "name the other engine, or another cluster"
        raise RepositoryError(Finding(f"clusters/{name}", None, text, fix))
    where = source.of_head(repository.root)
    manifest = engines.manifest(given.engine)
    namespace, path = NAMESPACES[given.engine], OUTPUT / f"{given.engine}.png"
    made = prepared.values(sync, repository)
    login = prepared.login(sync, made)
    print(f"{sync.name}: {where.ref} of {where.url}, at {where.commit}", flush=True)
    with created(f"todo-monitoring-{given.engine}", keep=given.keep) as cluster:
        try:
            cluster.create(*prepared.objects(sync, namespace, made))
            prepared.application(cluster)
            progress(f"installing {given.engine}")
            cluster.apply(manifest, f"--namespace={namespace}")
            cluster.ask("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
            began = time.monotonic()
            cluster.create(*engines.sync(sync, where))
            ready.wait(cluster, sync, where.commit, given.limit)
            print(f"everything is ready after {time.monotonic() - began:.0f} s", flush=True)
            faults = pictured(login, path, given.limit)
            print(f"home page: {path}", flush=True)
            measure()
        except RepositoryError:
            tell(cluster)
            raise
    return 1 if report(faults) else 0


def interruptible() -> int:
    """Run until somebody interrupts; the cluster is deleted either way."""
    return findings.interruptible(main, "interrupted")


if __name__ == "__main__":
    execute(interruptible)
