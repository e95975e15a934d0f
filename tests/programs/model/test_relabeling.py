"""How much relabelings leave of what a program exposes."""

from __future__ import annotations

import pytest

from scripts.core.yamlfile import Json
from scripts.model import relabeling

SAMPLES = (
    ("a_total", frozenset({"code"}), 7),
    ("a_seconds_bucket", frozenset({"code", "le"}), 50),
    ("go_info", frozenset({"version"}), 1),
)


def drop(regex: str, *sources: str) -> Json:
    return {"action": "drop", "sourceLabels": ["__name__", *sources], "regex": regex}


@pytest.mark.parametrize(
    ("rules", "count"),
    [
        ([], 58),
        ([drop("go_.+")], 57),
        ([drop("go_.+|.+_bucket")], 7),
        ([{**drop("a_total"), "action": "keep"}], 7),
        # Which buckets go depends on a label whose values are not known: none is counted.
        ([drop("a_.+_bucket;(1|2)", "le")], 8),
        # A label that none of them has is empty.
        ([drop("a_total;", "path")], 51),
        # Changes a label, and loses nothing.
        ([{"action": "labeldrop", "regex": "code"}], 58),
    ],
)
def test_what_stays_at_least_is_counted(rules: list[Json], count: int) -> None:
    assert relabeling.kept(relabeling.read(rules), SAMPLES) == count
