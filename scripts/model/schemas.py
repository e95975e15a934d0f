"""JSON schemas of all that may be applied: Kubernetes' from PyPI, the CRDs' from Go modules."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts import tools
from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import load, load_all
from scripts.tools import sources

PINS = Path(__file__).parents[1] / "schemas.yaml"
# Files beside a package, which would take longer to import than most commands run.
_PACKAGE = importlib.util.find_spec("kubernetes_validate")
assert _PACKAGE, "the lock file has it"  # noqa: S101
KUBERNETES = Path(str(_PACKAGE.origin)).parent / "kubernetes-json-schema"
# The newest minor versions of Kubernetes, as many as the Kubernetes project itself supports.
SUPPORTED = 3


def kubernetes_versions() -> tuple[str, ...]:
    """Return the newest patch of each supported minor version of Kubernetes, oldest first."""
    return every_kubernetes_version()[-SUPPORTED:]


@functools.cache
def every_kubernetes_version() -> tuple[str, ...]:
    """Return the newest patch of each minor version that there are schemas of, oldest first."""
    found = {
        tuple(map(int, match.groups()))
        for path in KUBERNETES.glob("v*-local-strict")
        if (match := re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)-local-strict", path.name))
    }
    newest = {version[:2]: version for version in sorted(found)}
    return tuple(".".join(map(str, newest[minor])) for minor in sorted(newest))


def folder() -> Path:
    """Return the folder of all schemas, made once in the per-user cache.

    Layout: `v<version>-strict/<kind>-<group>-<version>.json` for Kubernetes' own kinds,
    `<group>/<kind>_<version>.json` for custom resources, `crds/<group>/<kind>.json` for their CRDs.
    Unknown fields are refused wherever the API does not allow them.

    Raises:
        RepositoryError: If a module cannot be had or does not have the pinned checksum.
    """
    key = [PINS.read_bytes(), Path(__file__).read_bytes(), str(kubernetes_versions()).encode()]
    made = tools.cache() / "schemas" / hashlib.sha256(b"".join(key)).hexdigest()[:12]
    if made.exists():
        return made
    progress("reading the schemas of Kubernetes and of the custom resources (once)")
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as partial:
        target = Path(partial) / "schemas"
        for version in kubernetes_versions():
            _kubernetes(version, target / f"v{version}-strict")
        for source in crd_folders():
            for path in sorted(source.glob("*.yaml")):
                documents = load_all(path.read_text(), path.name)
                for name, content in (*_schemas(documents), *_crds(documents)):
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    (target / name).write_text(json.dumps(content))
        # Another process may have been faster; its result is the same.
        with contextlib.suppress(OSError):
            target.rename(made)
    return made


def crd_folders() -> list[Path]:
    """Return the folders of the CRDs that the schemas are made of.

    Raises:
        RepositoryError: As `folder`.
    """
    return [_module(pin) / pin["crds"] for pin in _pins() if "crds" in pin]


def source(module: str) -> Path:
    """Return the folder of a Go module that `scripts/schemas.yaml` pins.

    Raises:
        RepositoryError: As `folder`.
    """
    return _module(next(pin for pin in _pins() if pin["module"] == module))


def pinned(module: str) -> str:
    """Return the version of a Go module that `scripts/schemas.yaml` pins, such as `v1.9.4`."""
    return next(pin["version"] for pin in _pins() if pin["module"] == module)


@functools.cache
def crd(group: str, kind: str) -> Path | None:
    """Return the file of a kind's CustomResourceDefinition, as JSON; None of another kind."""
    path = folder() / "crds" / group / f"{kind.lower()}.json"
    return path if path.exists() else None


def locations() -> list[str]:
    """Return kubeconform's `-schema-location` values; nothing is downloaded at run time."""
    release = "{{.NormalizedKubernetesVersion}}{{.StrictSuffix}}"
    return [
        f"{folder()}/{release}/" + "{{.ResourceKind}}{{.KindSuffix}}.json",
        f"{folder()}/" + "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json",
    ]


def _pins() -> list[dict[str, str]]:
    return list(load(PINS, PINS.parents[1])[0])


def _kubernetes(version: str, target: Path) -> None:
    """Copy one version's schemas with references that resolve in their folder, not on the web."""
    target.mkdir(parents=True)
    for path in (KUBERNETES / f"v{version}-local-strict").glob("*.json"):
        schema = json.loads(
            path.read_text().replace('"/api/_definitions.json', '"_definitions.json')
        )
        schema.pop("$id", None)
        (target / path.name).write_text(json.dumps(schema))


def _module(pin: dict[str, str]) -> Path:
    """Download one Go module, verified against its pinned hash; returns its folder."""
    module = sources.download(pin["module"], pin["version"])
    if module.get("Sum") != pin["sum"]:
        reason = module.get("Error") or f"checksum is {module.get('Sum')}"
        raise RepositoryError(
            Finding(
                "scripts/schemas.yaml",
                None,
                f"{pin['module']} {pin['version']}: {reason[-400:]}",
                "check the network's access to the Go module proxy, or correct version and sum",
            )
        )
    return Path(module["Dir"])


def _schemas(documents: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for crd in documents:
        if crd.get("kind") != "CustomResourceDefinition":
            continue
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = version.get("schema", {}).get("openAPIV3Schema")
            if schema:
                name = f"{spec['group']}/{spec['names']['kind'].lower()}_{version['name']}.json"
                yield name, _strict(schema, top=True)


def _crds(documents: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for crd_ in documents:
        if crd_.get("kind") == "CustomResourceDefinition":
            spec = crd_["spec"]
            yield f"crds/{spec['group']}/{spec['names']['kind'].lower()}.json", crd_


def _strict(schema: Any, top: bool = False) -> Any:
    """Refuse unknown fields, and translate Kubernetes' extensions into JSON Schema."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        # Names of properties are not keywords.
        key: {n: _strict(s) for n, s in value.items()} if key == "properties" else _strict(value)
        for key, value in schema.items()
    }
    if result.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
        result.pop("format", None)
        result.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    elif "properties" in result and not result.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    if top:
        result["properties"] = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **{k: v for k, v in result.get("properties", {}).items() if k != "metadata"},
        }
    return result
