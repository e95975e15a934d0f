"""Alerts: rules of Prometheus or Loki from the specifications in `base/config/alerts`.

Those of an opt-in, which is named as `component`, are written into its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.core.yamlfile import Json, load
from scripts.rules import RULES, dump, prometheus_rule, runbooks, tidy
from scripts.rules.facts import Facts

SPECIFICATIONS = Path("base/config/alerts")
PREFIX = "alerts-"
# Loki's ruler reads files, not objects.
LOKI_RULES = Path("base/logs/rules")
COMMENT = "make rules made this of {path}: change that."
_TEXTS = ("expr", "for", "keep_firing_for")


def render(root: Path, facts: Facts | None = None) -> dict[Path, str]:
    """Return the text of each rule file, by its path below `root`.

    Args:
        root: Of the tree.
        facts: Instead of the tree's own.

    Raises:
        RepositoryError: For a specification or a file of facts that cannot be used.
    """
    facts = facts or Facts.of(root)
    files = {}
    for path in sorted((root / SPECIFICATIONS).glob("*.yaml")):
        (specification,) = load(path, root)
        groups = [
            group | {"rules": [_rule(rule, facts, path, root) for rule in group["rules"]]}
            for group in specification["groups"]
        ]
        comment = COMMENT.format(path=path.relative_to(root).as_posix())
        if specification.get("datasource") == "loki":
            files[LOKI_RULES / path.name] = f"# {comment}\n{dump({'groups': groups})}"
        else:
            name = f"{PREFIX}{path.stem}"
            folder = Path(specification.get("component") or RULES)
            files[folder / f"{name}.yaml"] = prometheus_rule(name, groups, comment)
    return files


def alert_annotations(
    alert: str, texts: Mapping[str, Json], facts: Facts, path: Path, root: Path
) -> dict[str, str]:
    """Return an alert's annotations: its texts, links, and the first query of its runbook.

    Args:
        alert: Its name.
        texts: `summary`, `description` and `dashboard`: a uid, perhaps with variables.
        facts: The values of placeholders.
        path: The specification.
        root: Of the tree.

    Raises:
        RepositoryError: For a placeholder that is not known, or a runbook that cannot be read.
    """
    annotations = {
        key: tidy(facts.fill(str(texts[key]), path, root)) for key in ("summary", "description")
    }
    links = {
        "runbook_url": facts.runbook(alert),
        "dashboard_url": facts.dashboard(str(texts["dashboard"])),
    }
    query = tidy(runbooks.first_query(root, alert))
    return annotations | links | ({runbooks.ANNOTATION: query} if query else {})


def _rule(rule: Mapping[str, Json], facts: Facts, path: Path, root: Path) -> dict[str, Any]:
    kind = "alert" if "alert" in rule else "record"
    generated: dict[str, Any] = {kind: rule[kind]}
    generated |= {
        key: tidy(facts.fill(str(rule[key]), path, root)) for key in _TEXTS if key in rule
    }
    if kind == "record":
        return generated | ({"labels": rule["labels"]} if "labels" in rule else {})
    generated["labels"] = {"severity": rule["severity"]}
    return generated | {"annotations": alert_annotations(rule["alert"], rule, facts, path, root)}
