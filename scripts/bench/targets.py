"""How long `make` targets take, and how `make validate` compares with kustomize and kubeconform."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import yaml

from scripts import tools
from scripts.bench import trees
from scripts.bench.timing import median, timed
from scripts.core.findings import progress
from scripts.model import schemas
from scripts.model.manifests import Repository

# The most seconds that each target is to take, and how often the slow ones are measured.
LIMITS = {"dashboards": 1.0, "validate": 5.0, "render": 3.0, "test": 60.0}
ROUNDS = {"test": 1}
COPIES = (1, 10, 100)


def targets() -> Iterator[str]:
    """Yield the seconds of the targets that people run most."""
    yield f"{'target':<42}{'seconds':>8}{'bar':>6}"
    for target, limit in LIMITS.items():
        progress(f"make {target}")
        taken = median(partial(_make, target), ROUNDS.get(target, 3))
        yield f"{f'make {target}':<42}{taken:>8.2f}{limit:>6.0f}"


def validate() -> Iterator[str]:
    """Yield the seconds of `make validate`, beside the programs that it runs."""
    yield f"\n{'the same tree':<42}{'seconds':>8}{'ratio':>7}"
    with tempfile.TemporaryDirectory() as folder:
        progress("bare kustomize build and kubeconform")
        least = median(partial(_bare, Repository(), Path(folder)))
    forget()
    new = timed(partial(_make, "validate"))[1]
    rows = {
        "bare kustomize build and kubeconform": least,
        "make validate, everything new to it": new,
        "make validate, nothing new to it": median(partial(_make, "validate")),
    }
    for name, taken in rows.items():
        yield f"{name:<42}{taken:>8.2f}{taken / least:>6.2f}x"


def copies() -> Iterator[str]:
    """Yield the seconds that `make validate` takes for more and more clusters."""
    yield f"\n{'make validate, copies of the manifests':<42}{'new':>8}{'a copy':>8}{'known':>8}"
    for count in COPIES:
        with tempfile.TemporaryDirectory() as folder:
            progress(f"{count} copies")
            trees.multiply(tools.ROOT, Path(folder), count)
            work = partial(_run, sys.executable, "-m", "scripts.checks.validate", folder)
            forget()
            new = timed(work)[1]
            known = median(work, rounds=1)
        yield f"{count:<42}{new:>8.2f}{new / count:>8.3f}{known:>8.2f}"


def e2e() -> Iterator[str]:
    """Yield what `make e2e` prints: how long syncs and recoveries take."""
    progress("make e2e")
    yield _make("e2e")


def forget() -> None:
    """Empty the caches of builds and of valid objects, which only save time."""
    for name in ("builds", "valid"):
        shutil.rmtree(tools.cache() / name, ignore_errors=True)


def _bare(repository: Repository, folder: Path) -> None:
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
    return _run("make", target)


def _run(*command: str) -> str:
    run = subprocess.run(command, cwd=tools.ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return run.stdout
