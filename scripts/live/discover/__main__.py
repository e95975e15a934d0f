"""`make discover`: propose application.yaml by a cluster, or by the application's own manifests.

It only reads the cluster, and writes application.yaml after asking.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts import tools
from scripts.checks.static.references import INVENTORY
from scripts.core.findings import (
    DIM,
    GREEN,
    RED,
    YELLOW,
    Finding,
    RepositoryError,
    colour,
    counted,
    execute,
    progress,
)
from scripts.core.yamlfile import Json
from scripts.live.discover import cluster, folder, inventory, parts, proposal, risks, routes
from scripts.live.discover.layout import Layout
from scripts.live.discover.proposal import Proposal
from scripts.live.discover.risks import Risk
from scripts.live.preflight import capacity
from scripts.live.preflight.kubectl import Seen
from scripts.live.preflight.verdict import State
from scripts.model import clusters, requirements
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
    seen: Seen | None = None
    if given.sources:
        if len(given.namespace) > 1:
            text, fix = "manifests are applied to one namespace", "give --namespace once"
            raise RepositoryError(Finding("--namespace", None, text, fix))
        namespace = next(iter(given.namespace), "")
        layout = folder.read(given.sources, namespace, given.values, given.release)
    else:
        progress("reading the cluster")
        layout, seen = cluster.read(given.namespace)
    found = parts.application(layout, given.backend, given.frontend, given.reminders)
    limits = clusters.budget(given.root, given.cluster)
    elsewhere = "" if found.frontend else given.frontend
    made = proposal.of(layout, found, before, limits, document, elsewhere)
    warned = [*made.risks, *_room(given, layout, limits, seen)]
    after = inventory.edited(now, made.values)
    inventory.checked(after, layout.source)
    return Proposal(made.values, made.found, tuple(warned), made.notices), after


def _room(
    given: argparse.Namespace,
    layout: Layout,
    limits: dict[str, Json],
    seen: Seen | None,
) -> Iterator[Risk]:
    """Yield warnings of too little room: by the cluster's own nodes, where they can be read."""
    try:
        if seen is None or not seen.lists["nodes"]:
            yield from risks.without_room(layout, limits)
        else:
            needed = requirements.read(given.cluster, Repository(given.root))
            for resource in ("cpu", "memory") if needed.pods else ():
                verdict = capacity.fits(resource, needed, seen)
                if verdict.state is not State.OK:
                    yield Risk("no-room", f"{resource}: {verdict.text}", verdict.fix)
    except ValueError as error:
        text = "write it as Kubernetes does: 250m, 512Mi"
        raise RepositoryError(Finding(layout.source, None, f"a request: {error}", text)) from error


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


def agreed(*, yes: bool) -> bool:
    """Ask whether the file may be written; without a terminal, only the command line says so."""
    if yes:
        return True
    if not sys.stdin.isatty():
        print("there is no terminal to ask on: add --yes to write it")
        return False
    return input(f"Write {INVENTORY}? [y/N] ").strip().lower() in ("y", "yes")


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
    if not agreed(yes=given.yes):
        print("nothing was written")
        return 1
    path.write_text(after, encoding="utf-8")
    print(colour(f"{INVENTORY} is written; {NEXT}", GREEN))
    return 0


if __name__ == "__main__":
    execute(main)
