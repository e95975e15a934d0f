"""Strict parsing of YAML: no duplicate keys, lines of keys, and `=` as a string."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.core.findings import Finding, RepositoryError

Json = Any  # What YAML holds: dict, list, str, int, float, bool or None.


_DIGEST = re.compile(r"-[a-z0-9]{10}$")


class _Loader(yaml.CSafeLoader):
    """CSafeLoader that refuses duplicate keys and reads `=` as a string.

    The CRDs of prometheus-operator hold a bare `=`, which YAML 1.1 makes a type of its own.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands twice in one mapping", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def load_all(text: str, path: str) -> list[Json]:
    """Parse every document of a YAML text; empty documents are left out.

    Args:
        text: The YAML.
        path: What to call it in an error.

    Raises:
        RepositoryError: If it is not YAML, or a mapping has a key twice; names the line.
    """
    try:
        documents = yaml.load_all(text, _Loader)
        return [document for document in documents if document is not None]
    except yaml.MarkedYAMLError as error:
        lines = text.splitlines()
        mark = error.problem_mark
        if not mark or mark.line >= len(lines):
            mark = error.context_mark  # Something that begins there is not closed.
        if mark and mark.line >= len(lines):
            mark = None  # It begins at the end of the file.
        line = mark.line + 1 if mark else len(lines) or None
        problem = error.problem or error.context or "no reason given"
        fix = "correct this line, or the one before"
        if mark and "\t" in lines[mark.line][: mark.column + 1]:
            problem, fix = "a tab", "indent with spaces, never tabs"
        raise RepositoryError(Finding(path, line, f"not valid YAML: {problem}", fix)) from error
    except yaml.YAMLError as error:
        problem = "a character that YAML does not allow"
        fix = "remove control characters"
        raise RepositoryError(Finding(path, None, f"not valid YAML: {problem}", fix)) from error


@functools.lru_cache(maxsize=1024)
def load_once(text: str, path: str) -> tuple[Json, ...]:
    """Parse a text as `load_all` does, once for all that read it; nobody may change the result."""
    return tuple(load_all(text, path))


def load(path: Path, root: Path) -> list[Json]:
    """Parse every document of a YAML file, named relative to root in errors."""
    return load_all(path.read_text(encoding="utf-8"), str(path.relative_to(root)))


def _compose(text: str) -> Iterator[yaml.Node]:
    try:
        yield from yaml.compose_all(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return


def child(node: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the key and the value in a map, or twice the item of a list by its index."""
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == key), None)
    if isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
        return node.value[int(key)], node.value[int(key)]
    return None


def line_of(text: str, *keys: str, document: int = 0) -> int | None:
    """Return the line of a key in a YAML text, or of the last of the keys that it has.

    Args:
        text: The YAML.
        keys: Keys, and indices of lists, that lead to it.
        document: Which of the documents.

    Returns:
        None if there is no such document, or this is not YAML.
    """
    nodes = list(_compose(text))
    if document >= len(nodes):
        return None
    node, found = nodes[document], nodes[document].start_mark.line + 1
    for key in keys:
        entry = child(node, key)
        if not entry:
            break
        found, node = entry[0].start_mark.line + 1, entry[1]
    return found


def line_with(path: Path, text: str) -> int | None:
    """Return the number of a file's first line with a text, counted from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if text in line), None)


def leaves(value: Json, *keys: str) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Yield what is neither a map nor a list, each with the keys and indices that lead to it."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, *keys, str(key))
    else:
        yield keys, value


def maps(value: Json, *keys: str) -> Iterator[tuple[tuple[str, ...], dict[str, Json]]]:
    """Yield every map, the outermost first, each with the keys and indices that lead to it."""
    if isinstance(value, dict):
        yield keys, value
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from maps(item, *keys, str(key))


class Sources:
    """Finds the file and line in which an object, or a key of it, is written."""

    def __init__(self, root: Path, folders: tuple[str, ...] = ("clusters", "overlays", "base")):
        """Index every object in the YAML files below these folders of root."""
        self._objects: dict[tuple[str, str], list[tuple[str, yaml.Node]]] = {}
        for folder in folders:
            for path in sorted((root / folder).rglob("*.yaml")):
                for node in _compose(path.read_text(encoding="utf-8")):
                    kind, metadata = child(node, "kind"), child(node, "metadata")
                    name = metadata and child(metadata[1], "name")
                    found = [(str(kind[1].value), name[1], node)] if kind and name else []
                    generators = child(node, "configMapGenerator")
                    for item in generators[1].value if generators else ():
                        if called := child(item, "name"):
                            found.append(("ConfigMap", called[1], item))
                    for what, own, at in found:
                        place = (str(path.relative_to(root)), at)
                        self._objects.setdefault((what, str(own.value)), []).append(place)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - lives as long as the run
    def find(
        self, kind: str, name: str, *keys: str, within: frozenset[str] | None = None
    ) -> tuple[str, int | None] | None:
        """Return (path, line) of the deepest key that is found; an overlay's before the base's.

        Args:
            kind: The object's kind.
            name: The object's name.
            keys: Keys, and indices of lists, that lead to a value in it.
            within: Look in these files only.

        Returns:
            None if no file holds an object of this kind and name.
        """
        best: tuple[int, str, int] | None = None
        # A generated ConfigMap has a digest of its content behind its name.
        own = name if (kind, name) in self._objects else _DIGEST.sub("", name)
        for path, node in self._objects.get((kind, own), []):
            if within is not None and path not in within:
                continue
            depth, line, at = 0, node.start_mark.line + 1, node
            for key in keys:
                found = child(at, key)
                if not found:
                    break
                depth, line, at = depth + 1, found[0].start_mark.line + 1, found[1]
            # Overlays are indexed first, so the overlay's value is found; a missing key is
            # reported in the base.
            absent = depth < len(keys) or not keys
            if best is None or depth > best[0] or (absent and depth == best[0]):
                best = (depth, path, line)
        return best[1:] if best else None

    def layers(self, kind: str, name: str, *keys: str, within: frozenset[str]) -> int:
        """Return how many of some files set a key of an object: the base, and overlays over it."""
        count = 0
        for path, node in self._objects.get((kind, name), []):
            at: yaml.Node | None = node if path in within else None
            for key in keys:
                found = child(at, key) if at else None
                at = found[1] if found else None
            count += at is not None
        return count


def get(value: Json, *keys: str) -> Json:
    """Return what the keys lead to in nested maps; None where one of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
