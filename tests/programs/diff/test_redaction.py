"""What `make diff` says of what log pipelines take out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from scripts.core.yamlfile import Json
from scripts.diff import log_pipelines
from scripts.diff.analyzers import redaction
from scripts.diff.model import Flag
from scripts.model.rendered import Cluster
from tests.programs.diff.diff_pairs import cluster, manifest, pair

WEAKENED, CHANGED = "redaction-weakened", "redaction-changed"


def stage(expression: str, replacement: str, *more: str) -> str:
    lines = [f"expression = `{expression}`", f"replace = `{replacement}`", *more]
    return "\n  ".join(["stage.replace {", *lines]) + "\n}\n"


def match(selector: str, *stages: str) -> str:
    return f"stage.match {{\n  selector = `{selector}`\n{''.join(stages)}}}\n"


def workload(
    files: Mapping[str, str], *variables: Json, name: str = "a", projected: bool = False
) -> list[Json]:
    """A workload that runs a pipeline of these files, and its ConfigMap."""
    volume: Json = {"configMap": {"name": name}}
    container = {"name": "c", "env": list(variables)}
    spec = {
        "volumes": [{"projected": {"sources": [volume]}} if projected else volume],
        "containers": [container],
    }
    template = {"metadata": {}, "spec": spec}
    metadata = {"name": name}
    return [
        manifest("Deployment", metadata=metadata, spec={"template": template}),
        manifest("ConfigMap", metadata=metadata, data=dict(files)),
    ]


def running(files: Mapping[str, str], *variables: Json, name: str = "a") -> Cluster:
    return cluster(*workload(files, *variables, name=name))


def told(before: Cluster, after: Cluster) -> list[str]:
    found = redaction.analyze(pair(before, after))
    return [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found]


A = stage("a+", "<redacted:x>")
B = stage("b", "<redacted:x>")
GONE = ["p.alloy, x: is not taken out any more", f"{WEAKENED}: p.alloy, x"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (A + stage("b", ""), []),
        ("", GONE),
        (stage("a+", "{{ .Value }}"), GONE),
        (A.replace("stage.replace", "stage.other"), GONE),
        (f"// {A.replace(chr(10), ' ')}\n/* {A} */", GONE),
        (A + stage("b", "<redacted:y>"), ["p.alloy, y: is taken out from now on"]),
        (
            stage("a{2}", "<redacted:x>"),
            [
                "p.alloy, x: 1 expression removed, 1 expression added",
                f"{CHANGED}: p.alloy, x",
            ],
        ),
        (
            stage("a+", "{{ .Value }}<redacted:x>"),
            ["p.alloy, x: what stands in its place changes", f"{CHANGED}: p.alloy, x"],
        ),
        (A + B, ["p.alloy, x: 1 expression added"]),
        (
            A + stage("b", "[<redacted:x>]"),
            ["p.alloy, x: 1 expression added"],
        ),
        # Where it is tried.
        (
            match('{a="b"}', A),
            [
                'p.alloy, x: only in stage.match, selector {a="b"}',
                f"{WEAKENED}: p.alloy, x",
            ],
        ),
        (
            stage("a+", "<redacted:x>", 'source = "level"'),
            ["p.alloy, x: only in the extracted value level", f"{WEAKENED}: p.alloy, x"],
        ),
        (A + match('{a="b"}', A), ["p.alloy, x: in more places"]),
        # What is written in another way.
        ("stage.replace {\n replace = `<redacted:x>`\n\n expression =\n `a+` // {\n}", []),
        ('stage.replace { expression = "a\\u002b"\nreplace = "<redacted:x>" }', []),
        ('loki.process "other" {\n' + A + "}", []),
    ],
)
def test_redaction(after: str, expected: list[str]) -> None:
    assert told(running({"p.alloy": A}), running({"p.alloy": after})) == expected


LIMITED = match('{a="b"}', 'pipeline_name = "p"\n', A)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (A, ["p.alloy, x: in more places"]),
        (
            LIMITED.replace('"b"', '"c"'),
            [
                'p.alloy, x: only in stage.match, pipeline_name p, selector {a="c"}',
                f"{CHANGED}: p.alloy, x",
            ],
        ),
        ('stage.match {\n  pipeline_name = "p"\n  selector = `{a="b"}`\n' + A + "}", []),
        (
            match('{a="c"}', LIMITED),
            ['p.alloy, x: only in stage.match, selector {a="c"}', f"{WEAKENED}: p.alloy, x"],
        ),
    ],
)
def test_a_redaction_of_some_entries(after: str, expected: list[str]) -> None:
    assert told(running({"p.alloy": LIMITED}), running({"p.alloy": after})) == expected


def test_a_redaction_of_fewer_entries() -> None:
    twice = LIMITED + match('{a="c"}', A)
    assert told(running({"p.alloy": twice}), running({"p.alloy": LIMITED})) == [
        'p.alloy, x: only in stage.match, pipeline_name p, selector {a="b"}',
        f"{CHANGED}: p.alloy, x",
    ]


def test_another_order_of_expressions_is_said_and_no_danger() -> None:
    assert told(running({"p.alloy": A + B}), running({"p.alloy": B + A})) == [
        "p.alloy, x: another order"
    ]


def test_an_expression_fewer() -> None:
    assert told(running({"p.alloy": A + B}), running({"p.alloy": A})) == [
        "p.alloy, x: 1 expression removed",
        f"{WEAKENED}: p.alloy, x",
    ]


@pytest.mark.parametrize("projected", [False, True])
def test_a_pipeline_is_all_its_files_whatever_their_names(projected: bool) -> None:
    def one(**files: str) -> Cluster:
        texts = {f"{name}.alloy": text for name, text in files.items()}
        return cluster(*workload(texts, projected=projected))

    assert told(one(p=A, q=""), one(p="", r=A)) == []
    assert told(one(p=A, q=""), one(p="", r="")) == GONE
    assert told(one(p=A), one()) == GONE


def test_files_that_are_no_pipeline_are_left_alone() -> None:
    files = {"p.alloy": A, "q.json": "{"}
    assert told(running(files), running(files | {"q.json": "}"})) == []


def test_a_workload_by_another_name_is_compared_with_the_one_it_was() -> None:
    before = cluster(
        *workload({"q.alloy": ""}, name="z"),
        *workload({"p.alloy": A}, name="a"),
        *workload({"r.alloy": ""}, name="y"),
    )
    assert told(before, running({"p.alloy": A}, name="b")) == []
    assert told(before, running({"p.alloy": B}, name="b")) == [
        "p.alloy, x: 1 expression removed, 1 expression added",
        f"{CHANGED}: p.alloy, x",
    ]
    assert told(running({"p.alloy": A}), running({}, name="b")) == []
    assert told(cluster(), running({"p.alloy": A})) == []


PSEUDONYMS = """
loki.process "a" {
  stage.match {
    selector = "{app=~\\"" + sys.env("APPS") + "\\"}"
    stage.replace {
      expression = `user (\\d+)`
      replace    = "{{ .Value | Hash \\"" + sys.env("SALT") + "\\" }}"
    }
  }
  stage.template {
    source = sys.env("OTHER")
  }
}
"""
SALT: Json = {"name": "SALT", "valueFrom": {"secretKeyRef": {"name": "s", "key": "salt"}}}
APPS: Json = {"name": "APPS", "value": "b"}
OTHER: Json = {"name": "OTHER", "value": "c"}


@pytest.mark.parametrize(
    ("variables", "lost"),
    [
        ([APPS, SALT, OTHER], []),
        ([OTHER, APPS, {"name": "SALT", "value": "d"}], []),
        # No redaction reads it.
        ([APPS, SALT], []),
        ([APPS, OTHER], ["SALT"]),
        ([SALT], ["APPS"]),
        ([], ["APPS", "SALT"]),
        ([APPS, {"name": "SALT", "value": ""}], ["SALT"]),
    ],
)
def test_a_variable_that_a_redaction_reads(variables: list[Json], lost: list[str]) -> None:
    files = {"p.alloy": PSEUDONYMS}
    before, after = running(files, APPS, SALT, OTHER), running(files, *variables)
    assert told(before, after) == [
        text
        for name in lost
        for text in (f"Deployment n/a: {name} is not set", f"{WEAKENED}: Deployment n/a, {name}")
    ]
    # It was not set before, either.
    assert told(after, running(files, *variables, {"name": "MORE", "value": "e"})) == []


def test_variables_that_cannot_be_known() -> None:
    deployment, texts = workload({"p.alloy": PSEUDONYMS})
    whole = {"secretRef": {"name": "s"}}
    deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [whole]
    before = running({"p.alloy": PSEUDONYMS}, APPS, SALT)
    assert told(before, cluster(deployment, texts)) == []


PODS = """
import.file "shared" {
  filename = "shared.alloy"
}

