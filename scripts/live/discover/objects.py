"""The objects among which the application is looked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.rendered import WORKLOADS, Item, Pod, pods_of

# What is read; nothing of any other kind, and so no Secret, is kept.
KINDS = frozenset(
    {"Component", "Deployment", "Namespace", "NetworkPolicy", "Service", "StatefulSet"}
)
# What has pods, and what leads to them: two of one name are two applications.
PODS = frozenset({"Deployment", "StatefulSet"})
UNIQUE = PODS | {"Service"}
# Asks a Service's port for a path, such as `/health`; None where it answers with an error.
Get = Callable[[Item, int, str], str | None]


@dataclass(frozen=True)
class ObjectSet:
    """The objects of a cluster or a folder.

    Attributes:
        source: What to call it.
        items: Objects of KINDS, each with its namespace.
        notices: What was left out or taken for granted, a sentence each.
        get: Asks the running application; None where nothing runs.
    """

    source: str
    items: tuple[Item, ...] = field(repr=False)
    notices: tuple[str, ...] = ()
    get: Get | None = None

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods of every workload."""
        return tuple(pod for item in self.items if (pod := pods_of(item)))

    def of(self, kind: str) -> list[Item]:
        """Return every object of a kind."""
        return [item for item in self.items if item.kind == kind]


def usable(document: Json) -> str:
    """Say why a document is no object that can be read here; empty if it is one."""
    if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
        return "not Kubernetes"
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return f"a {document['kind']} without a name"
    if not isinstance(document.get("spec") or {}, dict):
        return f"a {document['kind']} whose spec is no map"
    if document["kind"] in WORKLOADS:
        spec: Json = document.get("spec") or {}
        for key in ("template", "spec", "containers"):
            spec = spec.get(key) if isinstance(spec, dict) else None
        if not isinstance(spec, list) or not spec:
            return f"a {document['kind']} without containers, such as a patch"
    return ""


def collected(found: list[tuple[str, Json]], namespace: str) -> tuple[Item, ...]:
    """Return the objects of KINDS, those without a namespace in this one.

    Args:
        found: Usable documents, each with the place that it was read from.
        namespace: Where objects are that name none.

    Raises:
        RepositoryError: If two have one name, or one names an empty namespace.
    """
    places: dict[tuple[str, str, str], tuple[str, Json]] = {}
    faults = []
    for place, document in found:
        kind, metadata = str(document["kind"]), document["metadata"]
        if kind not in KINDS:
            continue
        name = str(metadata["name"])
        if kind != "Namespace" and not metadata.get("namespace", namespace):
            text = f"{kind} {name} is in an empty namespace"
            fix = "name the namespace, or leave the key out and give --namespace"
            faults.append(Finding(place, None, text, fix))
            continue
        own = "" if kind == "Namespace" else str(metadata.get("namespace", namespace))
        filled = {**document, "metadata": {**metadata, "namespace": own}}
        first, other = places.setdefault((kind, own, name), (place, filled))
        if kind in UNIQUE and not _same(filled, other):
            text = f"{kind} {own}/{name} is in {first}, too, and is another one there"
            fix = "name the folder, the kustomization or the chart that is installed"
            faults.append(Finding(place, None, text, fix))
    if faults:
        raise RepositoryError(faults[0])
    return tuple(Item(document) for _, document in places.values())


def _same(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    return one.get("spec") == other.get("spec")
