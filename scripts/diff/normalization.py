"""Objects without what differs at each release of a chart and means nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from scripts.core.yamlfile import Json, get

# Labels that say a version, and so change with it.
VERSIONS = frozenset({"helm.sh/chart", "app.kubernetes.io/version"})
# The label of older charts for the same; others may mean something else by it.
CHART = re.compile(r".+-\d+\.\d+\.\d+.*")
# The digest of a configuration that is compared itself.
CHECKSUM = "checksum"
# What kustomize puts behind the names that it generates; its alphabet has no vowels.
GENERATED = re.compile(r"-[2456789bcdfghkmt]{10}$")
GENERATED_KINDS = frozenset({"ConfigMap", "Secret"})


def generated_names(manifests: Iterable[Mapping[str, Json]]) -> dict[str, str]:
    """Return the names that end in a hash of the content, each with what is before the hash."""
    names = [m["metadata"]["name"] for m in manifests if m["kind"] in GENERATED_KINDS]
    return {name: GENERATED.sub("", name) for name in names if GENERATED.search(name)}


def normalized(manifest: Mapping[str, Json], names: Mapping[str, str]) -> dict[str, Json]:
    """Return an object without labels of versions, checksums, hashes in names and texts of CRDs.

    Args:
        manifest: The object; it stays as it is.
        names: What `generated_names` found among all objects of its cluster.
    """
    found: dict[str, Json] = _normalized(manifest, names)
    if found["kind"] == "CustomResourceDefinition":
        for version in found["spec"].get("versions", ()):
            version["schema"] = _without_descriptions(version.get("schema"))
    return found


def without_secrets(before: Json, after: Json) -> tuple[Json, Json]:
    """Return both states of an object; of a Secret, nothing but whether a value is another.

    Args:
        before: The object, or None.
        after: The object, or None.
    """
    if "Secret" not in {get(before, "kind"), get(after, "kind")}:
        return before, after
    for field in ("data", "stringData"):
        old, new = get(before, field) or {}, get(after, field) or {}
        for key in {*old, *new}:
            same = old.get(key) == new.get(key)
            for values, word in ((old, "before"), (new, "after")):
                if key in values:
                    values[key] = "hidden" if same else f"hidden, {word}"
    return before, after


def _normalized(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_normalized(item, names) for item in value]
    if isinstance(value, str):
        return names.get(value, value)
    if not isinstance(value, dict):
        return value
    result = {key: _normalized(item, names) for key, item in value.items()}
    if isinstance(metadata := result.get("metadata"), dict):
        result["metadata"] = {key: _metadata(key, item) for key, item in metadata.items()}
    return result


def _metadata(key: str, value: Json) -> Json:
    if not isinstance(value, dict):
        return value
    if key == "labels":
        return {
            name: text
            for name, text in value.items()
            if name not in VERSIONS and not (name == "chart" and CHART.fullmatch(str(text)))
        }
    if key == "annotations":
        return {name: text for name, text in value.items() if CHECKSUM not in name}
    return value


def _without_descriptions(schema: Any) -> Any:
    """A schema without its texts; a property may be called `description`, too."""
    if isinstance(schema, list):
        return [_without_descriptions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_descriptions(item)
        for key, item in schema.items()
        if not (key == "description" and isinstance(item, str))
    }
