"""`make bench`: how long targets, syncs and recoveries take, what dashboards and rules cost.

Wall-clock seconds, medians. Compare ratios within one run: machines and their load differ.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from scripts import tools
from scripts.bench import dashboard_cost, trees
from scripts.bench import diff_cost as diff_cost
from scripts.bench import rule_cost as rule_cost
from scripts.checks.static import object_schemas
from scripts.core.findings import RepositoryError, execute, progress
from scripts.model import schemas
from scripts.model.manifests import Repository

TARGETS = {"dashboards": 1.0, "validate": 5.0, "render": 3.0, "test": 60.0}
ROUNDS = {"test": 1}
COPIES = (1, 10, 100)


def seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the median time of some work, in seconds, after one round that warms the caches."""
    work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def bare(repository: Repository, folder: Path) -> None:
    """Build every kustomization of the tree and run kubeconform on the result, and nothing else.

    One process a kustomization and one a Kubernetes version, one after the other, as a shell script
    would do it.
    """
    units = {unit.path: unit for sync in repository.syncs for unit in sync.units}
    for number, (path, unit) in enumerate(sorted(units.items())):
        if (repository.root / path / "kustomization.yaml").exists():
            text = tools.run("kustomize", "build", repository.root / path).stdout
        else:
            text = yaml.dump_all(unit.objects, Dumper=yaml.CSafeDumper)
        (folder / f"{number}.yaml").write_text(text)
    places = [f"-schema-location={place}" for place in schemas.locations()]
    for version in schemas.kubernetes_versions():
        flags = ("-strict", f"-kubernetes-version={version}")
        run = tools.run("kubeconform", *flags, *places, folder)
        if run.returncode:
            raise RuntimeError(run.stdout + run.stderr)


def _make(target: str) -> str:
    run = subprocess.run(
        ["make", target], cwd=tools.ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"make {target} fails:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return run.stdout


def _validate(folder: Path) -> None:
    command = [sys.executable, "-m", "scripts.checks.validate", str(folder)]
    run = subprocess.run(command, cwd=tools.ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stdout + run.stderr)


def forget() -> None:
    """Empty the caches of what builds and schemas said before, which only save time."""
    for name in ("builds", "valid"):
        shutil.rmtree(tools.cache() / name, ignore_errors=True)


def once(work: Callable[[], object]) -> float:
    """Return the time of some work on content that was never seen before, in seconds."""
    forget()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def without_us() -> tuple[int, int]:
    """Return how many bad changes there are, and how many `kubeconform -strict` alone would stop.

    That is, or `kustomize build` before it. What our checks find of them, `make test` says.
    """
    changes, stopped = trees.bad_changes(), 0
    for change in changes:
        with tempfile.TemporaryDirectory() as folder:
            trees.apply(change, trees.copied(trees.FROZEN, Path(folder)))
            repository = Repository(Path(folder))
            try:
                objects = [item for sync in repository.syncs for item in sync.objects()]
            except RepositoryError:
                stopped += 1
            else:
                stopped += bool(object_schemas.invalid(objects))
    return len(changes), stopped


def main() -> int:
    """Print the tables; return the exit code."""
    print(f"{'target':<42}{'seconds':>8}{'bar':>6}")
    for target, bar in TARGETS.items():
        progress(f"make {target}")
        taken = seconds(partial(_make, target), ROUNDS.get(target, 3))
        print(f"{f'make {target}':<42}{taken:>8.2f}{bar:>6.0f}")
    repository = Repository()
    print(f"\n{'the same tree':<42}{'seconds':>8}{'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        progress("bare kustomize build and kubeconform")
        least = seconds(lambda: bare(repository, Path(folder)))
    rows = {
        "bare kustomize build and kubeconform": least,
        "make validate, everything new to it": once(partial(_make, "validate")),
        "make validate, nothing new to it": seconds(partial(_make, "validate")),
    }
    for name, taken in rows.items():
        print(f"{name:<42}{taken:>8.2f}{taken / least:>6.2f}x")
    print(f"\n{'make validate, copies of the manifests':<42}{'new':>8}{'a copy':>8}{'known':>8}")
    for copies in COPIES:
        with tempfile.TemporaryDirectory() as folder:
            progress(f"{copies} copies")
            trees.multiply(tools.ROOT, Path(folder), copies)
            work = partial(_validate, Path(folder))
            new = once(work)
            known = seconds(work, rounds=1)
        print(f"{copies:<42}{new:>8.2f}{new / copies:>8.3f}{known:>8.2f}")
    progress("bad changes, by kustomize build and kubeconform alone")
    count, stopped = without_us()
    print(f"\nkustomize build and kubeconform -strict alone stop {stopped} of {count} bad changes")
    for table in diff_cost.tables():
        print(f"\n{table}")
    progress("make e2e")
    print(_make("e2e"))
    for table in itertools.chain(dashboard_cost.tables(), rule_cost.tables()):
        print(f"\n{table}")
    return 0


if __name__ == "__main__":
    execute(main)
