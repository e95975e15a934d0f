"""What the dashboards must know of the application, from `base/application/application.yaml`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

from scripts.core.findings import Finding, RepositoryError

INVENTORY = Path("base/application/application.yaml")
ROOT = Path(__file__).resolve().parents[1]


@cache
def namespaces() -> str:
    """Return the regular expression of the application's namespaces.

    Raises:
        RepositoryError: Where the file, or a valid NAMESPACES in it, is missing.
    """
    fix = "give it `data.NAMESPACES`, a regular expression such as `default`"
    try:
        document = yaml.safe_load((ROOT / INVENTORY).read_text(encoding="utf-8"))
        value = document["data"]["NAMESPACES"]
        re.compile(value)
    except (OSError, yaml.YAMLError, KeyError, TypeError, re.error) as error:
        message = f"no usable data.NAMESPACES: {error!r}"
        raise RepositoryError(Finding(str(INVENTORY), None, message, fix)) from error
    if not value:
        raise RepositoryError(Finding(str(INVENTORY), None, "data.NAMESPACES is empty", fix))
    return str(value)
