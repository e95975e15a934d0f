"""Unit tests of rules: promtool's own, run on the rules as each cluster gets them.

A file of `tests/repository/rules` is promtool's input, but for two things: `rule_files` names
PrometheusRules, and `${…}` stands for facts of the application (`scripts.rules.facts`), which
differ in every copy of this repository.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts import tools
from scripts.manifests import Entry
from scripts.proof.client import Api
from scripts.rules import each
from scripts.rules.facts import Facts
from scripts.yamlfile import load_all

Json = Any
FOLDER = tools.ROOT / "tests" / "repository" / "rules"
FILES = sorted(FOLDER.glob("*.yaml"))
# Operators that compare, outside of braces, and what is true where they are not.
_COMPARISON = re.compile(r"(?<![=!<>~])(==|!=|<=|>=|<|>)(?![=~])(?:\s+bool)?")
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_FAILED = re.compile(r'(?:alertname: (?P<alert>\w+)|expr: "(?P<expr>.+?)", time: )')
# A metric, in an expression.
NAME = re.compile(r"[a-zA-Z_:][\w:]*")


def rule_sets(entries: Iterable[Entry]) -> dict[str, dict[str, Json]]:
    """Return the rule files of the entries by PrometheusRule, each distinct set once.

    Returns:
        Names of the entries that share a set, joined, to its files.
    """
    sets: dict[str, tuple[list[str], dict[str, Json]]] = {}
    for entry in entries:
        files = {
            item["metadata"]["name"]: {"groups": item["spec"]["groups"]}
            for item in entry.objects()
            if item["kind"] == "PrometheusRule"
        }
        names, _ = sets.setdefault(json.dumps(files, sort_keys=True), ([], files))
        names.append(entry.name)
    return {", ".join(names): files for names, files in sets.values()}


@functools.cache
def suite(path: Path) -> Json:
    """Return a test file with the application's facts in it."""
    facts = Facts.of(tools.ROOT)
    known = Facts({}, {**facts.application, "NAMESPACE": namespace()})
    (document,) = load_all(known.fill(path.read_text(), path, tools.ROOT), path.name)
    for group in document["tests"]:
        for series in group.get("input_series") or ():
            # To YAML, 0x20 is the number 32, and not twenty zeros.
            assert isinstance(series["values"], str), (
                f"{path.name}, {group['name']}: quote the values"
            )
    return document


def run(path: Path, files: Mapping[str, Json], folder: Path) -> tuple[bool, str]:
    """Run a test file on rules, once for the same content.

    Args:
        path: Of the test file.
        files: Rules by PrometheusRule.
        folder: An empty one.

    Returns:
        Whether every test passes, and what promtool says.
    """
    document = copy.deepcopy(suite(path))
    content = [
        document,
        *(files[name] for name in document["rule_files"]),
        tools.version("promtool"),
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    known = tools.cache() / "rules" / f"{digest}.json"
    if not known.exists():
        for name in document["rule_files"]:
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(files[name]))
        document["rule_files"] = [str(folder / f"{name}.yaml") for name in document["rule_files"]]
        (folder / "test.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        done = tools.run("promtool", "test", "rules", folder / "test.yaml")
        said = done.stdout + done.stderr
        tools.write(known, json.dumps([done.returncode == 0, said.replace(str(folder), "")]))
    passed, said = json.loads(known.read_text())
    return bool(passed), str(said)


def failed(said: str) -> set[str]:
    """Return the names of alerts and the expressions of which promtool says that they failed."""
    return {found["alert"] or found["expr"] for found in _FAILED.finditer(said)}


def rules(files: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Yield each rule of each file."""
    for content in files.values():
        yield from each(content)


def alerts(files: Mapping[str, Json]) -> set[str]:
    """Return the name of each alert."""
    return {rule["alert"] for rule in rules(files) if "alert" in rule}


def loaded(loki: Api) -> set[str]:
    """Return the name of each rule that Loki's ruler has loaded."""
    groups = loki.get("/prometheus/api/v1/rules")["data"]["groups"]
    return {rule["name"] for group in groups for rule in group["rules"]}


def changed(
    files: Mapping[str, Json], change: Callable[[dict[str, Json]], None]
) -> dict[str, Json]:
    """Return the files with each rule changed in place by a function."""
    changed_files: dict[str, Json] = copy.deepcopy(dict(files))
    for rule in rules(changed_files):
        change(rule)
    return changed_files


def wrong(rule: Mapping[str, Json]) -> list[dict[str, str]]:
    """Return each way in which an alert could be wrong: a comparison negated, no time to wait."""
    ways = [{"expr": expr} for expr in negations(rule["expr"])]
    return [*ways, {"for": "0s"}] if "for" in rule else ways


def namespace() -> str:
    """Return the application's first namespace."""
    return str(re.findall(r"[\w-]+", Facts.of(tools.ROOT).application["NAMESPACES"])[0])


def negations(expression: str) -> list[str]:
    """Return the expression once for each of its comparisons, that one negated."""
    masked = _mask(expression)
    found = []
    for match in _COMPARISON.finditer(masked):
        start, end = match.span(1)
        found.append(expression[:start] + _OPPOSITE[match[1]] + expression[end:])
    return found


def _mask(expression: str) -> str:
    """Return the expression with its label matchers and strings blanked, of the same length."""
    return re.sub(r"\{[^{}]*\}|\"[^\"]*\"", lambda found: "_" * len(found[0]), expression)
