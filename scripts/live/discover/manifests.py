"""Reading the application's own manifests: plain YAML, a kustomization, or a Helm chart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load, load_all
from scripts.live.discover.objects import PODS, ObjectSet, collected, usable
from scripts.model import schemas

CHART = "Chart.yaml"
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
ENDINGS = frozenset({".yaml", ".yml"})
# Folders that hold others' files.
SKIPPED = frozenset({"node_modules", "venv", "__pycache__"})
DEFAULT = "default"
# How many files a notice names.
_NAMED = 4
Found = list[tuple[str, Json]]


def read(
    sources: Sequence[Path], namespace: str = "", values: Sequence[str] = (), release: str = ""
) -> ObjectSet:
    """Read folders or files as one application.

    Args:
        sources: The folders, or files; at least one.
        namespace: Where objects are that name no namespace; `default` if empty.
        values: Files of values, for each chart.
        release: The release of each chart; the chart's own name if empty.

    Raises:
        RepositoryError: If there is nothing to read, it contradicts itself, or helm or kustomize
            refuse it.
    """
    notices: list[str] = []
    found: Found = []
    for source in sources:
        if not source.exists():
            fix = "name a folder of manifests, a kustomization or a Helm chart"
            raise RepositoryError(Finding(str(source), None, "is not there", fix))
        if (source / CHART).exists():
            found += _chart(source, namespace or DEFAULT, values, release, notices)
        elif any((source / name).exists() for name in KUSTOMIZATIONS):
            found += _kustomization(source)
        else:
            found += _plain(source, notices)
    place = ", ".join(map(str, sources))
    items = collected(found, namespace or DEFAULT)
    _populated(place, [document for _, document in found], namespace)
    if not any(item.kind in PODS for item in items):
        skipped = "; ".join(notices)
        text = f"holds no Deployment and no StatefulSet{f': {skipped}' if skipped else ''}"
        fix = "name the folder, the kustomization or the chart that is installed"
        raise RepositoryError(Finding(place, None, text, fix))
    named = any(document["metadata"].get("namespace") for _, document in found)
    if not namespace and not named:
        text = f"no manifest names a namespace: {DEFAULT} is taken; --namespace names another"
        notices.append(text)
    return ObjectSet(place, items, tuple(notices))


def _plain(source: Path, notices: list[str]) -> Found:
    """Read every file below a folder; a notice names what is no manifest and left out."""
    found: Found = []
    left: dict[str, list[str]] = {}
    root = source if source.is_dir() else source.parent
    for path in _files(source, left):
        name = str(path.relative_to(root))
        try:
            documents = load(path, root)
        except (RepositoryError, UnicodeDecodeError):
            text = path.read_text(encoding="utf-8", errors="replace")
            reason = "templates" if "{{" in text else "not valid YAML"
            left.setdefault(reason, []).append(name)
            continue
        for document in _flat(documents):
            if reason := usable(document):
                left.setdefault(reason, []).append(name)
            else:
                found.append((name, document))
    for reason, names in sorted(left.items()):
        shown = list(Counter(names))
        more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
        notices.append(f"left out, {reason}: {', '.join(shown[:_NAMED])}{more}")
    return found


def _files(source: Path, left: dict[str, list[str]]) -> Iterator[Path]:
    """Yield manifests; a chart or a kustomization further down is somebody else's to render."""
    if source.is_file():
        yield source
        return
    for path in sorted(source.iterdir()):
        if path.name.startswith(".") or path.name in SKIPPED or path.is_symlink():
            continue
        if path.is_dir():
            inner = [name for name in (CHART, *KUSTOMIZATIONS) if (path / name).exists()]
            if inner:
                reason = "a chart" if CHART in inner else "a kustomization"
                left.setdefault(f"{reason} of its own", []).append(path.name)
            else:
                yield from _files(path, left)
        elif path.suffix in ENDINGS:
            yield path


def _flat(documents: list[Json]) -> Iterator[Json]:
    for document in documents:
        # What `kubectl get --output=yaml` writes.
        if isinstance(document, dict) and document.get("kind") == "List":
            yield from document.get("items") or ()
        else:
            yield document


def _kustomization(source: Path) -> Found:
    built = tools.run("kustomize", "build", source)
    if built.returncode:
        fix = "see that `kustomize build` of this folder works"
        raise RepositoryError(Finding(str(source), None, _reason(built.stderr), fix))
    return _documents(built.stdout, str(source))


def _chart(
    source: Path, namespace: str, values: Sequence[str], release: str, notices: list[str]
) -> Found:
    chart = load(source / CHART, source)
    name = chart[0].get("name") if chart and isinstance(chart[0], dict) else None
    if not isinstance(name, str):
        fix = "name a folder with a Helm chart"
        raise RepositoryError(Finding(str(source / CHART), None, "names no chart", fix))
    if not release:
        notices.append(f"rendered as the release {name}; --release names the one that is installed")
    run = tools.run(
        "helm",
        "template",
        release or name,
        source,
        f"--namespace={namespace}",
        f"--kube-version={schemas.kubernetes_versions()[-1]}",
        *(f"--values={path}" for path in values),
    )
    if run.returncode:
        fix = "give the values that are installed by --values, or run `helm dependency build` first"
        raise RepositoryError(Finding(str(source), None, _reason(run.stderr), fix))
    return _documents(run.stdout, str(source))


def _documents(text: str, place: str) -> Found:
    """Return what a program rendered; each object's place is its template where Helm says so."""
    found: Found = []
    for part in re.split(r"^---$", text, flags=re.MULTILINE):
        template = re.search(r"^# Source: \S+?/(\S+)$", part, re.MULTILINE)
        own = f"{place}/{template[1]}" if template else place
        found += [(own, one) for one in _flat(load_all(part, own)) if not usable(one)]
    return found


def _populated(place: str, documents: list[Json], namespace: str) -> None:
    """See that a namespace which is declared is used, where workloads name none.

    Raises:
        RepositoryError: If none of them is in it: who applies them says where they are.
    """
    declared = {str(one["metadata"]["name"]) for one in documents if one["kind"] == "Namespace"}
    workloads = [one["metadata"] for one in documents if one["kind"] in PODS]
    used = {str(one.get("namespace") or DEFAULT) for one in workloads}
    if not namespace and declared and used == {DEFAULT} and DEFAULT not in declared:
        text = f"declares {', '.join(sorted(declared))}, and nothing runs in it"
        fix = f"give --namespace={min(declared)} if they are applied there, or --namespace=default"
        raise RepositoryError(Finding(place, None, text, fix))


def _reason(text: str) -> str:
    """Return what a program says, on one line."""
    message = " ".join(text.split()).rpartition("Error: ")[2]
    return f"does not render: {message[:300] or 'no reason given'}"
