"""What `make diff` takes for a difference, and how it shows one."""

from __future__ import annotations

import json

import pytest

from scripts.core.yamlfile import Json
from scripts.diff import normalization, yaml_diff
from scripts.diff.analyzers import retention, wording
from scripts.diff.model import ABSENT
from scripts.diff.value_diff import differences


def edits(before: Json, after: Json) -> list[tuple[str, Json, Json]]:
    return [(d.path, d.before, d.after) for d in differences(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": "1"}, [("a", 1, "1")]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({"a.b/c": {"d-e": 1}}, {"a.b/c": {"d-e": 2}}, [("[a.b/c].d-e", 1, 2)]),
        # By name, whatever the order.
        (
            {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]},
            {"containers": [{"name": "b"}, {"name": "a", "image": "y"}]},
            [("containers[name=a].image", "x", "y")],
        ),
        # The order of these is when they run.
        (
            {"initContainers": [{"name": "a"}, {"name": "b"}]},
            {"initContainers": [{"name": "b"}, {"name": "a"}]},
            [("initContainers.order", ["[name=a]", "[name=b]"], ["[name=b]", "[name=a]"])],
        ),
        # One volume, mounted twice.
        (
            {"m": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
            {"m": [{"name": "v", "mountPath": "/a"}]},
            [("m[mountPath=/b]", {"name": "v", "mountPath": "/b"}, ABSENT)],
        ),
        ({"verbs": ["get", "list"]}, {"verbs": ["list", "get"]}, []),
        ({"verbs": ["get"]}, {"verbs": ["list", "get"]}, [("verbs[list]", ABSENT, "list")]),
        ({"command": ["a", "b"]}, {"command": ["b"]}, [("command[0]", "a", ABSENT)]),
        ({"args": ["--a=1", "--b"]}, {"args": ["--b", "--a=2"]}, [("args[--a]", "--a=1", "--a=2")]),
        (
            {"args": ["run", "x"]},
            {"args": ["x", "run"]},
            [("args[0]", ABSENT, "x"), ("args[1]", "x", ABSENT)],
        ),
        # Rules of roles have no name.
        (
            {"rules": [{"verbs": ["get"]}, {"verbs": ["list"]}]},
            {"rules": [{"verbs": ["list"]}, {"verbs": ["get", "watch"]}]},
            [("rules[1].verbs[watch]", ABSENT, "watch")],
        ),
        # One alert of two severities.
        (
            {"rules": [_ := {"alert": "A", "labels": {"severity": "info"}}, {"alert": "A"}]},
            {"rules": [_, {"alert": "A", "for": "5m"}]},
            [("rules[alert=A].for", ABSENT, "5m")],
        ),
        # Series of one name and other labels.
        (
            {"rules": [{"record": "r", "expr": "a"}, {"record": "r", "expr": "b"}]},
            {"rules": [{"record": "r", "expr": "a"}, {"record": "r", "expr": "c"}]},
            [("rules[record=r,number=2].expr", "b", "c")],
        ),
        ({"a": [{"name": "b"}]}, {"a": []}, [("a[name=b]", {"name": "b"}, ABSENT)]),
        ({"a": []}, {"a": [{"name": "b"}]}, [("a[name=b]", ABSENT, {"name": "b"})]),
        ({"gridPos": {"x": 0, "y": 0}}, {"gridPos": {"x": 1, "y": 1}}, None),
    ],
)
def test_values_differ_where_they_mean_something_else(
    before: Json, after: Json, expected: list[tuple[str, Json, Json]] | None
) -> None:
    if expected is None:
        expected = [("gridPos", before["gridPos"], after["gridPos"])]
    assert edits(before, after) == expected


def test_texts_are_compared_as_what_they_hold() -> None:
    one, other = (
        {"panels": [{"title": "CPU", "unit": "s"}]},
        {"panels": [{"unit": "ms", "title": "CPU"}]},
    )
    found = edits({"a.json": json.dumps(one)}, {"a.json": json.dumps(other, indent=1)})
    assert found == [("[a.json].panels[title=CPU].unit", "s", "ms")]
    assert edits({"a": "b: 1\nc: 2\n"}, {"a": "# why\nc: 2\nb: 3\n"}) == [("a.b", 1, 3)]
    assert edits({"a": "b: 1\nc: 2\n"}, {"a": "# why\nb: 1\nc: 2\n"}) == []
    assert edits({"a": "x\ny\nz"}, {"a": "x\nY\nz\nw"}) == [
        ("a[line 2]", "y", "Y"),
        ("a[line 4]", ABSENT, "w"),
    ]
    assert edits({"a": "{not json"}, {"a": "{nor this"}) == [("a", "{not json", "{nor this")]


def test_values_that_differ_are_shown_below_their_keys() -> None:
    before = {"spec": {"containers": [{"name": "a", "image": "x"}], "text": "1\n2\n3\n4\n5"}}
    after = {
        "spec": {"containers": [{"name": "a", "image": "y", "new": [1]}], "text": "1\n2\n4\n5"}
    }
    assert yaml_diff.differing(list(differences(before, after))).splitlines() == [
        " spec:",
        "   containers:",
        "     - name: a",
        "-      image: x",
        "+      image: y",
        "+      new:",
        "+      - 1",
        "   text:",
        "     # line 3",
        "     1",
        "     2",
        "-    3",
        "     4",
        "     5",
    ]
    assert yaml_diff.whole({"kind": "A", "text": "1\n2"}, "+") == "+kind: A\n+text: |-\n+  1\n+  2"


