"""Bad YAML ends in one message with the line and the remedy."""

from __future__ import annotations

import pytest

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import line_of, load_all


@pytest.mark.parametrize(
    ("text", "line", "says", "fix"),
    [
        ("a:\n\tb: 1\n", 2, "a tab", "spaces"),
        ("a: 1\nb:\n  c: 2\n  c: 3\n", 4, "'c' stands twice", "correct"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "expected", "correct"),
        ('a: 1\nb: "no end\n', 2, "end of stream", "correct"),
        ("a: 1\n b: 2\n", 2, "not allowed", "correct"),
        ("a: [\n", 1, "node content", "correct"),
        ("a: *unknown\n", 1, "undefined alias", "correct"),
        ("a: 1\nb: [\n", 2, "expected", "correct"),
        ("a: \0\n", None, "does not allow", "control"),
    ],
)
def test_bad_yaml_names_its_line(text: str, line: int | None, says: str, fix: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        load_all(text, "file.yaml")
    (finding,) = caught.value.findings
    assert (finding.path, finding.line) == ("file.yaml", line)
    assert says in finding.message
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("keys", "document", "line"),
    [
        (("b", "1", "c"), 0, 5),
        (("b", "1", "nothing"), 0, 5),
        (("nothing",), 0, 1),
        (("d",), 1, 8),
        ((), 2, None),
    ],
)
def test_a_key_s_line(keys: tuple[str, ...], document: int, line: int | None) -> None:
    text = "a: 1\nb:\n  - 1\n  # c\n  - c: 2\n---\n# d\nd: 3\n"
    assert line_of(text, *keys, document=document) == line


def test_the_equals_sign_of_the_operators_crds_is_a_string() -> None:
    assert load_all("enum: [=, '!=']\n", "crd.yaml") == [{"enum": ["=", "!="]}]


def test_a_key_may_override_what_is_merged() -> None:
    assert load_all("a: &a {x: 1}\nb: {<<: *a, x: 2}\n", "file.yaml")[0]["b"] == {"x": 2}
