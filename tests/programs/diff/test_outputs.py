"""What `make diff` says in a terminal and in a comment, from reports made by hand."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.diff.model import (
    ABSENT,
    Action,
    Amount,
    Bump,
    Change,
    Danger,
    Edit,
    Flag,
    Picture,
    Report,
    Sentence,
)
from scripts.diff.outputs import formatting, html, markdown, terminal
from tests.programs.diff.diff_reports import EMPTY, HOSTILE, OKE, SMALL, hostile, huge, pictured

PICTURE = Path(__file__).with_name("picture.png")
REPORTS = {"small": SMALL, "huge": huge(), "hostile": hostile()}


def changed(*edits: Edit, text: str = "", name: str = "grafana") -> Change:
    kind = ("Deployment", "monitoring", name)
    return Change(OKE, "grafana", True, *kind, Action.CHANGED, edits, text)


def characters(text: str) -> int:
    """How many there are as GitHub's own scripts count them."""
    return len(text.encode("utf-16-le")) // 2


# What all outputs say


@pytest.mark.parametrize("write", [terminal.text, markdown.text])
def test_an_empty_report_is_one_sentence(write: object) -> None:
    assert callable(write)
    lines = [line for line in write(EMPTY).splitlines() if not line.startswith("<!--")]
    assert lines == ["Nothing changes in any cluster."]


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Report) if f.default == ()])
def test_a_report_with_anything_in_it_does_not_say_that_nothing_changes(field: str) -> None:
    full = dataclasses.replace(SMALL, pictures=pictured(Path("a.png")).pictures)
    one = Report("a", "b", **{field: getattr(full, field)})
    assert formatting.NOTHING not in terminal.text(one) + markdown.text(one)


@pytest.mark.parametrize("write", [terminal.text, markdown.text])
def test_an_application_s_version_stands_beside_its_chart_s(write: Callable[[Report], str]) -> None:
    said = write(SMALL)
    assert "12.11.1 (application 13.2.0)" in said
    assert "13.0.0 (application 13.3.0)" in said
    unnamed = Bump(OKE, "logs", "loki", "18.11.0", "18.12.0")
    assert "(application" not in write(Report("a", "b", bumps=(unnamed,)))


@pytest.mark.parametrize("write", [terminal.text, markdown.text])
def test_the_summary_comes_before_sentences_objects_and_faults(write: object) -> None:
    assert callable(write)
    text = write(SMALL).replace("`", "")
    order = [
        "5 objects differ: 1 added, 3 changed, 1 removed",
        "local, oke-free (argocd, flux)",
        "13.0.0",
        "object-removed",
        "Keep the release, or say in the pull request where the logs go.",
        "major-version",
        "1864Mi",
        "TodoRequestErrors: for 5m → 10m.",
        "matches less.",
        "~ Deployment monitoring/grafana",
        "spec.replicas: 1 → 2",
        "- StatefulSet monitoring/loki",
        "-  name: loki",
        "the chart loki 19.0.0 is in no registry",
        "correct spec.ref.tag",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_clusters_in_which_as_many_objects_differ_share_a_row() -> None:
    more = dataclasses.replace(changed(), places=("local/flux",), name="other")
    rows, left_out = formatting.rows(Report("a", "b", changes=(changed(), more)))
    assert [(row.where, row.counts[Action.CHANGED]) for row in rows] == [
        ("local (flux); oke-free (argocd, flux)", 1)
    ]
    rows, left_out = formatting.rows(Report("a", "b", changes=(changed(), changed(name="b"), more)))
    assert [(row.where, row.counts[Action.CHANGED]) for row in rows] == [
        ("local (flux)", 1),
        ("oke-free (argocd, flux)", 2),
    ]
    assert not left_out


def declaring(path: str, name: str = "grafana") -> Change:
    """An edit of a HelmRelease, by default of the one whose object `changed` is."""
    own = dataclasses.replace(changed(Edit(path, 1, 2), name=name), kind="HelmRelease")
    return dataclasses.replace(own, release=False, unit="monitoring-releases")


def test_an_edit_counts_once_where_it_is_declared_and_what_it_makes() -> None:
    report = Report("a", "b", changes=(changed(), declaring("spec.values.replicas")))
    assert formatting.counted_changes(report.changes) == [changed()]
    assert formatting.headline(report) == ["1 object differs: 1 changed", "1 more declares it"]
    assert [row.owner for row in formatting.rows(report)[0]] == ["release grafana"]
    assert "HelmRelease" in terminal.text(report)


@pytest.mark.parametrize(
    "other",
    [
        declaring("spec.values.replicas", name="another"),
        declaring("spec.upgrade.timeout"),
        declaring("spec.valuesFrom"),
        dataclasses.replace(declaring("spec.values.replicas"), places=("elsewhere/flux",)),
        dataclasses.replace(declaring(""), action=Action.REMOVED, edits=()),
    ],
)
def test_what_declares_more_than_what_is_seen_to_change_counts(other: Change) -> None:
    assert formatting.counted_changes([changed(), other]) == [changed(), other]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), ""),
        (("oke-free/flux",), "oke-free (flux)"),
        (
            ("local/flux", "oke-free/argocd", "oke-free/flux"),
            "local (flux); oke-free (argocd, flux)",
        ),
        (("oke-free",), "oke-free"),
    ],
)
def test_places_are_grouped_by_their_engines(names: tuple[str, ...], text: str) -> None:
    assert formatting.places(names) == text


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("5m", "10m", ["path: 5m → 10m"]),
        ("1", 1, ['path: "1" → 1']),
        ("true", True, ['path: "true" → true']),
        (None, "", ['path: null → ""']),
        (' a "b"', "a", ['path: " a "b"" → a']),
        (ABSENT, {"a": [1, None]}, ['path: added {"a": [1, null]}']),
        (["a"], ABSENT, ['path: removed ["a"]']),
        ("a" * 50 + "1", "a" * 50 + "2", [f"path: …{'a' * 20}1 → …{'a' * 20}2"]),
        ("a" * 40, "b" * 40, ["path:", f"    {'a' * 16}… → {'b' * 16}…"]),
        ("a\nb\nc\nd\n", "a\nB\nc\nd\n", ["path:", " ⋯", " a", "-b", "+B", " c"]),
        (ABSENT, "a\nb\n", ["path:", " ⋯", "+a", "+b"]),
    ],
)
def test_an_edit_shows_what_differs(before: object, after: object, lines: list[str]) -> None:
    width = 40 if len(str(before)) < 50 else 54
    assert formatting.edit(Edit("path", before, after), width) == lines


