"""The report as data: what its schema promises, and what of a report must not get into it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scripts.core.yamlfile import Json
from scripts.diff import objects
from scripts.diff.model import ABSENT, Action, Amount, Bump, Danger, Edit, Flag, Picture, Report
from scripts.diff.outputs import data
from tests.programs.diff.diff_pairs import cluster, manifest, pair
from tests.programs.diff.diff_reports import EMPTY, HOSTILE, OKE, SMALL, hostile, huge, pictured
from tests.programs.diff.report_schema import SCHEMA, wrong

REPORTS = {
    "empty": EMPTY,
    "small": SMALL,
    "huge": huge(300),
    "hostile": hostile(),
    "pictured": pictured(Path("a.png")),
}


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object in a schema."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for value in node.values():
            yield from schemas(value)


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_what_the_schema_promises(name: str) -> None:
    document = json.loads(data.text(REPORTS[name]))
    assert wrong(document) == []
    assert document == data.data(REPORTS[name])


def test_the_schema_names_what_the_code_has() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    own = SCHEMA["$defs"]
    assert own["flag"]["properties"]["name"]["enum"] == list(Danger)
    assert own["change"]["properties"]["action"]["enum"] == list(Action)
    assert SCHEMA["properties"]["version"]["const"] == data.VERSION


def test_the_schema_lets_nothing_else_pass() -> None:
    """Each field of a full report, left out or renamed, is told."""
    report = dataclasses.replace(SMALL, pictures=pictured(Path("a.png")).pictures)
    for schema in schemas(SCHEMA):
        assert schema["additionalProperties"] is False
        optional = {"before", "after"} if schema.get("minProperties") else set()
        assert {*schema["required"], *optional} == schema["properties"].keys()
        assert schema["description"]

    def broken(node: Json) -> Iterator[str]:
        """The way to each field without which the report is still right."""
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in list(items):
            if isinstance(node, dict):
                del node[key]
                node["another"] = value
                if not wrong(document):
                    yield str(key)
                del node["another"]
                node[key] = value
            if isinstance(value, dict | list):
                yield from broken(value)

    document = data.data(report)
    assert list(broken(document)) == []


def edits(*values: Json) -> list[Json]:
    """What becomes of edits from a value to another one."""
    change = dataclasses.replace(SMALL.changes[1], edits=(Edit("path", *values),))
    (found,) = json.loads(data.text(Report("a", "b", changes=(change,))))["changes"][0]["edits"]
    return [found.get("before", "absent"), found.get("after", "absent")]


@pytest.mark.parametrize("value", [None, "", "1", 1, 1.5, 0, False, [], {}, {"a": [1, None]}])
def test_values_keep_their_types_and_what_is_absent_has_no_field(value: Json) -> None:
    before, after = edits(value, ABSENT)
    assert (before, type(before), after) == (value, type(value), "absent")
    assert edits(ABSENT, value) == ["absent", value]


def test_values_that_json_does_not_have_are_texts() -> None:
    day = datetime.date(2026, 1, 31)
    assert edits(math.inf, [math.nan, day]) == ["inf", ["nan", "2026-01-31"]]
    assert edits({1: {True: day}}, 1) == [{"1": {"True": "2026-01-31"}}, 1]


def strings(node: Json) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from strings([key, value])


def test_no_text_steers_a_terminal_or_hides() -> None:
    document = json.loads(data.text(hostile()))
    texts = list(strings(document))
    assert any("\\x1b[31mred" in text for text in texts)
    assert [
        text for text in texts if not text.replace("\n", "").replace("\t", "").isprintable()
    ] == []
    # Whatever prints the file itself is not steered either.
    assert data.text(hostile()).replace("\n", "").isprintable()


def test_a_flag_names_the_changes_that_it_is_about() -> None:
    def named(where: str) -> Json:
        flag = Flag(Danger.MOVED, where, "Why.", "Fix.", OKE)
        return data.data(dataclasses.replace(SMALL, flags=(flag,)))["flags"][0]["objects"]

    loki, grafana = "StatefulSet monitoring/loki", "Deployment monitoring/grafana"
    assert named(loki) == [loki]
    assert named(f"{loki}, {grafana}") == [grafana, loki]
    assert named("StatefulSet loki, retention") == [loki]
    assert named(f"{loki}-0") == named("release loki, a.b") == named("base/loki.yaml") == []


def test_a_limit_is_known_on_both_sides_of_a_change() -> None:
    def limits(before: str, after: str, limit: str, former: str = "") -> tuple[Json, Json]:
        amount = Amount("one", "CPU", before, after, limit, False, former)
        found = data.data(Report("a", "b", amounts=(amount,)))["budget"][0]["limit"]
        return found["before"], found["after"]

    assert limits("1", "2", "3") == ("3", "3")
    assert limits("1", "2", "3", "4") == ("4", "3")
    assert limits("1", "2", "", "4") == ("4", None)
    assert limits("1", "2", "3", "none") == (None, "3")
    assert limits("1", "2", "") == (None, None)
    assert limits("", "2", "3") == (None, "3")


def test_what_was_not_there_is_null() -> None:
    bumps = tuple(Bump(OKE, "loki", "loki", *versions) for versions in (("1", ""), ("", "2")))
    found = data.data(Report("a", "b", bumps=bumps))["bumps"]
    assert [(one["before"], one["after"]) for one in found] == [("1", None), (None, "2")]
    cluster_role = data.data(SMALL)["changes"][-1]
    assert (cluster_role["namespace"], cluster_role["title"]) == (None, "ClusterRole todo-reader")


def test_a_picture_is_told_and_neither_embedded_nor_addressed() -> None:
    path = "/home/somebody/a.png"
    report = dataclasses.replace(
        EMPTY, pictures=(Picture("one", path, ABSENT), Picture("two", None, path))
    )
    assert data.data(report)["pictures"] == [
        {"dashboard": "one", "before": "drawn", "after": "absent"},
        {"dashboard": "two", "before": "not drawn", "after": "drawn"},
    ]
    assert "somebody" not in data.text(report)


def test_the_hostile_texts_are_all_there() -> None:
    assert len(data.data(hostile())["changes"]) == len(HOSTILE)


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_of_a_secret_it_says_only_whether_a_value_is_another(field: str) -> None:
    old: dict[str, Json] = {field: {"same": "c2FtZQ==", "other": "b2xk", "gone": "Z29uZQ=="}}
    new: dict[str, Json] = {field: {"same": "c2FtZQ==", "other": "bmV3", "new": "bmV4dA=="}}
    before, after = manifest("Secret", **old), manifest("Secret", **new)
    values = {*before[field].values(), *after[field].values()}
    for states in ((before, after), (before, None), (None, after)):
        sides = [cluster(*([one] if one else [])) for one in states]
        changes = tuple(objects.changes([pair(*sides)]))
        text = data.text(Report("a", "b", changes=changes))
        assert "Secret n/a" in text
        assert [value for value in values if value in text] == []
