"""Runbooks as data: `base/config/runbooks/<alert>.md`, which people read, taken apart.

After each query stands one line that says what its answer tells:

    **Firing:** rows, the lines that the alert counts. **Quiet:** nothing.

The first words of each half are read here, the rest is for people. In place of it, a query that
only helps to understand has `**Context:** who writes most.` A page whose alert says what it is
about has the line "Put the alert's labels `namespace` and `app` into the queries": what queries
compare these labels with, by `=`, is an example then, so that a page can be pasted as it is.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core import markdown
from scripts.core.findings import Finding, RepositoryError
from scripts.model import clusters

RUNBOOKS = Path("base/config/runbooks")
HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation")
LANGUAGES = frozenset({"promql", "logql"})
NOTHING, ROWS, ANYTHING, ABOVE, BELOW = "nothing", "rows", "anything", "above", "below"
# What the answer to one query says, or that it says nothing about the alert.
SAYS_FIRING, SAYS_QUIET, UNDECIDED, UNEXPECTED = "firing", "quiet", "undecided", "unexpected"
CONTEXT = "context"

_READING = re.compile(
    rf"(?P<kind>{NOTHING}|{ROWS}|{ANYTHING}|(?:{ABOVE}|{BELOW}) (?P<number>-?\d+(?:\.\d+)?))"
    r"(?:, (?P<why>.+))?"
)
_VERDICTS = re.compile(r"\*\*Firing:\*\* (?P<firing>.+)\. \*\*Quiet:\*\* (?P<quiet>.+)\.")
_CONTEXT = re.compile(r"\*\*Context:\*\* (?P<text>.+)\.")
_LABELS = re.compile(r"Put the alert's labels? (?P<names>`.+?`) into the quer(?:y|ies)\b")
_ITEM = re.compile(r"^(?P<indent> *)(?:-|\d+\.) +(?P<text>.+)")
# What is seen, and what it means: up to the first colon outside of code.
_SEEN = re.compile(r"(?P<seen>(?:`[^`]*`|[^`])+?): (?P<next>.+)")
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)]*)\)")
# The start of a selector of streams, before its first matcher.
_STREAMS = re.compile(r'\{(?=\w+\s*(?:=~|!~|!=|=)\s*["`])')
_SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`])")
_FORMS = (
    f"`**Firing:** <reading>, <what is seen>. **Quiet:** <reading>.` with {NOTHING}, {ROWS}, "
    f"{ABOVE} <number>, {BELOW} <number> or {ANYTHING}; or `**Context:** <what is seen>.`"
)


@dataclass(frozen=True)
class Reading:
    """What an answer looks like.

    Attributes:
        kind: NOTHING, ROWS, ABOVE, BELOW or ANYTHING.
        number: What values are compared with; None for the others.
        text: As the page has it.
    """

    kind: str
    number: float | None
    text: str

    def fits(self, values: Sequence[float], *, every: bool) -> bool:
        """Say whether an answer looks like that.

        Args:
            values: A number for each row; what has none, as a log line, has NaN.
            every: Whether all rows have to be so, in place of one.
        """
        if self.kind == ANYTHING:
            return True
        if self.number is None:
            return bool(values) == (self.kind == ROWS)
        limit = self.number
        compared = [v > limit if self.kind == ABOVE else v < limit for v in values]
        return bool(compared) and (all(compared) if every else any(compared))


@dataclass(frozen=True)
class RunbookQuery:
    """A query of a page.

    Attributes:
        language: `promql` or `logql`.
        text: As the page has it.
        line: Its first, on the page.
        labels: Labels of the alert that it names; what it compares them with is an example.
        firing: What it shows while the alert fires.
        quiet: What it shows while all is well; both are None for a query that is CONTEXT.
        context: What it shows, where it tells nothing about the alert.
    """

    language: str
    text: str
    line: int
    labels: tuple[str, ...]
    firing: Reading | None
    quiet: Reading | None
    context: str = ""

    def verdict(self, values: Sequence[float]) -> str:
        """Return what an answer says: one row is enough for an alert, all must be quiet.

        Args:
            values: As of `Reading.fits`.
        """
        if self.firing is None or self.quiet is None:
            return CONTEXT
        kinds = {self.firing.kind, self.quiet.kind}
        if not values and ANYTHING in kinds and kinds & {ABOVE, BELOW}:
            return UNEXPECTED  # That a number is missing tells nothing of it.
        fits = self.firing.fits(values, every=False), self.quiet.fits(values, every=True)
        return {
            (True, False): SAYS_FIRING,
            (False, True): SAYS_QUIET,
            (True, True): UNDECIDED,
            (False, False): UNEXPECTED,
        }[fits]

    def about(self, labels: Mapping[str, str]) -> str:
        """Return the query for an alert with these labels; of a label it lacks, for any value."""

        def matcher(label: str) -> str:
            return f"={quoted(labels[label])}" if label in labels else '=~".+"'

        return self.with_matchers(matcher, self.text)

    def with_matchers(self, matcher: Callable[[str], str], text: str) -> str:
        """Return a form of the query with what `matcher` returns behind each of its labels.

        A query of log lines is of the alert's cluster, too, as one Loki may have several's.
        """
        if self.language == "logql":
            text = _STREAMS.sub(f"{{{clusters.LABEL}{matcher(clusters.LABEL)}, ", text)
        if not self.labels:
            return text
        pattern = example(*self.labels)
        return pattern.sub(lambda found: found["label"] + matcher(found["label"]), text)


@dataclass(frozen=True)
class Decision:
    """What somebody may see, and where it leads.

    Attributes:
        seen: What.
        then: What it means, or what to do; empty where `seen` says all.
        query: Position of the query that shows it; None where a command does.
        pages: Alerts whose pages go on from there.
    """

    seen: str
    then: str
    query: int | None
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A step of the mitigation: what to do, and commands for it."""

    text: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Runbook:
    """One page.

    Attributes:
        alert: Its name.
        path: Relative to the tree.
        labels: Labels of the alert that belong into its queries.
        never: What must not be done, a sentence each.
    """

    alert: str
    path: str
    meaning: str
    impact: str
    labels: tuple[str, ...]
    queries: tuple[RunbookQuery, ...]
    decisions: tuple[Decision, ...]
    mitigation: tuple[Step, ...]
    never: tuple[str, ...]