def test_noise_is_taken_out() -> None:
    def labels(version: str) -> Json:
        return {"helm.sh/chart": f"a-{version}", "app.kubernetes.io/version": version, "app": "a"}

    def workload(version: str, chart: str) -> Json:
        template = {
            "metadata": {"labels": labels(version), "annotations": {"checksum/config": version}},
            "spec": {"volumes": [{"configMap": {"name": f"c-{version * 2}"}}]},
        }
        metadata = {"name": "a", "labels": {**labels(version), "chart": chart}}
        return {"kind": "Deployment", "metadata": metadata, "spec": {"template": template}}

    names = normalization.generated_names(
        {"kind": kind, "metadata": {"name": f"c-{hashed}"}}
        for kind, hashed in (
            ("ConfigMap", "2456789bcd"),
            ("Secret", "dcb9876542"),
            ("ConfigMap", "longer2456"),
            ("Service", "bcdfghkmt2"),
        )
    )
    assert names == {"c-2456789bcd": "c", "c-dcb9876542": "c"}
    one = normalization.normalized(workload("24567", "a-1.0.0"), {"c-2456724567": "c"})
    other = normalization.normalized(workload("9bcdf", "a-1.0.1"), {"c-9bcdf9bcdf": "c"})
    assert one == other
    assert one["spec"]["template"]["spec"]["volumes"] == [{"configMap": {"name": "c"}}]
    # It means something else here, so it stays.
    assert normalization.normalized(workload("1", "tiller"), {}) != normalization.normalized(
        workload("1", "a-1.0.0"), {}
    )


def test_texts_of_a_schema_are_noise_but_a_property_of_that_name_is_not() -> None:
    def crd(**properties: Json) -> Json:
        schema = {"openAPIV3Schema": {"description": str(properties), "properties": properties}}
        version = {"name": "v1", "schema": schema}
        return {"kind": "CustomResourceDefinition", "metadata": {}, "spec": {"versions": [version]}}

    kept = normalization.normalized(
        crd(description={"type": "string", "description": "What it is."}), {}
    )
    schema = kept["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema == {"properties": {"description": {"type": "string"}}}


def test_no_value_of_a_secret_is_shown() -> None:
    def secret(**data: str) -> Json:
        return {"kind": "Secret", "data": data}

    shown = normalization.without_secrets(
        secret(a="one", b="same"), secret(a="two", b="same", c="new")
    )
    assert edits(*shown) == [
        ("data.a", "hidden, before", "hidden, after"),
        ("data.c", ABSENT, "hidden, after"),
    ]
    assert normalization.without_secrets(None, secret(a="one")) == (None, secret(a="hidden, after"))
    plain = {"kind": "ConfigMap", "data": {"a": "one"}}
    assert normalization.without_secrets(plain, plain) == (plain, plain)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a > 1", "a  >\n 1", []),
        ("a > 1", "a > 2", ["threshold 1 → 2"]),
        ("rate(a[5m])", "rate(a[10m])", ["window 5m → 10m"]),
        ("a * 14 > 3", "a * 6 > 2", ["number 14 → 6", "threshold 3 → 2"]),
        ('a{b="1"} > 1', 'a{b="2"} > 1', ['`a{b="1"} > 1` → `a{b="2"} > 1`']),
        ("sum(a) + 1", "max(a) + 1", ["`sum(a) + 1` → `max(a) + 1`"]),
        ("f(x)" * 5, "g(x)" + "f(x)" * 4, ["`f(x)f(x…` → `g(x)f(x…`"]),
        ("sum(a)", "sum(a) or sum(b)", ["`sum(a)` → `sum(a) or sum(b)`"]),
    ],
)
def test_queries_differ_in_words(before: str, after: str, expected: list[str]) -> None:
    assert wording.query_changes(before, after) == expected


def test_what_a_sentence_names_is_short() -> None:
    assert wording.listed("abc") == "a, b, c"
    assert wording.listed("abcdefgh") == "a, b, c, d, e, f and 2 more"
    (short,), (wide,) = (differences({"a": v}, {"a": 1}) for v in ("x", "x" * 100))
    assert wording.described(short) == "a x → 1"
    assert wording.described(wide) == "a"
    (nested,) = differences({}, {"a": {"b": 1}})
    assert wording.described(nested) == "a"
    assert wording.transition("a", None, "") == 'a none → ""'
    assert wording.transition("a", ABSENT, False) == "a none → false"
    (long,) = wording.query_changes(f'a{{b="{"x" * 400}"}}', "a")
    assert len(long) < 2 * wording.WIDTH


def test_nothing_is_kept_for_ever() -> None:
    assert retention.seconds("0s") == retention.seconds(None) == retention.FOREVER
