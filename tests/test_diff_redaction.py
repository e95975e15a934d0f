"""What `make diff` says of what log pipelines take out."""

from __future__ import annotations

import pytest

from scripts.diff.model import Flag
from scripts.diff.readers import (
    redaction,
)
from tests.diff_pairs import (
    Json,
    cluster,
    manifest,
    pair,
)


def pipeline(*stages: tuple[str, str]) -> Json:
    """A pipeline with stages of an expression and what is put in its place."""
    text = "".join(
        f"    stage.replace {{\n      expression = `{one}`\n      replace = `{other}`\n    }}\n"
        for one, other in stages
    )
    return manifest("ConfigMap", data={"p.alloy": text})


ONE = ("a+", "<redacted:x>")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([ONE, ("b", "")], []),
        ([], ["p.alloy, x: is not taken out any more", "redaction-weakened: p.alloy, x"]),
        ([ONE, ("b", "<redacted:y>")], ["p.alloy, y: is taken out from now on"]),
        (
            [("a{2}", "<redacted:x>")],
            [
                "p.alloy, x: 1 expression removed, 1 expression added",
                "redaction-changed: p.alloy, x",
            ],
        ),
        (
            [("a+", "{{ .Value }}<redacted:x>")],
            ["p.alloy, x: what stands in its place changes", "redaction-changed: p.alloy, x"],
        ),
        (
            [("a+", "{{ .Value }}")],
            ["p.alloy, x: is not taken out any more", "redaction-weakened: p.alloy, x"],
        ),
        ([ONE, ("b", "<redacted:x>")], ["p.alloy, x: 1 expression added"]),
    ],
)
def test_redaction(after: list[tuple[str, str]], expected: list[str]) -> None:
    found = redaction.read(pair(cluster(pipeline(ONE)), cluster(pipeline(*after))))
    assert [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found] == expected