def load(root: Path) -> dict[str, Runbook]:
    """Return every page by its alert.

    Raises:
        RepositoryError: With a finding for each place that cannot be read.
    """
    found: dict[str, Runbook] = {}
    findings: list[Finding] = []
    for path in pages(root):
        try:
            found[path.stem] = read(path, root)
        except RepositoryError as error:
            findings += error.findings
    if findings:
        raise RepositoryError(*findings)
    return found


def pages(root: Path) -> list[Path]:
    """Return the path of each page."""
    return sorted((root / RUNBOOKS).glob("*.md"))


def read(path: Path, root: Path) -> Runbook:
    """Take a page apart.

    Raises:
        RepositoryError: For other headings, or a query without the line that says what it tells.
    """
    text, place = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
    headings = tuple(re.findall(r"^## (.+)$", text, re.M))
    if headings != HEADINGS or not text.startswith(f"# {path.stem}\n"):
        message = f"its headings are {', '.join(headings) or 'missing'}"
        fix = f"write # {path.stem}, then ## {', ## '.join(HEADINGS)}"
        raise RepositoryError(Finding(place, 1, message, fix))
    steps = tuple(_steps(text))
    if not steps:
        message, fix = f"{HEADINGS[-1]} has no step", "write what to do as a numbered list"
        raise RepositoryError(Finding(place, None, message, fix))
    labels = _labels(text)
    queries = tuple(_queries(text, place, labels))
    meaning, impact, *_ = (_plain(part) for part in re.split(r"^## .+$", text, flags=re.M)[1:])
    return Runbook(
        path.stem,
        place,
        meaning,
        impact,
        labels,
        queries,
        tuple(_decisions(text, queries)),
        steps,
        tuple(_never(text)),
    )


def example(*labels: str) -> re.Pattern[str]:
    """Return a pattern of matchers that compare one of these labels by `=`."""
    return re.compile(rf'(?<![\w.])(?P<label>{"|".join(labels)})\s*=\s*"(?:[^"\\]|\\.)*"')


