"""`make rehearse BASE=<revision>`: sync that revision for real, then HEAD, and say what breaks.

A diff shows what will change; whether the API server, Helm and Flux can change it is only seen
when they do: a field that is immutable, a CRD without a version that objects are stored in, a
volume that is pruned, two managers of one field.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from scripts import tools
from scripts.cluster.e2e import checks, prometheus_operator
from scripts.cluster.e2e.environment import Environment
from scripts.core import git
from scripts.core.findings import (
    GREEN,
    YELLOW,
    Finding,
    RepositoryError,
    colour,
    execute,
    progress,
    report,
)
from scripts.model import charts, revisions
from scripts.model.manifests import ClusterSync, Repository
from scripts.model.revisions import Revision
from scripts.servers.processes import Processes

# Seconds until what is not ready counts as broken: more than one retry of Flux.
TIMEOUT = 150.0
# Whose loss loses more than what is rendered again.
KEPT_KINDS = re.compile(
    r"(PersistentVolumeClaim|Namespace|CustomResourceDefinition\.apiextensions\.k8s\.io"
    r"|StatefulSet\.apps|NetworkPolicy\.networking\.k8s\.io) .+"
)
# Replaced in any upgrade.
REPLACED_KINDS = re.compile(
    r"(Pod|Event|Secret|ReplicaSet|ControllerRevision|EndpointSlice|IPAddress)\b.+"
)


def rehearse(base: ClusterSync, head: ClusterSync, revision: str) -> list[Finding]:
    """Sync one revision of a cluster, then HEAD, into an environment of its own.

    Args:
        base: The cluster as the revision declares it.
        head: The cluster as HEAD does.
        revision: The revision.

    Returns:
        What does not become ready, with Flux's message, and what is lost.

    Raises:
        RepositoryError: If the old revision does not become ready.
    """
    with Processes() as processes:
        progress(f"{head.cluster}: syncing {revision}")
        env = Environment(processes, Repository(), base, revision)
        env.bootstrap()
        env.wait_for_sync()
        # What the operator makes has volumes of its own.
        prometheus_operator.run_operator(env)
        before = checks.inventory(env.client)
        env.registry.fill(head.releases)
        progress(f"{head.cluster}: syncing HEAD")
        env.push("The change", lambda tree: _check_out_head(env, tree))
        findings = []
        try:
            took = env.wait_for_sync(TIMEOUT)
            took += prometheus_operator.wait_for_stateful_sets(env)
            print(f"{head.cluster}: HEAD is ready after {took:.1f} s")
        except RepositoryError:
            findings = [
                Finding(f"{head.name} {name}", None, message, "see the README, Upgrade")
                for name, message in env.unready().items()
            ]
        after = checks.inventory(env.client)
        for name, uid in before.items():
            if REPLACED_KINDS.match(name) or after.get(name) == uid:
                continue
            what = "is made anew" if name in after else "is gone"
            print(colour(f"{head.cluster}: {name} {what}", YELLOW))
            if KEPT_KINDS.fullmatch(name):
                fix = "keep it, or say in the change how its content is saved"
                findings.append(Finding(f"{head.name} {name}", None, what, fix))
        return findings


def _check_out_head(env: Environment, tree: Path) -> None:
    """Make the tree that of HEAD, with what the cluster's owner has changed in it."""
    git.isolated(tree, "rm", "-r", "--quiet", ".")
    git.isolated(tree, "checkout", git.isolated(tools.ROOT, "rev-parse", "HEAD"), "--", ".")
    env.configure(tree)


def main() -> int:
    """Rehearse the change of every cluster; return 1 if something breaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the revision that clusters are at")
    revision = parser.parse_args().base
    with tempfile.TemporaryDirectory() as folder:
        commit = git.isolated(tools.ROOT, "rev-parse", "--verify", f"{revision}^{{commit}}")
        tree = revisions.unpack(tools.ROOT, Revision(commit, revision), Path(folder) / "old")
        old, new = (
            {e.cluster: e for e in repository.syncs if e.engine == "flux" and e.synced}
            for repository in (Repository(tree), Repository())
        )
    clusters = sorted(old.keys() & new.keys())
    charts.provable([*old.values(), *new.values()], allow_missing=False)
    findings = [f for name in clusters for f in rehearse(old[name], new[name], commit)]
    if report(findings):
        return 1
    print(colour(f"nothing breaks from {revision} to HEAD", GREEN))
    return 0


if __name__ == "__main__":
    execute(main)
