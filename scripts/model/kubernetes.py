"""Which Kubernetes an environment has, and what the next one serves, runs and is tested with.

Every fact is of a pinned source: `k8s.io/api` says of each API version of Kubernetes when it is
removed and what comes in its place, the schemas of kubernetes-validate what was removed, a CRD what
is deprecated of its own, Flux' go.mod and Argo CD's documentation what they are made for.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.model import charts, schemas
from scripts.model.clusters import budget
from scripts.model.manifests import Release
from scripts.model.rendered import Cluster

API, KUSTOMIZE = "k8s.io/api", "github.com/fluxcd/kustomize-controller"
ARGO_CD = "github.com/argoproj/argo-cd/v3"
# Flux supports the Kubernetes that it is built with, and as many minor versions before it:
# https://fluxcd.io/flux/installation/#prerequisites
FLUX_SUPPORTS = 3
# An `int` in the functions below is a minor version of Kubernetes 1, such as 36.
_FUNCTION = re.compile(
    r"func \(in \*(?P<kind>\w+)\) APILifecycle"
    r"(?P<what>Introduced|Deprecated|Removed|Replacement)\(\).*?\{\s*"
    r"return (?:1, (?P<minor>\d+)"
    r'|\S*GroupVersionKind\{Group: "(?P<group>[^"]*)", Version: "(?P<version>\w+)")'
)
# Its own groups that are in modules of their own.
_ELSEWHERE = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})
_GROUP = re.compile(r'\bGroupName = "([^"]*)"')


class Lifecycle(NamedTuple):
    """What becomes of an API version of a kind.

    Attributes:
        introduced: The minor version of Kubernetes that serves it first; None where nobody says so.
        deprecated: The minor version of Kubernetes in which it is; None where it is not.
        removed: Likewise that which does not serve it any more.
        replacement: The apiVersion to use; empty where nobody says so.
    """

    introduced: int | None = None
    deprecated: int | None = None
    removed: int | None = None
    replacement: str = ""


class Tested(NamedTuple):
    """The minor versions of Kubernetes that an engine is made for.

    Attributes:
        title: The engine and its version.
        oldest: The first.
        newest: The last.
    """

    title: str
    oldest: int
    newest: int


def declared(cluster: Cluster) -> int | None:
    """Return the minor version that an environment declares in `budget.yaml`, if any."""
    version = str(budget(cluster.repository.root, cluster.sync.cluster).get("kubernetes"))
    # What is no version, `make validate` names.
    return minor(version) if re.fullmatch(r"1\.\d+", version) else None


def minor(version: str) -> int:
    """Return 36 of `1.36`, `v1.36.2` and `v0.36.2`, as Kubernetes numbers its Go modules."""
    return int(version.removeprefix("v").split(".")[1])


def lifecycle(api_version: str, kind: str) -> Lifecycle:
    """Return what becomes of an API version of a kind, of Kubernetes' own or of a pinned CRD.

    Raises:
        RepositoryError: If a pinned module cannot be had.
    """
    group, _, version = api_version.rpartition("/")
    found = _table().get(f"{api_version} {kind}")
    if found is None and group not in _groups():
        return _custom(group, version, kind)
    if found is None:
        # What was removed long ago is in no module any more.
        every = [minor(one) for one in schemas.every_kubernetes_version()]
        known = [one for one in every if _has_schema(one, group, version, kind)]
        last = known[-1] if known else every[0] - 1
        found = Lifecycle(removed=last + 1) if last < every[-1] else Lifecycle()
    if found.removed and not found.replacement:
        found = found._replace(replacement=_stable(group, kind))
    return found


def served(api_version: str, kind: str) -> bool:
    """Say whether the CRD of a kind, where one is pinned, serves an API version."""
    group, _, version = api_version.rpartition("/")
    versions = _versions(group, kind)
    return versions is None or any(v["name"] == version and v.get("served") for v in versions)


def tested(engine: str) -> Tested:
    """Return what the engine is made for, at the version whose schemas are pinned.

    Raises:
        RepositoryError: If its module cannot be had.
    """
    if engine == "flux":
        text = (schemas.source(KUSTOMIZE) / "go.mod").read_text(encoding="utf-8")
        newest = minor(re.findall(r"^\s*k8s\.io/api (v\S+)", text, re.MULTILINE)[0])
        title = f"Flux with kustomize-controller {schemas.pinned(KUSTOMIZE)}"
        return Tested(title, newest - FLUX_SUPPORTS + 1, newest)
    own = ".".join(schemas.pinned(ARGO_CD).removeprefix("v").split(".")[:2])
    path = schemas.source(ARGO_CD) / "docs/operator-manual/tested-kubernetes-versions.md"
    text = path.read_text(encoding="utf-8")
    row = re.search(rf"^\| *{re.escape(own)} *\|(.*)\|", text, re.MULTILINE)
    minors = sorted(minor(one) for one in re.findall(r"v1\.\d+", row[1] if row else ""))
    return Tested(f"Argo CD {own}", minors[0], minors[-1])


def outside(engine: str, version: int) -> str:
    """Say for what an engine is made where that is another Kubernetes; empty where it is not."""
    own = tested(engine)
    if own.oldest <= version <= own.newest:
        return ""
    return f"{own.title} is tested with Kubernetes 1.{own.oldest} to 1.{own.newest}"


def refuses(release: Release, version: int) -> str:
    """Return the versions that a chart asks for, where Helm refuses this one; empty where not."""
    constraint = str(charts.metadata(release).get("kubeVersion") or "")
    return constraint if constraint and not _accepts(constraint, version) else ""


@functools.cache
def _accepts(constraint: str, version: int) -> bool:
    """Ask Helm, with a chart that has nothing but the constraint."""
    with tempfile.TemporaryDirectory() as folder:
        content = {"apiVersion": "v2", "name": "a", "version": "1.0.0", "kubeVersion": constraint}
        (Path(folder) / "Chart.yaml").write_text(json.dumps(content), encoding="utf-8")
        run = tools.run("helm", "template", "a", folder, f"--kube-version=1.{version}.0")
        return run.returncode == 0 or "kubeVersion" not in run.stderr


def _has_schema(version: int, group: str, api: str, kind: str) -> bool:
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], api)))
    folders = schemas.KUBERNETES.glob(f"v1.{version}.*-local-strict")
    return any((folder / f"{name}.json").exists() for folder in folders)


def _stable(group: str, kind: str) -> str:
    """Return the newest stable apiVersion of a kind of Kubernetes; empty where it has none."""
    newest = minor(schemas.every_kubernetes_version()[-1])
    apis = (f"v{number}" for number in (2, 1))
    found = next((api for api in apis if _has_schema(newest, group, api, kind)), "")
    return "/".join(filter(None, (group, found))) if found else ""


def _custom(group: str, version: str, kind: str) -> Lifecycle:
    versions = _versions(group, kind) or []
    own: Mapping[str, Json] = next((one for one in versions if one["name"] == version), {})
    stored = next((one["name"] for one in versions if one.get("storage")), "")
    if not own.get("deprecated"):
        return Lifecycle()
    return Lifecycle(deprecated=0, replacement=f"{group}/{stored}" if stored != version else "")


def _versions(group: str, kind: str) -> list[dict[str, Json]] | None:
    path = schemas.crd(group, kind)
    return None if path is None else list(json.loads(path.read_text())["spec"]["versions"])


@functools.cache
def _groups() -> frozenset[str]:
    """Return the API groups of Kubernetes' own."""
    return _ELSEWHERE | {name.split()[0].rpartition("/")[0] for name in _table()}


@functools.cache
def _table() -> Mapping[str, Lifecycle]:
    """Read what is generated of the comments in Kubernetes' types, once for each pinned version."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    made = tools.cache() / "lifecycles" / f"{schemas.pinned(API)}-{code}.json"
    if not made.exists():
        found: dict[str, dict[str, Json]] = {}
        for path in sorted(schemas.source(API).glob("*/*/zz_generated.prerelease-lifecycle.go")):
            for name, key, value in _read(path):
                found.setdefault(name, {})[key] = value
        tools.write(made, json.dumps(found))
    return {name: Lifecycle(**one) for name, one in json.loads(made.read_text()).items()}


def _read(path: Path) -> Iterator[tuple[str, str, Json]]:
    group = _GROUP.findall((path.parent / "register.go").read_text(encoding="utf-8"))[0]
    own = f"{group}/{path.parent.name}" if group else path.parent.name
    for match in _FUNCTION.finditer(path.read_text(encoding="utf-8")):
        value: Json = int(match["minor"]) if match["minor"] else match["version"]
        if not match["minor"] and match["group"]:
            value = f"{match['group']}/{match['version']}"
        yield f"{own} {match['kind']}", match["what"].lower(), value
