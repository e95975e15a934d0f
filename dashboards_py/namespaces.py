"""What `base/` says of the cluster: regular expressions of namespaces, and where runbooks are."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load

ROOT = Path(__file__).resolve().parents[1]
INVENTORY = Path("base/application/application.yaml")
MONITORING = Path("base/releases/namespaces.yaml")
# Where each engine installs itself; its installation creates the namespace, not this repository.
ENGINES = frozenset({"argocd", "flux-system"})


@cache
def application() -> str:
    """Return the regular expression of the application's namespaces.

    Raises:
        RepositoryError: Where the file, or a valid NAMESPACES in it, is missing.
    """
    fix = "give it `data.NAMESPACES`, a regular expression such as `default`"
    try:
        value = _documents(INVENTORY, fix)[0]["data"]["NAMESPACES"]
        re.compile(value)
    except (IndexError, KeyError, TypeError, re.error) as error:
        message = f"no usable data.NAMESPACES: {error!r}"
        raise RepositoryError(Finding(str(INVENTORY), None, message, fix)) from error
    if not value:
        raise RepositoryError(Finding(str(INVENTORY), None, "data.NAMESPACES is empty", fix))
    return str(value)


@cache
def runbooks() -> str:
    """Return the address of the folder of runbooks, without a slash at its end.

    Raises:
        RepositoryError: Where the file, or RUNBOOKS_URL in it, is missing.
    """
    fix = "give it `data.RUNBOOKS_URL`, where this repository's runbooks can be read"
    try:
        return str(_documents(INVENTORY, fix)[0]["data"]["RUNBOOKS_URL"]).rstrip("/")
    except (IndexError, KeyError, TypeError) as error:
        message = f"no usable data.RUNBOOKS_URL: {error!r}"
        raise RepositoryError(Finding(str(INVENTORY), None, message, fix)) from error


@cache
def monitoring(*, engines: bool = False) -> str:
    """Return a regular expression of the namespaces of the monitoring.

    Args:
        engines: Whether to match those of Flux and Argo CD, too.

    Raises:
        RepositoryError: Where the file is missing, or declares no namespace.
    """
    fix = "declare the Namespaces of the monitoring in it"
    documents = _documents(MONITORING, fix)
    try:
        names = {d["metadata"]["name"] for d in documents if d["kind"] == "Namespace"}
    except (KeyError, TypeError) as error:
        message = f"not all documents are objects: {error!r}"
        raise RepositoryError(Finding(str(MONITORING), None, message, fix)) from error
    if not names:
        raise RepositoryError(Finding(str(MONITORING), None, "declares no Namespace", fix))
    return "|".join(sorted(names | ENGINES if engines else names))


def _documents(path: Path, fix: str) -> list[Json]:
    try:
        return load(ROOT / path, ROOT)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise RepositoryError(Finding(str(path), None, message, fix)) from error