loki.source.file "pods" {
  forward_to = [loki.process.read.receiver]
}

loki.process "read" {
  forward_to = [shared.redact.pods.receiver]

  stage.static_labels {
    values = { a = "shared.store.pods.receiver" }
  }
}

shared.redact "pods" {
  forward_to = [shared.store.pods.receiver]
}

shared.store "pods" { }
"""
SHARED = f"""
declare "redact" {{
  argument "forward_to" {{ }}

  export "receiver" {{
    value = loki.process.redact.receiver
  }}

  loki.process "redact" {{
    forward_to = array.concat(argument.forward_to.value, [loki.process.count.receiver])

    {A}
  }}

  loki.process "count" {{
    forward_to = []
  }}

  loki.process "later" {{
    forward_to = argument.forward_to.value
  }}
}}

declare "store" {{
  export "receiver" {{
    value = loki.write.loki.receiver
  }}

  loki.write "loki" {{ }}
}}
"""
PAST = ["pods.alloy: entries may reach Loki with x", f"{WEAKENED}: pods.alloy"]


def way(old: str = "", new: str = "", shared: tuple[str, str] = ("", "")) -> Cluster:
    assert old in PODS
    assert shared[0] in SHARED
    return running({"pods.alloy": PODS.replace(old, new), "s.alloy": SHARED.replace(*shared)})


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (way("loki.process.read.", "shared.redact.pods."), []),
        (way("read", "first"), []),
        (way("[shared.redact.", "[loki.process.read.receiver, shared.redact."), []),
        (way("[loki.process.read.receiver]", "[]"), []),
        (way("shared.redact", "other.remove", ('declare "redact"', 'declare "remove"')), []),
        (way("[shared.redact.", "[shared.store."), PAST),
        (way("read.receiver]", "read.receiver, shared.store.pods.receiver]"), PAST),
        (way("[shared.redact.", "[loki.process.read.receiver, shared.store."), PAST),
        (way(shared=("value = loki.process.redact.", "value = loki.process.later.")), PAST),
        (way(shared=("[loki.process.count.receiver]", "[loki.process.redact.receiver]")), []),
        # The stage is where no entry comes by.
        (way(shared=(A, f'}}\n\n  loki.process "other" {{\n{A}')), PAST),
    ],
)
def test_a_way_around_the_redaction(after: Cluster, expected: list[str]) -> None:
    assert told(way(), after) == expected
    assert told(after, way()) == []


def test_a_way_around_the_redaction_that_was_there_before() -> None:
    around = ("[shared.redact.", "[shared.store.")
    assert told(way(*around), way(*around, shared=("later", "never"))) == []


def test_a_way_around_one_redaction_of_several() -> None:
    both = SHARED.replace(A, A + stage("c", "<redacted:y>"))
    one = PODS.replace('"read" {', '"read" {\n' + A).replace("[shared.redact.", "[shared.store.")
    before = running({"pods.alloy": PODS, "s.alloy": both})
    after = running({"pods.alloy": one, "s.alloy": both})
    assert told(before, after) == [
        "pods.alloy: entries may reach Loki with y",
        f"{WEAKENED}: pods.alloy",
    ]


def test_what_was_stored_before_is_no_way_around() -> None:
    more = SHARED + 'loki.process "n" {\n' + stage("c", "<redacted:y>") + "}\n"
    after = running({"pods.alloy": PODS, "s.alloy": more})
    assert told(way(), after) == ["s.alloy, y: is taken out from now on"]
    assert told(way(), running({"pods.alloy": PODS, "s.alloy": SHARED.replace(A, "")})) == [
        "s.alloy, x: is not taken out any more",
        f"{WEAKENED}: s.alloy, x",
    ]


def test_a_new_pipeline_without_any_redaction() -> None:
    after = running({"pods.alloy": PODS, "s.alloy": SHARED.replace(A, "")})
    assert told(cluster(), after) == [
        "pods.alloy: entries may reach Loki with what people wrote",
        f"{WEAKENED}: pods.alloy",
    ]


def test_stages_that_take_something_out_are_read_whatever_is_around() -> None:
    found = log_pipelines.stages(
        {
            "p.alloy": """
            // stage.replace { expression = `(never)` replace = "<redacted:never>" is a comment }
            stage.replace {
              // A brace } in a comment, and "<redacted:comment>".
              expression = "(?i)" + string.join([`a{2,}`, `b"}`], "|")
              replace    = "<redacted:one>"
            }
            stage.replace {
              expression = `^\\s+`
              replace    = ""
            }
            """
        }
    )
    (one,) = found.pop("one")
    assert one.expressions == ("(?i)", "a{2,}", 'b"}', "|")
    assert not found
