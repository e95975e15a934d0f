"""`make validate`: every check that needs no chart, over every cluster and both engines."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts import tools
from scripts.checks import static
from scripts.checks.static import application, dashboards, file_schemas, yaml_syntax
from scripts.core.findings import GREEN, Finding, RepositoryError, colour, counted, execute, report
from scripts.model.manifests import Repository

Check = Callable[[Repository], list[Finding]]
# The other checks rely on these: files that parse, match their schema, and agree on where the
# application is.
FIRST: tuple[Check, ...] = (
    yaml_syntax.check,
    file_schemas.check,
    application.check,
    dashboards.schema_kept,
)


def static_checks() -> dict[str, Check]:
    """Return the `check` of each module of `scripts.checks.static` that has one, by its name."""
    names = [module.name for module in pkgutil.iter_modules(static.__path__)]
    modules = {name: importlib.import_module(f"scripts.checks.static.{name}") for name in names}
    return {name: module.check for name, module in modules.items() if hasattr(module, "check")}


def validate(repository: Repository) -> list[Finding]:
    """Return what every static check finds; of a tree that does not build, only the reason."""
    for check in FIRST:
        if findings := _run(check, repository):
            return findings
    try:
        _ = repository.syncs
    except RepositoryError as error:
        return list(error.findings)
    others = [check for check in static_checks().values() if check not in FIRST]
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda check: _run(check, repository), others)
    return [finding for found in results for finding in found]


def _run(check: Check, repository: Repository) -> list[Finding]:
    try:
        return check(repository)
    except RepositoryError as error:
        return list(error.findings)


def main() -> int:
    """Print the findings and a summary; return the exit code."""
    started = time.monotonic()
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("root", nargs="?", type=Path, default=tools.ROOT, help="of the tree")
    repository = Repository(arguments.parse_args().root.resolve())
    found = report(validate(repository))
    if found:
        print(counted(found, "finding"), file=sys.stderr)
        return 1
    objects = {sync.name: sum(1 for _ in sync.objects()) for sync in repository.syncs}
    for name, count in objects.items():
        print(f"  {name:<18} {count:>4} objects")
    seconds = time.monotonic() - started
    text = f"valid: {sum(objects.values())} objects, {len(static_checks())} checks, {seconds:.1f} s"
    print(colour(text, GREEN))
    return 0


if __name__ == "__main__":
    execute(main)