def quoted(value: str) -> str:
    """Return a string as both query languages write it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _labels(text: str) -> tuple[str, ...]:
    found = _LABELS.search(text)
    return tuple(re.findall(r"`(\w+)`", found["names"])) if found else ()


def _queries(text: str, place: str, labels: tuple[str, ...]) -> Iterator[RunbookQuery]:
    findings: list[Finding] = []
    for block in markdown.BLOCK.finditer(text):
        if block["language"] not in LANGUAGES:
            continue
        line = text.count("\n", 0, block.start()) + 2
        query = textwrap.dedent(block["text"]).strip()
        said = text[block.end() :].lstrip().partition("\n")[0].rstrip()
        named = tuple(label for label in labels if example(label).search(query))
        try:
            readings = _said(said)
        except ValueError as error:
            findings.append(Finding(place, line, str(error), f"write after it {_FORMS}"))
            continue
        yield RunbookQuery(block["language"], query, line, named, *readings)
    if findings:
        raise RepositoryError(*findings)


def _said(line: str) -> tuple[Reading | None, Reading | None, str]:
    """Return both readings, or the context, of the line after a query.

    Raises:
        ValueError: With what is wrong.
    """
    if context := _CONTEXT.fullmatch(line):
        return None, None, _unlinked(context["text"])
    verdicts = _VERDICTS.fullmatch(line)
    if not verdicts:
        raise ValueError("nothing says what this query shows while the alert fires")
    firing, quiet = _reading(verdicts["firing"]), _reading(verdicts["quiet"])
    if (firing.kind, firing.number) == (quiet.kind, quiet.number):
        raise ValueError(f"this query shows {firing.kind} whether the alert fires or not")
    return firing, quiet, ""


def _reading(text: str) -> Reading:
    found = _READING.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:60]!r} begins with no reading")
    number = found["number"]
    return Reading(
        found["kind"].split()[0], None if number is None else float(number), _unlinked(text)
    )


def _decisions(text: str, queries: Sequence[RunbookQuery]) -> Iterator[Decision]:
    begin, end = (text.count("\n", 0, text.index(f"\n## {h}\n")) for h in HEADINGS[2:])
    blocks = [
        (text.count("\n", 0, block.start()) + 2, block["language"] in LANGUAGES)
        for block in markdown.BLOCK.finditer(text)
    ]
    for number, line in markdown.prose(text):
        item = _ITEM.match(line)
        if not item or not begin < number <= end:
            continue
        before = [(start, asks) for start, asks in blocks if begin < start < number]
        lines = [query.line for query in queries]
        query = lines.index(before[-1][0]) if before and before[-1][1] else None
        whole = _unlinked(item["text"])
        parts = _SEEN.fullmatch(whole)
        linked = dict.fromkeys(
            found["target"].removesuffix(".md")
            for found in _LINK.finditer(item["text"])
            if re.fullmatch(r"\w+\.md", found["target"])
        )
        seen, then = (parts["seen"], parts["next"]) if parts else (whole, "")
        yield Decision(seen, then, query, tuple(linked))


def _steps(text: str) -> Iterator[Step]:
    section = text[text.index(f"\n## {HEADINGS[-1]}\n") :]
    items = [found.start() for found in re.finditer(r"^\d+\. ", section, re.M)]
    for start, end in itertools.pairwise([*items, len(section)]):
        item = section[start:end]
        commands = tuple(command for _, command in markdown.commands(item))
        prose = _plain(markdown.BLOCK.sub("", item))
        yield Step(re.sub(r"^\d+\. +", "", prose), commands)


def _never(text: str) -> Iterator[str]:
    for _, line in markdown.prose(text):
        item = _ITEM.match(line)
        for sentence in _SENTENCE.split(_unlinked(item["text"] if item else line.strip())):
            if sentence.startswith("Never "):
                yield sentence


def _plain(text: str) -> str:
    return " ".join(_unlinked(text).split())


def _unlinked(text: str) -> str:
    return _LINK.sub(lambda found: found["text"], text)