def test_the_table_keeps_the_rows_in_which_the_most_differ() -> None:
    changes = [dataclasses.replace(changed(name=str(at)), unit="zoo") for at in range(9)]
    changes += [
        dataclasses.replace(changed(), unit=f"unit-{at:02}") for at in range(2 * formatting.ROWS)
    ]
    rows, left_out = formatting.rows(Report("a", "b", changes=tuple(changes)))
    assert rows[-1].owner == "release zoo"
    assert (len(rows), left_out) == (formatting.ROWS, formatting.ROWS + 1)
    for text in (terminal.text(REPORTS["huge"]), markdown.text(REPORTS["huge"])):
        assert "… and 108 more" in text


@pytest.mark.parametrize("write", [terminal.text, markdown.text, html.page])
def test_what_is_not_drawn_is_said_with_what_draws_it(write: Callable[[Report], str]) -> None:
    def analyzed(*pictures: Picture) -> list[str]:
        text = write(dataclasses.replace(EMPTY, sentences=SMALL.sentences, pictures=pictures))
        return re.findall(r"Not drawn: .*?`make pictures`", text.partition("const report =")[0])

    later = Picture("todo-later", None, None)
    half = Picture("todo-half", str(PICTURE), None)
    gone = Picture("todo-gone", str(PICTURE), ABSENT)
    assert analyzed() == analyzed(gone) == []
    assert analyzed(later, half, gone) == ["Not drawn: todo-later, todo-half. `make pictures`"]


def test_pictures_that_are_drawn_are_named_with_their_files() -> None:
    report = pictured(PICTURE)
    lines = terminal.text(report).splitlines()
    start = lines.index("  todo-new")
    assert lines[start + 1 : start + 3] == ["    before  none", f"    after   {PICTURE}"]
    assert "  todo-later" not in lines
    listed = "In the HTML report: `todo-overview`, `todo-new`, `todo-gone`."
    assert listed in markdown.text(report)


def test_pictures_that_have_no_room_in_the_page_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    one = len(html._image(str(PICTURE)))

    def texts(room: int) -> tuple[list[str], str]:
        monkeypatch.setattr(html, "ROOM", room)
        images, notes = html._images(pictured(PICTURE).pictures)
        return list(images), notes[0]

    every = ["todo-overview", "todo-new", "todo-gone"]
    assert texts(4 * one)[0] == every
    left_out = "Left out, as there is no room: todo-new, todo-gone."
    assert texts(4 * one - 1) == (every[:2], "Left out, as there is no room: todo-gone.")
    assert texts(2 * one) == (every[:1], left_out)


# Terminal


@pytest.mark.parametrize("name", ["small", "huge"])
def test_the_summary_fits_one_screen(name: str) -> None:
    summary = terminal.text(REPORTS[name]).partition("\n\nAlerts\n")[0].splitlines()
    assert 10 < len(summary) < 40
    assert max(map(len, summary)) <= 120


