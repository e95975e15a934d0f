"""What programs read of runbooks, and the query that an alert carries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.model.files import RUNBOOKS_JSON, invalid
from scripts.model.manifests import Repository
from scripts.model.runbooks import RUNBOOKS
from scripts.rules import RULES, __main__, alerts, rules_of, runbooks


def rendered(copy: Repository) -> dict[str, Any]:
    files = alerts.render(copy.root)
    (text,) = runbooks.render(copy.root, files).values()
    document: dict[str, Any] = json.loads(text)
    return document


def test_what_is_made_is_as_its_schema_says(copy: Repository) -> None:
    document = json.loads((copy.root / RUNBOOKS_JSON).read_text())
    assert list(invalid(RUNBOOKS_JSON, document)) == []
    (book,) = (b for b in document["runbooks"] if b["alert"] == "VolumeFillingUp")
    assert book["severities"] == ["critical", "warning"]
    assert book["queries"][0]["datasource"] == "prometheus"
    assert book["queries"][0]["labels"] == ["namespace", "persistentvolumeclaim"]


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda book: book.pop(key)


def change(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda book: book["queries"][0].update({key: value})


@pytest.mark.parametrize(
    "broken",
    [
        *map(drop, ("alert", "severities", "meaning", "queries", "decisions", "never")),
        change("language", "sql"),
        change("context", "as well as a reading"),
        change("firing", {"reading": "above", "text": "above"}),
        change("firing", {"reading": "rows", "number": 1, "text": "rows"}),
        change("unknown", "key"),
        lambda book: book.update(severities=["urgent"]),
        lambda book: book.update(queries=[]),
    ],
)
def test_the_schema_refuses(copy: Repository, broken: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((copy.root / RUNBOOKS_JSON).read_text())
    broken(document["runbooks"][0])
    assert list(invalid(RUNBOOKS_JSON, document))


def test_an_alert_carries_the_query_with_its_own_labels(copy: Repository) -> None:
    path = copy.root / RUNBOOKS / "PodNotReady.md"
    text = path.read_text()
    begin, end = text.index("```promql\n"), text.index("```\n", text.index("```promql\n"))
    query = 'up{namespace="default", pod="web"} and label_replace(up, "{{a}}", "", "", "")'
    path.write_text(f"{text[:begin]}```promql\n{query}\n{text[end:]}")
    assert runbooks.first_query(copy.root, "PodNotReady") == (
        'up{namespace{{ with $labels.namespace }}={{ printf "%q" . }}{{ else }}=~".+"{{ end }}, '
        'pod{{ with $labels.pod }}={{ printf "%q" . }}{{ else }}=~".+"{{ end }}} '
        'and label_replace(up, "{{ "{{" }}a}}", "", "", "")'
    )
    assert runbooks.first_query(copy.root, "Unknown") == ""


def test_each_alert_carries_one(repository: Repository) -> None:
    for path, text in alerts.render(repository.root).items():
        document = yaml.safe_load(text)
        for rule in rules_of(document.get("spec") or document):
            if "alert" in rule:
                assert rule["annotations"][runbooks.ANNOTATION], (path, rule["alert"])


@pytest.mark.prove
def test_a_page_that_cannot_be_read_writes_nothing(
    copy: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "ROOT", copy.root)
    before = {path: path.read_text() for path in (copy.root / RULES).iterdir()}
    path = copy.root / RUNBOOKS / "Watchdog.md"
    path.write_text(path.read_text().replace("**Quiet:**", "Quiet:"))
    with pytest.raises(RepositoryError, match=r"Watchdog\.md:\d+: nothing says"):
        __main__.main()
    assert before == {path: path.read_text() for path in (copy.root / RULES).iterdir()}


def test_a_page_changes_what_is_made(copy: Repository) -> None:
    path = copy.root / RUNBOOKS / "Watchdog.md"
    path.write_text(path.read_text().replace("above 0", "above 2"))
    (book,) = (b for b in rendered(copy)["runbooks"] if b["alert"] == "Watchdog")
    assert book["queries"][0]["firing"]["number"] == 2
