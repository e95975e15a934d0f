"""Label matchers that read the dashboards' variables."""

from __future__ import annotations

from dashboards_py.query import regex

NAMESPACE = regex("$namespace")
APP = regex("$app")
SOURCE = "$source"
LEVEL = regex("$level")
SLO = regex("$slo")
NODE = regex("$node")
JOB = regex("$job")