@pytest.mark.parametrize("name", ["small", "huge"])
def test_a_summary_leaves_out_objects_and_nothing_else(name: str) -> None:
    whole = terminal.text(REPORTS[name])
    summary = terminal.text(REPORTS[name], summary=True)
    parts = whole.split("\n\n")
    left = [part for part in parts if part not in summary.split("\n\n")]
    assert left
    assert summary == "\n\n".join(part for part in parts if part not in left)
    shown = re.compile(r"(?m)^  [+~-] ")
    assert all(shown.search(part) or part.startswith("Shortened here") for part in left)
    assert not shown.search(summary)


def test_an_object_is_shortened_and_the_end_says_so() -> None:
    many = changed(*(Edit(f"spec.{at:03}", at, at + 1) for at in range(100)))
    text = terminal.text(Report("a", "b", changes=(many,)))
    assert f"spec.{terminal.OBJECT - 1:03}" in text
    assert f"spec.{terminal.OBJECT:03}" not in text
    assert "make diff DIFF=--output=build/diff" in text
    assert "make diff" not in terminal.text(SMALL)


def test_prose_is_wrapped_and_manifests_are_cut_at_the_width() -> None:
    long = Flag(Danger.MOVED, "b", "word " * 60, "word " * 60)
    cut = changed(Edit("spec.xxx", "x" * 200, "x" * 199), Edit("c", "a\nb", "+" + "x" * 200))
    lines = terminal.text(Report("a", "b", changes=(cut,), flags=(long,)), width=60).splitlines()
    assert max(len(line) for line in lines if "word" in line or "xxx" in line) == 60
    assert sum(line.count("word") for line in lines) == 120


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in terminal.text(SMALL)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = terminal.text(SMALL)
    assert "\x1b[31m- StatefulSet monitoring/loki\x1b[0m" in coloured
    assert "\x1b[32m+kind: ClusterRole\x1b[0m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert re.sub(r"\x1b\[\d+m", "", coloured) == terminal.text(SMALL)


def test_nothing_in_a_manifest_steers_the_terminal() -> None:
    text = terminal.text(REPORTS["hostile"])
    assert "\\x1b[31mred\\x1b[0m \\x07 \\u202eright to left\\u202c \\u200bno width" in text
    assert all(line.isprintable() for line in text.split("\n"))
    text.encode()


# Markdown

OWN = re.compile(
    r"<!-- todo-monitoring-diff flags=\d+ -->|\*\*(?:Fix:|over|[\w ,:]+ differ: [\w ,]+)\*\*|<br>"
    r"|</?(?:details|summary)>|^#{2,4} |^> (?:\[!NOTE\])?|^- |<https://[\w./#-]+>|\\\|"
)
MADE_INTO_SOMETHING = re.compile(
    r"[@#$`*_~\\\[\]]|<[^ (]|&\w+;|:\w+:|://|www\.|GH-\d|(?<!\w)[!%][\w\"]"
    r"|^\s*(?:[-+>]|\d+[.)]) ",
    re.IGNORECASE,
)


def outside_code(text: str) -> Iterator[str]:
    """Each line without what is code, and without the markup that the report itself has."""
    fence = ""
    for line in text.splitlines():
        if fence:
            fence = "" if line == fence else fence
            continue
        if start := re.fullmatch("(`{3,})diff", line):
            fence = start[1]
            continue
        spans = (
            r"<code>[^<>]*</code>" if "<summary>" in line else r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)"
        )
        yield OWN.sub("", re.sub(spans, "", line))
    assert not fence, "a block of code has no end"


@pytest.mark.parametrize("name", REPORTS)
def test_what_is_not_code_is_made_into_nothing(name: str) -> None:
    found = [
        line
        for line in outside_code(markdown.text(REPORTS[name]))
        if MADE_INTO_SOMETHING.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("text", HOSTILE)
def test_words_are_code_where_they_could_become_something(text: str) -> None:
    for line in outside_code(markdown.prose(text)):
        assert not MADE_INTO_SOMETHING.search(line)


def test_sentences_stay_readable() -> None:
    plain = "The chart “grafana” moves from 12.11.1 to 13.0.0 (major); it's over 95 % → see below!"
    assert markdown.prose(plain) == plain
    for text, expected in (
        ("above {{ $value }} of todo_total, twice", "above `{{ $value }}` of `todo_total`, twice"),
        ("run `make diff`, or (`a b`).", "run `make diff`, or (`a b`)."),
        ("p95 > 2 and x <= 1", "p95 > 2 and x <= 1"),
        ("> 2", "`>` 2"),
        ("- a - b", "`-` a - b"),
        ("see https://example.com/UPGRADE.md#to_13.", "see <https://example.com/UPGRADE.md#to_13>."),
        ("as !12 says, and %3 or %next.", "as `!12` says, and `%3` or `%next`."),
        ("95% of it, now!", "95% of it, now!"),
        ("see https://github.com/a/b/issues/1", "see `https://github.com/a/b/issues/1`"),
    ):  # fmt: skip
        assert markdown.prose(text) == expected


@pytest.mark.parametrize("name", REPORTS)
def test_every_row_of_a_table_has_as_many_cells(name: str) -> None:
    tables: list[list[int]] = [[]]
    for line in markdown.text(REPORTS[name]).splitlines():
        if line.startswith("| "):
            tables[-1].append(len(re.findall(r"(?<!\\)\|", line)))
        elif tables[-1]:
            tables.append([])
    assert len(tables) == 4
    assert all(len(set(cells)) == 1 for cells in tables[:-1])


@pytest.mark.parametrize("name", REPORTS)
def test_the_first_line_marks_the_comment_and_counts_the_flags(name: str) -> None:
    first = markdown.text(REPORTS[name]).splitlines()[0]
    assert first == f"<!-- todo-monitoring-diff flags={len(REPORTS[name].flags)} -->"
    assert markdown.text(EMPTY).startswith("<!-- todo-monitoring-diff flags=0 -->\n")


def test_objects_diffs_are_left_out_first_then_edits_then_objects() -> None:
    def left_out(objects: int, edits: int, lines: int) -> str:
        own = [Edit(f"spec.{at}", at, at + 1) for at in range(edits)]
        changes = [changed(*own, text="+line\n" * lines, name=str(at)) for at in range(objects)]
        text = markdown.text(Report("a", "b", changes=tuple(changes)), whole="build/diff/report.md")
        found = re.search(r"no room: (.*)\. All of it: build/diff/report.md", text)
        return re.sub(r"\d+ ", "", found[1]) if found else ""

    assert left_out(10, 10, 10) == ""
    assert left_out(100, 10, 100) == "objects' diffs"
    assert left_out(100, 100, 100) == "objects' edits, objects' diffs"
    assert left_out(1000, 100, 100) == "objects, objects' edits, objects' diffs"
    assert left_out(1, 10, 10_000) == "lines of objects"


def test_a_limit_that_moves_is_textswith_both() -> None:
    amount = Amount("oke-free", "CPU", "475m", "475m", "900m", False, "600m")
    report = Report("a", "b", amounts=(amount, dataclasses.replace(amount, limit="")))
    for text in (terminal.text(report), markdown.text(report)):
        assert "600m → 900m" in text
        assert "600m → none" in text


def test_flags_charts_budget_and_sentences_stay_where_objects_are_left_out() -> None:
    text = markdown.text(REPORTS["huge"])
    small = markdown.text(SMALL)
    assert "2 flags" in text
    for kind in ("Charts", "Flags", "Budget", "Alerts", "Log redaction"):
        part = re.search(rf"### {kind}\n\n.*?(?=\n\n)", small, re.DOTALL)
        assert part
        assert part[0] in text
    assert "Left out, as there is no room: " in text
    assert "`make diff DIFF=--output=build/diff` writes all of it." in text


def swollen(size: int) -> Report:
    """As many of everything, and each as long."""
    text = "\n".join([f"+{'😀`' * 50}"] * size)
    one = changed(Edit("p" * size, "v" * size, "w" * size), text=text)
    return Report(
        "a" * size,
        "b",
        changes=(one,) * size,
        sentences=tuple(Sentence(f"topic {at}", "text " * size) for at in range(size)),
        flags=(Flag(Danger.MOVED, "w" * size, "why " * size, "fix " * size),) * size,
    )


@pytest.mark.parametrize("size", [1, 30, 100, 300])
def test_a_comment_has_room_for_every_size(size: int) -> None:
    text = markdown.text(swollen(size))
    # In UTF-16, the workflow that writes the comment takes 129,000 bytes and adds its own lines.
    assert characters(text) < 129_000 // 2 < markdown.LIMIT
    assert ("Left out" in text) == (size > 1)
    assert (" flags," in text.partition("no room: ")[2]) == (size >= 100)


# HTML


def test_data_cannot_end_its_element_and_is_as_it_was() -> None:
    page = html.page(hostile())
    assert page.count("</script>") == 2
    before, data, after = re.split(r'(?<=application/json">)(.*?)(?=</script>)', page)
    texts = [flag["why"] for flag in json.loads(data)["report"]["flags"]]
    assert texts == [formatting.line(text) for text in HOSTILE]
    assert "{{" not in before + after
