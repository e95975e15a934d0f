"""A page of a runbook is taken apart, and what it says of a query is compared with an answer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scripts.core.findings import RepositoryError
from scripts.model import runbooks
from scripts.model.runbooks import RUNBOOKS, Reading, Runbook, RunbookQuery

PAGE = """# WebDown

## Meaning

It is down, see [PodNotReady](PodNotReady.md).

## Impact

Nobody can use it.

## Diagnosis

Put the alert's labels `namespace` and `pod` into the queries. First:

```promql
max by (pod) (up{job="web", namespace="default", pod="web-abc"}) == 0
```

**Firing:** rows, one for each [pod](PodNotReady.md). **Quiet:** nothing.

- `connection refused: no`: it restarts. Never print its Secret. See [PodNotReady](PodNotReady.md).
- Nothing of this

  ```logql
  {namespace="default"} |= "pod=\\"x\\""
    | line_format `{{ .pod }}`
  ```

  **Context:** its lines.

```sh
kubectl -n "$NAMESPACE" get pods
```

- The image is gone: build it.

## Mitigation

1. Restart it:

   ```sh
   kubectl rollout restart deployment/web
   ```

   Then wait. Never delete its volume.
2. Go back to the version before.
"""


def read(tmp_path: Path, text: str = PAGE) -> Runbook:
    path = tmp_path / RUNBOOKS / "WebDown.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return runbooks.read(path, tmp_path)


def test_a_page_is_taken_apart(tmp_path: Path) -> None:
    book = read(tmp_path)
    assert (book.alert, book.path) == ("WebDown", "base/config/runbooks/WebDown.md")
    assert book.meaning == "It is down, see PodNotReady."
    assert book.labels == ("namespace", "pod")
    first, second = book.queries
    assert (first.language, first.line, first.labels) == ("promql", 16, ("namespace", "pod"))
    assert first.firing == Reading("rows", None, "rows, one for each pod")
    assert first.quiet == Reading("nothing", None, "nothing")
    assert second.text == '{namespace="default"} |= "pod=\\"x\\""\n  | line_format `{{ .pod }}`'
    assert (second.labels, second.context) == (("namespace",), "its lines")
    refused, other, image = book.decisions
    assert refused.seen == "`connection refused: no`"
    assert refused.then.startswith("it restarts. Never print")
    assert (refused.query, refused.pages) == (0, ("PodNotReady",))
    assert (other.seen, other.then, other.query) == ("Nothing of this", "", 0)
    assert (image.then, image.query) == ("build it.", None)
    assert [step.commands for step in book.mitigation] == [
        ("kubectl rollout restart deployment/web",),
        (),
    ]
    assert book.mitigation[0].text == "Restart it: Then wait. Never delete its volume."
    assert book.never == ("Never print its Secret.", "Never delete its volume.")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("## Impact", "## Effect", r"WebDown\.md:1: its headings are Meaning, Effect"),
        ("# WebDown", "# Web", r"WebDown\.md:1: its headings are"),
        ("**Context:** its lines.", "Its lines.", r":25: nothing says what this query shows"),
        ("rows, one", "some, one", r":16: 'some, one for each .*' begins with no reading"),
        ("**Quiet:** nothing.", "**Quiet:** rows, too.", r":16: this query shows rows whether"),
        ("rows, one", "above, one", r"begins with no reading"),
        ("rows, one", "above 5s, one", r"begins with no reading"),
        ("1. Restart", "Restart", r"WebDown\.md: Mitigation has no step"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = PAGE.replace(old, new)
    if "1. " not in new and old.startswith("1. "):
        text = text.replace("2. Go", "Go")
    with pytest.raises(RepositoryError, match=message):
        read(tmp_path, text)


def test_every_fault_of_a_page_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError) as caught:
        read(tmp_path, PAGE.replace("**Context:**", "").replace("**Quiet:** nothing.", ""))
    assert [finding.line for finding in caught.value.findings] == [16, 25]


def test_a_query_is_about_the_alert(tmp_path: Path) -> None:
    first, second = read(tmp_path).queries
    labels = {"namespace": "shop", "pod": 'a"b\\c', "job": "other"}
    assert first.about(labels) == (
        'max by (pod) (up{job="web", namespace="shop", pod="a\\"b\\\\c"}) == 0'
    )
    # What an alert lacks is left open; what is only text stays.
    assert second.about({}).startswith('{cluster=~".+", namespace=~".+"} |= "pod=\\"x\\""')
    assert "`{{ .pod }}`" in second.about({})
    # Lines are of the alert's cluster, as one Loki may have several's.
    assert second.about({"cluster": "oke"}).startswith('{cluster="oke", namespace=~".+"} |=')
    assert "cluster" not in first.about({"cluster": "oke"})


ROWS, NOTHING, ANYTHING = (Reading(kind, None, kind) for kind in ("rows", "nothing", "anything"))
ABOVE, BELOW = Reading("above", 5, "above 5"), Reading("below", 5, "below 5")


@pytest.mark.parametrize(
    ("firing", "quiet", "values", "verdict"),
    [
        (ROWS, NOTHING, [1], "firing"),
        (ROWS, NOTHING, [], "quiet"),
        (NOTHING, ROWS, [], "firing"),
        (NOTHING, ROWS, [math.nan], "quiet"),
        (ROWS, ANYTHING, [math.nan], "undecided"),
        (ROWS, ANYTHING, [], "quiet"),
        # One row is enough for an alert; all of them must be quiet.
        (ABOVE, BELOW, [1, 9], "firing"),
        (ABOVE, BELOW, [1, 2], "quiet"),
        (ABOVE, BELOW, [5], "unexpected"),
        (ABOVE, BELOW, [], "unexpected"),
        (BELOW, ABOVE, [9, 1], "firing"),
        (ABOVE, NOTHING, [math.nan], "unexpected"),
        # A number that is missing is neither.
        (ANYTHING, BELOW, [], "unexpected"),
        (ANYTHING, BELOW, [9], "firing"),
        (ANYTHING, BELOW, [1], "undecided"),
        (ANYTHING, ROWS, [], "firing"),
        (NOTHING, ABOVE, [], "firing"),
        (None, None, [1], "context"),
    ],
)
def test_an_answer_says_one_thing(
    firing: Reading | None, quiet: Reading | None, values: list[float], verdict: str
) -> None:
    assert RunbookQuery("promql", "up", 1, (), firing, quiet).verdict(values) == verdict
