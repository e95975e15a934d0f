"""Label matchers that read the dashboards' variables."""

from __future__ import annotations

from dashboards_py.logql import escaped
from dashboards_py.query import regex

NAMESPACE = regex("$namespace")
APP = regex("$app")
SOURCE = "$source"
LEVEL = regex("$level")
# A part of a pod's name; empty, it matches each line, of a pod or not.
POD = regex(f".*{escaped('pod')}.*")
SLO = regex("$slo")
NODE = regex("$node")
