"""How many of the bad changes are found: by this repository's checks, and by what others run.

Each change is made alone, in a copy of a tree in which nobody finds anything.

- this repository: `make validate`, then `make render`, which needs the charts.
- kubeconform: `kustomize build` of every folder that an engine builds, and `kubeconform -strict`
  with the CRDs' schemas on the result.
- flate: `flate test all` of each cluster's Flux folder, which renders the releases, too.
- API server: a server-side dry-run of what kustomize builds, by a kube-apiserver with the CRDs of
  Flux, Argo CD and the operator: what `kubectl diff` and the engines would be told.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

import yaml

from scripts import tools
from scripts.bench import trees
from scripts.bench.flate import Flate
from scripts.checks import rendered as rendered_checks
from scripts.checks import unused_values
from scripts.checks.static import object_schemas
from scripts.checks.validate import validate
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json, load_all
from scripts.model import budget, charts, schemas
from scripts.model.manifests import Repository
from scripts.model.rendered import clusters
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Client, KubernetesError, namespace
from scripts.servers.processes import Processes

IGNORED = shutil.ignore_patterns(".cache", ".git", ".venv", "build", "node_modules")
OURS = "this repository"
# What a tool never reads, it cannot judge.
NOT_JUDGED = "-"
# What is compared with everything that can be turned on.
WITH_OPTIONS = ("base/optional/", "base/dashboards/", "base/config/runbooks/", "tests/options/")
# Places and messages of findings.
Said = frozenset[tuple[str, str]]


class Judge(Protocol):
    """Somebody who looks at a changed tree.

    Attributes:
        name: What the table calls it.
    """

    name: str

    def finds(self, root: Path, change: Json) -> bool:
        """Say whether anything is wrong with a tree."""


class Score(NamedTuple):
    """A bad change, and who found it; None where somebody never reads the file."""

    kind: str
    fault: str
    found: Mapping[str, bool | None]


def findings(change: Json, repository: Repository, before: Said = frozenset()) -> list[Finding]:
    """Return what the checks of this repository say that this kind of fault needs.

    Args:
        change: The change: `needs` is `charts`, `values` or not there.
        repository: The changed tree.
        before: What they said before.
    """
    found = [one for one in validate(repository) if (one.path, one.message) not in before]
    if found or "needs" not in change:
        return found
    if change["needs"] == "values":
        path = Path(change["file"]).stem
        ours = [v for v in unused_values.variants(repository) if v.release.name == path]
        return unused_values.findings(repository, ours[:1])
    found = with_charts(repository)
    return [one for one in found if (one.path, one.message) not in before]


def with_charts(repository: Repository) -> list[Finding]:
    """Return what `make render` says of a tree, but for unused values."""
    try:
        installed = clusters(repository)
    except RepositoryError as error:
        return list(error.findings)
    if malformed := rendered_checks.malformed(installed):
        return malformed
    costs = [finding for cluster in installed for finding in budget.findings(cluster)]
    return [*rendered_checks.findings(installed), *costs]


class Checks:
    """`make validate` and `make render`, of one environment: each takes as long as the other."""

    name = OURS

    def __init__(self, tree: Path) -> None:
        """Take the tree that is changed."""
        self._tree = tree
        self._said: dict[tuple[str, bool, str], Said] = {}

    def finds(self, root: Path, change: Json) -> bool:
        """Say whether a check finds anything; the copy loses its other environments."""
        return bool(self.findings(root, change))

    def findings(self, root: Path, change: Json) -> list[Finding]:
        """Return what the checks say of a changed tree, and did not say of it before."""
        kept, optional = reduced(root, change)
        key = (kept, optional, change.get("needs", ""))
        if key not in self._said:
            with tempfile.TemporaryDirectory() as folder:
                copy = shutil.copytree(self._tree, Path(folder) / "tree", ignore=IGNORED)
                reduced(copy, change)
                repository = Repository(copy)
                said = validate(repository)
                said += with_charts(repository) if change.get("needs") == "charts" else []
            self._said[key] = frozenset((one.path, one.message) for one in said)
        return findings(change, Repository(root), self._said[key])


def reduced(root: Path, change: Json) -> tuple[str, bool]:
    """Leave one environment of a copy: the one that a change is about, or else the last.

    Returns:
        The environment, and whether the opt-ins are left.
    """
    first, second = [*str(change["file"]).split("/"), ""][:2]
    # The last is the one that tests/options builds on.
    *_, last = sorted(path.name for path in (root / "clusters").glob("*/"))
    kept = second if first in {"clusters", "overlays"} else last
    for path in (p for kind in ("clusters", "overlays") for p in (root / kind).glob("*/")):
        if path.name != kept:
            shutil.rmtree(path)
    optional = str(change["file"]).startswith(WITH_OPTIONS)
    if not optional:
        shutil.rmtree(root / "tests", ignore_errors=True)
    return kept, optional


class Kustomize:
    """What kustomize builds of a tree, and what kubeconform says of it.

    Attributes:
        objects: Of the tree that was judged last; None where kustomize refuses it.
    """

    name = "kubeconform"

    def __init__(self, tree: Path) -> None:
        """Take the folders that engines build from a tree."""
        syncs = Repository(tree).syncs
        self._folders = sorted({unit.path for sync in syncs for unit in sync.units})
        self.objects: list[dict[str, Json]] | None = None

    def finds(self, root: Path, change: Json) -> bool:
        """Say whether a folder is not built, or an object is not valid."""
        del change
        self.objects = None
        built: list[dict[str, Json]] = []
        for folder in self._folders:
            if (root / folder / "kustomization.yaml").exists():
                run = tools.run("kustomize", "build", root / folder)
                if run.returncode:
                    return True
                built += [item for item in yaml.load_all(run.stdout, yaml.CSafeLoader) if item]
                continue
            for path in sorted((root / folder).glob("*.yaml")):
                try:
                    built += load_all(path.read_text(encoding="utf-8"), path.name)
                except RepositoryError:
                    return True
            if not (root / folder).exists():
                return True
        self.objects = built
        return bool(object_schemas.invalid(built))


class ServerDryRun:
    """A dry-run of what kustomize has built, which judges before."""

    name = "API server"

    def __init__(self, kustomize: Kustomize, client: Client) -> None:
        """Take a server that knows every kind; namespaces are made as they are needed."""
        self._kustomize = kustomize
        self._client = client
        self._accepted: set[str] = set()
        self._namespaces: set[str] = set()

    def finds(self, root: Path, change: Json) -> bool:
        """Say whether the server refuses an object, or kustomize did."""
        del root, change
        if self._kustomize.objects is None:
            return True
        return any(self._refused(item) for item in self._kustomize.objects)

    def _refused(self, item: Json) -> bool:
        text = json.dumps(item, sort_keys=True)
        if text in self._accepted:
            return False
        try:
            place = item["metadata"].get("namespace")
            if place and place not in self._namespaces:
                # Whether somebody makes it is another question.
                self._client.apply(namespace(place), "setup")
                self._namespaces.add(place)
            self._client.apply(item, "bench", dry_run=True)
        except (KeyError, TypeError, AttributeError, KubernetesError):
            return True
        self._accepted.add(text)
        return False


class FlateTest:
    """`flate test all` of each cluster's Flux folder."""

    name = "flate"

    def __init__(self, flate: Flate, tree: Path) -> None:
        """Fill its registry with the charts of a tree."""
        self._flate = flate
        releases = [r for sync in Repository(tree).syncs if sync.synced for r in sync.releases]
        flate.registry.fill(releases)

    def finds(self, root: Path, change: Json) -> bool:
        """Say whether it fails; the charts' addresses are changed in a copy for that."""
        del change
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(root, Path(folder) / "tree")
            self._flate.adopt(copy)
            trees.commit(copy)
            return not self._flate.test(copy)


def tables(tree: Path, folder: Path | None) -> Iterator[str]:
    """Yield the table.

    Args:
        tree: The repository that copies are changed of.
        folder: Lists of the changes, one a kind; nothing is measured without.
    """
    if folder is None:
        return
    changes = trees.bad_changes(folder)
    if charts.missing(Repository(tree).syncs):
        yield "charts are missing: faults that need them are left out"
        changes = [change for change in changes if "needs" not in change]
    with Processes() as processes:
        kustomize = Kustomize(tree)
        client = control_plane.api_server(processes)
        control_plane.apply_crds(processes, client, *schemas.crd_folders())
        others: list[Judge] = [kustomize, ServerDryRun(kustomize, client)]
        with contextlib.suppress(RepositoryError):
            others.append(FlateTest(Flate(processes), tree))
        yield f"\n{table(scores(tree, changes, Checks(tree), others))}"


def scores(
    tree: Path, changes: Sequence[Json], ours: Judge, others: Sequence[Judge]
) -> Iterator[Score]:
    """Yield who finds each change.

    Args:
        tree: The tree.
        changes: The changes.
        ours: Who reads every file.
        others: Who read what engines build, and judge one after the other.

    Raises:
        RepositoryError: If one of them finds something in the unchanged tree: it would find
            whatever is changed.
    """
    repository = Repository(tree)
    built = {file for sync in repository.syncs for file in repository.files(sync)}
    unchanged: Json = {"file": "", "needs": "charts"}
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(tree, Path(folder) / "tree", ignore=IGNORED)
        if wrong := [judge.name for judge in (*others, ours) if judge.finds(copy, unchanged)]:
            text = f"{', '.join(wrong)}: something is found although nothing is changed"
            raise RepositoryError(Finding(str(tree), None, text, "correct the tree first"))
    for number, change in enumerate(changes, 1):
        progress(f"bad changes, {number} of {len(changes)}: {change['fault']}")
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
            copy = shutil.copytree(tree, Path(folder) / "tree", ignore=IGNORED)
            trees.apply(change, copy)
            own = shutil.copytree(copy, Path(folder) / "own")
            answer = pool.submit(ours.finds, own, change)
            read = change["file"] in built
            found = {judge.name: judge.finds(copy, change) if read else None for judge in others}
            found = {ours.name: answer.result(), **found}
            yield Score(change["kind"], change["fault"], found)


def table(rows: Iterator[Score]) -> str:
    """Return a line a kind, and what this repository does not find."""
    by_kind: dict[str, list[Score]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    every = [row for own in by_kind.values() for row in own]
    names = list(every[0].found) if every else []
    width = max(16, *map(len, names)) if names else 16
    lines = [f"{'bad changes, by kind':<24}{'all':>5}{''.join(f'{n:>{width}}' for n in names)}"]
    for kind, own in [*by_kind.items(), ("all", every)]:
        cells = "".join(f"{_cell([row.found[name] for row in own]):>{width}}" for name in names)
        lines.append(f"{kind:<24}{len(own):>5}{cells}")
    lines.append(f"found / of those whose file it reads; {NOT_JUDGED}: it reads none")
    lines += [f"not found here: {row.fault}" for row in every if not row.found.get(OURS, True)]
    return "\n".join(lines)


def _cell(answers: Sequence[bool | None]) -> str:
    judged = [answer for answer in answers if answer is not None]
    return f"{sum(judged)}/{len(judged)}" if judged else NOT_JUDGED
