"""`make rules`: rules generated from `base/config/slos`, `base/config/alerts` and budgets.

Objectives are written in sloth's format and alerts in a short form of Prometheus' own; both refer
to `base/config/thresholds.yaml` and to facts of `base/application` by name. The generated rules are
committed, so that a cluster needs no further controller and reviewers see them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.core.yamlfile import Json

RULES = Path("base/config/rules")
SCHEMA = (
    "https://raw.githubusercontent.com/datreeio/CRDs-catalog/main"
    "/monitoring.coreos.com/prometheusrule_v1.json"
)


class _Dumper(yaml.SafeDumper):
    """Indents lists and keeps lines of text as lines, as this repository's YAML is written."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def prometheus_rule(name: str, groups: list[dict[str, Any]], comment: str) -> str:
    """Return the text of a PrometheusRule.

    Args:
        name: Of the object.
        groups: Prometheus' rule groups.
        comment: A comment that names the generator and its input.
    """
    item = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "namespace": "monitoring"},
        "spec": {"groups": groups},
    }
    return f"# yaml-language-server: $schema={SCHEMA}\n# {comment}\n{dump(item)}"


def dump(item: dict[str, Any]) -> str:
    """Return YAML in this repository's style."""
    return yaml.dump(item, Dumper=_Dumper, sort_keys=False, width=float("inf"), allow_unicode=True)


def rules_of(content: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Yield each rule of a rule file, or of a PrometheusRule's spec."""
    for group in content.get("groups") or ():
        yield from group.get("rules") or ()


def tidy(expression: object) -> str:
    """Return an expression without space at the ends of its lines and around it."""
    lines = str(expression).strip().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n" * (len(lines) > 1)
