"""`make discover`: propose application.yaml by a cluster, or by the application's own manifests.

It only reads the cluster, and writes application.yaml after asking.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from scripts import tools
from scripts.core.findings import (
    DIM,
    GREEN,
    RED,
    YELLOW,
    Finding,
    RepositoryError,
    colour,
    confirmed,
    counted,
    execute,
    progress,
)
from scripts.core.yamlfile import Json
from scripts.live.discover import (
    cluster,
    inventory,
    manifests,
    proposal,
    recognition,
    risks,
    routes,
)
from scripts.live.discover.objects import ObjectSet
from scripts.live.discover.proposal import Proposal
from scripts.live.discover.risks import Risk
from scripts.live.preflight import capacity
from scripts.live.preflight.check_result import CheckStatus
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model import clusters, requirements
from scripts.model.files import INVENTORY
from scripts.model.manifests import Repository

NEXT = "`make dashboards rules` writes it into both, and `make validate` checks it"


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.live.discover", description=__doc__)
    add = parser.add_argument
    add(
        "--from",
        dest="sources",
        type=Path,
        action="append",
        default=[],
        help="manifests, a kustomization or a Helm chart (may be repeated); the cluster that"
        " kubectl reaches by default",
    )
    add("--openapi", help="the API's OpenAPI document: a file or a URL")
    add(
        "--namespace",
        action="append",
        default=[],
        help="look into this one only (may be repeated);"
        " of manifests: where they are applied if they name none",
    )
    add("--backend", default="", help="namespace/service of the API, where it is not recognised")
    add("--frontend", default="", help="the same of the pages, or their URL if they are elsewhere")
    add("--reminders", default="", help="Dapr's cron binding that sends reminders")
    add("--values", action="append", default=[], help="a file of the chart's values")
    add("--release", default="", help="the release (default: the chart's name)")
    clusters.add_cluster(parser, "a folder of clusters/, whose room is looked at")
    add("--yes", action="store_true", help="write without asking")
    add("--root", type=Path, default=tools.ROOT, help="the repository whose file is proposed")
    return parser.parse_args(arguments)


def proposed(given: argparse.Namespace, now: str) -> tuple[Proposal, str]:
    """Return what is proposed, and the file as it would be.

    Args:
        given: The arguments.
        now: The file as it is.

    Raises:
        RepositoryError: If nothing can be proposed; says why.
    """
    before = inventory.values(now)
    given.cluster = clusters.chosen(given.root, given.cluster)
    document = routes.read(given.openapi) if given.openapi else None
    state: ClusterState | None = None
    if given.sources:
        if len(given.namespace) > 1:
            text, fix = "manifests are applied to one namespace", "give --namespace once"
            raise RepositoryError(Finding("--namespace", None, text, fix))
        namespace = next(iter(given.namespace), "")
        objects = manifests.read(given.sources, namespace, given.values, given.release)
    else:
        progress("reading the cluster")
        objects, state = cluster.read(given.namespace)
    found = recognition.application(objects, given.backend, given.frontend, given.reminders)
    limits = clusters.budget(given.root, given.cluster)
    elsewhere = "" if found.frontend else given.frontend
    made = proposal.of(objects, found, before, limits, document, elsewhere)
    warned = [*made.risks, *_room(given, objects, limits, state)]
    after = inventory.edited(now, made.values)
    inventory.checked(after, objects.source)
    return Proposal(made.values, made.found, tuple(warned), made.notices), after


def _room(
    given: argparse.Namespace,
    objects: ObjectSet,
    limits: dict[str, Json],
    state: ClusterState | None,
) -> Iterator[Risk]:
    """Yield warnings of too little room: by the cluster's own nodes, where they can be read."""
    try:
        if state is None or not state.lists["nodes"]:
            yield from risks.without_room(objects, limits)
        else:
            needed = requirements.read(given.cluster, Repository(given.root))
            for resource in ("cpu", "memory") if needed.pods else ():
                result = capacity.fits(resource, needed, state)
                if result.status is not CheckStatus.OK:
                    yield Risk("no-room", f"{resource}: {result.text}", result.fix)
    except ValueError as error:
        text = "write it as Kubernetes does: 250m, 512Mi"
        raise RepositoryError(Finding(objects.source, None, f"a request: {error}", text)) from error


def shown(made: Proposal, difference: str) -> Iterator[str]:
    """Yield what is printed: what was found, the difference, warnings and notices."""
    yield from (f"  {text}" for text in made.found)
    if difference:
        yield ""
    for line in difference.splitlines():
        code = {"+": GREEN, "-": RED}.get(line[:1])
        yield colour(line, code) if code else line
    if made.risks or made.notices:
        yield ""
    for risk in made.risks:
        yield f"{colour('warning', YELLOW)} {risk.name}: {risk.text}"
        yield f"    fix: {risk.fix}"
    for text in made.notices:
        yield colour(f"note: {text}", DIM)


def main() -> int:
    """Propose, ask, and write; return the exit code."""
    given = options()
    path = given.root / INVENTORY
    if not path.exists():
        fix = "restore it: `git checkout` has the one of before"
        raise RepositoryError(Finding(INVENTORY, None, "is not there", fix))
    now = path.read_text(encoding="utf-8")
    made, after = proposed(given, now)
    for line in shown(made, inventory.difference(now, after)):
        print(line)
    print()
    if made.risks:
        print(counted(len(made.risks), "warning"))
    if after == now:
        print(colour(f"{INVENTORY} is as it should be", GREEN))
        return 0
    if not given.yes and not confirmed("discover", f"write {INVENTORY}", f"Write {INVENTORY}?"):
        print("nothing was written")
        return 1
    path.write_text(after, encoding="utf-8")
    print(colour(f"{INVENTORY} is written; {NEXT}", GREEN))
    return 0


if __name__ == "__main__":
    execute(main)
