"""Public layouts of the application, each with what `make discover` must propose of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.fixtures import LAYOUTS

NAMES = sorted(path.name for path in LAYOUTS.iterdir())
# What `make discover` reads of a repository: neither today's inventory nor today's budget.
INVENTORY = """\
# Where the application runs.
apiVersion: v1
kind: ConfigMap
metadata:
  name: application
data:
  # A regular expression.
  NAMESPACES: "old"  # of before
  FRONTEND_URL: 'http://old-frontend.old.svc:3000/'
  BACKEND_URL: http://old-backend.old.svc:8000/health # and here
  REMINDER_BINDING: old-cron
  ROUTES: |
    /old
  # After the block.
  GRAFANA_URL: http://localhost:3000
  RUNBOOKS_URL: https://git.example.com/runbooks
"""
BUDGET = """\
tier: {cpu: 2, memory: 12Gi, storage: 200Gi, bootVolume: 50Gi}
requests: {cpu: 600m, memory: 1792Mi}
"""


@dataclass(frozen=True)
class Layout:
    """One folder of LAYOUTS.

    Attributes:
        name: Its name.
        options: Of the command line, for manifests: `--from` and what they leave open.
        document: The option that names its OpenAPI document; none without one.
        application: What must be proposed, by name.
        warnings: Ids of the warnings that must be told.
    """

    name: str
    options: list[str]
    document: list[str]
    application: dict[str, str]
    warnings: list[str]

    @classmethod
    def of(cls, name: str) -> Layout:
        """Read it."""
        folder = LAYOUTS / name
        expected: dict[str, Any] = yaml.safe_load((folder / "expected.yaml").read_text())
        assert expected.keys() == {"application", "warnings"}
        further, document = folder / "options", folder / "openapi.json"
        options = further.read_text().split() if further.exists() else []
        return cls(
            name,
            [f"--from={folder / 'app'}", *options],
            [f"--openapi={document}"] if document.exists() else [],
            **expected,
        )


def root(folder: Path) -> Path:
    """Make a repository that holds what `make discover` reads, and return it."""
    files = {
        "base/application/application.yaml": INVENTORY,
        "clusters/oke-free/flux/monitoring.yaml": "spec: {path: ./overlays/oke-free/config}\n",
        "overlays/oke-free/budget.yaml": BUDGET,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder
