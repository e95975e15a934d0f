"""Kustomizations, built with the load restrictor on, as Flux and Argo CD build them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

import yaml

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load_all, load_once
from scripts.model.files import INVENTORY

FILE = "kustomization.yaml"
# It enables every opt-in, so that these are checked as well.
OPTIONS = "tests/options"
# Below it: an address that everybody can open, where the tree has none yet.
ADDRESS = f"{OPTIONS}/releases/address"
# ConfigMaps of the owner's own, which components copy from: what they are for.
OWNERS = {
    "cluster": "the cluster's name",
    "hub": "the hub's address as URL",
    "object-storage": "the buckets, see base/optional/scale/README.md",
}
# Opt-ins of which a cluster has one: where its environment has taken one in, the others go with it.
ALTERNATIVES = (
    ("base/optional/scale/object-storage/new", "base/optional/scale/object-storage/from-volume"),
    ("base/optional/scale/loki-replicas", "base/optional/scale/loki-distributed"),
)
# What a replacement reads and is not there: the object, or the key of it.
_NO_SOURCE = re.compile(
    r"(?P<gone>nothing selected by|is missing for replacement source)"
    r" ConfigMap\.\S*/(?P<name>[a-z-]+)\.\[noNs\]"
)
# A public address in the inventory.
_PUBLIC = re.compile(r"^  GRAFANA_URL: *[\"']?https:", re.MULTILINE)


def build(root: Path, path: str) -> list[dict[str, Json]]:
    """Return the objects of a kustomization; what is built once comes from the cache.

    Args:
        root: The repository's.
        path: The folder, relative to the repository. Of one below `tests/options`, opt-ins that its
            environment has taken in by itself are left out, as kustomize takes none in twice, and
            so are their alternatives, and what stands for an address or a file of an owner's.

    Raises:
        RepositoryError: With kustomize's reason, shortened to its last part.
    """
    folder = root / path
    if not (folder / FILE).is_file():
        raise RepositoryError(
            Finding(path, None, f"no {FILE} here", "correct the path that points here")
        )
    texts = {os.path.relpath(file, root): file.read_text("utf-8") for file in files(folder)}
    digest = hashlib.sha256(f"{tools.version('kustomize')} {path}".encode())
    for name, text in texts.items():
        digest.update(f"{name} {len(text)} {text}".encode())
    cached = tools.cache() / "builds" / digest.hexdigest()
    if cached.exists():
        return list(json.loads(cached.read_text()))
    for name, text in texts.items():
        if name.endswith(".yaml"):
            load_once(text, name)  # Its error has file and line, which kustomize's lacks.
    with tempfile.TemporaryDirectory() as temporary:
        if path.startswith(f"{OPTIONS}/"):
            folder = _without_taken(root, folder, Path(temporary).resolve())
        built = tools.run("kustomize", "build", folder)
    if built.returncode:
        text = f"kustomize build fails: {_innermost(built.stderr, root)}"
        raise RepositoryError(Finding(f"{path}/{FILE}", None, text, _fix(built.stderr, path)))
    objects = load_all(built.stdout, f"{path} (built)")
    tools.write(cached, json.dumps(objects))
    return objects


def files(folder: Path) -> list[Path]:
    """Return every file that a kustomization reads, itself and its generators' files included.

    Files that do not exist are left out, and a folder that includes itself is read once: kustomize
    reports both.
    """
    found: dict[Path, None] = {}
    folders = [folder]
    while folders:
        here = folders.pop()
        start = here / FILE
        if start in found or not start.is_file():
            continue
        found[start] = None
        try:
            documents = load_once(start.read_text(encoding="utf-8"), FILE)
        except RepositoryError:
            continue  # The caller parses it as well, and reports the error.
        content = documents[0] if documents and isinstance(documents[0], dict) else {}
        # kustomize takes a list without entries, as `components:`, for an empty one.
        names = [*(content.get("resources") or []), *(content.get("components") or [])]
        names += [p["path"] for p in content.get("patches") or [] if "path" in p]
        for generator in content.get("configMapGenerator") or []:
            names += [str(file).rpartition("=")[2] for file in generator.get("files") or []]
        for name in names:
            path = Path(os.path.normpath(here / str(name)))
            if path.is_dir():
                folders.append(path)
            elif path.exists():
                found[path] = None
    return list(found)


def _without_taken(root: Path, folder: Path, copy: Path) -> Path:
    """Write a kustomization again, without the components that its resources have already.

    Args:
        root: The repository's.
        folder: The kustomization's; it has resources and components alone.
        copy: A folder outside of the repository.
    """
    content = load_once((folder / FILE).read_text(encoding="utf-8"), FILE)[0]
    places = {
        key: [Path(os.path.normpath(folder / name)) for name in content.get(key) or ()]
        for key in ("resources", "components")
    }
    taken = {file.parent for resource in places["resources"] for file in files(resource)}
    for names in ALTERNATIVES:
        others = {root / name for name in names}
        taken |= others if others & taken else set()
    if _PUBLIC.search((root / INVENTORY).read_text(encoding="utf-8")):
        taken.add(root / ADDRESS)
    # What stands for a file of the owner's, where the environment has that.
    own = {f"{name}.yaml" for name in OWNERS}
    own &= {file.name for resource in places["resources"] for file in files(resource)}
    for path in places["components"]:
        stands_in = path.is_relative_to(root / OPTIONS)
        if stands_in and own & {file.name for file in files(path)}:
            taken.add(path)
    places["components"] = [path for path in places["components"] if path not in taken]
    relative = {key: [os.path.relpath(path, copy) for path in places[key]] for key in places}
    (copy / FILE).write_text(yaml.safe_dump({**content, **relative}), encoding="utf-8")
    return copy


def _innermost(message: str, root: Path) -> str:
    """Return the part of kustomize's nested message that says what is wrong."""
    text = message.strip().replace(f"{root}/", "").removeprefix("Error: ")
    for step in ("accumulating resources from ", "recursed accumulation of path "):
        text = text.rsplit(step, 1)[-1]
    return text.replace("\\", "").rstrip('"')[-400:]


def _fix(message: str, path: str) -> str:
    """Return what to do about kustomize's message: of components, the order is often at fault."""
    rebuild = f"run `kustomize build {path}`"
    source = _NO_SOURCE.search(message.replace("\\", ""))
    if source and source["name"] in OWNERS:
        file, what = f"{source['name']}.yaml", OWNERS[source["name"]]
        if source["gone"].startswith("is missing"):
            return f"set it in the environment's {file}, then {rebuild}"
        write = f"write {file} into the environment's releases: {what}"
        return f"{write}; list it in resources of the kustomization.yaml there, then {rebuild}"
    if "nothing selected by" in message or "no resource matches" in message:
        order = "list what has this object before what changes or reads it"
        return f"{order} (components apply in their order, base/argocd last), then {rebuild}"
    if "already registered id" in message:
        return f"list only one of the two that have this object, then {rebuild}"
    return rebuild
